package parallel_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// Held workers do what others do: each iteration once, in loops of all sizes, nested ones, and those of
// callers that hold nothing.
func TestHold(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		w := parallel.New(workers)
		before := runtime.NumGoroutine()
		w.Hold(func() {
			if now := runtime.NumGoroutine(); now > before+workers-1 {
				t.Errorf("%d goroutines for %d workers", now-before, workers)
			}
			var others sync.WaitGroup
			for range 3 {
				others.Go(func() { w.Hold(func() { sum(t, w, 50) }) })
			}
			for n := range 200 {
				if n%50 == 0 {
					time.Sleep(time.Millisecond) // helpers fall asleep
				}
				sum(t, w, n)
			}
			w.Each(4, func(int) { sum(t, w, 20) })
			others.Wait()
		})
		for range 100 {
			w.Hold(func() { sum(t, w, 10) })
		}
		sum(t, w, 10)
	}
}

// sum checks a loop by what its iterations add up to.
func sum(t *testing.T, w parallel.Workers, n int) {
	t.Helper()
	var got atomic.Int64
	w.For(n, 1, func(from, to int) {
		for i := from; i < to; i++ {
			got.Add(int64(i))
		}
	})
	if want := int64(n * (n - 1) / 2); got.Load() != want {
		t.Errorf("the iterations of %d add up to %d, want %d", n, got.Load(), want)
	}
}

func TestHoldEndsWithAPanic(t *testing.T) {
	w := parallel.New(4)
	before := runtime.NumGoroutine()
	func() {
		defer func() {
			if p := recover(); p != "row 7" {
				t.Errorf("recovered %v, want the body's own panic", p)
			}
		}()
		w.Hold(func() {
			w.Each(16, func(i int) {
				if i == 7 {
					panic("row 7")
				}
			})
		})
	}()
	if after := runtime.NumGoroutine(); after > before+3 { // the runtime reaps them a moment later
		t.Errorf("%d goroutines before, %d after", before, after)
	}
	sum(t, w, 100)
}

func BenchmarkFor(b *testing.B) {
	w := parallel.New(0)
	var sink atomic.Int64
	loops := func(b *testing.B) {
		for b.Loop() {
			w.For(2, 1, func(from, to int) { sink.Add(1) })
		}
	}
	b.Run("spawned", loops)
	b.Run("held", func(b *testing.B) { w.Hold(func() { loops(b) }) })
}
