package nn

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TargetRows picks the rows of x [N, d] that have a target, since only those need logits: prompts in
// supervised fine-tuning and PPO have none. The result's rows are PerTarget.
func TargetRows(x *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(x)
	require(s.RowsOf(x) == PerToken && x.Shape().Dims() == 2, "TargetRows", "x has shape %v, not a row for each token", x.Shape())
	d := x.Shape()[1]
	return s.apply(&op{
		name: "TargetRows", shape: x.Shape(), rows: PerTarget, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) {
			s.targetRows, s.targets = s.targetRows[:0], s.targets[:0]
			for i, target := range s.Batch.Targets {
				if target >= 0 {
					s.targetRows, s.targets = append(s.targetRows, int32(i)), append(s.targets, target)
				}
			}
			s.Device.Gather(d, y, in[0], s.targetRows)
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "TargetRowsGrad", shape: x.Shape(), rows: PerToken, reuses: -1, adds: true,
				compute: func(dx []float32, in [][]float32) { s.Device.ScatterAdd(d, dx, in[0], s.targetRows) },
			}, grad)}
		},
	}, x)
}

// LogProb is ln P(target) for every row of logits [N, V] under softmax(logits / temperature), targets
// being the batch's and the logits those of [TargetRows]. The result is [N], a row for each token; those
// without a target are 0. The backward pass writes ∂/∂logits over the logits, so that one V-wide buffer
// serves both.
func LogProb(logits *gorgonia.Node, temperature float64) *gorgonia.Node {
	s := requireLogits(logits, "LogProb", temperature)
	v, t := logits.Shape()[1], float32(temperature)
	lse := make([]float32, s.Tokens)
	packed := make([]float32, s.Tokens) // a value for each target
	return s.apply(&op{
		name: "LogProb", shape: tensor.Shape{s.Tokens}, rows: PerToken, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) {
			s.Device.LogProb(v, packed, lse, in[0], s.targets, t)
			s.unpack(y, packed)
		},
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "LogProbGrad", shape: logits.Shape(), rows: PerTarget, reuses: 0,
				compute: func(d []float32, in [][]float32) {
					for i, row := range s.targetRows {
						packed[i] = in[1][row]
					}
					s.Device.LogProbGrad(v, d, packed, lse, in[0], s.targets, t)
				},
			}, in[0], grad)}
		},
	}, logits)
}

// Entropy is the entropy, in nats, of softmax(logits / temperature) for the logits of [TargetRows], [N]. Rows without
// a target are 0. Its gradient, for a bonus, needs the logits once more: beside [LogProb] in one loss a second V-wide
// buffer is held.
func Entropy(logits *gorgonia.Node, temperature float64) *gorgonia.Node {
	s := requireLogits(logits, "Entropy", temperature)
	v := logits.Shape()[1]
	packed := make([]float32, s.Tokens)
	return s.apply(&op{
		name: "Entropy", shape: tensor.Shape{s.Tokens}, rows: PerToken, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) {
			s.Device.Entropy(s.Filled(PerTarget), v, packed, in[0], float32(temperature))
			s.unpack(y, packed)
		},
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{s.apply(&op{
				name: "EntropyGrad", shape: logits.Shape(), rows: PerTarget, reuses: 0,
				compute: func(d []float32, in [][]float32) {
					for i, row := range s.targetRows {
						packed[i] = in[1][row]
					}
					s.Device.EntropyGrad(v, d, packed[:s.Filled(PerTarget)], in[0], float32(temperature))
				},
			}, in[0], grad)}
		},
	}, logits)
}

// unpack spreads a value for each target over the rows of all tokens.
func (s *Scope) unpack(y, packed []float32) {
	clear(y)
	for i, row := range s.targetRows {
		y[row] = packed[i]
	}
}

func requireLogits(logits *gorgonia.Node, name string, temperature float64) *Scope {
	s := scopeOf(logits)
	require(s.RowsOf(logits) == PerTarget && logits.Shape().Dims() == 2, name,
		"logits have shape %v, a row for each %v, not for each target", logits.Shape(), s.RowsOf(logits))
	require(temperature > 0, name, "the temperature is %g, not positive", temperature)
	return s
}
