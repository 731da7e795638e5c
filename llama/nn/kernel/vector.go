package kernel

// Exp writes exp(xᵢ) to dstᵢ, within 2 units in the last place; 0, subnormals, +∞ and NaN where they are
// due. dst may be x.
func (s *Set) Exp(dst, x []float32) {
	sameLength("Exp", len(x), dst)
	if len(x) > 0 {
		s.expShift(dst, x, 1, 0)
	}
}

// ExpShifted writes exp(scale·xᵢ − shift) to dstᵢ and returns the sum Σ dstᵢ. With the logsumexp of the
// scaled row as shift it recomputes a softmax. dst may be x.
func (s *Set) ExpShifted(dst, x []float32, scale, shift float32) (sum float32) {
	sameLength("ExpShifted", len(x), dst)
	if len(x) == 0 {
		return 0
	}
	return s.expShift(dst, x, scale, shift)
}

// Sum returns Σ xᵢ, 0 for an empty slice.
func (s *Set) Sum(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	return s.sum(x)
}

// Max returns the largest xᵢ, −∞ for an empty slice. With a NaN in x the result is unspecified.
func (s *Set) Max(x []float32) float32 {
	if len(x) == 0 {
		return negInf
	}
	return s.max(x)
}

// Dot returns Σ xᵢ·yᵢ.
func (s *Set) Dot(x, y []float32) float32 {
	sameLength("Dot", len(x), y)
	if len(x) == 0 {
		return 0
	}
	return s.dot(x, y)
}

// sumSquaresBlock is how many squares are summed in float32 before they go to a float64.
const sumSquaresBlock = 4096

// SumSquares returns Σ xᵢ² for a slice of any length, a whole gradient for one: blocks of 4,096 are
// summed in float64.
func (s *Set) SumSquares(x []float32) float64 {
	var total float64
	for len(x) > 0 {
		block := x[:min(len(x), sumSquaresBlock)]
		total += float64(s.dot(block, block))
		x = x[len(block):]
	}
	return total
}

// Axpy adds alpha·xᵢ to yᵢ.
func (s *Set) Axpy(alpha float32, x, y []float32) {
	sameLength("Axpy", len(x), y)
	if len(x) > 0 {
		s.axpy(alpha, x, y)
	}
}

// Scale multiplies every xᵢ by alpha.
func (s *Set) Scale(alpha float32, x []float32) {
	if len(x) > 0 {
		s.scale(alpha, x)
	}
}

// Add adds xᵢ to dstᵢ.
func (s *Set) Add(dst, x []float32) {
	sameLength("Add", len(dst), x)
	if len(x) > 0 {
		s.add(dst, x)
	}
}
