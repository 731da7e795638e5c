package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// elementwise emits the kernels that map rows to rows.
func (v isa) elementwise() {
	v.function("axpy", "adds alpha·x to y.", "func(alpha float32, x, y []float32)")
	x, y, alpha := pointer("x"), pointer("y"), v.parameter("alpha")
	v.loop("x", 4, func(s step) {
		r := s.load(y)
		VFMADD231PS(s.load(x), alpha, r)
		s.store(r, y)
	})
	leave()

	v.function("scale", "multiplies x by alpha.", "func(alpha float32, x []float32)")
	x, alpha = pointer("x"), v.parameter("alpha")
	v.loop("x", 4, func(s step) {
		r := s.load(x)
		VMULPS(alpha, r, r)
		s.store(r, x)
	})
	leave()

	v.function("add", "adds x to dst.", "func(dst, x []float32)")
	dst, x := pointer("dst"), pointer("x")
	v.loop("dst", 4, func(s step) {
		r := s.load(dst)
		VADDPS(s.load(x), r, r)
		s.store(r, dst)
	})
	leave()

	v.function("scaleMul", "writes (alpha·x)·gain to dst.", "func(dst, x, gain []float32, alpha float32)")
	dst, x, alpha = pointer("dst"), pointer("x"), v.parameter("alpha")
	gain := pointer("gain")
	v.loop("dst", 4, func(s step) {
		r := s.load(x)
		VMULPS(alpha, r, r)
		VMULPS(s.load(gain), r, r)
		s.store(r, dst)
	})
	leave()

	v.function("addScaledMul", "adds (alpha·x)·y to dst.", "func(dst, x, y []float32, alpha float32)")
	dst, x, alpha = pointer("dst"), pointer("x"), v.parameter("alpha")
	y = pointer("y")
	v.loop("dst", 2, func(s step) {
		r, d := s.load(x), s.load(dst)
		VMULPS(alpha, r, r)
		VFMADD231PS(s.load(y), r, d)
		s.store(d, dst)
	})
	leave()

	v.function("rmsBackward", "writes inv·(gain·dy) − back·x to dx.", "func(dx, dy, x, gain []float32, inv, back float32)")
	dx, dy, x, gain := pointer("dx"), pointer("dy"), pointer("x"), pointer("gain")
	inv, back := v.parameter("inv"), v.parameter("back")
	v.loop("dx", 2, func(s step) {
		r := s.load(dy)
		VMULPS(s.load(gain), r, r)
		VMULPS(inv, r, r)
		VFNMADD231PS(s.load(x), back, r)
		s.store(r, dx)
	})
	leave()

	v.function("softmaxBackward", "writes scale·p·(dp − mean) to dx.", "func(dx, p, dp []float32, scale, mean float32)")
	dx, p, dp := pointer("dx"), pointer("p"), pointer("dp")
	scale, mean := v.parameter("scale"), v.parameter("mean")
	v.loop("dx", 2, func(s step) {
		r, q := s.load(dp), s.load(p)
		VSUBPS(mean, r, r)
		VMULPS(scale, q, q)
		VMULPS(q, r, r)
		s.store(r, dx)
	})
	leave()

	v.function("rotate", "turns (a, b) by the angles of cos and sign·sin.", "func(a, b, cos, sin []float32, sign float32)")
	a, b, cos, sin := pointer("a"), pointer("b"), pointer("cos"), pointer("sin")
	sign := v.parameter("sign")
	v.loop("a", 1, func(s step) {
		p, q, c, t := s.load(a), s.load(b), s.load(cos), s.load(sin)
		VMULPS(sign, t, t)
		pc, qc := v.vector(), v.vector()
		VMULPS(c, p, pc)
		VMULPS(c, q, qc)
		VFNMADD231PS(q, t, pc)
		VFMADD231PS(p, t, qc)
		s.store(pc, a)
		s.store(qc, b)
	})
	leave()
}

// adamw emits one optimizer step; c points at kernel's adamCoefficients.
func (v isa) adamw() {
	v.function("adamw", "updates param, m and v; c points at adamCoefficients.", "func(param, grad, m, v []float32, c *float32)")
	c := Load(Param("c"), GP64())
	var coefficients [9]VecVirtual
	for i := range coefficients {
		coefficients[i] = v.vector()
		VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, coefficients[i])
	}
	gradScale, beta1, one1, beta2, one2 := coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4]
	rootBias2, eps, rate, keep := coefficients[5], coefficients[6], coefficients[7], coefficients[8]
	param, grad, first, second := pointer("param"), pointer("grad"), pointer("m"), pointer("v")
	v.loop("param", 1, func(s step) {
		g, m, w := s.load(grad), s.load(first), s.load(second)
		VMULPS(gradScale, g, g)
		VMULPS(beta1, m, m)
		VFMADD231PS(one1, g, m)
		s.store(m, first)
		VMULPS(g, g, g)
		VMULPS(beta2, w, w)
		VFMADD231PS(one2, g, w)
		s.store(w, second)
		VSQRTPS(w, w)
		VFMADD213PS(eps, rootBias2, w) // √v·c + eps
		VDIVPS(w, m, m)
		p := s.load(param)
		VMULPS(keep, p, p)
		VFNMADD231PS(rate, m, p)
		s.store(p, param)
	})
	leave()
}
