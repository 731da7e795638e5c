package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"tandem/internal/parallel"
)

// Implementation is gonum's BLAS with its float32 products done by a Library: what gorgonia.Use and
// blas32.Use take, for the operations of Gorgonia's own that multiply matrices.
type Implementation struct {
	gonum.Implementation
	library *Library
	workers parallel.Workers
}

// Implementation returns l in gonum's form, with large products split over workers.
func (l *Library) Implementation(w parallel.Workers) Implementation {
	return Implementation{library: l, workers: w}
}

// Sgemm computes C ← alpha·op(A)·op(B) + beta·C (blas.Float32Level3).
func (i Implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	i.library.GemmParallel(i.workers, tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}
