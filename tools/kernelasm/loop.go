package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const attrReadOnly = attr.RODATA | attr.NOPTR

// function starts a function of this instruction set.
func (v isa) function(name, doc, signature string) {
	TEXT(name+v.suffix, attr.NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + v.suffix + " " + doc)
}

// step is one pass of a loop's body: the vector that it handles, whole or masked.
type step struct {
	isa
	index GPVirtual // of the first element
	which int       // of the unrolled vectors; selects an accumulator
	tail  bool
	maskV VecVirtual // AVX2: all ones in the lanes that exist
	maskK Register   // AVX-512: the same
}

// pointer loads the base of a slice argument, before the loop.
func pointer(slice string) Register { return Load(Param(slice).Base(), GP64()) }

func (s step) address(base Register) Mem {
	return Mem{Base: base, Index: s.index, Scale: 4, Disp: 4 * s.lanes * s.which}
}

// load reads the vector; lanes beyond the end are zero.
func (s step) load(base Register) VecVirtual {
	r := s.vector()
	switch {
	case !s.tail:
		VMOVUPS(s.address(base), r)
	case s.wide():
		VMOVUPS_Z(s.address(base), s.maskK, r)
	default:
		VMASKMOVPS(s.address(base), s.maskV, r)
	}
	return r
}

// aheadBytes is how far ahead long rows are asked for: with an exponential for every value, what the processor looks ahead
// by itself, some hundred instructions, is a few lines of memory, too few to keep memory busy.
const aheadBytes = 1024

// ahead asks for the lines of memory that a later step will load.
func (s step) ahead(bases ...Register) {
	const line = 64
	for _, base := range bases {
		if at := s.address(base); !s.tail && at.Disp%line == 0 {
			at.Disp += aheadBytes
			PREFETCHT0(at)
		}
	}
}

// store writes the vector, and nothing beyond the end.
func (s step) store(r VecVirtual, base Register) {
	switch {
	case !s.tail:
		VMOVUPS(r, s.address(base))
	case s.wide():
		VMOVUPS(r, s.maskK, s.address(base))
	default:
		VMASKMOVPS(r, s.maskV, s.address(base))
	}
}

// erase zeroes the lanes of r beyond the end.
func (s step) erase(r VecVirtual) {
	switch {
	case !s.tail:
	case s.wide():
		VMOVAPS_Z(r, s.maskK, r)
	default:
		VANDPS(s.maskV, r, r)
	}
}

// fill puts with's values in the lanes of r beyond the end.
func (s step) fill(r, with VecVirtual) {
	switch {
	case !s.tail:
	case s.wide():
		c := s.copied(with)
		VMOVAPS(r, s.maskK, c)
		VMOVAPS(c, r)
	default:
		VBLENDVPS(s.maskV, r, with, r)
	}
}

// loop emits body for the elements of a slice argument: unroll vectors at a time, one at a time, and
// masked.
func (v isa) loop(slice string, unroll int, body func(s step)) {
	n := Load(Param(slice).Len(), GP64())
	index := GP64()
	XORQ(index, index)
	v.span("", n, index, unroll, body)
}

// span emits the loop over index … n-1 with labels that start with prefix. n is used up.
func (v isa) span(prefix string, n Register, index GPVirtual, unroll int, body func(s step)) {
	counted := func(label string, width int, pass func()) {
		start, end := prefix+label, prefix+label+"_end"
		Label(start)
		CMPQ(n, I32(width*v.lanes))
		JL(LabelRef(end))
		pass()
		ADDQ(I32(width*v.lanes), index)
		SUBQ(I32(width*v.lanes), n)
		JMP(LabelRef(start))
		Label(end)
	}
	if unroll > 1 {
		counted(fmt.Sprintf("by%d", unroll), unroll, func() {
			for i := range unroll {
				body(step{isa: v, index: index, which: i})
			}
		})
	}
	counted("by1", 1, func() { body(step{isa: v, index: index}) })
	TESTQ(n, n)
	JZ(LabelRef(prefix + "done"))
	s := step{isa: v, index: index, tail: true}
	s.maskV, s.maskK = v.mask(n)
	body(s)
	Label(prefix + "done")
}

// mask makes the mask of the first n lanes, 0 < n < lanes.
func (v isa) mask(n Register) (VecVirtual, Register) {
	if v.wide() {
		return nil, bitMask(n)
	}
	m := YMM()
	VMOVUPS(laneMask(n), m)
	return m, nil
}

// bitMask makes AVX-512's mask of the first n lanes.
func bitMask(n Register) Register {
	ones, k := GP32(), K()
	MOVL(I32(-1), ones)
	BZHIL(n.(GPVirtual).As32(), ones, ones)
	KMOVW(ones, k)
	return k
}

// laneMask addresses AVX2's mask of the first n lanes: a window of 8 on 8 lanes of ones and 8 of zeros.
func laneMask(n Register) Mem {
	table, offset := GP64(), GP64()
	LEAQ(onesThenZeros(), table)
	MOVQ(I32(8), offset)
	SUBQ(n, offset)
	return Mem{Base: table, Index: offset, Scale: 4}
}

var window *Mem

func onesThenZeros() Mem {
	if window == nil {
		m := GLOBL("ones_then_zeros", attrReadOnly)
		for i := range 16 {
			bits := uint32(0)
			if i < 8 {
				bits = 0xffffffff
			}
			DATA(4*i, U32(bits))
		}
		window = &m
	}
	return *window
}
