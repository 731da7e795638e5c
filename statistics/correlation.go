package statistics

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// KendallTauB is Kendall's rank correlation with the correction for ties,
//
//	τ_b = (C − D) / √((n₀ − n₁)(n₀ − n₂)),  n₀ = n(n−1)/2,
//
// with C concordant and D discordant pairs, n₁ and n₂ pairs tied in x and in y (Kendall 1945), in
// O(n log n) by merge sort (Knight 1966).
func KendallTauB(x, y []float64) (float64, error) {
	if err := rankable("statistics.KendallTauB", x, y); err != nil {
		return 0, err
	}
	n := len(x)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(x[a], x[b]), cmp.Compare(y[a], y[b]))
	})
	byX := make([]float64, n) // y in the order of x
	tiedX, tiedBoth := 0, 0
	for start := 0; start < n; {
		end := start
		for end < n && x[order[end]] == x[order[start]] {
			byX[end] = y[order[end]]
			end++
		}
		tiedX += pairsOf(end - start)
		tiedBoth += tiedPairs(byX[start:end])
		start = end
	}
	discordant := inversions(byX, make([]float64, n)) // sorts byX
	tiedY := tiedPairs(byX)
	all := pairsOf(n)
	concordant := all - discordant - tiedX - tiedY + tiedBoth
	return float64(concordant-discordant) / math.Sqrt(float64(all-tiedX)*float64(all-tiedY)), nil
}

// Spearman is the rank correlation ρ: Pearson's correlation of mid-ranks.
func Spearman(x, y []float64) (float64, error) {
	if err := rankable("statistics.Spearman", x, y); err != nil {
		return 0, err
	}
	return stat.Correlation(midRanks(x), midRanks(y), nil), nil
}

// rankable refuses samples whose ranks do not correlate at all.
func rankable(op string, x, y []float64) error {
	if err := paired(op, len(x), len(y)); err != nil {
		return err
	}
	if len(x) < 2 {
		return undefined("a rank correlation needs 2 pairs and there are %d", len(x))
	}
	if err := finite(x, y); err != nil {
		return err
	}
	for _, sample := range [][]float64{x, y} {
		if slices.Min(sample) == slices.Max(sample) {
			return undefined("all values of one sample are %g", sample[0])
		}
	}
	return nil
}

// pairsOf is n over 2.
func pairsOf(n int) int { return n * (n - 1) / 2 }

// tiedPairs counts pairs of equal values in sorted ones.
func tiedPairs(sorted []float64) int {
	pairs := 0
	for start := 0; start < len(sorted); {
		end := start
		for end < len(sorted) && sorted[end] == sorted[start] {
			end++
		}
		pairs += pairsOf(end - start)
		start = end
	}
	return pairs
}

// inversions sorts x by merging, and counts the pairs that were in the wrong order.
func inversions(x, scratch []float64) int {
	if len(x) < 2 {
		return 0
	}
	middle := len(x) / 2
	count := inversions(x[:middle], scratch) + inversions(x[middle:], scratch)
	copy(scratch, x)
	left, right := scratch[:middle], scratch[middle:len(x)]
	for i := range x {
		if len(right) == 0 || len(left) > 0 && left[0] <= right[0] {
			x[i], left = left[0], left[1:]
		} else {
			count += len(left)
			x[i], right = right[0], right[1:]
		}
	}
	return count
}

// midRanks are the ranks of x from 1, ties sharing the mean of theirs.
func midRanks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	ranks := make([]float64, len(x))
	for start := 0; start < len(x); {
		end := start
		for end < len(x) && x[order[end]] == x[order[start]] {
			end++
		}
		for _, i := range order[start:end] {
			ranks[i] = float64(start+end+1) / 2
		}
		start = end
	}
	return ranks
}
