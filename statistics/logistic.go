package statistics

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// Sparse is a vector by its entries that are not 0, in the order of their indices.
type Sparse struct {
	Index []int
	Value []float64
}

// Dot is the product with a vector that has every entry.
func (s Sparse) Dot(w []float64) float64 {
	total := 0.0
	for at, i := range s.Index {
		total += s.Value[at] * w[i]
	}
	return total
}

// FitLogistic fits a logistic regression without a constant to examples that are positive as they stand
// (a negative one comes with its signs turned): it minimises mean ln(1 + exp(−w·x)) + ridge/2 · |w|² over
// the examples x, with features entries each, by Nesterov's accelerated gradient for strongly convex
// functions (Introductory Lectures on Convex Optimization, scheme 2.2.11), whose constants are known here:
// ridge below, ridge + mean |x|²/4 above. ridge is above 0.
func FitLogistic(examples []Sparse, features int, ridge float64) []float64 {
	n := float64(len(examples))
	steepest := ridge
	for _, x := range examples {
		steepest += floats.Dot(x.Value, x.Value) / 4 / n
	}
	q := math.Sqrt(ridge / steepest)
	momentum := (1 - q) / (1 + q)
	w := make([]float64, features)
	ahead := make([]float64, features) // the point that the gradient is taken at
	gradient := make([]float64, features)
	for range 1000 {
		for i, v := range ahead {
			gradient[i] = ridge * v
		}
		for _, x := range examples {
			pull := 1 / (1 + math.Exp(x.Dot(ahead))) / n
			for at, i := range x.Index {
				gradient[i] -= pull * x.Value[at]
			}
		}
		for i, g := range gradient {
			next := ahead[i] - g/steepest
			ahead[i] = next + momentum*(next-w[i])
			w[i] = next
		}
		if floats.Norm(gradient, math.Inf(1)) < 1e-5 {
			break
		}
	}
	return w
}
