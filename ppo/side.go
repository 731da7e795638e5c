package ppo

import (
	"errors"
	"sync"
	"sync/atomic"

	"tandem/llama/nn"
)

// Policy and critic are two models that never wait for each other in a pass, each with ops too short to divide among many
// cores without loss. So they compute side by side, each on a part of the cores, and one that is done leaves its part to
// the other. Bits do not depend on it: a device computes the same on any number of cores.

// side is the device of one model. One goroutine computes on it at a time.
type side struct {
	nn.Device           // what it computes on now
	whole     nn.Device // all cores
	part      nn.Device // those that it has while another side computes; nil where there is nothing to divide
	alone     *atomic.Bool
}

// newSides returns the sides of the policy, whose reference computes there too while it rests, and of the critic.
func newSides(dev nn.Device) (policy, critic *side) {
	policy, critic = &side{Device: dev, whole: dev}, &side{Device: dev, whole: dev}
	if d, ok := dev.(nn.Divisible); ok && d.Cores() > 1 {
		less := d.Cores() / 2
		policy.part, critic.part = d.Part(d.Cores()-less), d.Part(less)
	}
	return policy, critic
}

// settle takes all cores for what follows if no other side computes any more.
func (s *side) settle() {
	if s.alone != nil && s.alone.Load() {
		s.Device = s.whole
	}
}

// Products are most of the work: who is left alone in the middle of a pass has all cores from the next one on.

func (s *side) Linear(n, in, out int, y, x, w []float32) {
	s.settle()
	s.Device.Linear(n, in, out, y, x, w)
}

func (s *side) LinearGradX(n, in, out int, dx, dy, w []float32) {
	s.settle()
	s.Device.LinearGradX(n, in, out, dx, dy, w)
}

func (s *side) LinearAddGradW(n, in, out int, dw, dy, x []float32) {
	s.settle()
	s.Device.LinearAddGradW(n, in, out, dw, dy, x)
}

// beside runs a and b at the same time, on their part of the cores, where those can be divided, else one after the other.
// Both have ended when it returns.
func beside(sides []*side, a, b func() error) error {
	if sides[0].part == nil {
		if err := a(); err != nil {
			return err
		}
		return b()
	}
	var alone atomic.Bool
	for _, s := range sides {
		s.Device, s.alone = s.part, &alone
	}
	defer func() {
		for _, s := range sides {
			s.Device, s.alone = s.whole, nil
		}
	}()
	run := func(f func() error) error {
		defer alone.Store(true)
		return nn.Guard(f)
	}
	var failed error // of b
	var finished sync.WaitGroup
	finished.Go(func() { failed = run(b) })
	err := run(a)
	finished.Wait()
	return errors.Join(err, failed)
}
