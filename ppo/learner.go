package ppo

import (
	"fmt"
	"math"

	"tandem/llama"
	"tandem/llama/nn"
)

// learner is policy or critic: its training program and its optimizer.
type learner struct {
	weights   *llama.Weights
	program   *llama.Program
	optimizer *nn.AdamW
}

// shape is what the graphs hold: microbatches of a minibatch, or one sequence of the whole context.
func (c Config) shape(w *llama.Weights) llama.Shape {
	context := w.Config.MaxPositionEmbeddings
	return llama.Shape{Tokens: max(min(c.GraphTokens, c.MinibatchSize*context), context), Sequences: c.MinibatchSize}
}

// newPolicy compiles the clipped surrogate less the entropy bonus; its outputs are the log-probabilities of every row under
// the sampling temperature, and the surrogate alone.
func newPolicy(dev nn.Device, w *llama.Weights, c Config) (*learner, error) {
	return newLearner(dev, w, c, func() (*llama.Program, error) {
		g := llama.NewGraph(dev, w, c.shape(w))
		logprobs := g.LogProbs(c.Temperature) // [N]
		mask, count := g.Input("mask", nn.PerToken), g.Input("count", nn.Scalar)
		surrogate := nn.PPOPolicyLoss(logprobs, g.Input("old", nn.PerToken), g.Input("advantages", nn.PerToken), mask, count, c.ClipRatio)
		loss := surrogate
		if c.EntropyCoefficient > 0 {
			entropies := g.Entropy(c.Temperature) // [N]
			loss = nn.AddLosses([]float64{1, c.EntropyCoefficient}, surrogate, nn.EntropyLoss(entropies, mask, count))
		}
		return g.Compile(loss, logprobs, surrogate)
	})
}

// newReference compiles the reference policy's log-probabilities; nothing of it is trained.
func newReference(dev nn.Device, w *llama.Weights, c Config) (program *llama.Program, err error) {
	for _, p := range w.Params() {
		if err := w.Freeze(p.Name); err != nil {
			return nil, err
		}
	}
	err = nn.Guard(func() error {
		g := llama.NewGraph(dev, w, c.shape(w))
		program, err = g.Compile(nil, g.LogProbs(c.Temperature))
		return err
	})
	return program, err
}

// newCritic compiles the clipped value loss; its output is the value of every row.
func newCritic(dev nn.Device, w *llama.Weights, c Config) (*learner, error) {
	return newLearner(dev, w, c, func() (*llama.Program, error) {
		g := llama.NewGraph(dev, w, c.shape(w))
		values := g.Values() // [N]
		loss := nn.PPOValueLoss(values,
			g.Input("old", nn.PerToken), g.Input("returns", nn.PerToken), g.Input("mask", nn.PerToken), g.Input("count", nn.Scalar),
			g.Input("clip", nn.Scalar))
		return g.Compile(loss, values)
	})
}

func newLearner(dev nn.Device, w *llama.Weights, c Config, compile func() (*llama.Program, error)) (*learner, error) {
	l := &learner{weights: w}
	err := nn.Guard(func() (err error) {
		l.program, err = compile()
		return err
	})
	if err != nil {
		return nil, err
	}
	optimizer := nn.DefaultAdamWConfig()
	optimizer.Decay, optimizer.Clip = c.WeightDecay, c.GradientClip
	l.optimizer = nn.NewAdamW(dev, w.Gradients().Params(), optimizer)
	return l, nil
}

// gather adds up the gradient of one minibatch, for a step to follow. see is shown what every microbatch came to, with the
// weights as they are before the step.
func (l *learner) gather(mb *minibatch, batch func(*microbatch) llama.Batch, see func(*microbatch, llama.Result)) error {
	for _, m := range mb.micro {
		b := batch(m)
		b.Inputs["count"][0] = mb.tokens
		result, err := l.program.Run(b)
		if err != nil {
			l.optimizer.ZeroGradients()
			return err
		}
		see(m, result)
	}
	return nil
}

// updates gathers what the updates of one iteration saw.
type updates struct {
	n, skipped           int     // minibatches whose step was taken, and was not
	tokens               float64 // of the minibatches that were looked at
	loss, norm, ptxLoss  float64
	ratios               []float64 // mean of each of these
	approxKL, clipped    float64
	firstRatioError      float64
	valueTokens          float64
	valueClipped         float64
	valueLoss, valueNorm float64
}

// klStop is how far beyond UpdateKLTarget an iteration's updates go, as in Spinning Up and in TRL.
const klStop = 1.5

// updatePolicy makes one gradient step of the policy for each minibatch, as long as the policy is near enough to the one
// that sampled.
func (t *Trainer) updatePolicy(batches []*minibatch, rate float64, u *updates) error {
	for i, mb := range batches {
		var loss, ratioSum, kl float64
		for _, m := range mb.micro {
			m.scatter(m.policy.Inputs["old"], func(r *rollout) []float32 { return r.logprobs })
			m.scatter(m.policy.Inputs["advantages"], func(r *rollout) []float32 { return r.advantage })
		}
		err := t.policy.gather(mb, func(m *microbatch) llama.Batch { return m.policy }, func(m *microbatch, r llama.Result) {
			logprobs := r.Outputs[0]
			loss += float64(r.Outputs[1][0])
			old, advantages := m.policy.Inputs["old"], m.policy.Inputs["advantages"]
			for row, on := range m.mask {
				if on == 0 {
					continue
				}
				difference := float64(logprobs[row]) - float64(old[row])
				ratio := math.Exp(difference)
				ratioSum += ratio
				kl += difference * difference / 2
				u.approxKL += difference * difference / 2
				if policyClipped(ratio, float64(advantages[row]), t.config.ClipRatio) {
					u.clipped++
				}
				if i == 0 {
					u.firstRatioError = max(u.firstRatioError, math.Abs(ratio-1))
				}
			}
		})
		if err != nil {
			return fmt.Errorf("update the policy: %w", err)
		}
		u.tokens += float64(mb.tokens)
		u.ratios = append(u.ratios, ratioSum/float64(mb.tokens))
		if target := t.config.UpdateKLTarget; target > 0 && kl/float64(mb.tokens) > klStop*target {
			t.policy.optimizer.ZeroGradients()
			u.skipped = len(batches) - i
			return nil
		}
		if t.ptx != nil {
			loss, err := t.ptx.gather(t.iteration*len(batches) + i)
			if err != nil {
				t.policy.optimizer.ZeroGradients()
				return fmt.Errorf("mix language modelling in: %w", err)
			}
			u.ptxLoss += loss
		}
		norm, err := t.policy.optimizer.Step(rate)
		if err != nil {
			return fmt.Errorf("update the policy: %w", err)
		}
		u.n++
		u.loss += loss
		u.norm += norm
	}
	return nil
}

// updateCritic makes one gradient step of the critic for each minibatch. Values may move by clip, in the
// units of the returns.
func (t *Trainer) updateCritic(batches []*minibatch, clip float64, u *updates) error {
	for _, mb := range batches {
		for _, m := range mb.micro {
			m.scatter(m.critic.Inputs["old"], func(r *rollout) []float32 { return r.values })
			m.scatter(m.critic.Inputs["returns"], func(r *rollout) []float32 { return r.returns })
			m.critic.Inputs["clip"][0] = float32(clip)
		}
		var loss float64
		err := t.critic.gather(mb, func(m *microbatch) llama.Batch { return m.critic }, func(m *microbatch, r llama.Result) {
			values := r.Outputs[0]
			loss += r.Loss
			old, returns := m.critic.Inputs["old"], m.critic.Inputs["returns"]
			for row, on := range m.mask {
				if on != 0 && valueClipped(float64(values[row]), float64(old[row]), float64(returns[row]), clip) {
					u.valueClipped++
				}
			}
		})
		if err != nil {
			return fmt.Errorf("update the critic: %w", err)
		}
		norm, err := t.critic.optimizer.Step(t.config.CriticLearningRate)
		if err != nil {
			return fmt.Errorf("update the critic: %w", err)
		}
		u.valueTokens += float64(mb.tokens)
		u.valueLoss += loss
		u.valueNorm += norm
	}
	return nil
}

// policyClipped reports whether a token's loss is the clipped one, which is flat: a ratio that is out of
// bounds on the side to which the advantage drives it.
func policyClipped(ratio, advantage, clip float64) bool {
	return advantage > 0 && ratio > 1+clip || advantage < 0 && ratio < 1-clip
}

// valueClipped reports whether a token's value loss is the clipped one: the value has moved by more than
// clip, and towards its return.
func valueClipped(value, old, target, clip float64) bool {
	held := min(max(value, old-clip), old+clip)
	return math.Abs(held-target) > math.Abs(value-target)
}
