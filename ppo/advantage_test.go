package ppo

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"tandem"
)

func close(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d entries, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > tolerance {
			t.Errorf("%s[%d] = %g, want %g", what, i, got[i], want[i])
		}
	}
}

// Worked by hand with γ = ½ and λ = ½: δ = (1 + ½·2 − 1, 0 + ½·4 − 2, 8 − 4) = (1, 0, 4), and
// A₂ = 4, A₁ = 0 + ¼·4 = 1, A₀ = 1 + ¼·1 = 1.25.
func TestGAEWorkedExample(t *testing.T) {
	advantages, returns := gae([]float64{1, 0, 8}, []float64{1, 2, 4}, 0.5, 0.5)
	close(t, "advantages", advantages, []float64{1.25, 1, 4}, 1e-12)
	close(t, "returns", returns, []float64{2.25, 3, 8}, 1e-12)
}

// The definition: A_t = Σ_l (γλ)^l δ_{t+l}.
func TestGAEAgainstTheSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n := 1 + rng.IntN(20)
		gamma, lambda := rng.Float64(), rng.Float64()
		rewards, values := make([]float64, n), make([]float64, n+1)
		for i := range n {
			rewards[i], values[i] = rng.NormFloat64(), rng.NormFloat64()
		}
		want := make([]float64, n)
		for t := range n {
			for l := 0; t+l < n; l++ {
				delta := rewards[t+l] + gamma*values[t+l+1] - values[t+l]
				want[t] += math.Pow(gamma*lambda, float64(l)) * delta
			}
		}
		got, _ := gae(rewards, values[:n], gamma, lambda)
		close(t, "advantages", got, want, 1e-9)
	}
}

// With γ = λ = 1 the return of every token is what is still to come.
func TestGAEIsMonteCarloAtOne(t *testing.T) {
	_, returns := gae([]float64{1, 2, 3}, []float64{9, -4, 7}, 1, 1)
	close(t, "returns", returns, []float64{6, 5, 3}, 1e-12)
}

func TestTokenRewards(t *testing.T) {
	logprobs, reference := []float32{-1, -2, -0.5}, []float32{-1.5, -1, -0.5}
	close(t, "rewards", tokenRewards(10, 0.1, K1, logprobs, reference), []float64{-0.05, 0.1, 10}, 1e-7)
	if got := K1.sum(logprobs, reference); math.Abs(got-(-0.5)) > 1e-7 {
		t.Errorf("k1 of the answer is %g, want -0.5", got)
	}
	if got := tokenRewards(1, 0.1, K1, nil, nil); len(got) != 0 {
		t.Errorf("an empty answer has rewards %v", got)
	}
}

// doubted is an environment whose reward models disagree.
type doubted struct {
	toy
	scores []tandem.Score
}

func (d doubted) Score(context.Context, []Answer) ([]tandem.Score, error) { return d.scores, nil }

// Members that say 1, 2 and 6 of an answer agree on 3 with the deviation √14/√3; half of it is taken off, and the penalty
// of an answer that was cut beside it.
func TestUncertaintyIsTakenOff(t *testing.T) {
	u := math.Sqrt(14. / 3)
	trainer := &Trainer{
		config:      Config{UncertaintyPenalty: 0.5, MissingEOSPenalty: 2},
		environment: doubted{scores: []tandem.Score{{Combined: 3, Uncertainty: u}, {Combined: 3}, {Combined: 3, Uncertainty: u}}},
	}
	ended, cut := Answer{Finish: tandem.FinishStop}, Answer{Finish: tandem.FinishLength}
	rollouts := []*rollout{{answer: ended}, {answer: ended}, {answer: cut}}
	if err := trainer.judge(t.Context(), rollouts); err != nil {
		t.Fatal(err)
	}
	close(t, "scores", []float64{rollouts[0].score, rollouts[1].score, rollouts[2].score}, []float64{3 - u/2, 3, 3 - u/2 - 2}, 1e-12)
	trainer.config.UncertaintyPenalty = 0
	if err := trainer.judge(t.Context(), rollouts); err != nil || rollouts[0].score != 3 {
		t.Errorf("without a penalty the score is %g, %v", rollouts[0].score, err)
	}
	var s Stats
	for _, r := range rollouts {
		r.answer.Tokens = []int32{1}
		r.logprobs, r.reference, r.entropy = []float32{0}, []float32{0}, []float32{0}
		r.values, r.returns = []float32{0}, []float32{0}
	}
	s.describe(rollouts, 0, K1)
	close(t, "uncertainty", []float64{s.Uncertainty, s.Metrics()["objective/uncertainty"]}, []float64{2 * u / 3, 2 * u / 3}, 1e-12)
}
