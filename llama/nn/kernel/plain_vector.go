package kernel

import "math"

// plainSet is the plain Go twin of the assembly: the same formulas, one element at a time.
func plainSet() *Set {
	return &Set{name: Plain, routines: routines{
		expShift:        plainExpShift,
		sum:             plainSum,
		max:             plainMax,
		dot:             plainDot,
		dot3:            plainDot3,
		axpy:            plainAxpy,
		scale:           plainScale,
		add:             plainAdd,
		scaleMul:        plainScaleMul,
		addScaledMul:    plainAddScaledMul,
		rmsBackward:     plainRMSBackward,
		softmaxBackward: plainSoftmaxBackward,
		swiglu:          plainSwiGLU,
		swigluBackward:  plainSwiGLUBackward,
		rotate:          plainRotate,
		adamw:           plainAdamW,
		tile:            tile{run: plainTile, maxRows: 4},
		block:           plainBlocks(),
	}}
}

// exp's constants: log₂e, ln 2 in two parts, and Cephes's polynomial for (exp(r) − 1 − r)/r² on
// |r| ≤ ln 2/2 (https://www.netlib.org/cephes/, expf.c). Beyond the bounds the result is 0 or ∞.
const (
	log2E  = 1.44269504088896341
	ln2Hi  = 0.693359375
	ln2Lo  = -2.12194440e-4
	expMin = -104
	expMax = 89
	expP0  = 1.9875691500e-4
	expP1  = 1.3981999507e-3
	expP2  = 8.3334519073e-3
	expP3  = 4.1665795894e-2
	expP4  = 1.6666665459e-1
	expP5  = 5.0000001201e-1
	// toInteger, 1.5·2²³, rounds a float32 of modest size to an integer when it is added and taken away.
	toInteger = 12582912
)

// plainExp returns exp(x): x = n·ln 2 + r, exp(x) = 2ⁿ·exp(r).
func plainExp(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, expMin), expMax)
	n := float32(x*log2E+toInteger) - toInteger
	r := x - n*ln2Hi
	r -= n * ln2Lo
	p := float32(expP0)
	p = p*r + expP1
	p = p*r + expP2
	p = p*r + expP3
	p = p*r + expP4
	p = p*r + expP5
	p = p*(r*r) + r + 1
	// 2ⁿ in two factors, since n may lie outside a float32's exponents.
	half := int32(n) >> 1
	return p * power2(half) * power2(int32(n)-half)
}

// power2 returns 2ⁿ for −126 ≤ n ≤ 127.
func power2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

func plainExpShift(dst, x []float32, scale, shift float32) (sum float32) {
	for i, v := range x {
		e := plainExp(v*scale - shift)
		dst[i] = e
		sum += e
	}
	return sum
}

func plainSum(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = a+x[0], b+x[1], c+x[2], d+x[3]
	}
	for _, v := range x {
		a += v
	}
	return (a + b) + (c + d)
}

func plainMax(x []float32) float32 {
	m := negInf
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func plainDot(x, y []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		a += x[0] * y[0]
		b += x[1] * y[1]
		c += x[2] * y[2]
		d += x[3] * y[3]
	}
	for i, v := range x {
		a += v * y[i]
	}
	return (a + b) + (c + d)
}

func plainDot3(x, y, z []float32) float32 {
	var sum float32
	for i, v := range x {
		sum += v * y[i] * z[i]
	}
	return sum
}

func plainAxpy(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += alpha * v
	}
}

func plainScale(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

func plainAdd(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

func plainScaleMul(dst, x, gain []float32, alpha float32) {
	for i, v := range x {
		dst[i] = alpha * v * gain[i]
	}
}

func plainAddScaledMul(dst, x, y []float32, alpha float32) {
	for i, v := range x {
		dst[i] += alpha * v * y[i]
	}
}
