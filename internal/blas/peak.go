package blas

import (
	"context"
	"time"

	"tandem/internal/parallel"
)

// Peak is the fastest square product that was measured: the machine's limit, of which `tandem bench`
// reports its share.
type Peak struct {
	FlopsPerSecond float64
	Size           int // of the n × n × n product that reached it
}

// PeakFlops measures n³ products of float32 on all workers for n from 1024 to 4096, counting 2n³ floating
// point operations each, and returns the best. It takes a few seconds: with gonum only 1024³ is tried. It returns the context's error if ctx ends before the first size is measured, and
// what it has after that.
func PeakFlops(ctx context.Context, l *Library, w parallel.Workers) (Peak, error) {
	sizes := []int{1024, 1536, 2048, 3072, 4096}
	if !l.Fast() {
		sizes = sizes[:1]
	}
	var best Peak
	for _, n := range sizes {
		a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
		for i := range a {
			a[i], b[i] = float32(i%7)-3, float32(i%5)-2
		}
		const runs, enough = 12, 500 * time.Millisecond
		started := time.Now()
		for run := range runs {
			if ctx.Err() != nil {
				break
			}
			start := time.Now()
			l.GemmParallel(w, false, false, n, n, n, 1, a, n, b, n, 0, c, n)
			rate := 2 * float64(n) * float64(n) * float64(n) / time.Since(start).Seconds()
			// The first run faults the pages of c in.
			if run > 0 && rate > best.FlopsPerSecond {
				best = Peak{FlopsPerSecond: rate, Size: n}
			}
			if run > 0 && time.Since(started) > enough {
				break
			}
		}
	}
	if best.Size == 0 {
		return Peak{}, ctx.Err()
	}
	return best, nil
}
