package ppo

import "tandem/llama"

// Expectation is what a run takes, told before its first iteration.
type Expectation struct {
	PromptLength float64 // tokens of a prompt, mean of the first iteration's
	// Bytes of memory beside the models' weights, at most: gradients, optimizers, activations, the sampler's
	// cache, and the best policy where it is kept.
	Bytes int
}

// Expect tells what Run would take, and touches none of the memory.
func (t *Trainer) Expect() (e Expectation, err error) {
	c := t.config
	questions, err := t.environment.Questions(0, c.BatchSize)
	if err != nil {
		return e, err
	}
	for _, q := range questions {
		e.PromptLength += float64(len(q.Tokens)) / float64(len(questions))
	}
	length := e.PromptLength + float64(c.MaxTokens)
	for _, program := range []*llama.Program{t.policy.program, t.critic.program, t.reference} {
		e.Bytes += program.ActivationBytes()
	}
	for _, l := range []*learner{t.policy, t.critic} {
		e.Bytes += 3 * l.weights.Gradients().SumBytes() // AdamW keeps a mean and a square for each gradient
	}
	e.Bytes += t.sampler.CacheBytes(c.BatchSize, int(length))
	if c.Patience > 0 && c.EvaluateEvery > 0 && len(t.environment.HeldOut()) > 0 {
		e.Bytes += t.policy.weights.TrainedBytes()
	}
	return e, nil
}
