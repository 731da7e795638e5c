// Package promotion keeps what a server answers with, a policy or a pair of reward models, in step with the models that
// are promoted: another one is opened beside the one that serves and takes over between two requests.
package promotion

import "sync/atomic"

// Served holds what answers, and changes it between requests: a request ends with what it began with. It is safe for
// concurrent use.
type Served[T any] struct {
	current atomic.Pointer[T]
	why     atomic.Pointer[string] // there is none
}

// Use lets v answer from now on.
func (s *Served[T]) Use(v *T) { s.current.Store(v) }

// Without says why nothing serves, for as long as nothing does.
func (s *Served[T]) Without(why string) { s.why.Store(&why) }

// Get returns what answers now, or nil and the reason why nothing does.
func (s *Served[T]) Get() (v *T, why string) {
	if v := s.current.Load(); v != nil {
		return v, ""
	}
	if why := s.why.Load(); why != nil {
		return nil, *why
	}
	return nil, ""
}
