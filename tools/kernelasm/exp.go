package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The constants of kernel's plainExp.
const (
	log2E  = 1.44269504088896341
	ln2Hi  = 0.693359375
	ln2Lo  = -2.12194440e-4
	expMin = -104
	expMax = 89
)

var expPolynomial = []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

// exp emits x ← exp(x) with the bounds held in registers; x = n·ln 2 + r, exp(x) = 2ⁿ·exp(r).
type exp struct {
	isa
	least, most VecVirtual
}

func (v isa) exp() exp { return exp{isa: v, least: v.hold(expMin), most: v.hold(expMax)} }

func (e exp) apply(x VecVirtual) {
	// MINPS and MAXPS return the operand that Go writes first when one is NaN: x, so that NaN stays.
	VMINPS(x, e.most, x)
	VMAXPS(x, e.least, x)
	n := e.vector()
	VMULPS(constant(log2E), x, n)
	if e.wide() {
		VRNDSCALEPS(Imm(8), n, n)
	} else {
		VROUNDPS(Imm(8), n, n)
	}
	VFMADD231PS(constant(-ln2Hi), n, x)
	VFMADD231PS(constant(-ln2Lo), n, x)
	p := e.vector()
	VMOVUPS(constant(expPolynomial[0]), p)
	for _, c := range expPolynomial[1:] {
		VFMADD213PS(constant(c), x, p)
	}
	square := e.vector()
	VMULPS(x, x, square)
	VFMADD213PS(x, square, p)
	VADDPS(constant(1), p, p)
	if e.wide() {
		VSCALEFPS(n, p, x)
		return
	}
	// 2ⁿ in two factors, since n may lie outside a float32's exponents.
	half := e.vector()
	VCVTPS2DQ(n, n)
	VPSRAD(Imm(1), n, half)
	VPSUBD(half, n, n)
	for _, power := range []VecVirtual{half, n} {
		VPADDD(constantBits(127), power, power)
		VPSLLD(Imm(23), power, power)
	}
	VMULPS(half, p, p)
	VMULPS(n, p, x)
}

// exponential emits exp(scale·x − shift) with its sum.
func (v isa) exponential() {
	v.function("expShift", "writes exp(scale·x − shift) to dst and returns its sum.", "func(dst, x []float32, scale, shift float32) float32")
	dst, x := pointer("dst"), pointer("x")
	scale, shift := v.parameter("scale"), v.parameter("shift")
	e, sum := v.exp(), v.zeros(2)
	v.loop("x", 2, func(s step) {
		s.ahead(x)
		r := s.load(x)
		VFMSUB213PS(shift, scale, r)
		e.apply(r)
		s.store(r, dst)
		s.erase(r)
		VADDPS(r, sum[s.which], sum[s.which])
	})
	giveBack(v.fold(sum, VADDPS))
}

// sigmoid emits σ(g) = 1/(1 + exp(−g)) into a new register.
func (e exp) sigmoid(g VecVirtual) VecVirtual {
	r := e.vector()
	if e.wide() {
		VPXORD(constantBits(1<<31), g, r)
	} else {
		VXORPS(constantBits(1<<31), g, r)
	}
	e.apply(r)
	one := e.vector()
	VMOVUPS(constant(1), one)
	VADDPS(one, r, r)
	VDIVPS(r, one, r)
	return r
}

// swiglu emits silu(gate)·up and its gradients.
func (v isa) swiglu() {
	v.function("swiglu", "writes silu(gate)·up to dst.", "func(dst, gate, up []float32)")
	dst, gate, up := pointer("dst"), pointer("gate"), pointer("up")
	e := v.exp()
	v.loop("dst", 2, func(s step) {
		s.ahead(gate, up)
		g := s.load(gate)
		q := e.sigmoid(g)
		VMULPS(g, q, q)
		VMULPS(s.load(up), q, q)
		s.store(q, dst)
	})
	leave()

	v.function("swigluBackward", "writes the gradients of swiglu for dOut.", "func(dGate, dUp, dOut, gate, up []float32)")
	dGate, dUp, dOut := pointer("dGate"), pointer("dUp"), pointer("dOut")
	gate, up = pointer("gate"), pointer("up")
	e = v.exp()
	v.loop("dGate", 1, func(s step) {
		s.ahead(gate, up, dOut)
		g, d, u := s.load(gate), s.load(dOut), s.load(up)
		q := e.sigmoid(g)
		VMULPS(q, d, d) // d·σ
		VMULPS(d, u, u) // d·u·σ
		VMULPS(g, d, d) // d·g·σ
		s.store(d, dUp)
		one := v.vector()
		VMOVUPS(constant(1), one)
		VSUBPS(q, one, q)      // 1 − σ
		VFMADD213PS(one, g, q) // 1 + g·(1 − σ)
		VMULPS(q, u, u)
		s.store(u, dGate)
	})
	leave()
}
