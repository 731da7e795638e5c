package blas

import (
	"context"
	"slices"
	"time"

	"tandem/internal/memory"
	"tandem/internal/parallel"
)

// Peak is the fastest square product that was measured: the machine's limit, of which `tandem bench`
// reports its share.
type Peak struct {
	FlopsPerSecond float64
	Size           int // of the n × n × n product that reached it
}

// PeakFlops measures n³ products of float32 on all workers for n from 1024 to 4096, counting 2n³ floating
// point operations each, and returns the best n's median: what a machine reaches once by luck is nothing to hold
// the median step of a benchmark to. It takes a few seconds: with gonum only 1024³ is tried. It returns the
// context's error if ctx ends before the first size is measured, and what it has after that.
func PeakFlops(ctx context.Context, l *Library, w parallel.Workers) (Peak, error) {
	sizes := []int{1024, 1536, 2048, 3072, 4096}
	if !l.Fast() {
		sizes = sizes[:1]
	}
	var best Peak
	for _, n := range sizes {
		a, b, c := memory.Floats(n*n), memory.Floats(n*n), memory.Floats(n*n)
		for i := range a {
			a[i], b[i] = float32(i%7)-3, float32(i%5)-2
		}
		const leastRuns, runs, enough = 3, 12, 500 * time.Millisecond
		var seconds []float64
		started := time.Now()
		for run := range runs {
			if ctx.Err() != nil {
				break
			}
			start := time.Now()
			l.GemmParallel(w, false, false, n, n, n, 1, a, n, b, n, 0, c, n)
			if run > 0 { // the first run faults the pages of c in
				seconds = append(seconds, time.Since(start).Seconds())
			}
			if run >= leastRuns && time.Since(started) > enough {
				break
			}
		}
		if len(seconds) == 0 {
			break
		}
		slices.Sort(seconds)
		if rate := 2 * float64(n) * float64(n) * float64(n) / seconds[len(seconds)/2]; rate > best.FlopsPerSecond {
			best = Peak{FlopsPerSecond: rate, Size: n}
		}
	}
	if best.Size == 0 {
		return Peak{}, ctx.Err()
	}
	return best, nil
}
