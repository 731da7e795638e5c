package statistics

import (
	"gonum.org/v1/gonum/mathext"

	"tandem"
)

// BinomialTest is the p-value of the exact two-sided test that both outcomes of each of n trials are equally
// likely: twice the smaller tail, at most 1.
func BinomialTest(successes, n int) (float64, error) {
	if n == 0 {
		return 0, undefined("there are no trials")
	}
	if successes < 0 || successes > n {
		return 0, tandem.Errorf(tandem.Invalid, "statistics.BinomialTest", "%d successes in %d trials", successes, n)
	}
	fewer := min(successes, n-successes)
	if 2*fewer >= n-1 { // both tails hold the middle
		return 1, nil
	}
	// P(X ≤ k) of a binomial variable is a regularised incomplete beta function.
	return 2 * mathext.RegIncBeta(float64(n-fewer), float64(fewer+1), 0.5), nil
}
