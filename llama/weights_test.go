package llama

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Matrices begin at N(0, 0.02²) and decay, gains begin at 1 and do not; the scalar head has a deviation of its
// own, 1/√(d+1).
func TestInit(t *testing.T) {
	w := NewWeights(Config{
		VocabSize: 16, HiddenSize: 255, IntermediateSize: 32, NumHiddenLayers: 1, NumAttentionHeads: 3, NumKeyValueHeads: 1, HeadDim: 4,
		MaxPositionEmbeddings: 8, RMSNormEps: 1e-5, RopeTheta: 10000,
	}, true)
	w.Init(rand.New(rand.NewPCG(1, 2)))
	for _, p := range w.Params() {
		matrix := len(p.Shape) == 2
		if p.Decay != matrix {
			t.Errorf("%s of shape %v decays: %t", p.Name, p.Shape, p.Decay)
		}
		mean, deviation := 1.0, 0.0
		if matrix {
			mean, deviation = 0, 0.02
		}
		if p.Name == "score" {
			deviation = 1. / 16
		}
		square := 0.0
		for _, x := range p.Data {
			square += (float64(x) - mean) * (float64(x) - mean)
		}
		got := math.Sqrt(square / float64(len(p.Data)))
		if tolerance := 4 * deviation / math.Sqrt(2*float64(len(p.Data))); math.Abs(got-deviation) > tolerance {
			t.Errorf("%s deviates by %g from %g, want %g", p.Name, got, mean, deviation)
		}
	}
}
