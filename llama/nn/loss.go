package nn

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Losses are sums over a batch divided by a count that comes from outside, as an input of kind Scalar:
// under accumulation a step's micro-batches share the step's global count, so that their losses add up to
// the step's mean whatever its split. A count of 0 makes a loss of 0. Sums are taken in float64.

// evaluate computes one loss from in, prediction first. Where d is not nil it sets d to ∂loss/∂prediction.
type evaluate func(d []float32, in [][]float32) float64

// loss makes the scalar node of an evaluate function whose first input alone is differentiated.
func (s *Scope) loss(name string, f evaluate, inputs ...*gorgonia.Node) *gorgonia.Node {
	prediction := inputs[0]
	rows, width := s.RowsOf(prediction), prediction.Shape().TotalSize()/prediction.Shape()[0]
	wrt := make([]bool, len(inputs))
	wrt[0] = true
	return s.apply(&op{
		name: name, shape: tensor.ScalarShape(), rows: Scalar, reuses: -1, wrt: wrt,
		compute: func(y []float32, in [][]float32) { y[0] = float32(f(nil, in)) },
		gradient: func(in gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			d := s.apply(&op{
				name: name + "Grad", shape: prediction.Shape(), rows: rows, reuses: -1,
				compute: func(d []float32, in [][]float32) {
					last := len(in) - 1
					d = d[:s.Filled(rows)*width]
					clear(d)
					f(d, in[:last])
					if g := in[last][0]; g != 1 {
						for i := range d {
							d[i] *= g
						}
					}
				},
			}, append(append(gorgonia.Nodes{}, in...), grad)...)
			grads := make(gorgonia.Nodes, len(in))
			grads[0] = d
			return grads
		},
	}, inputs...)
}

// inverse returns 1/count, and 0 for a count of 0.
func inverse(count []float32) float64 {
	if count[0] == 0 {
		return 0
	}
	return 1 / float64(count[0])
}

// CrossEntropy is −Σ weights·logProbs / count: the language-model loss. logProbs and weights are [N], count
// is [1].
func CrossEntropy(logProbs, weights, count *gorgonia.Node) *gorgonia.Node {
	return negatedMean("CrossEntropy", logProbs, weights, count)
}

// EntropyLoss is −Σ weights·entropies / count, of which a policy's loss takes a share so that it stays varied
// (https://arxiv.org/abs/1707.06347, equation 9). Shapes are CrossEntropy's.
func EntropyLoss(entropies, weights, count *gorgonia.Node) *gorgonia.Node {
	return negatedMean("EntropyLoss", entropies, weights, count)
}

// negatedMean is −Σ weights·x / count.
func negatedMean(name string, x, weights, count *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(x)
	requireTokens(s, name, x, weights)
	requireShape(count, name, "the count", 1)
	return s.loss(name, func(d []float32, in [][]float32) float64 {
		x, w, k := in[0], in[1], inverse(in[2])
		sum := 0.0
		for i := range s.Filled(PerToken) {
			sum -= float64(w[i]) * float64(x[i])
			if d != nil {
				d[i] = float32(-float64(w[i]) * k)
			}
		}
		return sum * k
	}, x, weights, count)
}

// RankingLoss is −Σ weight · ln σ(r_chosen − r_rejected − margin) / count over pairs (section 3.2.2, equation 2 of
// the paper). scores is [S] with the chosen answer of pair p at 2p and the rejected one at 2p + 1; margins
// is [S/2], a margin for each pair and never a broadcast one; weights is the same, or nil where every pair weighs 1;
// count is [1].
func RankingLoss(scores, margins, weights, count *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(scores)
	inputs := []*gorgonia.Node{scores, margins, count}
	if weights != nil {
		require(s.RowsOf(weights) == PerPair, "RankingLoss", "weights are one for each %v, not for each pair", s.RowsOf(weights))
		inputs = append(inputs, weights)
	}
	requireShape(scores, "RankingLoss", "the scores", s.Sequences)
	require(s.Sequences%2 == 0 && s.RowsOf(scores) == PerSequence && s.RowsOf(margins) == PerPair,
		"RankingLoss", "scores are one for each %v and margins one for each %v of %d sequences; pairs need sequence and pair",
		s.RowsOf(scores), s.RowsOf(margins), s.Sequences)
	requireShape(count, "RankingLoss", "the count", 1)
	return s.loss("RankingLoss", func(d []float32, in [][]float32) float64 {
		r, m, k := in[0], in[1], inverse(in[2])
		sum := 0.0
		for p := range s.Filled(PerPair) {
			gap := float64(r[2*p]) - float64(r[2*p+1]) - float64(m[p])
			w := 1.0
			if len(in) > 3 {
				w = float64(in[3][p])
			}
			sum += w * softplus(-gap)
			if d != nil {
				g := float32(-w * sigmoid(-gap) * k)
				d[2*p], d[2*p+1] = g, -g
			}
		}
		return sum * k
	}, inputs...)
}

// RestraintLoss is Σ (center·(r_chosen + r_rejected)² + l2·(r_chosen² + r_rejected²)/2) / count over pairs: what keeps
// rewards around zero, which the ranking loss alone leaves free. center is TRL's center_rewards_coefficient
// (Eisenstein et al. 2023, https://arxiv.org/abs/2312.09244) and l2 the regularization of Safe RLHF
// (Dai et al. 2023, https://arxiv.org/abs/2310.12773). scores is [S] as RankingLoss has them, count is [1].
func RestraintLoss(scores, count *gorgonia.Node, center, l2 float64) *gorgonia.Node {
	s := scopeOf(scores)
	requireShape(scores, "RestraintLoss", "the scores", s.Sequences)
	require(s.Sequences%2 == 0 && s.RowsOf(scores) == PerSequence, "RestraintLoss", "scores are one for each %v of %d sequences; pairs need sequence", s.RowsOf(scores), s.Sequences)
	requireShape(count, "RestraintLoss", "the count", 1)
	return s.loss("RestraintLoss", func(d []float32, in [][]float32) float64 {
		r, k := in[0], inverse(in[1])
		sum := 0.0
		for p := range s.Filled(PerPair) {
			chosen, rejected := float64(r[2*p]), float64(r[2*p+1])
			both := chosen + rejected
			sum += center*both*both + l2*(chosen*chosen+rejected*rejected)/2
			if d != nil {
				d[2*p], d[2*p+1] = float32((2*center*both+l2*chosen)*k), float32((2*center*both+l2*rejected)*k)
			}
		}
		return sum * k
	}, scores, count)
}

// SafetyLoss is weight · Σ BCE(σ(r), label) / count over labelled answers: the safety model's auxiliary
// loss (section 3.2.2, table 29). labels is [S]: 1 safe, 0 unsafe, −1 not labelled; count, [1], is how many
// are labelled.
func SafetyLoss(scores, labels, count *gorgonia.Node, weight float64) *gorgonia.Node {
	s := scopeOf(scores)
	require(s.RowsOf(scores) == PerSequence && s.RowsOf(labels) == PerSequence,
		"SafetyLoss", "scores are one for each %v, labels one for each %v; both must be for each sequence", s.RowsOf(scores), s.RowsOf(labels))
	requireShape(count, "SafetyLoss", "the count", 1)
	return s.loss("SafetyLoss", func(d []float32, in [][]float32) float64 {
		r, label, k := in[0], in[1], inverse(in[2])*weight
		sum := 0.0
		for i := range s.Filled(PerSequence) {
			if label[i] < 0 {
				continue
			}
			x, y := float64(r[i]), float64(label[i])
			sum += softplus(x) - x*y
			if d != nil {
				d[i] = float32((sigmoid(x) - y) * k)
			}
		}
		return sum * k
	}, scores, labels, count)
}

// PPOPolicyLoss is the clipped surrogate (https://arxiv.org/abs/1707.06347, equation 7), negated:
// Σ mask · max(−A·ρ, −A·clip(ρ, 1 ± clip)) / count with ρ = exp(logProbs − old). All but count, [1], are
// [N]; rows with mask 0 are not read.
func PPOPolicyLoss(logProbs, old, advantages, mask, count *gorgonia.Node, clip float64) *gorgonia.Node {
	s := scopeOf(logProbs)
	requireTokens(s, "PPOPolicyLoss", logProbs, old, advantages, mask)
	requireShape(count, "PPOPolicyLoss", "the count", 1)
	return s.loss("PPOPolicyLoss", func(d []float32, in [][]float32) float64 {
		lp, before, adv, mask, k := in[0], in[1], in[2], in[3], inverse(in[4])
		sum := 0.0
		for i := range s.Filled(PerToken) {
			if mask[i] == 0 {
				continue
			}
			a, w := float64(adv[i]), float64(mask[i])
			ratio := math.Exp(float64(lp[i]) - float64(before[i]))
			free, clipped := -a*ratio, -a*min(max(ratio, 1-clip), 1+clip)
			sum += w * max(free, clipped)
			if d != nil && free >= clipped { // otherwise the clipped branch is flat
				d[i] = float32(w * free * k)
			}
		}
		return sum * k
	}, logProbs, old, advantages, mask, count)
}

// PPOValueLoss is ½·Σ mask · max((v − R)², (clip(v, old ± clip) − R)²) / count. All but count, [1], are
// [N]; clip, [1], is in the units of values and may change from run to run.
func PPOValueLoss(values, old, returns, mask, count, clip *gorgonia.Node) *gorgonia.Node {
	s := scopeOf(values)
	requireTokens(s, "PPOValueLoss", values, old, returns, mask)
	requireShape(count, "PPOValueLoss", "the count", 1)
	requireShape(clip, "PPOValueLoss", "the clip", 1)
	return s.loss("PPOValueLoss", func(d []float32, in [][]float32) float64 {
		v, before, target, mask, k, clip := in[0], in[1], in[2], in[3], inverse(in[4]), float64(in[5][0])
		sum := 0.0
		for i := range s.Filled(PerToken) {
			if mask[i] == 0 {
				continue
			}
			x, o, w := float64(v[i]), float64(before[i]), float64(mask[i])
			free := x - float64(target[i])
			held := min(max(x, o-clip), o+clip)
			clipped := held - float64(target[i])
			sum += w * 0.5 * max(free*free, clipped*clipped)
			if d == nil {
				continue
			}
			switch {
			case free*free >= clipped*clipped:
				d[i] = float32(w * free * k)
			case held == x:
				d[i] = float32(w * clipped * k)
			}
		}
		return sum * k
	}, values, old, returns, mask, count, clip)
}

// AddLosses is the sum of scalar losses, each times its weight.
func AddLosses(weights []float64, losses ...*gorgonia.Node) *gorgonia.Node {
	require(len(weights) == len(losses) && len(losses) > 0, "AddLosses", "%d weights for %d losses", len(weights), len(losses))
	s := scopeOf(losses...)
	wrt := make([]bool, len(losses))
	for i, l := range losses {
		require(l.IsScalar(), "AddLosses", "loss %d has shape %v", i, l.Shape())
		wrt[i] = true
	}
	return s.apply(&op{
		name: "AddLosses", shape: tensor.ScalarShape(), rows: Scalar, reuses: -1, wrt: wrt,
		compute: func(y []float32, in [][]float32) {
			sum := 0.0
			for i, w := range weights {
				sum += w * float64(in[i][0])
			}
			y[0] = float32(sum)
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, len(weights))
			for i, w := range weights {
				grads[i] = s.apply(&op{
					name: "AddLossesGrad", shape: tensor.ScalarShape(), rows: Scalar, reuses: -1,
					compute: func(d []float32, in [][]float32) { d[0] = float32(w) * in[0][0] },
				}, grad)
			}
			return grads
		},
	}, losses...)
}

// requireTokens panics unless every node is [N].
func requireTokens(s *Scope, name string, nodes ...*gorgonia.Node) {
	for i, n := range nodes {
		require(n.Shape().Eq(tensor.Shape{s.Tokens}) && s.RowsOf(n) == PerToken,
			name, "input %d has shape %v, a row for each %v, where [%d] for each token is expected", i, n.Shape(), s.RowsOf(n), s.Tokens)
	}
}

func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// softplus is ln(1 + eˣ) without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
