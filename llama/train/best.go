package train

import (
	"math"

	"tandem"
	"tandem/llama"
)

// best follows the held-out figure that the run's weights are kept by.
type best struct {
	Step    int                `json:"step"` // after which it was measured; 0 before the first evaluation
	Value   float64            `json:"value"`
	Metrics map[string]float64 `json:"metrics,omitempty"` // all of that evaluation
	Since   int                `json:"since"`             // evaluations since then

	weights *llama.Weights // after that step; nil where the last weights are kept
}

// follow notes the evaluation after a step, and keeps the weights if it is the best so far; of equal ones the first
// stays.
func (b *best) follow(c Config, step int, metrics map[string]float64, w *llama.Weights) error {
	name := "eval_" + c.KeepBest
	value, ok := metrics[name]
	if !ok || math.IsNaN(value) {
		return tandem.Errorf(tandem.Invalid, "train.Fit", "keep_best is %q, and the evaluation after step %d has no figure %s", c.KeepBest, step, name)
	}
	better := value > b.Value
	if c.KeepBest == KeepByLoss {
		better = value < b.Value
	}
	if b.Step > 0 && !better {
		b.Since++
		return nil
	}
	b.Step, b.Value, b.Metrics, b.Since = step, value, finite(metrics), 0
	copyWeights(b.weights, w)
	return nil
}

// over says that the run has waited long enough for a better evaluation.
func (b *best) over(c Config) bool { return c.Patience > 0 && b.Since >= c.Patience }

// finite is figures without those that JSON has no form for.
func finite(metrics map[string]float64) map[string]float64 {
	kept := make(map[string]float64, len(metrics))
	for name, value := range metrics {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			kept[name] = value
		}
	}
	return kept
}

// copyWeights copies what training changes.
func copyWeights(to, from *llama.Weights) {
	source := from.Trained()
	for i, p := range to.Trained() {
		copy(p.Data, source[i].Data)
	}
}

// Outcome is what a run ended with.
type Outcome struct {
	Last Stats // of the last step, which a resumed run may not have taken itself
	// Kept is the step whose weights the run ended with, and HeldOut what was measured of them, if anything.
	Kept    int
	HeldOut map[string]float64
	Stopped bool // before the last step, since evaluations no longer improved
}

// Outcome says what Fit ended with.
func (t *Trainer) Outcome() Outcome {
	o := Outcome{Last: t.last, Kept: t.last.Step}
	if t.follows() && t.best.Step > 0 {
		o.Kept, o.HeldOut = t.best.Step, t.best.Metrics
		o.Stopped = t.last.Step < t.steps && t.best.over(t.Config)
	}
	return o
}
