package pretrain_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"tandem"
	"tandem/pretrain"
)

// letters encodes a text as the codes of its bytes.
type letters struct{}

func (letters) Encode(text string, _ bool) ([]int32, error) {
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids, nil
}

func sequence(texts ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, t := range texts {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func TestTaskJoinsAndCuts(t *testing.T) {
	task, err := pretrain.Task(letters{}, sequence("ab", "cdef", "g"), 1, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range task.Sequences {
		got = append(got, fmt.Sprint(s.Tokens))
	}
	want := "[[1 97 98 2 1] [99 100 101 102 2] [1 103 2]]"
	if fmt.Sprint(got) != want {
		t.Errorf("sequences %v, want %s", got, want)
	}
}

func TestTaskPassesErrorsOn(t *testing.T) {
	broken := errors.New("disk on fire")
	texts := func(yield func(string, error) bool) { yield("", broken) }
	if _, err := pretrain.Task(letters{}, texts, 1, 2, 5); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := pretrain.Task(letters{}, sequence(), 1, 2, 5); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("no text at all: %v", err)
	}
}
