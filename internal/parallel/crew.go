package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// loop is the tasks 0 … n-1 of one call, taken in order by whoever works on it.
type loop struct {
	n       int
	body    func(i int)
	next    atomic.Int64
	working atomic.Int64 // of a crew's helpers
	failure atomic.Pointer[any]
}

// work takes tasks until none is left.
func (l *loop) work() {
	defer func() {
		if p := recover(); p != nil {
			l.failure.CompareAndSwap(nil, &p)
			l.next.Store(int64(l.n)) // nobody takes another task
		}
	}()
	for {
		i := int(l.next.Add(1)) - 1
		if i >= l.n {
			return
		}
		l.body(i)
	}
}

// spawn runs the loop with helpers of its own.
func (l *loop) spawn(helpers int) {
	var finished sync.WaitGroup
	for range helpers {
		finished.Go(l.work)
	}
	l.work()
	finished.Wait()
}

// crew is helpers that stay awake between loops, while they are held.
type crew struct {
	helpers int
	held    atomic.Bool
	busy    atomic.Bool          // they have a loop
	current atomic.Pointer[loop] // the newest; &dismissed when they are to go
	asleep  atomic.Int64
	wake    chan struct{}

	dismissed loop
}

// awake is how long a helper looks for the next loop before it sleeps, and a caller for the end of its own
// before it lets others run: about as long as it takes to wake a thread.
const awake = 50 * time.Microsecond

func newCrew(helpers int) *crew {
	if helpers < 1 {
		return nil
	}
	return &crew{helpers: helpers, wake: make(chan struct{}, helpers)}
}

// Hold calls body and keeps the goroutines that help with its loops until it returns: between two loops they
// wait awake for a moment, so that the next one starts in less than a microsecond instead of the tens that it
// takes to wake a thread. Only one call at a time does so; others, also within body, just call body.
func (w Workers) Hold(body func()) {
	c := w.crew
	if c == nil || !c.held.CompareAndSwap(false, true) {
		body()
		return
	}
	c.current.Store(nil)
	var gone sync.WaitGroup
	for range c.helpers {
		gone.Go(c.help)
	}
	defer func() {
		for !c.busy.CompareAndSwap(false, true) { // another caller's loop
			runtime.Gosched()
		}
		c.publish(&c.dismissed)
		gone.Wait()
		c.held.Store(false)
		c.busy.Store(false)
	}()
	body()
}

// run has the crew work on a loop; false where it is not held or has one.
func (c *crew) run(l *loop) bool {
	if c == nil || !c.held.Load() || !c.busy.CompareAndSwap(false, true) {
		return false
	}
	defer c.busy.Store(false)
	if !c.held.Load() { // no longer
		return false
	}
	c.publish(l)
	l.work()
	// No task is left, and a helper that comes late takes none: what counts are those at work on one.
	await(func() bool { return l.working.Load() == 0 }, runtime.Gosched)
	return true
}

// publish shows helpers a loop and wakes those that sleep.
func (c *crew) publish(l *loop) {
	c.current.Store(l)
	for range c.asleep.Load() {
		select {
		case c.wake <- struct{}{}:
		default: // as many wakings as helpers are under way
		}
	}
}

// help works on every loop that is published until the crew is dismissed.
func (c *crew) help() {
	var last *loop
	for {
		await(func() bool { return c.current.Load() != last }, func() {
			c.asleep.Add(1)
			if c.current.Load() == last { // what is published from here on sees a sleeper
				<-c.wake
			}
			c.asleep.Add(-1)
		})
		if last = c.current.Load(); last == &c.dismissed {
			return
		}
		last.working.Add(1)
		last.work()
		last.working.Add(-1)
	}
}

// await looks for a condition, for a moment without rest, then calling rest between two looks.
func await(condition func() bool, rest func()) {
	for start := time.Now(); time.Since(start) < awake; {
		for range 32 {
			if condition() {
				return
			}
		}
	}
	for !condition() {
		rest()
	}
}
