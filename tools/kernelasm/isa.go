package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set to generate for.
type isa struct {
	suffix string // of function names
	lanes  int    // float32s in a vector
}

var (
	avx2   = isa{suffix: "AVX2", lanes: 8}
	avx512 = isa{suffix: "AVX512", lanes: 16}
)

func (v isa) wide() bool { return v.lanes == 16 }

// vector allocates a register.
func (v isa) vector() VecVirtual {
	if v.wide() {
		return ZMM()
	}
	return YMM()
}

// zero allocates a register of zeros.
func (v isa) zero() VecVirtual {
	r := v.vector()
	v.clear(r)
	return r
}

// clear emits r ← 0.
func (v isa) clear(r VecVirtual) {
	if v.wide() {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

// zeros allocates n of them.
func (v isa) zeros(n int) []VecVirtual {
	rs := make([]VecVirtual, n)
	for i := range rs {
		rs[i] = v.zero()
	}
	return rs
}

// parameter allocates a register with a float32 argument in every lane.
func (v isa) parameter(name string) VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.vector()
	VBROADCASTSS(p.Addr, r)
	return r
}

// constants are the vectors in the data section by their bits, so that each stands there once.
var constants = map[uint32]Mem{}

// constant is a vector with x in each of 16 lanes, in memory.
func constant(x float64) Mem { return constantBits(math.Float32bits(float32(x))) }

func constantBits(bits uint32) Mem {
	if m, ok := constants[bits]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("all_%08x", bits), attrReadOnly)
	for i := range 16 {
		DATA(4*i, U32(bits))
	}
	constants[bits] = m
	return m
}

// hold loads a constant into a register.
func (v isa) hold(x float64) VecVirtual {
	r := v.vector()
	VMOVUPS(constant(x), r)
	return r
}

// copied allocates a register with r's value.
func (v isa) copied(r VecVirtual) VecVirtual {
	c := v.vector()
	VMOVAPS(r, c)
	return c
}

// fold reduces accumulators to one by combining neighbours, and that to the lowest lane, in a fixed tree.
func (v isa) fold(accs []VecVirtual, combine func(ops ...Op)) VecVirtual {
	for n := len(accs); n > 1; n = (n + 1) / 2 {
		for i := 0; i+n/2 < n && i < n/2; i++ {
			combine(accs[i+(n+1)/2], accs[i], accs[i])
		}
	}
	acc := accs[0]
	if v.wide() {
		high := YMM()
		VEXTRACTF64X4(Imm(1), acc, high)
		combine(high, acc.AsY(), acc.AsY())
	}
	high := v.upperHalf(acc.AsY())
	combine(high, acc.AsX(), acc.AsX())
	VPERMILPS(Imm(0b1110), acc.AsX(), high)
	combine(high, acc.AsX(), acc.AsX())
	VPERMILPS(Imm(0b01), acc.AsX(), high)
	combine(high, acc.AsX(), acc.AsX())
	return acc
}

// upperHalf allocates a register with the upper 128 bits of a YMM register.
func (v isa) upperHalf(r Register) VecVirtual {
	x := XMM()
	if v.wide() { // an encoding that reaches registers 16 to 31
		VEXTRACTF32X4(Imm(1), r, x)
	} else {
		VEXTRACTF128(Imm(1), r, x)
	}
	return x
}

// giveBack stores the lowest lane of r as the function's result and returns.
func giveBack(r VecVirtual) {
	Store(r.AsX(), ReturnIndex(0))
	leave()
}

// leave returns; VZEROUPPER first, since SSE code is slow after a function that leaves upper halves dirty.
func leave() {
	VZEROUPPER()
	RET()
}
