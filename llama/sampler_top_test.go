package llama

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
)

// TestTop holds the likeliest tokens against sorting, with ties, and their log-probabilities against what draw says.
func TestTop(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 1))
	for trial := range 200 {
		vocab := 2 + rng.IntN(700)
		logits, ids := make([]float32, vocab), make([]int32, vocab)
		for i := range logits {
			ids[i] = int32(i)
			logits[i] = float32(rng.NormFloat64() * 3)
			if trial%3 == 0 {
				logits[i] = float32(math.Round(float64(logits[i]))) // ties
			}
		}
		slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
		temperature := float64(rng.IntN(3)) * .7
		d, k := newTestDrawer(t, vocab), 1+rng.IntN(25)
		top := d.top(logits, temperature, k)
		if len(top) != min(k, vocab) {
			t.Fatalf("%d of the %d likeliest of %d tokens", len(top), k, vocab)
		}
		for i, p := range top {
			if p.Token != ids[i] {
				t.Fatalf("trial %d: token %d is %d, want %d", trial, i, p.Token, ids[i])
			}
			at := temperature
			if at == 0 {
				at = 1
			}
			if want, ok := d.logProb(logits, p.Token, at); !ok || p.LogProb != want {
				t.Fatalf("trial %d: token %d has %g, want %g", trial, i, p.LogProb, want)
			}
		}
	}
}

// TestTopChangesNoAnswer samples the same with the likeliest tokens asked for and without.
func TestTopChangesNoAnswer(t *testing.T) {
	rng := rand.New(rand.NewPCG(32, 1))
	w := randomWeights(testConfig(), false, rng)
	requests := randomRequests(w.Config, 20, rng)
	s := newTestSampler(t, w, SamplerConfig{Slots: 6})
	plain := sampleAll(t, s, requests...)
	for i := range requests {
		requests[i].Top = i % 5
	}
	for e, err := range s.Sample(t.Context(), requests) {
		if err != nil || len(e.Top) != e.Request%5 {
			t.Fatalf("%+v, %v", e, err)
		}
		for _, p := range e.Top {
			if p.Token == e.Token && p.LogProb != e.LogProb {
				t.Errorf("token %d has %g and %g", e.Token, p.LogProb, e.LogProb)
			}
		}
		if r := requests[e.Request]; r.Sampling.Temperature == 0 && len(e.Top) > 0 && e.Top[0].Token != e.Token {
			t.Errorf("the greedy token is %d, the likeliest %d", e.Token, e.Top[0].Token)
		}
	}
	for i, a := range sampleAll(t, s, requests...) {
		if !a.equal(plain[i]) {
			t.Errorf("request %d gives %v, and %v without", i, a, plain[i])
		}
	}
	if _, err := s.Add(Request{Prompt: []int32{1}, Top: -1}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("−1 of the likeliest tokens: %v", err)
	}
}

// TestHas follows requests from Add to their end.
func TestHas(t *testing.T) {
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(33, 1)))
	s := newTestSampler(t, w, SamplerConfig{Slots: 1})
	for range 3 {
		if _, err := s.Add(Request{Prompt: []int32{1}, Sampling: tandem.Sampling{MaxTokens: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	s.Drop(2)
	ended := make(map[int]bool)
	s.Hold(func() {
		for !s.Idle() {
			for id := range 2 {
				if s.Has(id) == ended[id] {
					t.Errorf("request %d: has it %v, ended %v", id, s.Has(id), ended[id])
				}
			}
			events, err := s.Step(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				ended[e.Request] = e.Finish != ""
			}
		}
	})
	if s.Has(0) || s.Has(1) || s.Has(2) || s.Has(3) || len(ended) != 2 {
		t.Errorf("at the end: %v", ended)
	}
}
