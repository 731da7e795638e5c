package ppo

import "tandem"

// tokenRewards spreads R(g|p) over the tokens of one answer: every token pays for its share of the KL
// divergence, estimated by k1 = ln π_θ − ln π_0 (http://joschu.net/blog/kl-approx.html), and the last
// token, EOS if the answer ended, earns the score:
//
//	r_t = −β·(logprob_t − reference_t)  (+ score at the last t).
func tokenRewards(score, beta float64, logprobs, reference []float32) []float64 {
	rewards := make([]float64, len(logprobs))
	for t := range rewards {
		rewards[t] = -beta * klPenalty(logprobs[t], reference[t])
	}
	if n := len(rewards); n > 0 {
		rewards[n-1] += score
	}
	return rewards
}

// cautious is R_c less what its uncertainty costs: R_c − λ·u, with u the deviation over the members of an ensemble.
//
// Coste et al. 2023 (https://arxiv.org/abs/2310.02743, UWO) subtract λ times the members' variance. The deviation is a
// choice: it is in the score's own unit, so that λ says how many deviations below their mean the members are believed,
// whatever the scale, and rankings do not change with it.
func cautious(s tandem.Score, lambda float64) float64 { return s.Combined - lambda*s.Uncertainty }

// klPenalty is the k1 estimate of the KL divergence at one sampled token: unbiased, and negative for half
// of the tokens near the reference.
func klPenalty(logprob, reference float32) float64 { return float64(logprob) - float64(reference) }

// sequenceKL is the k1 estimate of the KL divergence of a whole answer, in nats: its sum over tokens.
func sequenceKL(logprobs, reference []float32) float64 {
	var kl float64
	for t := range logprobs {
		kl += klPenalty(logprobs[t], reference[t])
	}
	return kl
}
