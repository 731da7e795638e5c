package statistics

import (
	"math"

	"tandem"
)

// Bin is one bin of a reliability diagram.
type Bin struct {
	N          int     `json:"n"`
	Confidence float64 `json:"confidence"` // mean predicted probability
	Frequency  float64 `json:"frequency"`  // share of positives
}

// Reliability sorts predicted probabilities into bins of equal width; empty bins are left out.
func Reliability(probabilities []float64, positive []bool, bins int) ([]Bin, error) {
	const op = "statistics.Reliability"
	if err := paired(op, len(probabilities), len(positive)); err != nil {
		return nil, err
	}
	if bins < 1 {
		return nil, tandem.Errorf(tandem.Invalid, op, "%d bins", bins)
	}
	if len(probabilities) == 0 {
		return nil, undefined("there are no predictions")
	}
	sums := make([]Bin, bins)
	for i, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			return nil, tandem.Errorf(tandem.Invalid, op, "prediction %d is %g, not a probability", i+1, p)
		}
		bin := &sums[min(int(p*float64(bins)), bins-1)]
		bin.N++
		bin.Confidence += p
		if positive[i] {
			bin.Frequency++
		}
	}
	var out []Bin
	for _, b := range sums {
		if b.N > 0 {
			out = append(out, Bin{b.N, b.Confidence / float64(b.N), b.Frequency / float64(b.N)})
		}
	}
	return out, nil
}

// ExpectedCalibrationError is Σ_b n_b/n · |frequency_b − confidence_b| over bins of equal width
// (Guo et al. 2017, https://arxiv.org/abs/1706.04599, equation 3, for the probability of one class).
func ExpectedCalibrationError(probabilities []float64, positive []bool, bins int) (float64, error) {
	diagram, err := Reliability(probabilities, positive, bins)
	if err != nil {
		return 0, err
	}
	weighted := 0.0
	for _, b := range diagram {
		weighted += float64(b.N) * math.Abs(b.Frequency-b.Confidence)
	}
	return weighted / float64(len(probabilities)), nil
}

// FitTemperature finds the T > 0 that minimises the negative log-likelihood of the labels under
// σ(logit / T) (Guo et al. 2017, section 4.2). The likelihood is convex in 1/T, whose derivative is
// bisected; it has no minimum inside when the logits separate the labels (T → 0) or say nothing about
// them (T → ∞).
//
// Where every item is a judged pair, the logit is r(chosen) − r(rejected) and every label is true.
func FitTemperature(logits []float64, positive []bool) (float64, error) {
	if err := paired("statistics.FitTemperature", len(logits), len(positive)); err != nil {
		return 0, err
	}
	if len(logits) == 0 {
		return 0, undefined("there are no predictions")
	}
	if err := finite(logits); err != nil {
		return 0, err
	}
	// slope is the derivative of the negative log-likelihood in β = 1/T; it grows with β.
	slope := func(beta float64) float64 {
		total := 0.0
		for i, z := range logits {
			p := 1 / (1 + math.Exp(-beta*z))
			if positive[i] {
				p--
			}
			total += z * p
		}
		return total
	}
	if slope(0) >= 0 {
		return 0, undefined("the predictions are no better than chance, and the temperature grows without bound")
	}
	wrong := false
	for i, z := range logits {
		wrong = wrong || (z > 0) != positive[i] && z != 0
	}
	if !wrong {
		return 0, undefined("every prediction is right, and the temperature shrinks to 0")
	}
	low, high := 0.0, 1.0
	for slope(high) < 0 {
		low, high = high, 2*high
	}
	for range 100 {
		if middle := (low + high) / 2; slope(middle) < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return 2 / (low + high), nil
}
