package kernel

import (
	"context"
	"time"

	"tandem/internal/parallel"
)

// MemoryBandwidth measures how many bytes per second all workers together read from memory: the limit of
// decoding a batch of one, which `tandem bench generate` reports its share of. It sums 256 MiB, more than
// caches hold, some ten times over, and returns the best pass; it takes about half a second. It returns
// the context's error if ctx ends before the first pass does.
func (s *Set) MemoryBandwidth(ctx context.Context, workers parallel.Workers) (bytesPerSecond float64, err error) {
	const (
		elements = 64 << 20
		grain    = 1 << 16 // 256 KiB: long enough to stream, short enough to even cores out
		passes   = 12
	)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	data := make([]float32, elements)
	// Written once, since pages that never were are all the same page of zeros.
	workers.For(elements, grain, func(from, to int) {
		for i := range data[from:to] {
			data[from+i] = 1
		}
	})
	for range passes {
		if ctx.Err() != nil {
			break
		}
		start := time.Now()
		workers.For(elements, grain, func(from, to int) {
			for ; from < to; from += grain {
				s.Sum(data[from:min(from+grain, to)])
			}
		})
		bytesPerSecond = max(bytesPerSecond, 4*elements/time.Since(start).Seconds())
	}
	if bytesPerSecond == 0 {
		return 0, ctx.Err()
	}
	return bytesPerSecond, nil
}
