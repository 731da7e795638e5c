// Package blas finds the fastest matrix product of the machine at run time: OpenBLAS or Apple's
// Accelerate through purego, so that tandem is built without cgo, and gonum's Go code where neither is
// installed. Training (llama/nn) multiplies with it where llama/nn/kernel is not assembly, and every machine's best is
// measured by it ([PeakFlops]). Decoding and scoring use llama/nn/kernel.MatMulT instead, whose rows do not depend on
// their batch.
//
// A library call runs on one thread. OpenBLAS's own threads spin between calls, about a third of all
// processor time beside goroutines, so large products are cut here instead, at places that depend on the
// product's shape alone: the same shape gives the same bits on any number of workers.
package blas

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"tandem"
)

// Library multiplies float32 matrices. It is safe for concurrent use.
type Library struct {
	name   string // "OpenBLAS", "Accelerate", "gonum"
	detail string // version and build
	kernel string // the instruction set that the library chose
	path   string // where it was found
	gemm   gemmFunc
}

// gemmFunc is cblas_sgemm in row-major order, without checks.
type gemmFunc func(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int)

// Options choose a library. The zero value takes the fastest that is installed.
type Options struct {
	// Name is "openblas", "accelerate", "gonum", or the path of a library with a CBLAS interface.
	// Defaults to whichever of the first two is found, then gonum.
	Name string
	// CoreType, when not empty, asks OpenBLAS for the kernels of a processor ("Haswell" for AVX2,
	// "SkylakeX" for AVX-512), as OPENBLAS_CORETYPE in the environment does. It has an effect on the first
	// Load in a process only: a loaded library stays.
	CoreType string
}

// Load finds a library. It fails, with code not_found, only when the one that Options name cannot be
// used; otherwise gonum is always there, and Fast tells the difference.
func Load(o Options) (*Library, error) {
	const op = "blas.Load"
	switch o.Name {
	case "gonum":
		return goLibrary(), nil
	case "", "openblas", "accelerate":
	default:
		l, err := open(o.Name, o.CoreType)
		if err != nil {
			return nil, tandem.Errorf(tandem.NotFound, op, "BLAS %s: %w", o.Name, err)
		}
		return l, nil
	}
	var first error
	for _, c := range candidates() {
		if o.Name != "" && o.Name != c.kind {
			continue
		}
		l, err := open(c.path, o.CoreType)
		if err == nil {
			return l, nil
		}
		if first == nil {
			first = err
		}
	}
	if o.Name == "" {
		return goLibrary(), nil
	}
	if first == nil {
		return nil, tandem.Errorf(tandem.NotFound, op, "BLAS %q is not made for this platform", o.Name)
	}
	return nil, tandem.Errorf(tandem.NotFound, op, "BLAS %q is not installed: %w", o.Name, first)
}

// goLibrary is gonum's implementation in Go.
func goLibrary() *Library {
	var impl gonum.Implementation
	return &Library{
		name:   "gonum",
		kernel: "go",
		gemm: func(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
			impl.Sgemm(transpose(transA), transpose(transB), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		},
	}
}

func transpose(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}

// Name is the library's: "OpenBLAS", "Accelerate", "gonum", or a path.
func (l *Library) Name() string { return l.name }

// Kernel is the instruction set or processor that the library computes for: "SkylakeX", "Haswell" and
// such of OpenBLAS, "go" of gonum; empty where the library does not say.
func (l *Library) Kernel() string { return l.kernel }

// Detail is the library's own description of its version and build, or empty.
func (l *Library) Detail() string { return l.detail }

// Path is the file that was loaded, or empty.
func (l *Library) Path() string { return l.path }

// Fast reports whether a tuned library was found; with gonum everything works, several times slower.
func (l *Library) Fast() bool { return l.name != "gonum" }

// String is one line for `tandem version` and run records: "OpenBLAS 0.3.21 … (SkylakeX)".
func (l *Library) String() string {
	s := l.name
	if l.detail != "" {
		s = l.detail
	}
	if l.kernel != "" {
		s += " (" + l.kernel + ")"
	}
	return s
}

// Gemm computes C ← alpha·op(A)·op(B) + beta·C in the calling goroutine, with op(X) = X or, where trans is
// set, Xᵀ. All matrices are in row-major order: op(A) is [m, k], op(B) is [k, n], C is [m, n], and
// lda, ldb, ldc are the distances between the starts of stored rows. With beta 0, C may hold anything,
// NaN included. It panics when a slice is shorter than its shape.
func (l *Library) Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	checkMatrix("A", transA, m, k, a, lda)
	checkMatrix("B", transB, k, n, b, ldb)
	checkMatrix("C", false, m, n, c, ldc)
	if m == 0 || n == 0 {
		return
	}
	if k == 0 || alpha == 0 {
		scaleRows(m, n, beta, c, ldc)
		return
	}
	l.gemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// checkMatrix panics unless data holds a [rows, cols] matrix, stored transposed or not. C code reads what
// it is told to: this is the only bounds check.
func checkMatrix(name string, transposed bool, rows, cols int, data []float32, stride int) {
	if transposed {
		rows, cols = cols, rows
	}
	if rows < 0 || cols < 0 || stride < max(1, cols) {
		panic(fmt.Sprintf("blas: %s is [%d, %d] with stride %d", name, rows, cols, stride))
	}
	if rows > 0 && cols > 0 && len(data) < (rows-1)*stride+cols {
		panic(fmt.Sprintf("blas: %s is [%d, %d] with stride %d, but its slice has %d elements", name, rows, cols, stride, len(data)))
	}
	const most = 1<<31 - 1 // C's int
	if rows > most || cols > most || stride > most {
		panic(fmt.Sprintf("blas: %s is [%d, %d] with stride %d, more than a BLAS counts to", name, rows, cols, stride))
	}
}

// scaleRows multiplies C by beta, where the product adds nothing.
func scaleRows(m, n int, beta float32, c []float32, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
}
