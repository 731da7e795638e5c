package llama

import (
	"slices"

	"tandem/internal/memory"
	"tandem/internal/parallel"
)

// Merged returns the weights without adapters that compute what w does: adapted matrices are W + scale·B·A in memory of
// their own, everything else is w's. Weights that have no adapters are returned as they are.
func (w *Weights) Merged() *Weights {
	if w.lora.Rank == 0 {
		return w
	}
	m := &Weights{Config: w.Config, Embed: w.Embed, Layers: slices.Clone(w.Layers), Norm: w.Norm, Output: w.Output, Score: w.Score}
	for i := range m.Layers {
		l := &m.Layers[i]
		adapted := make(map[string]bool)
		for _, a := range l.Adapters {
			if !adapted[a.Matrix] {
				adapted[a.Matrix] = true
				matrix := l.matrix(a.Matrix)
				*matrix = memory.Floats(len(*matrix))
			}
		}
		l.Adapters = nil
	}
	w.mergeInto(m, parallel.New(0))
	return m
}

// mergeInto brings m, which Merged made of w, up to date with w's adapters.
func (w *Weights) mergeInto(m *Weights, workers parallel.Workers) {
	for i := range w.Layers {
		from, to := &w.Layers[i], &m.Layers[i]
		for _, matrix := range []string{"qkv", "o", "gate_up", "down"} {
			if base, sum := *from.matrix(matrix), *to.matrix(matrix); &base[0] != &sum[0] {
				copy(sum, base)
			}
		}
		for _, a := range from.Adapters {
			a.addTo(*to.matrix(a.Matrix), workers)
		}
	}
}

// addTo adds scale·B·A to the adapter's rows of w, with sums in float64: the same bits for any number of workers and every
// kernel.
func (a Adapter) addTo(w []float32, workers parallel.Workers) {
	in := a.in()
	workers.For(a.out(), grain(a.Rank*in*8), func(from, to int) {
		sum := make([]float64, in)
		for o := from; o < to; o++ {
			clear(sum)
			for k := range a.Rank {
				b := float64(a.B[o*a.Rank+k])
				for j, v := range a.A[k*in : (k+1)*in] {
					sum[j] += b * float64(v)
				}
			}
			row := w[(a.Row+o)*in : (a.Row+o+1)*in]
			for j, v := range sum {
				row[j] = float32(float64(row[j]) + a.Scale*v)
			}
		}
	})
}
