package kernel

import (
	"fmt"

	"tandem/internal/parallel"
)

// innerBlock is how many elements of the inner dimension are summed before the sum goes to y: rows of
// weights and activations of this length stay in the first-level cache together. Part of the order of
// summation, so changing it changes results in the last bits.
const innerBlock = 512

// tile computes, for up to maxTileRows rows and any number of outs,
//
//	y[r·ldy + o] = (y[r·ldy + o] if add else 0) + Σ_k x[r·ldx + k]·w[o·ldw + k],   0 ≤ k < in ≤ innerBlock,
//
// each element with the same sequence of operations whatever rows and outs are.
type tile struct {
	run     func(y *float32, ldy int, x *float32, ldx int, w *float32, ldw int, rows, outs, in int, add bool)
	maxRows int
}

// MatMulT computes y = x·wᵀ for x [rows, in], w [out, in] as Hugging Face stores weights, y [rows, out],
// all dense and row-major:
//
//	y[r, o] = Σ_k x[r, k]·w[o, k]
//
// Every y[r, o] is computed by the same sequence of operations, whatever rows and out are and whichever
// part of a larger product this is: its bits depend on row r of x and row o of w alone. That is what makes
// a sampled token or a score independent of its batch. Weights are read in place, neither packed nor
// copied, so that a batch of one runs at the speed of memory.
func (s *Set) MatMulT(y, x, w []float32, rows, out, in int) {
	s.MatMulTStrided(y, out, x, in, w, in, rows, out, in)
}

// MatMulTStrided is MatMulT on parts of larger matrices: ldy, ldx and ldw are the distances between the
// starts of rows.
func (s *Set) MatMulTStrided(y []float32, ldy int, x []float32, ldx int, w []float32, ldw int, rows, out, in int) {
	checkProduct(y, ldy, x, ldx, w, ldw, rows, out, in)
	if rows == 0 || out == 0 {
		return
	}
	if in == 0 {
		for r := range rows {
			clear(y[r*ldy : r*ldy+out])
		}
		return
	}
	s.product(y, ldy, x, ldx, w, ldw, rows, 0, out, in)
}

// MatMulTParallel is MatMulT with the outputs split over workers; the bits are those of MatMulT.
func (s *Set) MatMulTParallel(workers parallel.Workers, y, x, w []float32, rows, out, in int) {
	checkProduct(y, out, x, in, w, in, rows, out, in)
	if rows == 0 || out == 0 || in == 0 {
		clear(y[:rows*out])
		return
	}
	// A range of outputs is worth starting a goroutine for from about 2¹⁸ multiplications on: 5 µs of
	// arithmetic, or 30 µs of reading weights.
	grain := roundUp(1<<18/(rows*in)+1, outsPerPass)
	workers.For(out, grain, func(from, to int) {
		s.product(y, out, x, in, w, in, rows, from, to, in)
	})
}

// outsPerPass is how many rows of w are multiplied with all of x before the next are read: few enough
// that a block of them stays in the second-level cache.
const outsPerPass = 16

// product computes the outputs [from, to) of a checked, non-empty product.
func (s *Set) product(y []float32, ldy int, x []float32, ldx int, w []float32, ldw int, rows, from, to, in int) {
	for o := from; o < to; o += outsPerPass {
		outs := min(outsPerPass, to-o)
		for k := 0; k < in; k += innerBlock {
			block := min(innerBlock, in-k)
			for r := 0; r < rows; r += s.tile.maxRows {
				n := min(s.tile.maxRows, rows-r)
				s.tile.run(&y[r*ldy+o], ldy, &x[r*ldx+k], ldx, &w[o*ldw+k], ldw, n, outs, block, k > 0)
			}
		}
	}
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// checkProduct panics unless the slices hold the matrices of a product. Assembly reads what it is told to:
// this is the only bounds check.
func checkProduct(y []float32, ldy int, x []float32, ldx int, w []float32, ldw int, rows, out, in int) {
	check := func(name string, data []float32, n, width, stride int) {
		if n < 0 || width < 0 || stride < width || (n > 0 && width > 0 && len(data) < (n-1)*stride+width) {
			panic(fmt.Sprintf("kernel: MatMulT: %s is [%d, %d] with stride %d in a slice of %d", name, n, width, stride, len(data)))
		}
	}
	check("y", y, rows, out, ldy)
	check("x", x, rows, in, ldx)
	check("w", w, out, in, ldw)
}
