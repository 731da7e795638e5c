package ppo

import (
	"math"
	"testing"

	"tandem/llama/checkpoint"
)

func TestAdaptByHand(t *testing.T) {
	for name, c := range map[string]struct{ kl, want float64 }{
		"on target":            {6, 0.1},
		"a tenth too far":      {6.6, 0.1 * (1 + 0.1*0.05)},
		"a tenth too near":     {5.4, 0.1 * (1 - 0.1*0.05)},
		"far beyond":           {60, 0.1 * (1 + 0.2*0.05)},
		"at the reference":     {0, 0.1 * (1 - 0.2*0.05)},
		"an estimate below it": {-3, 0.1 * (1 - 0.2*0.05)},
	} {
		if got := adapt(0.1, c.kl, 6, 512, 10240); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: β is %g, want %g", name, got, c.want)
		}
	}
}

// controlledRun has a target that it starts below and soon is above.
func controlledRun() Config {
	c := shortRun()
	c.Iterations, c.KLTarget, c.KLHorizon, c.EvaluateEvery = 12, 0.02, 16, 0
	return c
}

// The coefficient stays while the policy does, follows the rule from then on, and is what the penalty is weighed by.
func TestCoefficientFollowsTheController(t *testing.T) {
	config := controlledRun()
	run, _ := newRun(t, config)
	var all []Stats
	if err := run.Run(t.Context(), nil, Observer{Iteration: func(s Stats) { all = append(all, s) }}); err != nil {
		t.Fatal(err)
	}
	want, up, down := config.Beta, 0, 0
	for i, s := range all {
		if s.KLCoefficient != want || s.Metrics()["objective/kl_coefficient"] != want {
			t.Errorf("iteration %d: the coefficient is %g, want %g", s.Iteration, s.KLCoefficient, want)
		}
		if math.Abs(s.NonScoreReward+want*s.KL) > 1e-12 {
			t.Errorf("iteration %d: the penalty is %g, want %g", s.Iteration, s.NonScoreReward, -want*s.KL)
		}
		if i < config.CriticWarmup {
			continue
		}
		next := adapt(want, s.KL, config.KLTarget, config.BatchSize, config.KLHorizon)
		if next > want {
			up++
		} else {
			down++
		}
		want = next
	}
	if up == 0 || down == 0 {
		t.Errorf("the coefficient rose %d times and fell %d times, which shows little", up, down)
	}
}

// Resumed, the coefficient is where it was.
func TestResumeKeepsTheCoefficient(t *testing.T) {
	resumesExactly(t, func() (*Trainer, Models) { return newRun(t, controlledRun()) }, 1, 5, 9)
}

// Without a target a state says nothing that the configuration does not: those saved before there were targets lack it.
func TestResumeOfAnOlderState(t *testing.T) {
	states := checkpoint.NewStates(checkpoint.Folder(t.TempDir()), "states", 2)
	run, _ := newShortRun(t)
	run.beta = 0 // what an older state is read as
	if err := run.save(t.Context(), states); err != nil {
		t.Fatal(err)
	}
	second, _ := newShortRun(t)
	if _, err := second.Resume(t.Context(), states); err != nil || second.beta != shortRun().Beta {
		t.Errorf("β is %g, %v", second.beta, err)
	}
}
