package nn

import "math"

// Masked statistics read x[i] where mask[i] is not 0, and only there: what stands elsewhere may be
// anything. Sums are in float64, in order. This is the one place where masked math exists.

// MaskedCount counts the values that the mask lets count.
func MaskedCount(mask []float32) int {
	n := 0
	for _, m := range mask {
		if m != 0 {
			n++
		}
	}
	return n
}

// MaskedSum is Σ x over the mask.
func MaskedSum(x, mask []float32) float64 {
	sum := 0.0
	for i, m := range mask {
		if m != 0 {
			sum += float64(x[i])
		}
	}
	return sum
}

// MaskedMean is the mean of x over the mask, 0 over an empty one.
func MaskedMean(x, mask []float32) float64 {
	n := MaskedCount(mask)
	if n == 0 {
		return 0
	}
	return MaskedSum(x, mask) / float64(n)
}

// MaskedVariance is the mean of (x − mean)² over the mask (divided by n, not n − 1), 0 over an empty one.
func MaskedVariance(x, mask []float32) float64 {
	n := MaskedCount(mask)
	if n == 0 {
		return 0
	}
	mean, sum := MaskedMean(x, mask), 0.0
	for i, m := range mask {
		if m != 0 {
			d := float64(x[i]) - mean
			sum += d * d
		}
	}
	return sum / float64(n)
}

// MaskedWhiten sets x to (x − mean) / √(variance + 1e-8) over the mask, in place; with keepMean the mean
// is added back. Values outside the mask are left alone, and zero variance gives zeros (or the mean).
func MaskedWhiten(x, mask []float32, keepMean bool) {
	mean, scale := MaskedMean(x, mask), 1/math.Sqrt(MaskedVariance(x, mask)+1e-8)
	for i, m := range mask {
		if m == 0 {
			continue
		}
		white := (float64(x[i]) - mean) * scale
		if keepMean {
			white += mean
		}
		x[i] = float32(white)
	}
}
