package ppo

import (
	"tandem"
	"tandem/llama"
	"tandem/llama/nn"
	"tandem/llama/train"
)

// ptx is the language modelling that is mixed into the policy's updates, so that it does not forget what no reward asks
// for (Ouyang et al. 2022, https://arxiv.org/abs/2203.02155, equation 2): every gradient step is taken on
//
//	PPO's loss − γ · mean ln π_θ(token)
//
// with the mean over the trained tokens of a batch of sequences, at temperature 1.
type ptx struct {
	task    *train.LanguageModel
	program *llama.Program
	order   shuffle
	batch   int // sequences of a gradient step
	room    int // tokens that the graph holds
}

// newPtx compiles γ times the cross-entropy over the policy's weights; its output is the cross-entropy alone.
func newPtx(dev nn.Device, w *llama.Weights, task *train.LanguageModel, c Config) (*ptx, error) {
	const op = "ppo.NewTrainer"
	for i := range task.Examples() {
		if n := task.Shape(i).Tokens; n > w.Config.MaxPositionEmbeddings {
			return nil, tandem.Errorf(tandem.Invalid, op, "sequence %d to mix in has %d tokens, the context is %d", i, n, w.Config.MaxPositionEmbeddings)
		}
	}
	shape := c.shape(w)
	shape.Sequences = c.ptxBatchSize()
	p := &ptx{
		task: task, batch: shape.Sequences, room: shape.Tokens,
		order: shuffle{n: task.Examples(), seed: ^c.Seed}, // another order than that of as many prompts
	}
	err := nn.Guard(func() (err error) {
		g := llama.NewGraph(dev, w, shape)
		loss := nn.CrossEntropy(g.LogProbs(1), g.Input("weights", nn.PerToken), g.Input("count", nn.Scalar))
		p.program, err = g.Compile(nn.AddLosses([]float64{c.PtxCoefficient}, loss), loss)
		return err
	})
	return p, err
}

// gather adds up γ times the gradient of the step-th batch of a run, and returns the batch's loss without γ.
func (p *ptx) gather(step int) (loss float64, err error) {
	examples := make([]int, p.batch)
	for i := range examples {
		examples[i] = p.order.at(step*p.batch + i)
	}
	var group []int
	size := 0
	run := func() error {
		batch, err := p.task.Batch(group, examples)
		if err != nil {
			return err
		}
		result, err := p.program.Run(batch)
		if err != nil {
			return err
		}
		loss += float64(result.Outputs[0][0])
		group, size = nil, 0
		return nil
	}
	for _, e := range examples {
		n := p.task.Shape(e).Tokens
		if size+n > p.room && len(group) > 0 {
			if err := run(); err != nil {
				return 0, err
			}
		}
		group, size = append(group, e), size+n
	}
	err = run()
	return loss, err
}

// ptxBatchSize is the number of sequences of a gradient step.
func (c Config) ptxBatchSize() int {
	if c.PtxBatchSize == 0 {
		return c.MinibatchSize
	}
	return c.PtxBatchSize
}
