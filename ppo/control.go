package ppo

const (
	// klHorizon is the horizon of Ziegler's code and of TRL, in episodes.
	klHorizon = 10000
	// klErrorClip bounds the relative error of an iteration.
	klErrorClip = 0.2
)

// adapt is the proportional controller of the KL coefficient (Ziegler et al. 2019, https://arxiv.org/abs/1909.08593,
// section 2.2), after a batch of so many answers whose mean KL is kl:
//
//	e = clip((KL − target) / target, ±0.2),   β ← β · (1 + K·e)
//
// with K = answers / horizon, as in the paper's code: the horizon is how many answers it takes to change β by a fifth.
func adapt(beta, kl, target float64, answers, horizon int) float64 {
	e := min(max((kl-target)/target, -klErrorClip), klErrorClip)
	return beta * (1 + e*float64(answers)/float64(horizon))
}

// horizon of the controller, in answers.
func (c Config) horizon() int {
	if c.KLHorizon == 0 {
		return klHorizon
	}
	return c.KLHorizon
}
