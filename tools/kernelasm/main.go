// Command kernelasm generates the assembly of llama/nn/kernel with avo: every kernel twice, for AVX2 with
// FMA (8 lanes of float32) and for AVX-512 (16 lanes), from one description. Run `go generate` in that
// package after changing it.
//
// A kernel walks its slices a vector at a time and takes what is left over under a mask, so it neither
// reads nor writes beside them, and the order of its sums depends on their length alone.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	for _, v := range []isa{avx2, avx512} {
		v.reductions()
		v.exponential()
		v.elementwise()
		v.swiglu()
		v.adamw()
		v.tile()
		v.block("block", blockVectors)
		v.block("halfBlock", blockVectors/2)
		v.transpose()
		v.spread("spreadRows", v.blockRows())
		v.spread("spreadColumns", v.lanes*blockVectors)
	}
	Generate()
}
