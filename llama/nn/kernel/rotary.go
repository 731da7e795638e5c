package kernel

// Rotate turns one head x of even length e by the angles of its position, in place, in the rotate-half
// layout of Hugging Face's Llama, where element i goes with element i + e/2:
//
//	xᵢ        ← xᵢ·cosᵢ − sign·xᵢ₊ₑ⸝₂·sinᵢ
//	xᵢ₊ₑ⸝₂    ← xᵢ₊ₑ⸝₂·cosᵢ + sign·xᵢ·sinᵢ      for i < e/2
//
// cos and sin have e/2 elements. sign is 1 forward (https://arxiv.org/abs/2104.09864, section 3.4.2) and
// −1 for the gradient, which is the rotation back.
func (s *Set) Rotate(x, cos, sin []float32, sign float32) {
	half := len(x) / 2
	if len(x) != 2*half {
		panic("kernel: Rotate: a head of odd length")
	}
	sameLength("Rotate", half, cos, sin)
	if half > 0 {
		s.rotate(x[:half], x[half:], cos, sin, sign)
	}
}
