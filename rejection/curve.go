package rejection

import (
	"math"
	"slices"
)

// Curve holds, for each number of samples 1 … K, the mean over prompts of the expected best and of the
// median score among that many samples (figure 7: the maximum grows with K, the median stays flat), with the
// standard errors of these means.
type Curve struct {
	Best        []float64 `json:"best"`
	Median      []float64 `json:"median"`
	BestError   []float64 `json:"best_error"`
	MedianError []float64 `json:"median_error"`
}

// RewardCurve computes the curve of combined scores. The expected maximum of k out of K samples is taken
// over all subsets, which makes it unbiased for every k: Σ_i C(i−1, k−1)/C(K, k) · x_(i) with x_(i) in rising
// order. Duplicates count as often as they were sampled.
func RewardCurve(sets []Set) Curve {
	if len(sets) == 0 {
		return Curve{}
	}
	fewest, most, sorted := math.MaxInt, 0, make([][]float64, len(sets))
	for i, s := range sets {
		for _, c := range s.Candidates {
			sorted[i] = append(sorted[i], c.Score.Combined)
		}
		slices.Sort(sorted[i])
		fewest, most = min(fewest, len(sorted[i])), max(most, len(sorted[i]))
	}
	var curve Curve
	log := logFactorials(most)
	best, median := make([]float64, len(sets)), make([]float64, len(sets))
	for k := 1; k <= fewest; k++ {
		weights := make(map[int][2][]float64) // of the order statistics of so many values, in the best and in the median of k
		for i, x := range sorted {
			n := len(x)
			w, ok := weights[n]
			if !ok {
				low, high := rankWeights(log, n, k, (k+1)/2), rankWeights(log, n, k, k/2+1) // ranks, from 1, that the median averages
				for j := range low {
					low[j] = (low[j] + high[j]) / 2
				}
				w = [2][]float64{rankWeights(log, n, k, k), low}
				weights[n] = w
			}
			best[i], median[i] = dot(w[0], x), dot(w[1], x)
		}
		curve.Best, curve.BestError = appendMean(curve.Best, curve.BestError, best)
		curve.Median, curve.MedianError = appendMean(curve.Median, curve.MedianError, median)
	}
	return curve
}

// rankWeights are the probabilities that the i-th smallest of n values, i = 1 … n, is the r-th smallest of k drawn
// without replacement: C(i−1, r−1)·C(n−i, k−r) / C(n, k). They are computed by logarithms, since the binomials of some
// thousand samples are no float64; log holds those of the factorials 0! … n!.
func rankWeights(log []float64, n, k, r int) []float64 {
	binomial := func(n, k int) float64 { return log[n] - log[k] - log[n-k] }
	weights := make([]float64, n)
	for i := r; i <= n-k+r; i++ {
		weights[i-1] = math.Exp(binomial(i-1, r-1) + binomial(n-i, k-r) - binomial(n, k))
	}
	return weights
}

func logFactorials(n int) []float64 {
	log := make([]float64, n+1)
	for i := range log {
		log[i], _ = math.Lgamma(float64(i + 1))
	}
	return log
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// appendMean appends the mean of x and its standard error, 0 for a single value.
func appendMean(means, errors, x []float64) ([]float64, []float64) {
	n, mean, squares := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	if n < 2 {
		return append(means, mean), append(errors, 0)
	}
	return append(means, mean), append(errors, math.Sqrt(squares/(n-1)/n))
}
