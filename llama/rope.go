package llama

import "math"

// Rope is a table of the rotary embedding's angles (https://arxiv.org/abs/2104.09864, section 3.2) in
// transformers' "rotate half" form: of a head's e values, value i and value i + e/2 are turned together,
//
//	y[i]       = x[i]·cos − x[i+e/2]·sin
//	y[i + e/2] = x[i+e/2]·cos + x[i]·sin
//
// with cos and sin of position·InverseFrequencies[i].
type Rope struct {
	Positions int       // rows of the table
	Half      int       // e/2, its columns
	Cos, Sin  []float32 // [positions, e/2]
}

// InverseFrequencies returns the e/2 angles, in radians, by which one position turns each pair of a head:
// rope_theta^(−2i/e), stretched by rope_scaling. The arithmetic is float32 where transformers' is
// (modeling_rope_utils.py: _compute_default_rope_parameters, _compute_linear_scaling_rope_parameters,
// _compute_llama3_parameters), so that long contexts do not drift from it.
func (c Config) InverseFrequencies() []float32 {
	freqs := make([]float32, c.HeadDim/2)
	for i := range freqs {
		exponent := float32(2*i) / float32(c.HeadDim)
		freqs[i] = 1 / float32(math.Pow(c.RopeTheta, float64(exponent)))
	}
	s := c.RopeScaling
	if s == nil {
		return freqs
	}
	for i, f := range freqs {
		switch s.Type {
		case "linear":
			freqs[i] = f / float32(s.Factor)
		case "llama3":
			freqs[i] = s.llama3(f)
		}
	}
	return freqs
}

// llama3 divides a low frequency by Factor, keeps a high one and blends between them, by how many times
// its wave fits into the original context.
func (s *RopeScaling) llama3(freq float32) float32 {
	wavelength := float32(2*math.Pi) / freq
	context := float32(s.OriginalMaxPosition)
	low, high := float32(s.LowFreqFactor), float32(s.HighFreqFactor)
	switch {
	case wavelength > context/low:
		return freq / float32(s.Factor)
	case wavelength < context/high:
		return freq
	}
	blend := (context/wavelength - low) / (high - low)
	return (1-blend)*freq/float32(s.Factor) + blend*freq
}

// NewRope tabulates positions 0 … positions−1 for c. An angle is the float32 product of position and
// inverse frequency, as in transformers; its cosine and sine are taken in float64 and rounded once.
func NewRope(c Config, positions int) *Rope {
	freqs := c.InverseFrequencies()
	half := len(freqs)
	r := &Rope{
		Positions: positions,
		Half:      half,
		Cos:       make([]float32, positions*half),
		Sin:       make([]float32, positions*half),
	}
	for p := range positions {
		for i, f := range freqs {
			sin, cos := math.Sincos(float64(float32(p) * f))
			r.Cos[p*half+i], r.Sin[p*half+i] = float32(cos), float32(sin)
		}
	}
	return r
}

// At returns the cosines and sines of one position, each [e/2].
func (r *Rope) At(position int) (cos, sin []float32) {
	from, to := position*r.Half, (position+1)*r.Half
	return r.Cos[from:to], r.Sin[from:to]
}
