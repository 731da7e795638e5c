package statistics

import (
	"iter"
	"math"
)

// Rarefied is how many kinds size things, drawn without replacement from those counted, hold on average: diversity that
// does not depend on how many things there are. counts yields how often each kind is there; it is Hurlbert's closed form
// (https://doi.org/10.2307/1934145): a kind that is there c times among N is missed with probability
// C(N−c, size)/C(N, size). No more than size things hold all their kinds.
func Rarefied(counts iter.Seq[int], size int) float64 {
	of := make(map[int]int) // how many kinds are there so many times: few numbers, for a steady sum
	total, kinds := 0, 0
	for c := range counts {
		of[c]++
		total += c
		kinds++
	}
	if total <= size {
		return float64(kinds)
	}
	logFactorial := func(k int) float64 { v, _ := math.Lgamma(float64(k) + 1); return v }
	expected := 0.0
	for c := 1; c <= total; c++ {
		switch n := float64(of[c]); {
		case n == 0:
		case c > total-size:
			expected += n
		default:
			missed := logFactorial(total-c) + logFactorial(total-size) - logFactorial(total-c-size) - logFactorial(total)
			expected += n * -math.Expm1(missed)
		}
	}
	return expected
}
