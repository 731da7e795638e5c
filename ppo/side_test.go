package ppo

import (
	"errors"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
)

// Policy and critic side by side come to the same bits as one after the other, whatever the cores are, and so does all that
// an iteration tells.
func TestSidesKeepTheBits(t *testing.T) {
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", kernel.Plain} {
		kernels, err := kernel.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		var wantStats []Stats
		for _, cores := range []int{1, 2, 3, 5} {
			c := shortRun()
			c.PtxCoefficient, c.GraphTokens = 0.5, 16 // microbatches of two answers or so
			models := toyModels(4)
			models.Ptx = habits()
			run, err := NewTrainer(nn.NewCPU(library, kernels, parallel.New(cores)), models, lively{toy{lengthReward}}, c, 2)
			if err != nil {
				t.Fatal(err)
			}
			if divided := run.sides[0].part != nil; divided != (cores > 1) {
				t.Fatalf("%d cores are divided: %t", cores, divided)
			}
			var stats []Stats
			if err := run.Run(t.Context(), nil, Observer{Iteration: func(s Stats) { s.Phases = Phases{}; stats = append(stats, s) }}); err != nil {
				t.Fatal(err)
			}
			got := hashOf(models.Policy, models.Critic)
			if cores == 1 {
				want, wantStats = got, stats
				continue
			}
			if got != want {
				t.Errorf("kernels %q: %d cores make %s, one makes %s", name, cores, got, want)
			}
			for i, s := range stats {
				if s != wantStats[i] {
					t.Errorf("kernels %q: %d cores say %+v, one says %+v", name, cores, s, wantStats[i])
				}
			}
		}
	}
}

func TestBeside(t *testing.T) {
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := kernel.Select(kernel.Plain)
	if err != nil {
		t.Fatal(err)
	}
	policy, critic := newSides(nn.NewCPU(library, kernels, parallel.New(5)))
	sides := []*side{policy, critic}
	cores := func(s *side) int { return s.Device.(nn.Divisible).Cores() }

	// Each waits for the other, on its part of the cores; the one that is left gets them all.
	fromA, fromB, ended := make(chan int), make(chan int), make(chan bool, 1)
	err = beside(sides, func() error {
		fromA <- cores(policy)
		if n := <-fromB; n != 2 {
			t.Errorf("the critic has %d cores of 5", n)
		}
		policy.settle()
		if n := cores(policy); n != 3 {
			t.Errorf("the policy has %d cores while the critic works", n)
		}
		ended <- true
		for cores(policy) != 5 { // until the critic's function has returned
			y, dx := []float32{0}, []float32{0}
			policy.Linear(1, 1, 1, y, []float32{2}, []float32{3})
			policy.LinearGradX(1, 1, 1, dx, y, []float32{4})
			if policy.LinearAddGradW(1, 1, 1, dx, y, []float32{1}); dx[0] != 2*3*4+2*3 {
				t.Errorf("the products come to %g", dx[0])
			}
		}
		return nil
	}, func() error {
		if n := <-fromA; n != 3 {
			t.Errorf("the policy has %d cores of 5", n)
		}
		fromB <- cores(critic)
		<-ended
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for i, s := range sides {
		if s.settle(); cores(s) != 5 {
			t.Errorf("side %d is left with %d cores", i, cores(s))
		}
	}

	// Errors and panics of either are the error of both, and neither is left behind.
	one, other := errors.New("one"), false
	if err := beside(sides, func() error { return one }, func() error { other = true; panic("broken") }); !errors.Is(err, one) || tandem.CodeOf(err) != tandem.Internal || !strings.Contains(err.Error(), "broken") || !other {
		t.Errorf("%v; the other ran: %t", err, other)
	}
	// With one core there is nothing to divide: one after the other.
	policy, critic = newSides(nn.NewCPU(library, kernels, parallel.New(1)))
	order := ""
	if err := beside([]*side{policy, critic}, func() error { order += "a"; return nil }, func() error { order += "b"; return nil }); err != nil || order != "ab" {
		t.Errorf("%s, %v", order, err)
	}
}
