package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// accumulators hide the latency of an addition, four cycles.
const accumulators = 4

// reductions emits the kernels that return one number for a row.
func (v isa) reductions() {
	v.function("sum", "returns Σ x.", "func(x []float32) float32")
	x, accs := pointer("x"), v.zeros(accumulators)
	v.loop("x", accumulators, func(s step) { VADDPS(s.load(x), accs[s.which], accs[s.which]) })
	giveBack(v.fold(accs, VADDPS))

	v.function("max", "returns the largest x.", "func(x []float32) float32")
	x = pointer("x")
	least := v.hold(math.Inf(-1))
	tops := make([]VecVirtual, accumulators)
	for i := range tops {
		tops[i] = v.copied(least)
	}
	v.loop("x", accumulators, func(s step) {
		r := s.load(x)
		s.fill(r, least)
		VMAXPS(r, tops[s.which], tops[s.which])
	})
	giveBack(v.fold(tops, VMAXPS))

	v.function("dot", "returns Σ x·y.", "func(x, y []float32) float32")
	x, y := pointer("x"), pointer("y")
	sums := v.zeros(accumulators)
	v.loop("x", accumulators, func(s step) { VFMADD231PS(s.load(x), s.load(y), sums[s.which]) })
	giveBack(v.fold(sums, VADDPS))

	v.function("dot3", "returns Σ x·y·z.", "func(x, y, z []float32) float32")
	x, y = pointer("x"), pointer("y")
	z, triple := pointer("z"), v.zeros(accumulators)
	v.loop("x", accumulators, func(s step) {
		r := s.load(x)
		VMULPS(s.load(y), r, r)
		VFMADD231PS(s.load(z), r, triple[s.which])
	})
	giveBack(v.fold(triple, VADDPS))
}
