// Package parallel splits loops over the machine's cores. Every row-wise loop of the numeric packages
// (llama, llama/nn, internal/blas) goes through it, so that the number of cores is decided once, by
// whoever constructs a [Workers], and no goroutine outlives the call that started it. Where many short loops
// follow each other, [Workers.Hold] keeps the goroutines between them.
//
// A split never changes results: a body is given ranges of independent iterations, and must compute each
// iteration alike whichever range it is in. Which goroutine takes which range is left to chance.
package parallel

import (
	"runtime"
)

// Workers is how many goroutines, the caller's among them, may run the body of a loop at once.
// The zero value means one: loops run in the caller's goroutine. Copies are the same workers. They are safe
// for concurrent use.
type Workers struct {
	extra int
	crew  *crew
}

// New returns n workers; for n < 1, as many as Go runs threads at once ([runtime.GOMAXPROCS]).
func New(n int) Workers {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	return Workers{n - 1, newCrew(n - 1)}
}

// Count returns the number of workers, at least 1.
func (w Workers) Count() int { return w.extra + 1 }

// chunksPerWorker is how many ranges a worker gets in a balanced loop: more even out cores of unequal
// speed, fewer cost less.
const chunksPerWorker = 4

// For calls body for ranges [from, to) that together cover [0, n) once, at most Count at a time, and
// returns when all are done. Ranges start at multiples of grain and hold at least grain iterations, the
// last one excepted; choose grain so that a range is worth some 10 µs, since starting a goroutine costs
// about one. A panic in body is raised again in the caller after the others finished.
func (w Workers) For(n, grain int, body func(from, to int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	units := (n + grain - 1) / grain
	if w.extra <= 0 || units == 1 {
		body(0, n)
		return
	}
	// A chunk is a whole number of grains.
	chunk := max(1, units/(w.Count()*chunksPerWorker)) * grain
	w.run((n+chunk-1)/chunk, func(i int) { body(i*chunk, min((i+1)*chunk, n)) })
}

// Each calls body(i) for every i in [0, n), at most Count at a time: For where an iteration is a task of
// its own, like a tile of a matrix product.
func (w Workers) Each(n int, body func(i int)) {
	if w.extra <= 0 || n <= 1 {
		for i := range n {
			body(i)
		}
		return
	}
	w.run(n, body)
}

// run has min(Count, n) goroutines take the tasks 0 … n-1 in order.
func (w Workers) run(n int, body func(i int)) {
	l := &loop{n: n, body: body}
	if !w.crew.run(l) {
		l.spawn(min(w.extra, n-1))
	}
	if p := l.failure.Load(); p != nil {
		panic(*p)
	}
}
