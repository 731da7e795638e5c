package nn

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"
)

// fixed makes an input with literal values.
func fixed(s *Scope, name string, rows Rows, values ...float32) *gorgonia.Node {
	node, data := s.Input(name, rows)
	copy(data, values)
	return node
}

// predicted makes a differentiable node with literal values.
func (n *network) predicted(rows Rows, values ...float32) *gorgonia.Node {
	node := n.rows(rows, 0)
	copy(n.data[len(n.data)-1], values)
	return node
}

func TestLossesByHand(t *testing.T) {
	b := Batch{Tokens: make([]int32, 4), Offsets: []int32{0, 1, 2, 3, 4}}
	nan := float32(math.NaN())
	lnσ := func(x float64) float64 { return -math.Log1p(math.Exp(-x)) }
	for _, c := range []struct {
		name  string
		build func(n *network) *gorgonia.Node
		want  float64
		grad  []float64
	}{
		{"cross-entropy", func(n *network) *gorgonia.Node {
			return CrossEntropy(n.predicted(PerToken, -1, -2, -3, -4), fixed(n.scope, "w", PerToken, 1, 0, 0.5, 2), fixed(n.scope, "k", Scalar, 10))
		}, (1 + 1.5 + 8) / 10., []float64{-0.1, 0, -0.05, -0.2}},
		{"entropy", func(n *network) *gorgonia.Node {
			return EntropyLoss(n.predicted(PerToken, 1, 2, 3, 4), fixed(n.scope, "w", PerToken, 1, 0, 1, 0), fixed(n.scope, "k", Scalar, 2))
		}, -(1 + 3) / 2., []float64{-0.5, 0, -0.5, 0}},
		{"ranking with margins", func(n *network) *gorgonia.Node {
			return RankingLoss(n.predicted(PerSequence, 2, 1, 0, 3), fixed(n.scope, "m", PerPair, 1, 1./3), nil, fixed(n.scope, "k", Scalar, 2))
		}, -(lnσ(0) + lnσ(-3-1./3)) / 2, []float64{-0.25, 0.25, -sigmoid(3+1./3) / 2, sigmoid(3+1./3) / 2}},
		{"ranking with margins and weights", func(n *network) *gorgonia.Node {
			return RankingLoss(n.predicted(PerSequence, 2, 1, 0, 3), fixed(n.scope, "m", PerPair, 1, 1./3), fixed(n.scope, "w", PerPair, 0.5, 2), fixed(n.scope, "k", Scalar, 2.5))
		}, -(0.5*lnσ(0) + 2*lnσ(-3-1./3)) / 2.5, []float64{-0.1, 0.1, -0.8 * sigmoid(3+1./3), 0.8 * sigmoid(3+1./3)}},
		{"restraint", func(n *network) *gorgonia.Node {
			return RestraintLoss(n.predicted(PerSequence, 2, 1, 0, -3), fixed(n.scope, "k", Scalar, 2), 0.5, 0.1)
		}, (0.5*(9+9) + 0.1*(5+9)/2) / 2, []float64{(3 + 0.2) / 2, (3 + 0.1) / 2, -3. / 2, (-3 - 0.3) / 2}},
		{"safety of labelled answers alone", func(n *network) *gorgonia.Node {
			return SafetyLoss(n.predicted(PerSequence, 1, 1, 7, -2), fixed(n.scope, "l", PerSequence, 1, 0, -1, 0), fixed(n.scope, "k", Scalar, 3), 2)
		}, -2. / 3 * (lnσ(1) + lnσ(-1) + lnσ(2)), []float64{-2. / 3 * sigmoid(-1), 2. / 3 * sigmoid(1), 0, 2. / 3 * sigmoid(-2)}},
		{"no labels at all", func(n *network) *gorgonia.Node {
			return SafetyLoss(n.predicted(PerSequence, 1, 1, 7, -2), fixed(n.scope, "l", PerSequence, -1, -1, -1, -1), fixed(n.scope, "k", Scalar, 0), 2)
		}, 0, []float64{0, 0, 0, 0}},
		{"clipped policy", func(n *network) *gorgonia.Node { // ratios 1.5, 1.5, 0.5; the fourth row is masked
			ln := func(x float64) float32 { return float32(math.Log(x)) }
			return PPOPolicyLoss(n.predicted(PerToken, ln(1.5), ln(1.5), ln(0.5), nan), fixed(n.scope, "o", PerToken, 0, 0, 0, nan),
				fixed(n.scope, "a", PerToken, 2, -2, 1, nan), fixed(n.scope, "mask", PerToken, 1, 1, 1, 0), fixed(n.scope, "k", Scalar, 3), 0.2)
		}, (-2*1.2 + 2*1.5 - 0.5) / 3, []float64{0, 1, -0.5 / 3, 0}},
		{"clipped value", func(n *network) *gorgonia.Node {
			// row 0 moved past the clip towards the return: the clipped error is larger and flat;
			// row 1 moved away: the free error is larger; row 2 stayed within the clip
			return PPOValueLoss(n.predicted(PerToken, 1, -1, 0.1, nan), fixed(n.scope, "o", PerToken, 0, 0, 0, nan),
				fixed(n.scope, "r", PerToken, 1, 1, 1, nan), fixed(n.scope, "mask", PerToken, 1, 1, 1, 0), fixed(n.scope, "k", Scalar, 3),
				fixed(n.scope, "clip", Scalar, 0.2))
		}, (0.64 + 4 + 0.81) / 6, []float64{0, -2. / 3, -0.9 / 3, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, 4, 4)
			loss := c.build(n)
			grad := make([]float32, 4)
			if err := Backward(loss, map[*gorgonia.Node][]float32{n.params[0]: grad}); err != nil {
				t.Fatal(err)
			}
			if got := forward(t, n.scope, b, loss)[0]; math.Abs(float64(got)-c.want) > 1e-6 {
				t.Errorf("the loss is %g, want %g", got, c.want)
			}
			for i, want := range c.grad {
				if math.Abs(float64(grad[i])-want) > 1e-6 {
					t.Errorf("gradient %d is %g, want %g", i, grad[i], want)
				}
			}
		})
	}
}

func TestMaskedStatistics(t *testing.T) {
	nan := float32(math.NaN())
	x, mask := []float32{1, nan, 3, 8, nan}, []float32{1, 0, 1, 1, 0}
	if n, mean, variance := MaskedCount(mask), MaskedMean(x, mask), MaskedVariance(x, mask); n != 3 || mean != 4 || math.Abs(variance-26./3) > 1e-12 {
		t.Errorf("count %d, mean %g, variance %g", n, mean, variance)
	}
	MaskedWhiten(x, mask, false)
	deviation := math.Sqrt(26. / 3)
	for i, want := range map[int]float64{0: -3 / deviation, 2: -1 / deviation, 3: 4 / deviation} {
		if math.Abs(float64(x[i])-want) > 1e-6 {
			t.Errorf("whitened %d is %g, want %g", i, x[i], want)
		}
	}
	if x[1] == x[1] {
		t.Error("a masked value was written")
	}
	flat := []float32{5, 5, 7}
	MaskedWhiten(flat, []float32{1, 1, 0}, false)
	if flat[0] != 0 || flat[1] != 0 || flat[2] != 7 {
		t.Errorf("values without variance became %v", flat)
	}
	shifted := []float32{1, 3}
	MaskedWhiten(shifted, []float32{1, 1}, true)
	if math.Abs(float64(shifted[0]-1)) > 1e-6 || math.Abs(float64(shifted[1]-3)) > 1e-6 {
		t.Errorf("whitened about the mean, deviation 1: %v", shifted)
	}
	if MaskedMean(x, make([]float32, 5)) != 0 || MaskedVariance(x, make([]float32, 5)) != 0 {
		t.Error("an empty mask has statistics")
	}
}
