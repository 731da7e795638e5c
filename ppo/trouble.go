package ppo

// Trouble is what an iteration's figures say is wrong with a run, with its likely cause.
type Trouble string

const (
	RatioOff    Trouble = "the ratio of the first minibatch is not 1: the update computes other log-probabilities than before it, so the policy learns from noise"
	NegativeKL  Trouble = "the KL divergence is negative beyond sampling noise: the answers are not samples of the policy (another temperature, or a sampler that disagrees with the graph)"
	ExplodingKL Trouble = "the policy runs away from its reference: lower learning-rate or raise beta, and look for what the reward models overrate in its answers"
)

const (
	// ratioTolerance bounds |π_new/π_old − 1| before the first update, which is 0 where all is well.
	ratioTolerance = 1e-3
	// klNoise is by how many standard errors a mean KL is below 0 before it is more than noise.
	klNoise = 5
	// farKL is a KL in nats a token at which an answer has little to do with the reference. The paper names
	// none; answers are still fluent at a tenth of it (a choice).
	farKL = 1.0
)

// Troubles returns what the iteration's figures point to; none where all is well.
func (s Stats) Troubles() (found []Trouble) {
	if s.FirstRatioError > ratioTolerance {
		found = append(found, RatioOff)
	}
	switch {
	case s.KL < -klNoise*s.KLError:
		found = append(found, NegativeKL)
	case s.KLPerToken > farKL:
		found = append(found, ExplodingKL)
	}
	return found
}
