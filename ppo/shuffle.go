package ppo

import "math/rand/v2"

// shuffle is an endless row of the numbers below n: each epoch holds every one once, in an order of its own that seed and
// epoch alone decide, so that a resumed run goes on in it.
type shuffle struct {
	n    int
	seed uint64

	epoch int   // whose order is kept
	order []int // nil before the first
}

// at is the k-th number of the row.
func (s *shuffle) at(k int) int {
	if epoch := k / s.n; s.order == nil || epoch != s.epoch {
		s.epoch = epoch
		s.order = rand.New(rand.NewPCG(s.seed, uint64(epoch))).Perm(s.n)
	}
	return s.order[k%s.n]
}
