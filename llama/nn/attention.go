package nn

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Rotate turns the queries and keys of packed rows [N, (h+2g)·e] by their position in their sequence
// (https://arxiv.org/abs/2104.09864, section 3.2, in transformers' rotate-half form).
func Rotate(qkv *gorgonia.Node, h Heads) *gorgonia.Node { return rotate(qkv, h, 1) }

func rotate(qkv *gorgonia.Node, h Heads, sign float32) *gorgonia.Node {
	s := scopeOf(qkv)
	requireShape(qkv, "Rotate", "qkv", s.Tokens, h.Stride())
	return s.apply(&op{
		name: "Rotate", shape: qkv.Shape(), rows: PerToken, reuses: 0, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) {
			n := s.Filled(PerToken) * h.Stride()
			if &y[0] != &in[0][0] {
				copy(y[:n], in[0][:n])
			}
			s.Device.Rotate(y[:n], s.Batch.Offsets, h, sign)
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{rotate(grad, h, -sign)} // a rotation's transpose is its inverse
		},
	}, qkv)
}

// Attention is causal attention within each sequence over rotated, packed rows [N, (h+2g)·e]:
// softmax(q·kᵀ/√e + mask)·v for each head; query head i reads key and value head i·g/h (grouped-query
// attention, https://arxiv.org/abs/2305.13245). The result is [N, h·e]. The backward pass recomputes the
// weights from each row's log-sum-exp (https://arxiv.org/abs/2205.14135, algorithm 4), so that no T×T
// matrix outlives a tile.
func Attention(qkv *gorgonia.Node, h Heads) *gorgonia.Node {
	s := scopeOf(qkv)
	requireShape(qkv, "Attention", "qkv", s.Tokens, h.Stride())
	lse := make([]float32, s.Tokens*h.Query)
	return s.apply(&op{
		name: "Attention", shape: tensor.Shape{s.Tokens, h.Query * h.Size}, rows: PerToken, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) { s.Device.Attention(y, lse, in[0], s.Batch.Offsets, h) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "AttentionGrad", shape: qkv.Shape(), rows: PerToken, reuses: -1,
				compute: func(dqkv []float32, in [][]float32) {
					s.Device.AttentionGrad(dqkv, in[0], lse, in[1], s.Batch.Offsets, h)
				},
			}, grad, in[0])}
		},
	}, qkv)
}
