package evaluation_test

import (
	"context"
	"iter"
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
