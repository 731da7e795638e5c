package ppo

import (
	"math"

	"tandem"
)

// describe fills in what the rollouts show, whose KL penalty was weighed by beta.
func (s *Stats) describe(rollouts []*rollout, beta float64, penalty KLEstimator) {
	s.KLCoefficient = beta
	n := float64(len(rollouts))
	var tokens, squares float64
	for _, r := range rollouts {
		kl := K1.sum(r.logprobs, r.reference)
		s.KL += kl / n
		squares += kl * kl / n
		s.NonScoreReward -= beta * penalty.sum(r.logprobs, r.reference) / n
		s.Score += r.score / n
		s.Uncertainty += r.uncertainty / n
		for t := range r.logprobs {
			s.AnswerEntropy -= float64(r.logprobs[t]) / n
			s.Entropy += float64(r.entropy[t])
			s.KLPerToken += K1.at(r.logprobs[t], r.reference[t])
		}
		tokens += float64(len(r.answer.Tokens))
		s.PromptLength += float64(len(r.answer.Question.Tokens)) / n
		if r.answer.Finish == tandem.FinishStop {
			s.Ended++
		}
	}
	s.KLError = math.Sqrt(max(squares-s.KL*s.KL, 0) / max(n-1, 1))
	s.Entropy /= tokens
	s.KLPerToken /= tokens
	s.Length = tokens / n
	s.RLHFReward = s.Score + s.NonScoreReward
	s.ExplainedValue = explained(rollouts)
	s.Distinct2, s.Repetition = distinct2(rollouts), repetition(rollouts)
}

// describeUpdates fills in what the gradient steps saw.
func (s *Stats) describeUpdates(u updates, minibatches int, c Config) {
	s.ValueLoss = u.valueLoss / float64(minibatches)
	s.CriticGradNorm = u.valueNorm / float64(minibatches)
	s.SkippedMinibatches = u.skipped
	if len(u.ratios) == 0 { // the critic's warm-up
		s.Ratio = 1
		return
	}
	steps, n := float64(max(u.n, 1)), float64(len(u.ratios))
	s.PolicyLoss, s.PtxLoss, s.PolicyGradNorm = u.loss/steps, u.ptxLoss/steps, u.norm/steps
	s.ApproxKL, s.ClipFraction = u.approxKL/u.tokens, u.clipped/u.tokens
	s.ValueClipShare = u.valueClipped / u.valueTokens
	s.FirstRatioError = u.firstRatioError
	for _, r := range u.ratios {
		s.Ratio += r / n
	}
	for _, r := range u.ratios {
		s.RatioVariance += (r - s.Ratio) * (r - s.Ratio) / n
	}
}

// returnDeviation is the deviation of the returns over all tokens.
func returnDeviation(rollouts []*rollout) float64 {
	return math.Sqrt(variance(rollouts, func(r *rollout, t int) float64 { return float64(r.returns[t]) }))
}

// explained is the explained variance of the critic, 1 − Var(return − V)/Var(return): 1 for a critic that
// knows, 0 for one that says the mean, and below for worse. It is 0 where returns do not vary.
func explained(rollouts []*rollout) float64 {
	total := variance(rollouts, func(r *rollout, t int) float64 { return float64(r.returns[t]) })
	if total == 0 {
		return 0
	}
	return 1 - variance(rollouts, func(r *rollout, t int) float64 { return float64(r.returns[t]) - float64(r.values[t]) })/total
}

// variance of a quantity of every token.
func variance(rollouts []*rollout, of func(r *rollout, t int) float64) float64 {
	var n, sum, squares float64
	for _, r := range rollouts {
		for t := range r.answer.Tokens {
			n++
			sum += of(r, t)
		}
	}
	mean := sum / max(n, 1)
	for _, r := range rollouts {
		for t := range r.answer.Tokens {
			d := of(r, t) - mean
			squares += d * d
		}
	}
	return squares / max(n, 1)
}
