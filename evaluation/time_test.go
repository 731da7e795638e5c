package evaluation

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/dataset"
)

// historian says who is mayor by the year that stands before the question, and the newest without one.
type historian struct{}

func (historian) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			answer := "Ben is the mayor."
			if first := r.Messages[0]; first.Role == tandem.System && strings.HasSuffix(first.Content, "1989.") {
				answer = "Anna is the mayor."
			}
			if !yield(tandem.Chunk{Request: i, Text: answer, Finish: tandem.FinishStop}, nil) {
				return
			}
		}
	}
}

func TestAskTime(t *testing.T) {
	event := dataset.Day{Time: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)}
	probe := TimeProbe{Question: "Who is the mayor?", EventDate: event, Before: "Anna", After: "Ben"}
	answers, err := AskTime(t.Context(), historian{}, []TimeProbe{probe}, []int{-800, -100, 0, 100}, tandem.Sampling{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	a := answers[0]
	for i, want := range []bool{false, true, true, true} { // 1987 is not 1989
		if a.Answers[i].Right != want {
			t.Errorf("on day %d: %+v", a.Answers[i].Days, a.Answers[i])
		}
	}
	if !a.Differ(1, 2) || a.Differ(0, 3) || a.Undated != "Ben is the mayor." {
		t.Errorf("%+v", a)
	}
	probe.Before = "("
	if _, err := AskTime(t.Context(), historian{}, []TimeProbe{probe}, []int{0}, tandem.Sampling{}, 1); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a broken expression: %v", err)
	}
}
