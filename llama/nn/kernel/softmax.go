package kernel

import "math"

var negInf = float32(math.Inf(-1))

// Exponentials replaces the row x by exp(scale·xᵢ − m) with m = scale·max x, and returns their sum, by which softmax(scale·x)
// divides them, beside log Σⱼ exp(scale·xⱼ). scale must be positive: 1/√e in attention. A row of −∞ alone, where everything
// is masked, becomes zeros and returns 0 and −∞.
func (s *Set) Exponentials(x []float32, scale float32) (sum, logSumExp float32) {
	top := scale * s.Max(x)
	if top == negInf {
		clear(x)
		return 0, negInf
	}
	sum = s.expShift(x, x, scale, top)
	return sum, top + float32(math.Log(float64(sum)))
}

// logSumExpBlock is how many exponentials exist at once.
const logSumExpBlock = 256

// LogSumExp returns log Σⱼ exp(scale·xⱼ) and leaves x as it is; −∞ for an empty row.
func (s *Set) LogSumExp(x []float32, scale float32) float32 {
	top := scale * s.Max(x)
	if top == negInf {
		return negInf
	}
	// A block at a time, which start at fixed places.
	scratch := s.borrow()
	defer s.scratch.Put(scratch)
	block := &scratch.block
	var sum float32
	for len(x) > 0 {
		n := min(len(x), len(block))
		sum += s.expShift(block[:n], x[:n], scale, top)
		x = x[n:]
	}
	return top + float32(math.Log(float64(sum)))
}

// SoftmaxBackward writes the gradient of a softmax row with respect to x, for p = softmax(scale·x) and dp
// the gradient of the loss with respect to p:
//
//	dxᵢ = scale · pᵢ · (dpᵢ − Σⱼ pⱼ·dpⱼ)
//
// dx may be dp or p.
func (s *Set) SoftmaxBackward(dx, p, dp []float32, scale float32) {
	sameLength("SoftmaxBackward", len(dx), p, dp)
	if len(dx) > 0 {
		s.softmaxBackward(dx, p, dp, scale, s.dot(p, dp))
	}
}
