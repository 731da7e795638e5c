package evaluation_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"testing"

	"tandem"
	"tandem/evaluation"
)

// parrot repeats the last message; its second answer is cut at the token limit.
type parrot struct{}

func (parrot) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			finish := tandem.FinishStop
			if i == 1 {
				finish = tandem.FinishLength
			}
			text := r.Messages[len(r.Messages)-1].Content
			if !yield(tandem.Chunk{Request: i, Text: text, Tokens: make([]int32, len(text)), Finish: finish}, nil) {
				return
			}
		}
	}
}

// lengths scores an answer by its length; longer than three is gated.
type lengths struct{ sign float64 }

func (l lengths) Score(_ context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		n := float64(len(r.Messages[len(r.Messages)-1].Content))
		scores[i] = tandem.Score{Helpfulness: l.sign * n, Safety: 1, Combined: n, Gated: n > 3}
	}
	return scores, nil
}

func TestSummaryAndWins(t *testing.T) {
	var prompts []tandem.Prompt
	for _, text := range []string{"a", "bb", "cccc"} {
		prompts = append(prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: text}}})
	}
	sampled := func(sign float64) []evaluation.Answer {
		answers, err := evaluation.Answers(t.Context(), parrot{}, prompts, tandem.Sampling{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := evaluation.Score(t.Context(), lengths{sign}, answers); err != nil {
			t.Fatal(err)
		}
		return answers
	}
	newer, older := sampled(1), sampled(-1)
	s, err := evaluation.Summarise(newer)
	if err != nil {
		t.Fatal(err)
	}
	if s.Answers != 3 || s.Length.Value != 7./3 || s.Gated.Value != 1./3 || s.Ended.Value != 2./3 || s.Distinct1 != 1 || s.Safety.Value != 1 {
		t.Errorf("summary %+v", s)
	}
	wins, err := evaluation.Wins(tandem.Helpfulness, newer, older)
	if err != nil || wins.Wins != 3 || wins.Losses != 0 {
		t.Errorf("helpfulness %+v, %v", wins, err)
	}
	wins, err = evaluation.Wins(tandem.Safety, newer, older)
	if err != nil || wins.Ties != 3 {
		t.Errorf("safety %+v, %v", wins, err)
	}
	if _, err := evaluation.Wins(tandem.Safety, newer, older[1:]); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("answers to different prompts: %v", err)
	}
}

// moody says its prompt first and something else of each further sample.
type moody struct{}

func (moody) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			text := r.Messages.Opening()
			if r.Key.Sample > 0 {
				text = fmt.Sprint("again ", r.Key.Seed, r.Key.Sample)
			}
			if !yield(tandem.Chunk{Request: i, Text: text, Tokens: []int32{1}, Finish: tandem.FinishStop}, nil) {
				return
			}
		}
	}
}

// Diversity is that of one answer to each prompt, on average over what was said first, second and third.
func TestRepeatedAnswersCountForDiversityAlone(t *testing.T) {
	var prompts []tandem.Prompt
	for _, text := range []string{"a b", "c d"} {
		prompts = append(prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: text}}})
	}
	answers, err := evaluation.Answers(t.Context(), moody{}, prompts, tandem.Sampling{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := evaluation.Repeat(t.Context(), moody{}, answers, tandem.Sampling{}, 7, 0); err != nil || answers[0].Again != nil {
		t.Fatalf("no more answers: %+v, %v", answers[0], err)
	}
	if err := evaluation.Repeat(t.Context(), moody{}, answers, tandem.Sampling{}, 7, 2); err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if want := []string{"again 7 1", "again 7 2"}; !slices.Equal(a.Again, want) {
			t.Errorf("again %q, want %q", a.Again, want)
		}
	}
	s, err := evaluation.Summarise(answers)
	// Four different words of four first, then three of six twice.
	if want := (1 + 0.5 + 0.5) / 3; err != nil || s.Answers != 2 || math.Abs(s.Distinct1-want) > 1e-12 {
		t.Errorf("%+v, want distinct-1 %g, %v", s, want, err)
	}
}
