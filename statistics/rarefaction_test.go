package statistics_test

import (
	"math"
	"slices"
	"testing"

	"tandem/statistics"
)

// Two of a, one of b and one of c: of the six ways to draw two, one holds a single kind.
func TestRarefiedByHand(t *testing.T) {
	counts := []int{2, 1, 1}
	for size, want := range map[int]float64{1: 1, 2: (5*2 + 1) / 6., 4: 3, 9: 3} {
		if got := statistics.Rarefied(slices.Values(counts), size); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d drawn hold %g kinds, want %g", size, got, want)
		}
	}
	if got := statistics.Rarefied(slices.Values([]int(nil)), 3); got != 0 {
		t.Errorf("nothing holds %g kinds", got)
	}
}
