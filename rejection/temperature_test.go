package rejection_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"reflect"
	"strings"
	"testing"

	"tandem"
	"tandem/rejection"
)

// warm says "good" 10 T + k times for sample k at temperature T on the first prompt, once less on the other; at 1.5 all
// but sample 0, which has nothing good, are cut.
type warm struct{}

func (warm) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			k := int(r.Key.Sample)
			n, finish := int(10*r.Sampling.Temperature)+k, tandem.FinishStop
			if r.Messages[0].Content == "risky" {
				n--
			}
			if r.Sampling.Temperature == 1.5 {
				if finish = tandem.FinishLength; k == 0 {
					n, finish = 0, tandem.FinishStop
				}
			}
			if !yield(tandem.Chunk{Request: i, Text: strings.Repeat("good ", n) + "end", Tokens: []int32{1}, Finish: finish}, nil) {
				return
			}
		}
	}
}

// goods scores an answer by its "good"s.
type goods struct{}

func (goods) Score(_ context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		scores[i] = tandem.Score{Combined: float64(strings.Count(r.Messages[len(r.Messages)-1].Content, "good"))}
	}
	return scores, nil
}

func sample(t *testing.T, k int, temperatures ...float64) []rejection.Set {
	t.Helper()
	c := rejection.DefaultConfig()
	c.K, c.Temperature = k, temperatures
	sets, err := rejection.Sample(t.Context(), warm{}, goods{}, prompts(), c)
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

func TestSweepIsWhatEachTemperatureSamplesAlone(t *testing.T) {
	sets := sample(t, 3, 1, 0.5)
	for i, temperature := range []float64{1, 0.5} {
		for p, alone := range sample(t, 3, temperature) {
			if part := sets[p].Candidates[3*i : 3*i+3]; !reflect.DeepEqual(part, alone.Candidates) {
				t.Errorf("temperature %g, prompt %d: %+v in the sweep and %+v alone", temperature, p, part, alone.Candidates)
			}
		}
	}
	// The best of all temperatures is kept.
	if best, ok := sets[0].Best(); !ok || best.Temperature != 1 || best.Sample != 2 {
		t.Errorf("best %+v", best)
	}
}

func TestSweepAndNext(t *testing.T) {
	sets := sample(t, 3, 1, 0.5, 1.5)
	// Samples 0, 1, 2 of the first prompt: 5 6 7, 10 11 12, 0 16 17; of the other all but the 0 one less. Those at 1.5
	// score highest, and none of the high ones can be kept.
	for i, want := range []struct {
		temperature, best, median, bestOfOne, kept float64
		ended                                      int
	}{{0.5, 6.5, 5.5, 5.5, 6.5, 6}, {1, 11.5, 10.5, 10.5, 11.5, 6}, {1.5, 16.5, 15.5, (0 + 16 + 17 + 0 + 15 + 16) / 6., 0, 2}} {
		got := rejection.Sweep(sets)[i]
		if got.Temperature != want.temperature || !near(got.Curve.Best[2], want.best) || !near(got.Curve.Median[2], want.median) || !near(got.Curve.Best[0], want.bestOfOne) ||
			got.Kept != want.kept || got.Ended != want.ended || got.Samples != 6 || got.Targets != 2 || got.Duplicates != 0 {
			t.Errorf("%+v, want %+v", got, want)
		}
		// Two prompts that are 1 apart.
		if i < 2 && !near(got.Curve.BestError[2], 0.5) {
			t.Errorf("temperature %g: standard error %g, want 0.5", got.Temperature, got.Curve.BestError[2])
		}
	}
	next := rejection.Next(sets)
	if next == nil || next.Temperature != 1 || next.Over != 0.5 || !near(next.Lead.Value, 5) || next.Lead.N != 2 || next.Edge {
		t.Errorf("next %+v", next)
	}
	if next := rejection.Next(sample(t, 3, 1, 0.5)); next == nil || next.Temperature != 1 || !next.Edge {
		t.Errorf("next of two %+v", next)
	}
	if next := rejection.Next(sample(t, 3, 1)); next != nil {
		t.Errorf("next of one %+v", next)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// TestCurveOfManySamples is of more samples than have binomials in float64. Of k drawn from 1 … n without replacement
// the expected maximum is k(n+1)/(k+1), and the median (n+1)/2.
func TestCurveOfManySamples(t *testing.T) {
	const n = 1500
	var set rejection.Set
	for i := range n {
		set.Candidates = append(set.Candidates, rejection.Candidate{Score: tandem.Score{Combined: float64(i*7%n + 1)}}) // 7 and n have no common divisor
	}
	curve := rejection.RewardCurve([]rejection.Set{set})
	for _, k := range []int{1, 2, 100, 750, n} {
		if want := float64(k*(n+1)) / float64(k+1); math.Abs(curve.Best[k-1]-want) > 1e-6 {
			t.Errorf("best of %d: %g, want %g", k, curve.Best[k-1], want)
		}
		if want := float64(n+1) / 2; math.Abs(curve.Median[k-1]-want) > 1e-6 {
			t.Errorf("median of %d: %g, want %g", k, curve.Median[k-1], want)
		}
	}
}

func TestTemperaturesAsJSON(t *testing.T) {
	for text, want := range map[string]rejection.Temperatures{"1": {1}, "[0.7,1.2]": {0.7, 1.2}} {
		got := rejection.Temperatures{3}
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads as %v, %v", text, got, err)
		}
		if written, err := json.Marshal(got); err != nil || string(written) != text {
			t.Errorf("%v is written as %s, %v", got, written, err)
		}
	}
	kept := rejection.Temperatures{3}
	if err := json.Unmarshal([]byte("null"), &kept); err != nil || fmt.Sprint(kept) != "[3]" {
		t.Errorf("null made %v, %v", kept, err)
	}
	if err := json.Unmarshal([]byte(`"warm"`), &kept); err == nil {
		t.Error("a word was read as a temperature")
	}
}
