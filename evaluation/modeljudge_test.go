package evaluation_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem"
	"tandem/evaluation"
)

func TestVerdictOf(t *testing.T) {
	for reply, want := range map[string]evaluation.Side{
		"Verdict: A":                         evaluation.SideA,
		"Because it is.\n\n Verdict: B \n\n": evaluation.SideB,
		"Verdict: tie\r\n":                   evaluation.Tie,
		"":                                   evaluation.NoSide,
		"A":                                  evaluation.NoSide,
		"verdict: A":                         evaluation.NoSide,
		"Verdict: C":                         evaluation.NoSide,
		"Verdict: A.":                        evaluation.NoSide,
		"I say Verdict: A":                   evaluation.NoSide,
		"Verdict: A\nbut who knows":          evaluation.NoSide,
		"Verdict: A\nVerdict: B":             evaluation.NoSide,
		"Verdict: A\nVerdict: A":             evaluation.NoSide,
	} {
		if got := evaluation.VerdictOf(reply); got != want {
			t.Errorf("%q is %q, want %q", reply, got, want)
		}
	}
}

// replier replies to what stands first and second.
type replier func(first, second string) (string, error)

func (r replier) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, q := range requests {
			part := func(name string) string {
				_, rest, _ := strings.Cut(q.Messages[1].Content, "[Answer "+name+" begins]\n")
				text, _, _ := strings.Cut(rest, "\n[Answer "+name+" ends]")
				return text
			}
			text, err := r(part("A"), part("B"))
			if !yield(tandem.Chunk{Request: i, Text: text, Finish: tandem.FinishStop}, err) {
				return
			}
		}
	}
}

func TestModelJudge(t *testing.T) {
	ask := tandem.Dialogue{{Role: tandem.User, Content: "Well?"}}
	pairs := []evaluation.AnswerPair{{ask, "good", "bad"}, {ask, "bad", "good"}, {ask, "same", "same"}, {ask, "bad", "worse"}}
	better := func(first, second string) (string, error) {
		switch {
		case first == "good":
			return "Verdict: A", nil
		case second == "good":
			return "Verdict: B", nil
		}
		return "Verdict: tie", nil
	}
	config := evaluation.DefaultModelJudgeConfig()
	config.Pause, config.AtOnce = time.Millisecond, 3
	judge := func(r replier) (evaluation.Rulings, []evaluation.Ruling, error) {
		rulings, err := evaluation.ModelJudge{Model: r, Config: config}.Judge(t.Context(), pairs)
		if err != nil {
			return evaluation.Rulings{}, nil, err
		}
		counted, err := evaluation.Count(rulings)
		return counted, rulings, err
	}
	var now, most atomic.Int32
	got, _, err := judge(func(first, second string) (string, error) {
		defer now.Add(-1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(5 * time.Millisecond)
		return better(first, second)
	})
	if err != nil || fmt.Sprint(got.Outcomes) != "{1 2 1}" || got.Alike != 1 || got.Unjudged != 0 || got.Changed.Value != 0 || got.First.Value != .5 || got.Replies != 6 || most.Load() > 3 {
		t.Errorf("a good judge: %+v, %d at once, %v", got, most.Load(), err)
	}
	got, _, err = judge(func(string, string) (string, error) { return "Verdict: A", nil })
	if err != nil || fmt.Sprint(got.Outcomes) != "{0 4 0}" || got.Changed.Value != 1 || got.First.Value != 1 {
		t.Errorf("a judge for the first: %+v, %v", got, err)
	}
	got, rulings, err := judge(func(first, _ string) (string, error) {
		if first == "worse" {
			return "Both are A.", nil
		}
		return "Verdict: tie", nil
	})
	if err != nil || fmt.Sprint(got.Outcomes) != "{0 3 0}" || got.Unjudged != 1 || got.Unparsable != 1 || rulings[3].Replies[1] != "Both are A." || got.First != nil {
		t.Errorf("a judge who rambles: %+v, %v", got, err)
	}
	var asked atomic.Int32
	busy := tandem.Errorf(tandem.Unavailable, "test", "busy")
	got, _, err = judge(func(first, second string) (string, error) {
		if asked.Add(1)%2 == 1 {
			return "", busy
		}
		return better(first, second)
	})
	if err != nil || got.Outcomes.Wins != 1 {
		t.Errorf("a judge who is busy at times: %+v, %v", got, err)
	}
	asked.Store(0)
	config.Tries, config.AtOnce = 3, 1
	if _, _, err = judge(func(string, string) (string, error) { asked.Add(1); return "", busy }); tandem.CodeOf(err) != tandem.Unavailable || asked.Load() != 3 {
		t.Errorf("a judge who is busy: %v, asked %d times", err, asked.Load())
	}
	asked.Store(0)
	if _, _, err = judge(func(string, string) (string, error) {
		asked.Add(1)
		return "", tandem.Errorf(tandem.Unauthorized, "test", "the key")
	}); tandem.CodeOf(err) != tandem.Unauthorized || asked.Load() != 1 {
		t.Errorf("a judge who is not ours: %v, asked %d times", err, asked.Load())
	}
}
