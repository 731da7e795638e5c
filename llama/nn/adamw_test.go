package nn

import (
	"math"
	"testing"

	"tandem"
)

// Three steps against the algorithm as it is written, in float64.
func TestAdamWAgainstPlainLoop(t *testing.T) {
	params := []Parameter{
		{Name: "matrix", Value: []float32{1, -2, 0.5}, Grad: make([]float32, 3), Decay: true},
		{Name: "gain", Value: []float32{1, 1}, Grad: make([]float32, 2)},
	}
	gradients := [][]float64{{0.1, -0.2, 0.3, 0.4, -0.5}, {3, -4, 0, 1, 2}, {0.01, 0.02, 0, 0, -0.5}} // the second is clipped
	c := DefaultAdamWConfig()
	a := NewAdamW(testDevice(t), params, c)
	w, m, v := []float64{1, -2, 0.5, 1, 1}, make([]float64, 5), make([]float64, 5)
	const rate = 0.1
	for step, g := range gradients {
		square := 0.0
		for i, x := range g {
			square += x * x
			if i < 3 {
				params[0].Grad[i] = float32(x)
			} else {
				params[1].Grad[i-3] = float32(x)
			}
		}
		norm, err := a.Step(rate)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(norm-math.Sqrt(square)) > 1e-6 {
			t.Errorf("norm of step %d is %g, want %g", step+1, norm, math.Sqrt(square))
		}
		scale := min(1, c.Clip/math.Sqrt(square))
		for i, x := range g {
			x *= scale
			m[i] = c.Beta1*m[i] + (1-c.Beta1)*x
			v[i] = c.Beta2*v[i] + (1-c.Beta2)*x*x
			mean, deviation := m[i]/(1-math.Pow(c.Beta1, float64(step+1))), math.Sqrt(v[i]/(1-math.Pow(c.Beta2, float64(step+1))))
			decay := c.Decay
			if i >= 3 {
				decay = 0
			}
			w[i] -= rate * (mean/(deviation+c.Epsilon) + decay*w[i])
		}
	}
	for i, got := range append(params[0].Value, params[1].Value...) {
		if math.Abs(float64(got)-w[i]) > 1e-5 {
			t.Errorf("weight %d is %g, want %g", i, got, w[i])
		}
	}
	for _, p := range params {
		for _, g := range p.Grad {
			if g != 0 {
				t.Error("a gradient outlived its step")
			}
		}
	}
}

func TestAdamWRefusesGradientsThatAreNotFinite(t *testing.T) {
	params := []Parameter{{Name: "gain", Value: []float32{1}, Grad: []float32{float32(math.Inf(1))}}}
	if _, err := NewAdamW(testDevice(t), params, DefaultAdamWConfig()).Step(0.1); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("an infinite gradient: %v", err)
	}
	if params[0].Value[0] != 1 {
		t.Error("the weights moved")
	}
}
