package ppo

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"tandem"
	"tandem/internal/memory"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn/nntest"
)

// lively is toy with held-out questions.
type lively struct{ toy }

func (lively) HeldOut() []Question {
	return []Question{{Tokens: []int32{toyBOS}, Key: 1}, {Tokens: []int32{toyBOS, 1}, Key: 2}}
}

func shortRun() Config {
	c := DefaultConfig()
	c.Iterations, c.BatchSize, c.MinibatchSize, c.CriticWarmup, c.MaxTokens = 6, 16, 8, 1, 4
	c.LearningRate, c.FinalLearningRate, c.CriticLearningRate = 1e-2, 0, 1e-2
	c.EvaluateEvery, c.CheckpointEvery, c.Patience = 2, 1, 3
	return c
}

func lengthReward(a []int32) float64 { return float64(len(a)) }

func newShortRun(t *testing.T) (*Trainer, Models) { return newRun(t, shortRun()) }

func newRun(t *testing.T, c Config) (*Trainer, Models) {
	t.Helper()
	models := toyModels(4)
	trainer, err := NewTrainer(nntest.Plain(t), models, lively{toy{lengthReward}}, c, 2)
	if err != nil {
		t.Fatal(err)
	}
	return trainer, models
}

// A run that is cancelled after any number of iterations and resumed by another process ends in the same
// bits, best policy and all.
func TestResumeIsExact(t *testing.T) {
	resumesExactly(t, func() (*Trainer, Models) { return newShortRun(t) }, 1, 2, 5)
}

// resumesExactly compares a whole run with ones that are interrupted after some iterations: weights, and what the last
// iteration measured but for its time.
func resumesExactly(t *testing.T, begin func() (*Trainer, Models), stops ...int) {
	t.Helper()
	last := func(run *Trainer, states *checkpoint.States) (s Stats) {
		t.Helper()
		if err := run.Run(t.Context(), states, Observer{Iteration: func(x Stats) { s = x }}); err != nil {
			t.Fatal(err)
		}
		s.Phases = Phases{}
		return s
	}
	whole, want := begin()
	wantLast := last(whole, nil)
	for _, stopAfter := range stops {
		states := checkpoint.NewStates(checkpoint.Folder(t.TempDir()), "states", 2)
		ctx, cancel := context.WithCancel(t.Context())
		first, _ := begin()
		err := first.Run(ctx, states, Observer{Iteration: func(s Stats) {
			if s.Iteration == stopAfter {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d: %v", stopAfter, err)
		}

		second, got := begin()
		done, err := second.Resume(t.Context(), states)
		if err != nil || done != stopAfter {
			t.Fatalf("resumed at %d, %v; want %d", done, err, stopAfter)
		}
		gotLast := last(second, states)
		if name := firstDifference(want.Policy, got.Policy); name != "" {
			t.Errorf("stopped after %d: policy differs in %s", stopAfter, name)
		}
		if name := firstDifference(want.Critic, got.Critic); name != "" {
			t.Errorf("stopped after %d: critic differs in %s", stopAfter, name)
		}
		if gotLast != wantLast {
			t.Errorf("stopped after %d: last iteration %+v, want %+v", stopAfter, gotLast, wantLast)
		}
	}
}

func firstDifference(a, b *llama.Weights) string {
	bs := b.Params()
	for i, p := range a.Params() {
		if !slices.Equal(p.Data, bs[i].Data) {
			return p.Name
		}
	}
	return ""
}

func TestResumeRefusesAnotherConfiguration(t *testing.T) {
	states := checkpoint.NewStates(checkpoint.Folder(t.TempDir()), "states", 2)
	run, _ := newShortRun(t)
	if err := run.save(t.Context(), states); err != nil {
		t.Fatal(err)
	}
	config := shortRun()
	config.Beta = 0.3
	other, err := NewTrainer(nntest.Plain(t), toyModels(4), lively{toy{lengthReward}}, config, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Resume(t.Context(), states); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("resumed under another configuration: %v", err)
	}
}

func TestResumeRefusesOtherKernels(t *testing.T) {
	states := checkpoint.NewStates(checkpoint.Folder(t.TempDir()), "states", 2)
	run, _ := newShortRun(t)
	run.kernel = "another machine's"
	if err := run.save(t.Context(), states); err != nil {
		t.Fatal(err)
	}
	other, _ := newShortRun(t)
	if _, err := other.Resume(t.Context(), states); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("resumed another kernel's run: %v", err)
	}
	other.AnyKernel = true
	if _, err := other.Resume(t.Context(), states); err != nil {
		t.Errorf("asked for, it is refused: %v", err)
	}
}

// The best policy on held-out questions is what a run with patience leaves.
func TestPatienceKeepsTheBestPolicy(t *testing.T) {
	run, models := newShortRun(t)
	run.config.Iterations, run.config.Patience, run.config.EvaluateEvery = 40, 2, 1
	var evaluations []Evaluation
	var best *llama.Weights
	if err := run.Run(t.Context(), nil, Observer{Evaluation: func(e Evaluation) {
		evaluations = append(evaluations, e)
		if e.Best {
			best = models.Policy.Clone()
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if math.Abs(evaluations[0].KL) > 1e-5 || evaluations[0].Iteration != 0 {
		t.Errorf("the first evaluation is not the reference's: %+v", evaluations[0])
	}
	high := math.Inf(-1)
	for _, e := range evaluations {
		if want := e.Score - 0.01*e.KL; math.Abs(e.Objective-want) > 1e-12 {
			t.Errorf("iteration %d: the objective is %g, want R_c − β·KL = %g", e.Iteration, e.Objective, want)
		}
		if e.Best != (e.Objective > high) {
			t.Errorf("iteration %d: best is %t at %g, the highest before was %g", e.Iteration, e.Best, e.Objective, high)
		}
		high = max(high, e.Objective)
	}
	if evaluations[1].KL == 0 && evaluations[2].KL == 0 {
		t.Error("the policy never left the reference, which tells nothing of the objective")
	}
	if name := firstDifference(best, models.Policy); name != "" {
		t.Errorf("the policy is not the best one: %s differs", name)
	}
}

// The critic's head is fresh, so it is fitted alone at first: advantages from it would be noise.
func TestCriticIsFittedAloneFirst(t *testing.T) {
	run, models := newShortRun(t)
	run.config.CriticWarmup = 2
	for i := range 3 {
		before := models.Critic.Clone()
		stats, err := run.iterate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if moved := firstDifference(models.Policy, models.Reference) != ""; moved != (i == 2) {
			t.Errorf("iteration %d: the policy has moved: %t", stats.Iteration, moved)
		}
		if firstDifference(models.Critic, before) == "" {
			t.Errorf("iteration %d: the critic has not moved", stats.Iteration)
		}
	}
}

// While the critic alone is fitted the objective cannot rise, which is no reason to stop.
func TestPatienceBeginsWhenThePolicyMoves(t *testing.T) {
	run, _ := newShortRun(t)
	run.config.CriticWarmup, run.config.Patience, run.config.EvaluateEvery = 3, 1, 1
	done := 0
	if err := run.Run(t.Context(), nil, Observer{Iteration: func(s Stats) { done = s.Iteration }}); err != nil {
		t.Fatal(err)
	}
	if done <= 3 {
		t.Errorf("the run ended after iteration %d, and the policy has not moved", done)
	}
}

func TestWhiten(t *testing.T) {
	x := []float32{1, 2, 3, 6} // mean 3, variance 3.5
	whiten(x)
	d := math.Sqrt(3.5)
	for i, want := range []float64{-2 / d, -1 / d, 0, 3 / d} {
		if math.Abs(float64(x[i])-want) > 1e-6 {
			t.Errorf("whitened[%d] = %g, want %g", i, x[i], want)
		}
	}
	same := []float32{4, 4, 4}
	whiten(same)
	if !slices.Equal(same, []float32{0, 0, 0}) {
		t.Errorf("what does not vary whitens to %v, want zeros", same)
	}
	whiten(nil)
}

func TestNewTrainerRefuses(t *testing.T) {
	dev := nntest.Plain(t)
	for name, spoil := range map[string]func(*Models){
		"one set of weights for policy and reference": func(m *Models) { m.Reference = m.Policy },
		"a policy as critic":                          func(m *Models) { m.Critic = m.Policy.Clone() },
		"another vocabulary":                          func(m *Models) { m.Critic = toyModels(5).Critic },
	} {
		models := toyModels(4)
		spoil(&models)
		if _, err := NewTrainer(dev, models, toy{lengthReward}, shortRun(), 1); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An iteration tells the time of all its phases and, where the system knows it, the memory that each held at most.
func TestPhasesAreReported(t *testing.T) {
	run, _ := newShortRun(t)
	began := time.Now()
	stats, err := run.iterate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	whole, metrics := time.Since(began).Seconds(), stats.Metrics()
	sum := 0.0
	for _, phase := range []string{"sample", "score", "forward", "update", "rest"} {
		seconds := metrics["time/"+phase]
		if seconds <= 0 {
			t.Errorf("%s took %g s", phase, seconds)
		}
		sum += seconds
		if held := metrics["memory/"+phase]; memory.ResetPeak() && held < 1<<20 {
			t.Errorf("%s held %g bytes", phase, held)
		}
	}
	if sum > whole || sum < whole/2 {
		t.Errorf("the phases took %g s of %g", sum, whole)
	}
}
