package train

import "tandem/llama"

// Expectation is what a run takes, told before its first step.
type Expectation struct {
	Steps    int
	Trained  llama.Shape // what goes forward and backward in all steps
	Measured llama.Shape // what evaluations take forward
	// Bytes of memory beside the weights: their gradients, the optimizer, the activations of the largest micro-batch, and the best
	// weights where they are kept.
	Bytes int
}

// Expect tells what Fit would take, of a run from its beginning. It compiles what Fit compiles, and touches none of the memory.
func (t *Trainer) Expect() (e Expectation, err error) {
	defer t.release()
	if err := t.compile(); err != nil {
		return e, err
	}
	largest := 0 // tokens of a micro-batch
	count := func(task Task, examples []int) (all llama.Shape) {
		for _, micro := range split(task, examples, t.shape) {
			tokens := 0
			for _, i := range micro {
				s := task.Shape(i)
				tokens += s.Tokens
				all.Sequences += s.Sequences
			}
			all.Tokens += tokens
			largest = max(largest, tokens)
		}
		return all
	}
	e.Steps = t.steps
	for step := range t.steps {
		s := count(t.Task, t.order.step(step))
		e.Trained.Tokens, e.Trained.Sequences = e.Trained.Tokens+s.Tokens, e.Trained.Sequences+s.Sequences
	}
	if t.HeldOut != nil {
		all := make([]int, t.HeldOut.Examples())
		for i := range all {
			all[i] = i
		}
		s, evaluations := count(t.HeldOut, all), 1
		if every := t.Config.EvaluateEvery; every > 0 {
			evaluations = (t.steps + every - 1) / every
		}
		e.Measured = llama.Shape{Tokens: evaluations * s.Tokens, Sequences: evaluations * s.Sequences}
	}
	gradients := t.Weights.Gradients()
	e.Bytes = 3*gradients.SumBytes() + // AdamW keeps a mean and a square for each gradient
		gradients.ActivationBytes(float64(largest)/float64(t.shape.Tokens))
	if t.follows() {
		e.Bytes += t.Weights.TrainedBytes()
	}
	return e, nil
}
