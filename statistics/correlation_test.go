package statistics

import (
	"math"
	"math/rand/v2"
	"testing"

	"tandem"
)

func TestPublishedCorrelations(t *testing.T) {
	// The examples of scipy.stats.kendalltau and scipy.stats.spearmanr in SciPy's reference.
	tau, err := KendallTauB([]float64{12, 2, 1, 12, 2}, []float64{1, 4, 7, 1, 0})
	near(t, "τ_b", tau, err, -0.47140452079103173, 1e-14)
	rho, err := Spearman([]float64{1, 2, 3, 4, 5}, []float64{5, 6, 7, 8, 7})
	near(t, "ρ", rho, err, 0.8207826816681233, 1e-14)
}

// TestKendallAgainstPairs compares the merge sort with the definition, pair by pair, ties among them.
func TestKendallAgainstPairs(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 2 + draw.IntN(30)
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = float64(draw.IntN(6)), float64(draw.IntN(6))
		}
		difference, untiedX, untiedY := 0.0, 0.0, 0.0
		for i := range n {
			for j := range i {
				dx, dy := sign(x[i]-x[j]), sign(y[i]-y[j])
				difference += dx * dy
				untiedX += dx * dx
				untiedY += dy * dy
			}
		}
		got, err := KendallTauB(x, y)
		if untiedX == 0 || untiedY == 0 {
			if !IsUndefined(err) {
				t.Fatalf("τ_b of %v, %v: got %g, error %v", x, y, got, err)
			}
			continue
		}
		near(t, "τ_b", got, err, difference/math.Sqrt(untiedX*untiedY), 1e-12)
	}
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

func TestUndefinedCorrelations(t *testing.T) {
	for name, xy := range map[string][2][]float64{
		"one pair":     {{1}, {1}},
		"one constant": {{1, 2, 3}, {4, 4, 4}},
		"NaN":          {{1, 2, math.NaN()}, {1, 2, 3}},
	} {
		if got, err := KendallTauB(xy[0], xy[1]); !IsUndefined(err) {
			t.Errorf("τ_b, %s: got %g, error %v", name, got, err)
		}
		if got, err := Spearman(xy[0], xy[1]); !IsUndefined(err) {
			t.Errorf("ρ, %s: got %g, error %v", name, got, err)
		}
	}
	if _, err := Spearman([]float64{1}, []float64{1, 2}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("samples of two sizes: error %v", err)
	}
}
