package dashboard

import (
	"context"
	"sync"
	"time"
)

// memory keeps what was dear to compute for as long as that is no burden: twenty times what it took, and not at
// all below a tenth of a second. However many people watch, statistics take a twentieth of the machine at most,
// and where there is little to read they are always those of the moment.
type memory struct {
	mu    sync.Mutex
	slots map[string]*slot
}

// slot is one remembered value. Its lock lets one caller compute while others wait for the result.
type slot struct {
	lock  chan struct{} // holds one token while locked
	value any
	until time.Time
}

const (
	dear    = 100 * time.Millisecond
	patient = 20
)

// remembered is the value of compute, or a recent one of the same key. Values are shared: nobody changes them.
func remembered[T any](ctx context.Context, m *memory, key string, compute func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.slots == nil {
		m.slots = make(map[string]*slot)
	}
	s := m.slots[key]
	if s == nil {
		s = &slot{lock: make(chan struct{}, 1)}
		m.slots[key] = s
	}
	m.mu.Unlock()

	var none T
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	start := time.Now()
	if value, ok := s.value.(T); ok && start.Before(s.until) {
		return value, nil
	}
	value, err := compute()
	if err != nil {
		return none, err
	}
	if cost := time.Since(start); cost >= dear {
		s.value, s.until = value, time.Now().Add(patient*cost)
	}
	return value, nil
}
