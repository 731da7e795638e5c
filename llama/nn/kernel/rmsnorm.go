package kernel

import "math"

// RMSNorm writes xᵢ·inv·gainᵢ to dstᵢ and returns inv = 1/√(mean(x²) + eps), which the backward pass needs
// (https://arxiv.org/abs/1910.07467, equation 4). x is one row; dst may be x.
func (s *Set) RMSNorm(dst, x, gain []float32, eps float32) (inv float32) {
	sameLength("RMSNorm", len(dst), x, gain)
	if len(x) == 0 {
		return 0
	}
	mean := s.SumSquares(x) / float64(len(x))
	inv = float32(1 / math.Sqrt(mean+float64(eps)))
	s.scaleMul(dst, x, gain, inv)
	return inv
}

// RMSNormBackward writes the gradient of RMSNorm for one row with respect to x, and adds the one with
// respect to the gain to dGain, which may be nil when the gain is frozen:
//
//	dxᵢ     = inv·gainᵢ·dyᵢ − xᵢ·inv³/n·Σⱼ gainⱼ·dyⱼ·xⱼ
//	dGainᵢ += dyᵢ·xᵢ·inv
//
// dx may be dy. Rows are to be taken in a fixed order by one goroutine for each dGain.
func (s *Set) RMSNormBackward(dx, dGain, dy, x, gain []float32, inv float32) {
	sameLength("RMSNormBackward", len(dx), dy, x, gain)
	if len(dx) == 0 {
		return
	}
	if dGain != nil { // first, since dx may overwrite dy
		sameLength("RMSNormBackward", len(dx), dGain)
		s.addScaledMul(dGain, dy, x, inv)
	}
	back := inv * inv * inv / float32(len(x)) * s.dot3(gain, dy, x)
	s.rmsBackward(dx, dy, x, gain, inv, back)
}
