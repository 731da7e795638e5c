package nn

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Embedding looks the batch's tokens up in w [vocabulary, d]; the result is [N, d].
func (s *Scope) Embedding(w *gorgonia.Node) *gorgonia.Node {
	require(w.Shape().Dims() == 2, "Embedding", "the matrix has shape %v", w.Shape())
	d := w.Shape()[1]
	return s.apply(&op{
		name: "Embedding", shape: tensor.Shape{s.Tokens, d}, rows: PerToken, reuses: -1, wrt: []bool{true},
		compute: func(out []float32, in [][]float32) { s.Device.Gather(d, out, in[0], s.Batch.Tokens) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "EmbeddingGrad", shape: in[0].Shape(), reuses: -1, adds: true,
				compute: func(out []float32, in [][]float32) { s.Device.ScatterAdd(d, out, in[0], s.Batch.Tokens) },
			}, grad)}
		},
	}, w)
}

// Linear is y = x·wᵀ for x [rows, in] and w [out, in], as Hugging Face stores it; the result is [rows, out].
func Linear(x, w *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(x)
	require(x.Shape().Dims() == 2 && w.Shape().Dims() == 2 && x.Shape()[1] == w.Shape()[1],
		"Linear", "x has shape %v and w %v", x.Shape(), w.Shape())
	capacity, width, out := x.Shape()[0], w.Shape()[1], w.Shape()[0]
	rows := s.RowsOf(x)
	return s.apply(&op{
		name: "Linear", shape: tensor.Shape{capacity, out}, rows: rows, reuses: -1, wrt: []bool{true, true},
		compute: func(y []float32, in [][]float32) { s.Device.Linear(s.Filled(rows), width, out, y, in[0], in[1]) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
			return linearGradient(s, in, grad, want, rows, width, out)
		},
	}, x, w)
}

// linearGradient is dx = dy·w and dw = dyᵀ·x for the inputs x and w.
func linearGradient(s *Scope, in gorgonia.Nodes, grad *gorgonia.Node, want []bool, rows Rows, width, out int) gorgonia.Nodes {
	x, w, grads := in[0], in[1], make(gorgonia.Nodes, 2)
	if want[1] {
		grads[1] = s.apply(&op{
			name: "LinearGradW", shape: w.Shape(), reuses: -1, adds: true,
			compute: func(dw []float32, in [][]float32) {
				s.Device.LinearAddGradW(s.Filled(rows), width, out, dw, in[0], in[1])
			},
		}, grad, x)
	}
	if want[0] {
		grads[0] = s.apply(&op{
			name: "LinearGradX", shape: x.Shape(), rows: rows, reuses: -1,
			compute: func(dx []float32, in [][]float32) {
				s.Device.LinearGradX(s.Filled(rows), width, out, dx, in[0], in[1])
			},
		}, grad, w)
	}
	return grads
}

// Add is a + b for two nodes of one shape: the residual connection, and the sum of gradients.
func Add(a, b *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(a, b)
	require(a.Shape().Eq(b.Shape()), "Add", "the shapes %v and %v differ", a.Shape(), b.Shape())
	rows, width := s.RowsOf(a), 1
	if a.Shape().Dims() > 1 {
		width = a.Shape()[1]
	}
	reuses := 0
	if rows == Fixed {
		width, reuses = a.Shape().TotalSize(), -1
	}
	return s.apply(&op{
		name: "Add", shape: a.Shape(), rows: rows, reuses: reuses, wrt: []bool{true, true},
		compute: func(y []float32, in [][]float32) {
			n := s.Filled(rows) * width
			s.Device.Add(y[:n], in[0][:n], in[1][:n])
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{grad, grad}
		},
	}, a, b)
}

// RMSNorm is gain · x / √(mean(x²) + eps) along the rows of x [rows, d]
// (https://arxiv.org/abs/1910.07467, equation 4).
func RMSNorm(x, gain *gorgonia.Node, eps float64) *gorgonia.Node {
	s := scopeOf(x)
	require(x.Shape().Dims() == 2, "RMSNorm", "x has shape %v", x.Shape())
	d, rows := x.Shape()[1], s.RowsOf(x)
	requireShape(gain, "RMSNorm", "the gain", d)
	inv := make([]float32, x.Shape()[0])
	return s.apply(&op{
		name: "RMSNorm", shape: x.Shape(), rows: rows, reuses: -1, wrt: []bool{true, true},
		compute: func(y []float32, in [][]float32) {
			s.Device.RMSNorm(s.Filled(rows), d, y, inv, in[0], in[1], float32(eps))
		},
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
			dgains := make([]float32, (len(inv)+NormBlock-1)/NormBlock*d)
			dx := s.apply(&op{
				name: "RMSNormGrad", shape: x.Shape(), rows: rows, reuses: 0,
				compute: func(dx []float32, in [][]float32) {
					s.Device.RMSNormGrad(s.Filled(rows), d, dx, dgains, in[0], in[1], in[2], inv)
				},
			}, grad, in[0], in[1])
			grads := gorgonia.Nodes{dx, nil}
			if want[1] { // dx is an input only to say that its op, which sets dgains, comes first
				grads[1] = s.apply(&op{
					name: "RMSNormGradGain", shape: gain.Shape(), reuses: -1, adds: true,
					compute: func(dgain []float32, _ [][]float32) {
						s.Device.RMSNormAddGradGain(s.Filled(rows), d, dgain, dgains)
					},
				}, dx)
			}
			return grads
		},
	}, x, gain)
}

// SwiGLU is silu(gate) · up for rows packed gate | up, [rows, 2f]; the result is [rows, f]
// (https://arxiv.org/abs/2002.05202, section 2).
func SwiGLU(gateUp *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(gateUp)
	require(gateUp.Shape().Dims() == 2 && gateUp.Shape()[1]%2 == 0, "SwiGLU", "gate and up have shape %v", gateUp.Shape())
	f, rows := gateUp.Shape()[1]/2, s.RowsOf(gateUp)
	return s.apply(&op{
		name: "SwiGLU", shape: tensor.Shape{gateUp.Shape()[0], f}, rows: rows, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) { s.Device.SwiGLU(s.Filled(rows), f, y, in[0]) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "SwiGLUGrad", shape: gateUp.Shape(), rows: rows, reuses: 0,
				compute: func(dgu []float32, in [][]float32) { s.Device.SwiGLUGrad(s.Filled(rows), f, dgu, in[1], in[0]) },
			}, in[0], grad)}
		},
	}, gateUp)
}

// LastRows picks the row of each sequence's last token out of x [N, d]; the result is [S, d].
func LastRows(x *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(x)
	require(s.RowsOf(x) == PerToken && x.Shape().Dims() == 2, "LastRows", "x has shape %v, not a row for each token", x.Shape())
	d := x.Shape()[1]
	ends := make([]int32, 0, s.Sequences) // the last row of each sequence, set by the forward pass
	return s.apply(&op{
		name: "LastRows", shape: tensor.Shape{s.Sequences, d}, rows: PerSequence, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) {
			ends = ends[:0]
			for _, end := range s.Batch.Offsets[1:] {
				ends = append(ends, end-1)
			}
			s.Device.Gather(d, y, in[0], ends)
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "LastRowsGrad", shape: x.Shape(), rows: PerToken, reuses: -1, adds: true,
				compute: func(dx []float32, in [][]float32) { s.Device.ScatterAdd(d, dx, in[0], ends) },
			}, grad)}
		},
	}, x)
}

// Head is the scalar head: y = x·w for x [rows, d] and w [1, d]; the result is [rows].
func Head(x, w *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(x)
	require(x.Shape().Dims() == 2, "Head", "x has shape %v", x.Shape())
	d, rows := x.Shape()[1], s.RowsOf(x)
	requireShape(w, "Head", "the head", 1, d)
	return s.apply(&op{
		name: "Head", shape: tensor.Shape{x.Shape()[0]}, rows: rows, reuses: -1, wrt: []bool{true, true},
		compute: func(y []float32, in [][]float32) { s.Device.Linear(s.Filled(rows), d, 1, y, in[0], in[1]) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
			return linearGradient(s, in, grad, want, rows, d, 1)
		},
	}, x, w)
}
