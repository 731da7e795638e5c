package ppo

import (
	"math"
	"testing"
)

// Over all tokens of two distributions k1 and k3 have the divergence itself as their mean, and k2 half of the mean
// square of the log-ratio; k2 and k3 are never negative.
func TestKLEstimatorsOverAllTokens(t *testing.T) {
	policy, reference := []float64{0.7, 0.2, 0.1}, []float64{0.3, 0.3, 0.4}
	kl, square := 0.0, 0.0
	for i, p := range policy {
		logRatio := math.Log(p / reference[i])
		kl += p * logRatio
		square += p * logRatio * logRatio / 2
	}
	for e, want := range map[KLEstimator]float64{"": kl, K1: kl, K2: square, K3: kl} {
		got, least := 0.0, math.Inf(1)
		for i, p := range policy {
			x := e.at(float32(math.Log(p)), float32(math.Log(reference[i])))
			got += p * x
			least = min(least, x)
		}
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%q has the mean %g, want %g", e, got, want)
		}
		if never := e == K2 || e == K3; never != (least >= 0) {
			t.Errorf("%q has %g as its least value", e, least)
		}
	}
}

// As TRL writes them, with logr = ref_logprobs − logprobs: −logr, (logr.exp() − 1) − logr, and Schulman's ½·logr².
func TestKLEstimatorsByHand(t *testing.T) {
	for e, want := range map[KLEstimator][]float64{
		K1: {1, -1, 0}, K2: {0.5, 0.5, 0}, K3: {math.Exp(-1) - 1 + 1, math.E - 1 - 1, 0},
	} {
		close(t, string(e), []float64{e.at(-1, -2), e.at(-2, -1), e.at(-3, -3)}, want, 1e-12)
		close(t, string(e)+" of the answer", []float64{e.sum([]float32{-1, -2, -3}, []float32{-2, -1, -3})}, []float64{want[0] + want[1]}, 1e-12)
	}
}

func TestTokenRewardsByEachEstimator(t *testing.T) {
	logprobs, reference := []float32{-1, -2}, []float32{-2, -1}
	for e, want := range map[KLEstimator][]float64{
		"": {-0.5, 10.5}, K2: {-0.25, 9.75}, K3: {-0.5 * math.Exp(-1), 10 - 0.5*(math.E-2)},
	} {
		close(t, "rewards by "+string(e), tokenRewards(10, 0.5, e, logprobs, reference), want, 1e-12)
	}
}

// Rewards 0, 0, 3 and 0, 5 of two answers have the mean 1.6 and the deviation √4.24.
func TestWhitenedRewardsKeepTheirMean(t *testing.T) {
	rollouts := []*rollout{{rewards: []float64{0, 0, 3}}, {rewards: []float64{0, 5}}}
	whitenRewards(rollouts)
	at := func(x float64) float64 { return 1.6 + (x-1.6)/math.Sqrt(4.24) }
	close(t, "first answer", rollouts[0].rewards, []float64{at(0), at(0), at(3)}, 1e-6)
	close(t, "second answer", rollouts[1].rewards, []float64{at(0), at(5)}, 1e-6)
}
