package statistics_test

import (
	"math"
	"testing"

	"tandem/statistics"
)

// With one feature that is 1 for each of a kind, the best weight is the logarithm of its odds.
func TestFitLogisticFindsTheOdds(t *testing.T) {
	var examples []statistics.Sparse
	for feature, odds := range [][2]int{{30, 10}, {5, 20}} {
		for range odds[0] {
			examples = append(examples, statistics.Sparse{Index: []int{feature}, Value: []float64{1}})
		}
		for range odds[1] {
			examples = append(examples, statistics.Sparse{Index: []int{feature}, Value: []float64{-1}})
		}
	}
	w := statistics.FitLogistic(examples, 2, 1e-6)
	for i, want := range []float64{math.Log(3), -math.Log(4)} {
		if math.Abs(w[i]-want) > 1e-3 {
			t.Errorf("feature %d has the weight %g, want %g", i, w[i], want)
		}
	}
	if w := statistics.FitLogistic(examples, 2, 10); math.Abs(w[0]) > 0.1 {
		t.Errorf("a large ridge leaves the weight %g", w[0])
	}
}
