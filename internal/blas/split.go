package blas

import (
	"tandem/internal/parallel"
)

// The grid of a split product. A tile is one library call, which packs its operands anew: tiles of 128
// rows and columns cost a tenth of the rate of one call, tiles of 256 a few hundredths. So there are no
// more of the small ones than keep two to four cores busy.
const (
	mostTiles   = 16
	fewTiles    = 4
	leastSide   = 128     // rows or columns of a tile where there are at most fewTiles
	fullSide    = 256     // where there are more
	leastFlops  = 2 << 20 // of a tile: some 10 µs, less is not worth a goroutine
	rowUnit     = 8       // tiles start at multiples, which kernels handle without a remainder
	colUnit     = 16      // likewise
	flopsPerMAC = 2
)

// GemmParallel is Gemm with the product cut in tiles of rows and columns of C,
// which workers compute at once. The tiles depend on the shape alone, so for one library and kernel the
// bits of C depend on neither scheduling nor the number of workers.
func (l *Library) GemmParallel(w parallel.Workers, transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	g := gridFor(m, n, k)
	if g.rows*g.cols == 1 {
		l.Gemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	checkMatrix("A", transA, m, k, a, lda)
	checkMatrix("B", transB, k, n, b, ldb)
	checkMatrix("C", false, m, n, c, ldc)
	w.Each(g.rows*g.cols, func(tile int) {
		i0, i1 := span(tile/g.cols, g.tileRows, m)
		j0, j1 := span(tile%g.cols, g.tileCols, n)
		// Where a tile's rows of op(A) and columns of op(B) begin.
		atA, atB := i0*lda, j0
		if transA {
			atA = i0
		}
		if transB {
			atB = j0 * ldb
		}
		l.Gemm(transA, transB, i1-i0, j1-j0, k, alpha, a[atA:], lda, b[atB:], ldb, beta, c[i0*ldc+j0:], ldc)
	})
}

// grid is how a product is cut: rows × cols tiles of at most tileRows × tileCols elements of C.
type grid struct{ rows, cols, tileRows, tileCols int }

// gridFor cuts an [m, n] result with inner dimension k: in two along its longer side, and each part again.
// Powers of two keep the tiles equal, since the slowest decides.
func gridFor(m, n, k int) grid {
	rows, cols := 1, 1
	work := flopsPerMAC * m * n * k
	for 2*rows*cols <= mostTiles && work/(2*rows*cols) >= leastFlops {
		least := fullSide
		if 2*rows*cols <= fewTiles {
			least = leastSide
		}
		if height, width := m/rows, n/cols; max(height, width) < 2*least {
			break
		} else if height >= width {
			rows *= 2
		} else {
			cols *= 2
		}
	}
	g := grid{tileRows: roundUp((m+rows-1)/rows, rowUnit), tileCols: roundUp((n+cols-1)/cols, colUnit)}
	if rows == 1 {
		g.tileRows = m
	}
	if cols == 1 {
		g.tileCols = n
	}
	// Rounding up can leave nothing for the last tiles.
	g.rows = max(1, (m+g.tileRows-1)/max(1, g.tileRows))
	g.cols = max(1, (n+g.tileCols-1)/max(1, g.tileCols))
	return g
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// span returns the i-th range of the given size within [0, n).
func span(i, size, n int) (from, to int) { return i * size, min((i+1)*size, n) }
