package nn

import (
	"math"

	"tandem"
	"tandem/internal/memory"
	"tandem/llama/nn/kernel"
)

// Parameter is a trained tensor and the buffer that its gradient is summed in.
type Parameter struct {
	Name  string
	Value []float32
	Grad  []float32
	Decay bool // weight decay applies
}

// AdamWConfig are the optimizer's constants (section 3.1 and 3.2.2 of the paper).
type AdamWConfig struct {
	Beta1   float64 // Decay of the gradient's mean. Defaults to 0.9
	Beta2   float64 // Decay of the gradient's square. Defaults to 0.95
	Epsilon float64 // Added to the deviation. Defaults to 1e-5
	Decay   float64 // Weight decay, decoupled from the gradient. Defaults to 0.1
	Clip    float64 // The largest norm of the whole gradient; 0 for any. Defaults to 1.0
}

// DefaultAdamWConfig returns the paper's constants.
func DefaultAdamWConfig() AdamWConfig {
	return AdamWConfig{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-5, Decay: 0.1, Clip: 1}
}

// Validate reports the first constant that no optimizer could use.
func (c AdamWConfig) Validate() error {
	for _, f := range []struct {
		name     string
		value    float64
		from, to float64
	}{
		{"beta1", c.Beta1, 0, 1}, {"beta2", c.Beta2, 0, 1}, {"epsilon", c.Epsilon, 0, math.Inf(1)},
		{"weight decay", c.Decay, 0, math.Inf(1)}, {"clip", c.Clip, 0, math.Inf(1)},
	} {
		if !(f.value >= f.from && f.value < f.to) {
			return tandem.Errorf(tandem.Invalid, "nn.AdamW", "%s is %g, not in [%g, %g)", f.name, f.value, f.from, f.to)
		}
	}
	return nil
}

// AdamW is Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101, algorithm 2) and a clipped
// global gradient norm.
type AdamW struct {
	config AdamWConfig
	device Device
	params []Parameter
	mean   [][]float32 // m, by parameter
	square [][]float32 // v, by parameter
	steps  int
}

// NewAdamW returns an optimizer of params with zeroed state.
func NewAdamW(dev Device, params []Parameter, c AdamWConfig) *AdamW {
	a := &AdamW{config: c, device: dev, params: params}
	for _, p := range params {
		a.mean = append(a.mean, memory.Floats(len(p.Value)))
		a.square = append(a.square, memory.Floats(len(p.Value)))
	}
	return a
}

// Step moves every parameter by one step of size rate and zeroes the gradients. It returns the norm of the
// whole gradient before it was clipped. A norm that is not finite is an error, and nothing has moved.
func (a *AdamW) Step(rate float64) (norm float64, err error) {
	a.device.Hold(func() { norm, err = a.step(rate) })
	return norm, err
}

func (a *AdamW) step(rate float64) (norm float64, err error) {
	sum := 0.0
	for _, p := range a.params {
		sum += a.device.SumSquares(p.Grad)
	}
	norm = math.Sqrt(sum)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, tandem.Errorf(tandem.Invalid, "nn.AdamW", "the gradient of step %d is not finite (first in %s)", a.steps+1, a.firstNonFinite())
	}
	a.steps++
	step := kernel.AdamW{
		LearningRate: rate, Beta1: a.config.Beta1, Beta2: a.config.Beta2, Eps: a.config.Epsilon,
		Step: a.steps, GradientScale: 1,
	}
	if a.config.Clip > 0 && norm > a.config.Clip {
		step.GradientScale = a.config.Clip / (norm + 1e-6)
	}
	for i, p := range a.params {
		step.Decay = 0
		if p.Decay {
			step.Decay = a.config.Decay
		}
		a.device.AdamW(p.Value, p.Grad, a.mean[i], a.square[i], step)
	}
	a.ZeroGradients()
	return norm, nil
}

// ZeroGradients forgets what has been summed since the last step.
func (a *AdamW) ZeroGradients() {
	for _, p := range a.params {
		clear(p.Grad)
	}
}

func (a *AdamW) firstNonFinite() string {
	for _, p := range a.params {
		if s := a.device.SumSquares(p.Grad); math.IsNaN(s) || math.IsInf(s, 0) {
			return p.Name
		}
	}
	return "none alone"
}

// Steps is how many steps were taken.
func (a *AdamW) Steps() int { return a.steps }

// SetSteps restores the count of a checkpoint.
func (a *AdamW) SetSteps(n int) { a.steps = n }

// StateTensor is one tensor of the optimizer's state under the name that checkpoints use.
type StateTensor struct {
	Name string // "adamw.mean.layers.0.qkv"
	Data []float32
}

// State lists the optimizer's own tensors, in a fixed order: what a checkpoint saves, and fills in place
// when it is read back.
func (a *AdamW) State() []StateTensor {
	var state []StateTensor
	for i, p := range a.params {
		state = append(state, StateTensor{"adamw.mean." + p.Name, a.mean[i]}, StateTensor{"adamw.square." + p.Name, a.square[i]})
	}
	return state
}
