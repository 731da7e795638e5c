package kernel

import (
	"math"
	"unsafe"
)

func plainRMSBackward(dx, dy, x, gain []float32, inv, back float32) {
	for i, v := range dy {
		dx[i] = inv*(gain[i]*v) - back*x[i]
	}
}

func plainSoftmaxBackward(dx, p, dp []float32, scale, mean float32) {
	for i, v := range dp {
		dx[i] = scale * p[i] * (v - mean)
	}
}

func plainSwiGLU(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = g / (1 + plainExp(-g)) * up[i]
	}
}

func plainSwiGLUBackward(dGate, dUp, dOut, gate, up []float32) {
	for i, g := range gate {
		d, u := dOut[i], up[i]
		sigmoid := 1 / (1 + plainExp(-g))
		dUp[i] = d * g * sigmoid
		dGate[i] = d * u * sigmoid * (1 + g*(1-sigmoid))
	}
}

func plainRotate(a, b, cos, sin []float32, sign float32) {
	for i, c := range cos {
		s := sign * sin[i]
		x, y := a[i], b[i]
		a[i] = x*c - y*s
		b[i] = y*c + x*s
	}
}

func plainAdamW(param, grad, m, v []float32, c *adamCoefficients) {
	for i, g := range grad {
		g *= c.gradScale
		m[i] = c.beta1*m[i] + c.one1*g
		v[i] = c.beta2*v[i] + c.one2*(g*g)
		root := float32(math.Sqrt(float64(v[i]))) * c.rootBias2
		param[i] = c.keep*param[i] - c.rate*(m[i]/(root+c.eps))
	}
}

// plainTile is tile.run: four outputs at a time, so that an element of x is loaded once for four of w.
func plainTile(y *float32, ldy int, x *float32, ldx int, w *float32, ldw int, rows, outs, in int, add bool) {
	row := func(base *float32, stride, i, n int) []float32 {
		return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(base), i*stride*4)), n)
	}
	for r := range rows {
		xs, ys := row(x, ldx, r, in), row(y, ldy, r, outs)
		if !add {
			clear(ys)
		}
		o := 0
		for ; o+4 <= outs; o += 4 {
			w0, w1, w2, w3 := row(w, ldw, o, in), row(w, ldw, o+1, in), row(w, ldw, o+2, in), row(w, ldw, o+3, in)
			var a, b, c, d float32
			for k, v := range xs {
				a += v * w0[k]
				b += v * w1[k]
				c += v * w2[k]
				d += v * w3[k]
			}
			ys[o] += a
			ys[o+1] += b
			ys[o+2] += c
			ys[o+3] += d
		}
		for ; o < outs; o++ {
			var a float32
			for k, v := range row(w, ldw, o, in)[:len(xs)] {
				a += xs[k] * v
			}
			ys[o] += a
		}
	}
}
