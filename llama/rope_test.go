package llama

import (
	"math"
	"testing"
)

// TestInverseFrequencies compares with literal values of transformers' formulas, worked in float64.
func TestInverseFrequencies(t *testing.T) {
	base := Config{HeadDim: 8, RopeTheta: 10000}
	// llama3 with an original context of 64: wavelengths 6.28, 62.8, 628 and 6283 against 64/4 = 16 (kept
	// below) and 64/1 = 64 (divided above); 62.8 blends with (64/62.83 − 1)/3 = 0.0061972.
	llama3 := &RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPosition: 64}
	blend := (64*0.1/(2*math.Pi) - 1) / 3
	for _, test := range []struct {
		name    string
		scaling *RopeScaling
		want    []float64
	}{
		{"none", nil, []float64{1, 0.1, 0.01, 0.001}},
		{"linear", &RopeScaling{Type: "linear", Factor: 4}, []float64{0.25, 0.025, 0.0025, 0.00025}},
		{"llama3", llama3, []float64{1, (1-blend)*0.1/8 + blend*0.1, 0.01 / 8, 0.001 / 8}},
	} {
		c := base
		c.RopeScaling = test.scaling
		got := c.InverseFrequencies()
		for i, want := range test.want {
			if math.Abs(float64(got[i])-want) > 2e-6*want {
				t.Errorf("%s: frequency %d is %v, want %v", test.name, i, got[i], want)
			}
		}
	}
}

func TestRopeTurnsByPosition(t *testing.T) {
	r := NewRope(Config{HeadDim: 4, RopeTheta: 100}, 50)
	cos, sin := r.At(37)
	for i, angle := range []float64{37, 3.7} {
		if math.Abs(float64(cos[i])-math.Cos(angle)) > 1e-6 || math.Abs(float64(sin[i])-math.Sin(angle)) > 1e-6 {
			t.Errorf("pair %d turns by (%v, %v), want angle %v", i, cos[i], sin[i], angle)
		}
	}
	if cos, sin := r.At(0); cos[0] != 1 || sin[1] != 0 {
		t.Errorf("position 0 turns: cos %v sin %v", cos, sin)
	}
}
