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

// Square is the product of two n × n matrices on all workers, to be timed.
type Square struct {
	library *Library
	workers parallel.Workers
	n       int
	a, b, c []float32
}

// NewSquare makes one whose memory has been touched: it has run once.
func NewSquare(l *Library, w parallel.Workers, n int) *Square {
	s := &Square{l, w, n, memory.Floats(n * n), memory.Floats(n * n), memory.Floats(n * n)}
	for i := range s.a {
		s.a[i], s.b[i] = float32(i%7)-3, float32(i%5)-2
	}
	s.FlopsPerSecond()
	return s
}

// FlopsPerSecond runs the product once and returns its rate, 2n³ floating point operations by its time.
func (s *Square) FlopsPerSecond() float64 {
	start, n := time.Now(), s.n
	s.library.GemmParallel(s.workers, false, false, n, n, n, 1, s.a, n, s.b, n, 0, s.c, n)
	return 2 * float64(n) * float64(n) * float64(n) / time.Since(start).Seconds()
}

// PeakFlops measures n³ products of float32 on all workers for n from 1024 to 4096 and returns the best n's median: what
// a machine reaches once by luck is nothing to hold the median step of a benchmark to. It takes a few seconds: with gonum
// only 1024³ is tried. It returns the context's error if ctx ends before the first size is measured, and what it has after
// that.
func PeakFlops(ctx context.Context, l *Library, w parallel.Workers) (Peak, error) {
	sizes := []int{1024, 1536, 2048, 3072, 4096}
	if !l.Fast() {
		sizes = sizes[:1]
	}
	var best Peak
	for _, n := range sizes {
		if ctx.Err() != nil {
			break
		}
		const leastRuns, runs, enough = 3, 11, 500 * time.Millisecond
		started, square := time.Now(), NewSquare(l, w, n)
		var rates []float64
		for len(rates) < runs && (len(rates) < leastRuns || time.Since(started) < enough) && ctx.Err() == nil {
			rates = append(rates, square.FlopsPerSecond())
		}
		if len(rates) == 0 {
			break
		}
		slices.Sort(rates)
		if rate := rates[(len(rates)-1)/2]; rate > best.FlopsPerSecond {
			best = Peak{FlopsPerSecond: rate, Size: n}
		}
	}
	if best.Size == 0 {
		return Peak{}, ctx.Err()
	}
	return best, nil
}
