package parallel_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"tandem/internal/parallel"
)

func TestForCoversEveryIterationOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		w := parallel.New(workers)
		for _, n := range []int{0, 1, 2, 7, 64, 100, 1001} {
			for _, grain := range []int{0, 1, 3, 64, 5000} {
				seen := make([]atomic.Int32, n)
				w.For(n, grain, func(from, to int) {
					if from >= to || from < 0 || to > n {
						t.Errorf("workers %d, n %d, grain %d: range [%d, %d)", workers, n, grain, from, to)
						return
					}
					if grain > 0 && from%grain != 0 {
						t.Errorf("range starts at %d, no multiple of the grain %d", from, grain)
					}
					for i := from; i < to; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					if got := seen[i].Load(); got != 1 {
						t.Fatalf("workers %d, n %d, grain %d: iteration %d ran %d times", workers, n, grain, i, got)
					}
				}
			}
		}
	}
}

func TestEachStaysWithinItsWorkers(t *testing.T) {
	const workers, tasks = 3, 50
	var running, most, total atomic.Int32
	parallel.New(workers).Each(tasks, func(int) {
		now := running.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		runtime.Gosched()
		total.Add(1)
		running.Add(-1)
	})
	if most.Load() > workers {
		t.Errorf("%d bodies ran at once, more than %d workers", most.Load(), workers)
	}
	if total.Load() != tasks {
		t.Errorf("%d of %d tasks ran", total.Load(), tasks)
	}
}

func TestNoGoroutineOutlivesTheCall(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 100 {
		parallel.New(8).For(64, 1, func(from, to int) { runtime.Gosched() })
	}
	if after := runtime.NumGoroutine(); after > before+8 { // the runtime reaps them a moment later
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestPanicReachesTheCaller(t *testing.T) {
	defer func() {
		if p := recover(); p != "row 7" {
			t.Errorf("recovered %v, want the body's own panic", p)
		}
	}()
	parallel.New(4).For(16, 1, func(from, to int) {
		if from <= 7 && 7 < to {
			panic("row 7")
		}
	})
	t.Error("For returned")
}

func TestZeroValueRunsInTheCaller(t *testing.T) {
	var w parallel.Workers
	if w.Count() != 1 {
		t.Fatalf("Count is %d, want 1", w.Count())
	}
	calls := 0 // unguarded: the race detector sees a second goroutine
	w.For(100, 1, func(from, to int) { calls++ })
	if calls != 1 {
		t.Errorf("body was called %d times, want once for the whole range", calls)
	}
}

func BenchmarkFor(b *testing.B) {
	w := parallel.New(0)
	var sink atomic.Int64
	for b.Loop() {
		w.For(2, 1, func(from, to int) { sink.Add(1) })
	}
}
