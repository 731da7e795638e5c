package blas_test

import (
	"context"
	"fmt"
	"testing"

	"tandem/internal/blas"
	"tandem/internal/parallel"
)

// BenchmarkGemm times the products of a training step of 4,096 tokens, in both directions, and small ones.
func BenchmarkGemm(b *testing.B) {
	shapes := []struct {
		transA, transB bool
		m, n, k        int
	}{
		{false, true, 4096, 864, 288},   // QKV
		{false, true, 4096, 1536, 288},  // gate and up
		{true, false, 1536, 288, 4096},  // their weights' gradient
		{true, false, 288, 288, 4096},   // O's
		{false, false, 4096, 288, 1536}, // their input's gradient
		{false, true, 4096, 4096, 288},  // logits
		{false, false, 64, 64, 64},
		{false, false, 1024, 1024, 1024},
		{false, false, 2048, 2048, 2048},
	}
	for _, l := range libraries(b) {
		if !l.Fast() {
			continue
		}
		for _, s := range shapes {
			b.Run(fmt.Sprintf("%s/%v%v/%dx%dx%d", l.Kernel(), s.transA, s.transB, s.m, s.n, s.k), func(b *testing.B) {
				x, y, z := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
				lda, ldb := s.k, s.n
				if s.transA {
					lda = s.m
				}
				if s.transB {
					ldb = s.k
				}
				w := parallel.New(0)
				for b.Loop() {
					l.GemmParallel(w, s.transA, s.transB, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, z, s.n)
				}
				b.ReportMetric(2*float64(s.m)*float64(s.n)*float64(s.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func BenchmarkPeak(b *testing.B) {
	ctx := context.Background()
	// Reported once, not per operation: run it with -benchtime=1x.
	for _, l := range libraries(b) {
		b.Run(l.Name(), func(b *testing.B) {
			for b.Loop() {
				p, err := peak(ctx, l)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(p/1e9, "GFLOP/s")
			}
		})
	}
}

func peak(ctx context.Context, l *blas.Library) (float64, error) {
	p, err := blas.PeakFlops(ctx, l, parallel.New(0))
	return p.FlopsPerSecond, err
}
