package dashboard

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestRememberedWhatWasDear(t *testing.T) {
	var m memory
	calls := 0
	count := func(cost time.Duration) func() (int, error) {
		return func() (int, error) { time.Sleep(cost); calls++; return calls, nil }
	}
	for want := 1; want <= 2; want++ {
		if got, err := remembered(t.Context(), &m, "cheap", count(0)); err != nil || got != want {
			t.Errorf("what is cheap is %d, error %v; want it fresh, %d", got, err, want)
		}
	}
	// Many ask at once: one computes.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := remembered(t.Context(), &m, "dear", count(dear)); err != nil || got != 3 {
				t.Errorf("what is dear is %d, error %v; want 3", got, err)
			}
		})
	}
	wg.Wait()
	if got, err := remembered(t.Context(), &m, "another", count(0)); err != nil || got != 4 {
		t.Errorf("another key has %d, error %v", got, err)
	}

	broken := errors.New("broken")
	if _, err := remembered(t.Context(), &m, "failing", func() (int, error) { time.Sleep(dear); return 0, broken }); err != broken {
		t.Errorf("error %v", err)
	}
	if got, err := remembered(t.Context(), &m, "failing", count(0)); err != nil || got != 5 {
		t.Errorf("after an error there is %d, error %v: errors are not remembered", got, err)
	}

	// Who waits may give up.
	entered, leave := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		_, _ = remembered(t.Context(), &m, "held", func() (int, error) { close(entered); <-leave; return 0, nil })
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := remembered(ctx, &m, "held", count(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got error %v", err)
	}
	close(leave)
	wg.Wait()
}
