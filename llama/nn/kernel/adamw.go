package kernel

import "math"

// AdamW is one step of AdamW (https://arxiv.org/abs/1711.05101, algorithm 2, in PyTorch's form, where the
// learning rate multiplies the decay).
type AdamW struct {
	LearningRate float64
	Beta1, Beta2 float64
	Eps          float64
	Decay        float64 // weight decay; 0 for gains and biases
	Step         int     // from 1: the step that is being taken, for the bias corrections
	// GradientScale multiplies the gradient before use: 1/accumulation and clipping in one factor.
	GradientScale float64
}

// adamCoefficients are what the loop needs, in the order in which the assembly reads them.
type adamCoefficients struct {
	gradScale   float32
	beta1, one1 float32 // β₁, 1 − β₁
	beta2, one2 float32 // β₂, 1 − β₂
	rootBias2   float32 // 1/√(1 − β₂ᵗ)
	eps         float32
	rate        float32 // lr/(1 − β₁ᵗ)
	keep        float32 // 1 − lr·decay
}

// AdamW updates one tensor and its moments in place, for the gradient g = scale·grad:
//
//	m ← β₁·m + (1 − β₁)·g
//	v ← β₂·v + (1 − β₂)·g²
//	p ← (1 − lr·decay)·p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + eps)
func (s *Set) AdamW(param, grad, m, v []float32, step AdamW) {
	sameLength("AdamW", len(param), grad, m, v)
	if len(param) == 0 {
		return
	}
	t := float64(step.Step)
	s.adamw(param, grad, m, v, &adamCoefficients{
		gradScale: float32(step.GradientScale),
		beta1:     float32(step.Beta1), one1: float32(1 - step.Beta1),
		beta2: float32(step.Beta2), one2: float32(1 - step.Beta2),
		rootBias2: float32(1 / math.Sqrt(1-math.Pow(step.Beta2, t))),
		eps:       float32(step.Eps),
		rate:      float32(step.LearningRate / (1 - math.Pow(step.Beta1, t))),
		keep:      float32(1 - step.LearningRate*step.Decay),
	})
}
