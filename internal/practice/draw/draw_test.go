package draw

import (
	"math"
	"testing"
)

func TestKeysDecideDraws(t *testing.T) {
	if New(1, 2, 3).Uint64() != New(1, 2, 3).Uint64() {
		t.Error("equal keys gave different draws")
	}
	seen := map[uint64][]uint64{}
	for _, key := range [][]uint64{{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0, 0}, {0, 2, 0}, {0, 0, 2}} {
		x := New(key[0], key[1:]...).Uint64()
		if other, ok := seen[x]; ok {
			t.Errorf("keys %v and %v gave the same draw", key, other)
		}
		seen[x] = key
	}
}

func TestNeighbouringKeysAreUnrelated(t *testing.T) {
	const n = 20000
	var sum, products float64
	previous := 0.5
	for i := range uint64(n) {
		x := New(7, i).Float64()
		sum += x
		products += (x - 0.5) * (previous - 0.5)
		previous = x
	}
	if mean := sum / n; math.Abs(mean-0.5) > 0.01 {
		t.Errorf("the mean of uniform draws over keys is %.3f", mean)
	}
	if correlation := products / n * 12; math.Abs(correlation) > 0.03 {
		t.Errorf("draws of neighbouring keys correlate by %.3f", correlation)
	}
}

func TestWeighted(t *testing.T) {
	r := New(1)
	var counts [3]int
	for range 8000 {
		counts[Weighted(r, 1, 0, 3)]++
	}
	if counts[1] != 0 || math.Abs(float64(counts[0])/8000-0.25) > 0.02 {
		t.Errorf("weights 1, 0, 3 were drawn %v times", counts)
	}
}
