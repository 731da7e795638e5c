package sft_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/sft"
)

// words renders a word a token, a message's answer with an EOS of 0 behind it.
type words struct{}

func (words) Training(_ context.Context, d tandem.Dialogue, _ int) (chat.Example, error) {
	e := chat.Example{Tokens: []int32{1}, Train: []bool{false}}
	add := func(id int, trained bool) {
		e.Tokens, e.Train = append(e.Tokens, int32(id)), append(e.Train, trained)
	}
	for _, m := range d {
		for i := range strings.Fields(m.Content) {
			add(10+i, m.Train)
		}
		if m.Role == tandem.Assistant {
			add(0, m.Train)
		}
	}
	return e, nil
}

func dialogue(turns ...string) tandem.Dialogue {
	var d tandem.Dialogue
	for i, t := range turns {
		role := tandem.User
		if i%2 == 1 {
			role = tandem.Assistant
		}
		d = append(d, tandem.Message{Role: role, Content: t})
	}
	return d
}

func TestTaskTrainsOnMarkedTokensAlone(t *testing.T) {
	last := dialogue("a b", "c", "d", "e f")
	last[3].Train = true // Ghost Attention's case: earlier answers carry no loss
	task, prepared, err := sft.NewTask(t.Context(), words{}, []tandem.Dialogue{
		sft.TrainOnAnswers(dialogue("a b", "c", "d", "e f")),
		last,
		dialogue("nothing", "marked"),
		sft.TrainOnAnswers(dialogue("q", strings.Repeat("long ", 30))),
	}, 20)
	if err != nil {
		t.Fatal(err)
	}
	if want := (sft.Prepared{Dialogues: 2, TooLong: 1, Untrained: 1, Tokens: 5 + 3}); prepared != want {
		t.Errorf("prepared %+v, want %+v", prepared, want)
	}
	for i, want := range []string{"[0 0 0 1 1 0 1 1 1]", "[0 0 0 0 0 0 1 1 1]"} {
		if got := fmt.Sprint(task.Sequences[i].Weights); got != want {
			t.Errorf("dialogue %d: weights %s, want %s", i, got, want)
		}
	}
}

func TestTaskOfNothing(t *testing.T) {
	if _, _, err := sft.NewTask(t.Context(), words{}, []tandem.Dialogue{dialogue("nothing", "marked")}, 20); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("no dialogue to train on: %v", err)
	}
}
