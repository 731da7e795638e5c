package kernel

// SwiGLU writes silu(gateᵢ)·upᵢ to dstᵢ, with silu(g) = g·σ(g) = g / (1 + exp(−g))
// (https://arxiv.org/abs/2002.05202, section 2). dst may be gate or up.
func (s *Set) SwiGLU(dst, gate, up []float32) {
	sameLength("SwiGLU", len(dst), gate, up)
	if len(dst) > 0 {
		s.swiglu(dst, gate, up)
	}
}

// SwiGLUBackward writes the gradients of SwiGLU for dOut, the gradient of its result:
//
//	dUp   = dOut · silu(gate)
//	dGate = dOut · up · σ(gate) · (1 + gate·(1 − σ(gate)))
//
// dGate may be gate and dUp may be up.
func (s *Set) SwiGLUBackward(dGate, dUp, dOut, gate, up []float32) {
	sameLength("SwiGLUBackward", len(dGate), dUp, dOut, gate, up)
	if len(dGate) > 0 {
		s.swigluBackward(dGate, dUp, dOut, gate, up)
	}
}
