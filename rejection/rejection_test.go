package rejection_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"

	"tandem"
	"tandem/rejection"
)

// echo answers sample k of any prompt with k words "good"; sample 3 never ends.
type echo struct{}

func (echo) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i := len(requests) - 1; i >= 0; i-- { // out of order, in two chunks
			k := int(requests[i].Key.Sample)
			finish := tandem.FinishStop
			if k == 3 {
				finish = tandem.FinishLength
			}
			if !yield(tandem.Chunk{Request: i, Text: strings.Repeat("good ", k), Tokens: make([]int32, k)}, nil) ||
				!yield(tandem.Chunk{Request: i, Text: "end", Tokens: []int32{2}, Finish: finish}, nil) {
				return
			}
		}
	}
}

// count scores an answer by its "good"s; on a safety prompt two or more of them are gated.
type count struct{}

func (count) Score(_ context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		n := strings.Count(r.Messages[len(r.Messages)-1].Content, "good")
		scores[i] = tandem.Score{Combined: float64(n), Gated: r.Safety && n >= 2}
	}
	return scores, nil
}

func prompts() []tandem.Prompt {
	return []tandem.Prompt{
		{Messages: tandem.Dialogue{{Role: tandem.User, Content: "hello"}}},
		{Messages: tandem.Dialogue{{Role: tandem.User, Content: "risky"}}, Safety: true},
	}
}

func TestSampleKeepsTheBest(t *testing.T) {
	c := rejection.DefaultConfig()
	c.K = 4
	sets, err := rejection.Sample(t.Context(), echo{}, count{}, prompts(), c)
	if err != nil {
		t.Fatal(err)
	}
	// Sample 3 is best but was cut; sample 2 of the safety prompt is gated.
	for i, want := range []int{2, 1} {
		best, ok := sets[i].Best()
		if !ok || best.Sample != want || best.Tokens != want+1 {
			t.Errorf("prompt %d: best is sample %d with %d tokens (%t), want sample %d", i, best.Sample, best.Tokens, ok, want)
		}
	}
	best, _ := sets[0].Best()
	target := sets[0].Target(best)
	if got := fmt.Sprintf("%+v", target.Messages); got != "[{Role:user Content:hello Train:false} {Role:assistant Content:good good end Train:true}]" {
		t.Errorf("target %s", got)
	}
	if len(sets[0].Prompt.Messages) != 1 {
		t.Errorf("the prompt was changed: %v", sets[0].Prompt.Messages)
	}
	if _, ok := (rejection.Set{Candidates: sets[0].Candidates[3:]}).Best(); ok {
		t.Error("an answer that was cut became a target")
	}
}

// repeats says the same for samples 0 and 2, of which 0 is cut, and something else for sample 1.
type repeats struct{}

func (repeats) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			c := tandem.Chunk{Request: i, Text: []string{"good", "good good", "good"}[r.Key.Sample], Tokens: []int32{1, 2}, Finish: tandem.FinishStop}
			if r.Key.Sample == 0 {
				c.Finish = tandem.FinishLength
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// counted counts the answers that it scores.
type counted struct {
	count
	asked int
}

func (c *counted) Score(ctx context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	c.asked += len(requests)
	return c.count.Score(ctx, requests)
}

func TestDuplicatesCountOnce(t *testing.T) {
	c := rejection.DefaultConfig()
	c.K = 3
	var scorer counted
	sets, err := rejection.Sample(t.Context(), repeats{}, &scorer, prompts(), c)
	if err != nil {
		t.Fatal(err)
	}
	if scorer.asked != 4 {
		t.Errorf("%d answers were scored, want the 2 different ones of each of 2 prompts", scorer.asked)
	}
	if n := rejection.Duplicates(sets); n != 2 {
		t.Errorf("%d duplicates, want 2", n)
	}
	for i, s := range sets {
		var samples, scores []string
		for _, c := range s.Distinct() {
			samples = append(samples, fmt.Sprint(c.Sample))
		}
		for _, c := range s.Candidates {
			scores = append(scores, fmt.Sprint(c.Score.Combined))
		}
		// Sample 2 stands for sample 0, which says the same and was cut.
		if got := strings.Join(samples, " "); got != "2 1" {
			t.Errorf("prompt %d: distinct samples %s, want 2 1", i, got)
		}
		if got := strings.Join(scores, " "); got != "1 2 1" {
			t.Errorf("prompt %d: scores %s, want 1 2 1", i, got)
		}
	}
}

func TestRandomIgnoresScores(t *testing.T) {
	c := rejection.DefaultConfig()
	c.K = 4
	sets, err := rejection.Sample(t.Context(), echo{}, count{}, prompts(), c)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]int)
	for seed := range uint64(300) {
		pick, ok := sets[0].Random(seed)
		if !ok {
			t.Fatal("nothing to pick")
		}
		seen[pick.Sample]++
	}
	for sample := range 3 {
		if seen[sample] < 60 {
			t.Errorf("sample %d was picked %d times of 300", sample, seen[sample])
		}
	}
	if seen[3] != 0 {
		t.Error("an answer that was cut was picked")
	}
}

func TestRewardCurve(t *testing.T) {
	var set rejection.Set
	for _, x := range []float64{4, 1, 3, 2} {
		set.Candidates = append(set.Candidates, rejection.Candidate{Score: tandem.Score{Combined: x}})
	}
	curve := rejection.RewardCurve([]rejection.Set{set})
	// The best of two out of {1, 2, 3, 4}: pairs' maxima 2 3 4 3 4 4, mean 20/6. Medians stay at 2.5.
	for k, want := range []float64{2.5, 20. / 6, 3.75, 4} {
		if math.Abs(curve.Best[k]-want) > 1e-12 || math.Abs(curve.Median[k]-2.5) > 1e-12 {
			t.Errorf("k = %d: best %g, median %g, want %g and 2.5", k+1, curve.Best[k], curve.Median[k], want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	c := rejection.DefaultConfig()
	for name, temperatures := range map[string]rejection.Temperatures{
		"K answers at temperature 0": {0}, "no temperature": {}, "one twice": {1, 0.7, 1}, "a negative one": {1, -1}, "none that is a number": {math.NaN()},
	} {
		c.Temperature = temperatures
		if _, err := rejection.Sample(t.Context(), echo{}, count{}, prompts(), c); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
