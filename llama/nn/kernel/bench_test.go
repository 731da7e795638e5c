package kernel

import (
	"fmt"
	"math"
	"testing"
	"time"

	"tandem/internal/blas"
	"tandem/internal/parallel"
)

// BenchmarkMatMulT times the product at decoding's shapes on all cores, call by call in turn with the BLAS
// of the machine, so that both see the same neighbours, and reports the best of each. A batch of one over
// weights far larger than the caches is limited by the speed of memory, a batch of 32 by arithmetic.
// Compare like with like: avx2 under OPENBLAS_CORETYPE=Haswell, avx512 under SkylakeX.
func BenchmarkMatMulT(b *testing.B) {
	library, err := blas.Load(blas.Options{})
	if err != nil {
		b.Fatal(err)
	}
	shapes := [][3]int{{1, 32768, 2048}, {32, 4096, 2048}, {32, 2048, 768}, {32, 768, 288}, {32, 288, 768}, {8, 4096, 1024}, {1, 768, 288}}
	for _, s := range processorSets() {
		for _, shape := range shapes {
			rows, out, in := shape[0], shape[1], shape[2]
			for _, workers := range []int{1, parallel.New(0).Count()} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%dworkers/%s", s.Name(), rows, out, in, workers, library.Kernel()), func(b *testing.B) {
					w := parallel.New(workers)
					x, weights, y := ones(rows*in), ones(out*in), ones(rows*out)
					ours, theirs := math.Inf(1), math.Inf(1)
					for b.Loop() {
						start := time.Now()
						s.MatMulTParallel(w, y, x, weights, rows, out, in)
						between := time.Now()
						library.GemmParallel(w, false, true, rows, out, in, 1, x, in, weights, in, 0, y, out)
						ours = min(ours, between.Sub(start).Seconds())
						theirs = min(theirs, time.Since(between).Seconds())
					}
					b.ReportMetric(2*float64(rows*out*in)/ours/1e9, "GFLOP/s")
					b.ReportMetric(4*float64(out*in)/ours/1e9, "GB/s")
					b.ReportMetric(100*theirs/ours, "%ofBLAS")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// BenchmarkRows times the row kernels on 4,096 elements, which stay in the cache. GB/s counts every
// element read or written once.
func BenchmarkRows(b *testing.B) {
	const n = 4096
	vector := func() []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i%17)/4 + 0.25 // positive: moments are
		}
		return x
	}
	unit, still := ones(n/2), make([]float32, n/2)
	for _, s := range processorSets() {
		for _, c := range []struct {
			name    string
			streams int
			run     func(x, y, z, u, v []float32)
		}{
			{"Exp", 2, func(x, y, z, u, v []float32) { s.Exp(y, x) }},
			{"Sum", 1, func(x, y, z, u, v []float32) { s.Sum(x) }},
			{"Dot", 2, func(x, y, z, u, v []float32) { s.Dot(x, y) }},
			{"Axpy", 3, func(x, y, z, u, v []float32) { s.Axpy(1e-9, x, y) }},
			{"Exponentials", 2, func(x, y, z, u, v []float32) { s.Exponentials(y, 1) }},
			{"SwiGLU", 3, func(x, y, z, u, v []float32) { s.SwiGLU(z, x, y) }},
			{"SwiGLUBackward", 5, func(x, y, z, u, v []float32) { s.SwiGLUBackward(z, u, v, x, y) }},
			{"RMSNorm", 3, func(x, y, z, u, v []float32) { s.RMSNorm(z, x, y, 1e-5) }},
			{"RMSNormBackward", 6, func(x, y, z, u, v []float32) { s.RMSNormBackward(z, u, v, x, y, 1e-9) }},
			{"Rotate", 3, func(x, y, z, u, v []float32) { s.Rotate(z, unit, still, 1) }},
			{"AdamW", 7, func(x, y, z, u, v []float32) {
				s.AdamW(z, x, u, v, AdamW{LearningRate: 1e-9, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, Step: 1, GradientScale: 1})
			}},
		} {
			b.Run(s.Name()+"/"+c.name, func(b *testing.B) {
				x, y, z, u, v := vector(), vector(), vector(), vector(), vector()
				for b.Loop() {
					c.run(x, y, z, u, v)
				}
				b.ReportMetric(4*float64(n*c.streams)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
	}
}
