package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// outsPerTile is how many outputs of a row are computed side by side: their sums fill one XMM register.
const outsPerTile = 4

// tileRows is how many rows of x share a loaded vector of w, as many as there are registers for the sums.
func (v isa) tileRows() int {
	if v.wide() {
		return 4 // 16 sums, 4 of x, 1 of w out of 32
	}
	return 3 // 12 sums, 3 of x, 1 of w out of 16
}

// tile emits kernel's tile.run: for each row r < rows and output o < outs,
//
//	y[r·ldy + o] = (y[r·ldy + o] if add) + Σ_k x[r·ldx + k]·w[o·ldw + k]
//
// with one accumulator for each element: a fused multiply-add for every vector of k in order, one masked
// for the rest, and then the lanes by a fixed tree. No element's sequence depends on rows or outs.
func (v isa) tile() {
	v.function("tile", "computes a tile of y = x·wᵀ for at most "+fmt.Sprint(v.tileRows())+" rows.",
		"func(y *float32, ldy int, x *float32, ldx int, w *float32, ldw, rows, outs, in int, add bool)")
	rows := Load(Param("rows"), GP64())
	for n := v.tileRows(); n > 1; n-- {
		CMPQ(rows, I32(n))
		JE(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	for n := 1; n <= v.tileRows(); n++ {
		Label(fmt.Sprintf("rows%d", n))
		v.tileOf(n)
	}
}

// strided addresses rows 0 to 3 of a matrix through a moving pointer: base + {0, 1, 2, 3}·stride bytes.
type strided struct{ base, stride, stride3 Register }

func loadStrided(pointer, stride string, rows int) strided {
	m := strided{base: Load(Param(pointer), GP64()), stride: Load(Param(stride), GP64())}
	SHLQ(Imm(2), m.stride)
	if rows > 3 {
		m.stride3 = GP64()
		LEAQ(Mem{Base: m.stride, Index: m.stride, Scale: 2}, m.stride3)
	}
	return m
}

func (m strided) row(i, disp int) Mem {
	switch i {
	case 0:
		return Mem{Base: m.base, Disp: disp}
	case 3:
		return Mem{Base: m.base, Index: m.stride3, Scale: 1, Disp: disp}
	}
	return Mem{Base: m.base, Index: m.stride, Scale: uint8(i), Disp: disp}
}

// tileOf emits the loops over outputs for a number of rows, four outputs at a time and then one.
func (v isa) tileOf(rows int) {
	x, w, y := loadStrided("x", "ldx", rows), loadStrided("w", "ldw", outsPerTile), loadStrided("y", "ldy", rows)
	outs := Load(Param("outs"), GP64())
	for _, width := range []int{outsPerTile, 1} {
		label := fmt.Sprintf("rows%d_outs%d", rows, width)
		Label(label)
		CMPQ(outs, I32(width))
		JL(LabelRef(label + "_end"))
		accs := v.sums(label, x, w, rows, width)
		v.reduce(label, accs, y, rows, width)
		// The next outputs: w's pointer went through a row of w.
		for range width {
			ADDQ(w.stride, w.base)
		}
		ADDQ(I32(4*width), y.base)
		SUBQ(I32(width), outs)
		JMP(LabelRef(label))
		Label(label + "_end")
	}
	leave()
}

// sums emits the loop over k. It leaves the pointers where they were.
func (v isa) sums(label string, x, w strided, rows, width int) [][]VecVirtual {
	accs := make([][]VecVirtual, rows)
	for r := range accs {
		accs[r] = v.zeros(width)
	}
	bytes := 4 * v.lanes
	k := Load(Param("in"), GP64())
	multiply := func(load func(Mem) VecVirtual, disp int) {
		xs := make([]VecVirtual, rows)
		for r := range xs {
			xs[r] = load(x.row(r, disp))
		}
		for o := range width {
			ws := load(w.row(o, disp))
			for r := range xs {
				VFMADD231PS(xs[r], ws, accs[r][o])
			}
		}
	}
	whole := func(m Mem) VecVirtual {
		r := v.vector()
		VMOVUPS(m, r)
		return r
	}
	for _, unroll := range []int{4, 1} {
		start := fmt.Sprintf("%s_k%d", label, unroll)
		Label(start)
		CMPQ(k, I32(unroll*v.lanes))
		JL(LabelRef(start + "_end"))
		for i := range unroll {
			multiply(whole, i*bytes)
		}
		ADDQ(I32(unroll*bytes), x.base)
		ADDQ(I32(unroll*bytes), w.base)
		SUBQ(I32(unroll*v.lanes), k)
		JMP(LabelRef(start))
		Label(start + "_end")
	}
	TESTQ(k, k)
	JZ(LabelRef(label + "_k_end"))
	var masked func(Mem) VecVirtual
	if v.wide() {
		mask := bitMask(k)
		masked = func(m Mem) VecVirtual {
			r := v.vector()
			VMOVUPS_Z(m, mask, r)
			return r
		}
	} else {
		mask := laneMask(k)
		masked = func(m Mem) VecVirtual { // no register is left to hold the mask in
			r := v.vector()
			VMOVUPS(mask, r)
			VMASKMOVPS(m, r, r)
			return r
		}
	}
	multiply(masked, 0)
	Label(label + "_k_end")
	// Back to the start of the rows: by as many whole vectors as were passed.
	passed := Load(Param("in"), GP64())
	SUBQ(k, passed)
	SHLQ(Imm(2), passed)
	SUBQ(passed, x.base)
	SUBQ(passed, w.base)
	return accs
}

// reduce emits the sums over lanes and writes them to y, added to what is there if add is set.
func (v isa) reduce(label string, accs [][]VecVirtual, y strided, rows, width int) {
	sums := make([]Register, rows)
	for r, row := range accs {
		if v.wide() {
			for _, acc := range row {
				high := YMM()
				VEXTRACTF64X4(Imm(1), acc, high)
				VADDPS(high, acc.AsY(), acc.AsY())
			}
		}
		// With one output the same register serves as all four, so that its lanes meet in the same order.
		at := func(o int) Register { return row[o%width].AsY() }
		ab, cd, low, high := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(at(1), at(0), ab) // a₀ b₀ a₁ b₁ in both halves
		VUNPCKHPS(at(1), at(0), high)
		VADDPS(high, ab, ab) // a₀+a₂, b₀+b₂, a₁+a₃, b₁+b₃
		VUNPCKLPS(at(3), at(2), cd)
		VUNPCKHPS(at(3), at(2), high)
		VADDPS(high, cd, cd)
		VUNPCKLPD(cd, ab, low)
		VUNPCKHPD(cd, ab, high)
		VADDPS(high, low, low) // a, b, c, d, each the sum of four lanes
		upper := v.upperHalf(low)
		VADDPS(upper, low.AsX(), low.AsX())
		sums[r] = low.AsX()
	}
	add := Load(Param("add"), GP8())
	TESTB(add, add)
	JZ(LabelRef(label + "_store"))
	for r, sum := range sums {
		if width == 1 {
			VADDSS(y.row(r, 0), sum, sum)
		} else {
			VADDPS(y.row(r, 0), sum, sum)
		}
	}
	Label(label + "_store")
	for r, sum := range sums {
		if width == 1 {
			VMOVSS(sum, y.row(r, 0))
		} else {
			VMOVUPS(sum, y.row(r, 0))
		}
	}
}
