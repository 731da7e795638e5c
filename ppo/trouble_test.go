package ppo

import (
	"math"
	"testing"

	"tandem/llama/nn/nntest"
)

// The standard error of a mean over answers whose KL is 1, 3 and 5: √(8/3 / 2).
func TestKLErrorByHand(t *testing.T) {
	var rollouts []*rollout
	for _, kl := range []float32{1, 3, 5} {
		rollouts = append(rollouts, &rollout{
			answer: Answer{Tokens: []int32{1}}, logprobs: []float32{kl - 7}, reference: []float32{-7}, entropy: []float32{0},
			values: []float32{0}, returns: []float32{0},
		})
	}
	var s Stats
	s.describe(rollouts, 0.01, K1)
	if s.KL != 3 || math.Abs(s.KLError-math.Sqrt(4./3)) > 1e-12 {
		t.Errorf("KL %g ± %g, want 3 ± %g", s.KL, s.KLError, math.Sqrt(4./3))
	}
}

// Answers that were cut pay the penalty, those that ended do not, and held-out ones are no exception.
func TestMissingEOSPenalty(t *testing.T) {
	const penalty = 2.5
	run := func(penalty float64) (s Stats, e Evaluation) {
		config := shortRun()
		config.Iterations, config.MissingEOSPenalty = 2, penalty
		trainer, err := NewTrainer(nntest.Plain(t), toyModels(4), lively{toy{lengthReward}}, config, 2)
		if err != nil {
			t.Fatal(err)
		}
		err = trainer.Run(t.Context(), nil, Observer{
			Iteration: func(x Stats) {
				if x.Iteration == 1 {
					s = x
				}
			},
			Evaluation: func(x Evaluation) {
				if x.Iteration == 0 {
					e = x
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return s, e
	}
	free, freeHeldOut := run(0)
	paid, paidHeldOut := run(penalty)
	n := float64(shortRun().BatchSize)
	cut := n - float64(free.Ended)
	if cut == 0 || free.Ended == 0 || paid.Ended != free.Ended {
		t.Fatalf("the case shows nothing: %d and %d of %g answers ended", free.Ended, paid.Ended, n)
	}
	if got, want := free.Score-paid.Score, penalty*cut/n; math.Abs(got-want) > 1e-9 {
		t.Errorf("the mean score fell by %g, want %g", got, want)
	}
	if fell := freeHeldOut.Score - paidHeldOut.Score; fell != 0 && fell != penalty/2 && fell != penalty {
		t.Errorf("the held-out score fell by %g, no multiple of the penalty's share of 2 answers", fell)
	} else if fell == 0 {
		t.Error("no held-out answer was cut: the case shows nothing")
	}
}

// A clip counts where it binds, as in TRL: not where the unclipped loss is the larger one.
func TestClipsCountWhereTheyBind(t *testing.T) {
	for _, c := range []struct {
		ratio, advantage float64
		want             bool
	}{{1.3, 1, true}, {1.3, -1, false}, {0.7, -1, true}, {0.7, 1, false}, {1.1, 1, false}, {1.3, 0, false}} {
		if got := policyClipped(c.ratio, c.advantage, 0.2); got != c.want {
			t.Errorf("ratio %g, advantage %g: %t", c.ratio, c.advantage, got)
		}
	}
	for _, c := range []struct {
		value, target float64 // from 0
		want          bool
	}{{0.5, 1, true}, {0.5, -1, false}, {-0.5, -1, true}, {0.1, 1, false}} {
		if got := valueClipped(c.value, 0, c.target, 0.2); got != c.want {
			t.Errorf("value %g, return %g: %t", c.value, c.target, got)
		}
	}
}
