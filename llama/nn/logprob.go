package nn

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// LogProb is ln P(target) for every row of logits [N, V] under softmax(logits / temperature), targets
// being the batch's. The result is [N]; rows without a target are 0 and send nothing back. The backward
// pass writes ∂/∂logits over the logits, so that one V-wide buffer serves both.
func LogProb(logits *gorgonia.Node, temperature float64) *gorgonia.Node {
	s := scopeOf(logits)
	require(s.RowsOf(logits) == PerToken && logits.Shape().Dims() == 2, "LogProb", "logits have shape %v", logits.Shape())
	require(temperature > 0, "LogProb", "the temperature is %g, not positive", temperature)
	v, t := logits.Shape()[1], float32(temperature)
	lse := make([]float32, s.Tokens)
	return s.apply(&op{
		name: "LogProb", shape: tensor.Shape{s.Tokens}, rows: PerToken, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) { s.Device.LogProb(v, y, lse, in[0], s.Batch.Targets, t) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "LogProbGrad", shape: logits.Shape(), rows: PerToken, reuses: 0,
				compute: func(d []float32, in [][]float32) {
					s.Device.LogProbGrad(v, d, in[1], lse, in[0], s.Batch.Targets, t)
				},
			}, in[0], grad)}
		},
	}, logits)
}

// Entropy is the entropy, in nats, of every row's softmax(logits / temperature), [N]: a diagnostic, no
// gradient flows through it.
func Entropy(logits *gorgonia.Node, temperature float64) *gorgonia.Node {
	s := scopeOf(logits)
	require(s.RowsOf(logits) == PerToken && logits.Shape().Dims() == 2, "Entropy", "logits have shape %v", logits.Shape())
	require(temperature > 0, "Entropy", "the temperature is %g, not positive", temperature)
	v := logits.Shape()[1]
	return s.apply(&op{
		name: "Entropy", shape: tensor.Shape{s.Tokens}, rows: PerToken, reuses: -1,
		compute: func(y []float32, in [][]float32) {
			s.Device.Entropy(s.Filled(PerToken), v, y, in[0], float32(temperature))
		},
	}, logits)
}
