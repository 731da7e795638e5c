package ppo

import (
	"math"

	"tandem"
	"tandem/llama/nn"
)

// KLEstimator is how the KL divergence from the reference is estimated at a sampled token, from
// ln r = ln π_0 − ln π_θ of that token (http://joschu.net/blog/kl-approx.html; signs and names are TRL's).
type KLEstimator string

const (
	// K1 is −ln r: unbiased, and negative for half of the tokens near the reference. "" means it too.
	K1 KLEstimator = "k1"
	// K2 is ½·(ln r)²: never negative and steady, and too low or too high where the policy is far away.
	K2 KLEstimator = "k2"
	// K3 is r − 1 − ln r: unbiased, and never negative.
	K3 KLEstimator = "k3"
)

// at is the estimate at one token.
func (e KLEstimator) at(logprob, reference float32) float64 {
	logRatio := float64(reference) - float64(logprob)
	switch e {
	case K2:
		return logRatio * logRatio / 2
	case K3:
		return math.Expm1(logRatio) - logRatio
	}
	return float64(logprob) - float64(reference)
}

// sum is the estimate of a whole answer, in nats.
func (e KLEstimator) sum(logprobs, reference []float32) float64 {
	var kl float64
	for t := range logprobs {
		kl += e.at(logprobs[t], reference[t])
	}
	return kl
}

// tokenRewards spreads R(g|p) over the tokens of one answer: every token pays for its share of the KL
// divergence, and the last token, EOS if the answer ended, earns the score:
//
//	r_t = −β·kl_t  (+ score at the last t).
func tokenRewards(score, beta float64, kl KLEstimator, logprobs, reference []float32) []float64 {
	rewards := make([]float64, len(logprobs))
	for t := range rewards {
		rewards[t] = -beta * kl.at(logprobs[t], reference[t])
	}
	if n := len(rewards); n > 0 {
		rewards[n-1] += score
	}
	return rewards
}

// whitenRewards gives the rewards of all tokens of a batch the deviation 1 and leaves their mean, as TRL's
// whiten_rewards does: whatever the scale of scores and penalty, the critic's returns have a scale that it knows.
func whitenRewards(rollouts []*rollout) {
	var all []float32
	for _, r := range rollouts {
		all = append(all, narrow(r.rewards)...)
	}
	nn.MaskedWhiten(all, everywhere(len(all)), true)
	for _, r := range rollouts {
		for t := range r.rewards {
			r.rewards[t] = float64(all[t])
		}
		all = all[len(r.rewards):]
	}
}

// cautious is R_c less what its uncertainty costs: R_c − λ·u, with u the deviation over the members of an ensemble.
//
// Coste et al. 2023 (https://arxiv.org/abs/2310.02743, UWO) subtract λ times the members' variance. The deviation is a
// choice: it is in the score's own unit, so that λ says how many deviations below their mean the members are believed,
// whatever the scale, and rankings do not change with it.
func cautious(s tandem.Score, lambda float64) float64 { return s.Combined - lambda*s.Uncertainty }
