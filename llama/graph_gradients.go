package llama

import (
	"slices"

	"tandem"
	"tandem/internal/memory"
	"tandem/llama/nn"
)

// Gradients are the buffers that every graph over one Weights adds its parameters' gradients into, and the
// memory that those graphs share while they run, one at a time.
type Gradients struct {
	params []nn.Parameter
	sums   map[string][]float32
	arena  nn.Arena
}

// Freeze excludes parameters from training by their names in [Weights.Params]: they get no gradient
// buffer, and a graph computes nothing for them. It must come before the first graph over w; a clone of w trains everything.
func (w *Weights) Freeze(names ...string) error {
	const op = "llama.Freeze"
	if w.gradients != nil {
		return tandem.Errorf(tandem.Conflict, op, "a graph over these weights exists already")
	}
	params := w.Params()
	for _, name := range names {
		if !slices.ContainsFunc(params, func(p Param) bool { return p.Name == name }) {
			return tandem.Errorf(tandem.NotFound, op, "there is no parameter %q", name)
		}
	}
	if w.frozen == nil {
		w.frozen = make(map[string]bool)
	}
	for _, name := range names {
		w.frozen[name] = true
	}
	return nil
}

// Frozen reports whether training leaves the parameter of that name alone.
func (w *Weights) Frozen(name string) bool { return w.frozen[name] }

// Gradients returns the gradient buffers of w, made on first use.
func (w *Weights) Gradients() *Gradients {
	if w.gradients != nil {
		return w.gradients
	}
	g := &Gradients{sums: make(map[string][]float32)}
	for _, p := range w.Trained() {
		sum := memory.Floats(len(p.Data))
		g.sums[p.Name] = sum
		g.params = append(g.params, nn.Parameter{Name: p.Name, Value: p.Data, Grad: sum, Decay: p.Decay})
	}
	w.gradients = g
	return g
}

// DropGradients lets go of gradients and activations when a fit is over: models that only sample or score
// then cost their weights alone. Programs made before keep theirs for as long as they are kept; the next
// graph over w begins anew.
func (w *Weights) DropGradients() { w.gradients = nil }

// Params lists the trained parameters with their gradients, in the order of [Weights.Params]: what an
// optimizer is made from.
func (g *Gradients) Params() []nn.Parameter { return g.params }

// Zero clears every gradient.
func (g *Gradients) Zero() {
	for _, p := range g.params {
		clear(p.Grad)
	}
}

// Bytes is how much memory gradients and activations take.
func (g *Gradients) Bytes() int {
	n := g.arena.Bytes()
	for _, p := range g.params {
		n += 4 * len(p.Grad)
	}
	return n
}

// ActivationBytes is how much of Bytes activations take while batches fill that share of the graph's shape.
func (g *Gradients) ActivationBytes(share float64) int { return g.arena.TouchedBytes(share) }

// SumBytes is how much of Bytes the gradients themselves take.
func (g *Gradients) SumBytes() int { return g.Bytes() - g.arena.Bytes() }
