package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// blockVectors is how many vectors of columns a block is wide.
const blockVectors = 2

// blockRows is how many rows a block is high, as many as there are registers for the sums.
func (v isa) blockRows() int {
	if v.wide() {
		return 12 // 24 sums, 2 of b out of 32
	}
	return 6 // 12 sums, 2 of b, 1 of a out of 16
}

// block emits kernel's block.run: for each row r < rows and each of a panel's columns o,
//
//	c[r·ldc + o] = (d[r·ldc + o] unless d is nil) + Σ_i a[r/rows·nextA + r%rows·rowA + i·stepA]·b[i·width + o]
//
// with one accumulator for each element, which takes i in order. No element's sequence depends on rows.
//
// A half block does the same for the first half of the panel's columns, with half the sums.
func (v isa) block(name string, vectors int) {
	v.function(name, fmt.Sprintf("computes rows of c = d + a·b for %d columns of a panel of %d.", vectors*v.lanes, blockVectors*v.lanes),
		"func(c, d *float32, ldc int, a *float32, rowA, stepA, nextA int, b *float32, rows, k int)")
	b := blockRegisters{
		c: Load(Param("c"), GP64()), ldc: Load(Param("ldc"), GP64()),
		a: Load(Param("a"), GP64()), rowA: Load(Param("rowA"), GP64()), stepA: Load(Param("stepA"), GP64()),
		rows: Load(Param("rows"), GP64()), panel: GP64(), k: GP64(), value: v.vector(),
	}
	for range (v.blockRows() + 2) / 3 {
		b.as = append(b.as, GP64())
	}
	for range vectors {
		b.columns = append(b.columns, v.vector())
	}
	for range v.blockRows() {
		var row []VecVirtual
		for range vectors {
			row = append(row, v.vector())
		}
		b.sums = append(b.sums, row)
	}
	for _, floats := range []Register{b.ldc, b.rowA, b.stepA} {
		SHLQ(Imm(2), floats)
	}
	most := v.blockRows()
	Label("whole")
	CMPQ(b.rows, I32(most))
	JL(LabelRef("rest"))
	v.blockOf(b, "whole", most)
	Load(Param("nextA"), b.panel)
	LEAQ(Mem{Base: b.a, Index: b.panel, Scale: 4}, b.a)
	for range most {
		ADDQ(b.ldc, b.c)
	}
	SUBQ(I32(most), b.rows)
	JMP(LabelRef("whole"))
	Label("rest")
	for n := most - 1; n > 0; n-- {
		CMPQ(b.rows, I32(n))
		JE(LabelRef(fmt.Sprintf("rest%d", n)))
	}
	leave()
	for n := 1; n < most; n++ {
		label := fmt.Sprintf("rest%d", n)
		Label(label)
		v.blockOf(b, label, n)
		leave()
	}
}

// blockRegisters hold the arguments of block, distances in bytes, and what one block works on.
type blockRegisters struct {
	c, ldc, a, rowA, stepA, rows Register

	panel, k Register
	as       []Register     // for every three rows of a, where the first is; the others are rowA and 2·rowA further
	sums     [][]VecVirtual // by row
	columns  []VecVirtual   // a row of the panel
	value    VecVirtual     // of a
}

// blockOf emits one block of n rows.
func (v isa) blockOf(b blockRegisters, label string, n int) {
	sums := b.sums[:n]
	for _, row := range sums {
		for _, sum := range row {
			v.clear(sum)
		}
	}
	as, panel, k := b.as[:(n+2)/3], b.panel, b.k
	for i := range as {
		if i == 0 {
			MOVQ(b.a, as[i])
			continue
		}
		LEAQ(Mem{Base: as[i-1], Index: b.rowA, Scale: 2}, as[i])
		ADDQ(b.rowA, as[i])
	}
	Load(Param("b"), panel)
	Load(Param("k"), k)
	width := 4 * v.lanes * blockVectors
	columns, value := b.columns, b.value
	multiply := func(i int) {
		for o := range columns {
			VMOVUPS(Mem{Base: panel, Disp: i*width + 4*v.lanes*o}, columns[o])
		}
		for r := range n {
			at := Mem{Base: as[r/3]}
			if r%3 > 0 {
				at.Index, at.Scale = b.rowA, uint8(r%3)
			}
			VBROADCASTSS(at, value)
			for o, column := range columns {
				VFMADD231PS(column, value, sums[r][o])
			}
		}
		for _, a := range as {
			ADDQ(b.stepA, a)
		}
	}
	for _, unroll := range []int{4, 1} {
		start := fmt.Sprintf("%s_k%d", label, unroll)
		Label(start)
		CMPQ(k, I32(unroll))
		JL(LabelRef(start + "_end"))
		for i := range unroll {
			multiply(i)
		}
		ADDQ(I32(unroll*width), panel)
		SUBQ(I32(unroll), k)
		JMP(LabelRef(start))
		Label(start + "_end")
	}
	// d's row is as far from d as c's is from c.
	d, passed := panel, k
	Load(Param("d"), d)
	TESTQ(d, d)
	JZ(LabelRef(label + "_store"))
	ADDQ(b.c, d)
	Load(Param("c"), passed)
	SUBQ(passed, d)
	for r := range n {
		for o, sum := range sums[r] {
			VADDPS(Mem{Base: d, Disp: 4 * v.lanes * o}, sum, sum)
		}
		if r < n-1 {
			ADDQ(b.ldc, d)
		}
	}
	Label(label + "_store")
	c := panel
	MOVQ(b.c, c)
	for r := range n {
		for o, sum := range sums[r] {
			VMOVUPS(sum, Mem{Base: c, Disp: 4 * v.lanes * o})
		}
		if r < n-1 {
			ADDQ(b.ldc, c)
		}
	}
}

// transpose emits the copy of as many rows, ld apart and k long, as a panel has columns, to the panel's columns.
func (v isa) transpose() {
	v.function("transpose", "copies rows to the columns of a panel.", "func(dst, src *float32, ld, k int)")
	const side = 4 // of the squares that are transposed in registers
	dst, ld, ld3 := Load(Param("dst"), GP64()), Load(Param("ld"), GP64()), GP64()
	src := Load(Param("src"), GP64())
	from, to, k := GP64(), GP64(), GP64()
	SHLQ(Imm(2), ld)
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	width := 4 * v.lanes * blockVectors
	rows := []Mem{{Base: from}, {Base: from, Index: ld, Scale: 1}, {Base: from, Index: ld, Scale: 2}, {Base: from, Index: ld3, Scale: 1}}
	columns := GP64()
	MOVQ(I32(v.lanes*blockVectors/side), columns)
	Label("columns")
	MOVQ(src, from)
	MOVQ(dst, to)
	Load(Param("k"), k)
	Label("square")
	CMPQ(k, I32(side))
	JL(LabelRef("single"))
	a, b, c, d, high := XMM(), XMM(), XMM(), XMM(), XMM()
	for i, r := range []VecVirtual{a, b, c, d} {
		VMOVUPS(rows[i], r)
	}
	VUNPCKHPS(b, a, high) // a₂ b₂ a₃ b₃
	VUNPCKLPS(b, a, a)    // a₀ b₀ a₁ b₁
	VUNPCKHPS(d, c, b)    // c₂ d₂ c₃ d₃
	VUNPCKLPS(d, c, c)    // c₀ d₀ c₁ d₁
	VUNPCKHPD(c, a, d)    // a₁ b₁ c₁ d₁
	VUNPCKLPD(c, a, a)    // a₀ b₀ c₀ d₀
	VUNPCKHPD(b, high, c) // a₃ b₃ c₃ d₃
	VUNPCKLPD(b, high, b) // a₂ b₂ c₂ d₂
	for i, r := range []VecVirtual{a, d, b, c} {
		VMOVUPS(r, Mem{Base: to, Disp: i * width})
	}
	ADDQ(I32(4*side), from)
	ADDQ(I32(side*width), to)
	SUBQ(I32(side), k)
	JMP(LabelRef("square"))
	Label("single")
	TESTQ(k, k)
	JZ(LabelRef("next"))
	for i, row := range rows {
		VMOVSS(row, a)
		VMOVSS(a, Mem{Base: to, Disp: 4 * i})
	}
	ADDQ(I32(4), from)
	ADDQ(I32(width), to)
	DECQ(k)
	JMP(LabelRef("single"))
	Label("next")
	LEAQ(Mem{Base: src, Index: ld, Scale: side}, src)
	ADDQ(I32(4*side), dst)
	DECQ(columns)
	JNZ(LabelRef("columns"))
	leave()
}

// spread emits the copy of rows of a matrix to panels of so many columns, whose beginnings are stride apart: all rows of
// a panel before the next, so that what is written lies together.
func (v isa) spread(name string, width int) {
	v.function(name, fmt.Sprintf("copies rows to panels of %d columns.", width),
		"func(dst *float32, stride int, src *float32, ld, panels, rows int)")
	dst, stride, src, ld := Load(Param("dst"), GP64()), Load(Param("stride"), GP64()), Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	panels, rows, to, from := Load(Param("panels"), GP64()), GP64(), GP64(), GP64()
	SHLQ(Imm(2), stride)
	SHLQ(Imm(2), ld)
	Label("panel")
	TESTQ(panels, panels)
	JZ(LabelRef("done"))
	MOVQ(dst, to)
	MOVQ(src, from)
	Load(Param("rows"), rows)
	Label("row")
	TESTQ(rows, rows)
	JZ(LabelRef("panel_end"))
	for o := 0; o < width; {
		r, lanes := VecVirtual(XMM()), 4
		switch left := width - o; {
		case left >= 16 && v.wide():
			r, lanes = ZMM(), 16
		case left >= 8:
			r, lanes = YMM(), 8
		case left < 4: // 2, half a register
			VMOVSD(Mem{Base: from, Disp: 4 * o}, r)
			VMOVSD(r, Mem{Base: to, Disp: 4 * o})
			o += 2
			continue
		}
		VMOVUPS(Mem{Base: from, Disp: 4 * o}, r)
		VMOVUPS(r, Mem{Base: to, Disp: 4 * o})
		o += lanes
	}
	ADDQ(I32(4*width), to)
	ADDQ(ld, from)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("panel_end")
	ADDQ(stride, dst)
	ADDQ(I32(4*width), src)
	DECQ(panels)
	JMP(LabelRef("panel"))
	Label("done")
	leave()
}
