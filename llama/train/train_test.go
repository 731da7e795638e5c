package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn/nntest"
)

func testWeights() *llama.Weights {
	w := llama.NewWeights(llama.Config{
		VocabSize: 11, HiddenSize: 8, IntermediateSize: 12, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 4, MaxPositionEmbeddings: 16, RMSNormEps: 1e-5, RopeTheta: 100, TieWordEmbeddings: true,
	}, false)
	w.Init(rand.New(rand.NewPCG(1, 1)))
	return w
}

// counting makes sequences in which every token is the one before it plus one.
func counting(t testing.TB, n int) *LanguageModel {
	t.Helper()
	var sequences []Sequence
	for i := range n {
		s := Sequence{Tokens: make([]int32, 3+i%9)}
		for j := range s.Tokens {
			s.Tokens[j] = int32((i + j) % 11)
		}
		sequences = append(sequences, s)
	}
	m, err := NewLanguageModel(sequences)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func testConfig() Config {
	c := DefaultConfig()
	c.LearningRate, c.Batch, c.GraphTokens, c.Steps, c.CheckpointEvery, c.Seed = 0.02, 6, 20, 10, 0, 3
	return c
}

func newTrainer(t testing.TB) *Trainer {
	return &Trainer{Device: nntest.Plain(t), Weights: testWeights(), Task: counting(t, 16), Config: testConfig()}
}

func flat(w *llama.Weights) (all []float32) {
	for _, p := range w.Params() {
		all = append(all, p.Data...)
	}
	return all
}

// whole is the weights of a run that was never interrupted.
func whole(t *testing.T) []float32 {
	t.Helper()
	trainer := newTrainer(t)
	if err := trainer.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return flat(trainer.Weights)
}

// interrupt runs until the step has been taken, in a folder, and stops there.
func interrupt(t *testing.T, dir string, step int) {
	t.Helper()
	reason := errors.New("enough for today")
	ctx, cancel := context.WithCancelCause(t.Context())
	trainer := newTrainer(t)
	trainer.States = checkpoint.NewStates(checkpoint.Folder(dir), "states", 3)
	trainer.Config.CheckpointEvery = 2
	trainer.Observe = func(s Stats) {
		if s.Step == step {
			cancel(reason)
		}
	}
	if err := trainer.Fit(ctx); !errors.Is(err, reason) {
		t.Fatalf("interrupted run: %v", err)
	}
}

func resume(t *testing.T, dir string) (first int, weights []float32) {
	t.Helper()
	trainer := newTrainer(t)
	trainer.States, trainer.Resume = checkpoint.NewStates(checkpoint.Folder(dir), "states", 3), true
	trainer.Observe = func(s Stats) {
		if first == 0 {
			first = s.Step
		}
	}
	if err := trainer.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return first, flat(trainer.Weights)
}

func TestResumeGivesTheSameBits(t *testing.T) {
	want := whole(t)
	if again := whole(t); !slices.Equal(again, want) {
		t.Fatal("two whole runs differ")
	}
	t.Run("after an interruption", func(t *testing.T) {
		dir := t.TempDir()
		interrupt(t, dir, 5)
		first, got := resume(t, dir)
		if first != 6 || !slices.Equal(got, want) {
			t.Errorf("resumed at step %d, same weights: %v", first, slices.Equal(got, want))
		}
	})
	t.Run("after a torn write", func(t *testing.T) {
		dir := t.TempDir()
		interrupt(t, dir, 5)
		files, err := filepath.Glob(filepath.Join(dir, "states", "step-000000005", "*.safetensors"))
		if err != nil || len(files) != 1 {
			t.Fatalf("state files %v, %v", files, err)
		}
		if err := os.Truncate(files[0], 1000); err != nil {
			t.Fatal(err)
		}
		first, got := resume(t, dir)
		if first != 5 || !slices.Equal(got, want) { // the state before is that of step 4
			t.Errorf("resumed at step %d, same weights: %v", first, slices.Equal(got, want))
		}
	})
	t.Run("after a write that never committed", func(t *testing.T) {
		dir := t.TempDir()
		interrupt(t, dir, 5)
		if err := os.Remove(filepath.Join(dir, "states", "step-000000005", "manifest.json")); err != nil {
			t.Fatal(err)
		}
		first, got := resume(t, dir)
		if first != 5 || !slices.Equal(got, want) {
			t.Errorf("resumed at step %d, same weights: %v", first, slices.Equal(got, want))
		}
	})
	t.Run("of a finished run", func(t *testing.T) {
		dir := t.TempDir()
		resume(t, dir)
		if first, got := resume(t, dir); first != 0 || !slices.Equal(got, want) {
			t.Errorf("a finished run took step %d again, same weights: %v", first, slices.Equal(got, want))
		}
	})
}

func TestResumeRefusesAnotherRun(t *testing.T) {
	dir := t.TempDir()
	interrupt(t, dir, 5)
	for name, change := range map[string]func(*Trainer){
		"another rate": func(r *Trainer) { r.Config.LearningRate *= 2 },
		"other data":   func(r *Trainer) { r.Task = counting(t, 17) },
	} {
		trainer := newTrainer(t)
		trainer.States, trainer.Resume = checkpoint.NewStates(checkpoint.Folder(dir), "states", 3), true
		change(trainer)
		if err := trainer.Fit(t.Context()); tandem.CodeOf(err) != tandem.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A loss that is not finite ends the run and names the step.
func TestFitStopsAtNonsense(t *testing.T) {
	trainer := newTrainer(t)
	trainer.Observe = func(s Stats) {
		if s.Step == 3 {
			trainer.Weights.Norm[0] = float32(math.NaN())
		}
	}
	err := trainer.Fit(t.Context())
	if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "step 4 of 10") {
		t.Errorf("a run with weights that are no numbers: %v", err)
	}
}

// A step's loss and gradient do not depend on how it is split into micro-batches.
func TestAccumulationUsesGlobalCounts(t *testing.T) {
	stats := func(graphTokens int) (all []Stats) {
		trainer := newTrainer(t)
		trainer.Config.GraphTokens, trainer.Config.Steps = graphTokens, 2
		trainer.Observe = func(s Stats) { all = append(all, s) }
		if err := trainer.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return all
	}
	split, together := stats(12), stats(1000)
	for i := range together {
		a, b := split[i], together[i]
		if math.Abs(a.Loss-b.Loss) > 1e-5 || math.Abs(a.GradNorm-b.GradNorm) > 1e-4*b.GradNorm || a.Tokens != b.Tokens {
			t.Errorf("step %d: %+v in micro-batches, %+v at once", i+1, a, b)
		}
	}
}

func TestFitLearns(t *testing.T) {
	trainer := newTrainer(t)
	trainer.Config.Steps, trainer.Config.EvaluateEvery = 150, 50
	trainer.HeldOut = counting(t, 11)
	var first, last Stats
	evaluations := 0
	trainer.Observe = func(s Stats) {
		if s.Step == 1 {
			first = s
		}
		if _, ok := s.Metrics["eval_loss"]; ok {
			evaluations++
		}
		last = s
	}
	if err := trainer.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !(last.Loss < first.Loss/3) || !(last.Metrics["eval_loss"] < first.Loss/3) || evaluations != 3 {
		t.Errorf("the loss went from %g to %g, %g held out, %d evaluations", first.Loss, last.Loss, last.Metrics["eval_loss"], evaluations)
	}
}

func TestOrderSeesEveryExampleOncePerEpoch(t *testing.T) {
	c := testConfig()
	c.Steps, c.Epochs, c.Batch = 0, 3, 4
	o := newOrder(c, 10)
	seen := make([]int, 10)
	var firstEpoch, secondEpoch []int
	for step := range c.TotalSteps(10) {
		for _, e := range o.step(step) {
			seen[e]++
			if len(firstEpoch) < 10 {
				firstEpoch = append(firstEpoch, e)
			} else if len(secondEpoch) < 10 {
				secondEpoch = append(secondEpoch, e)
			}
		}
	}
	for e, n := range seen {
		if n != 3 {
			t.Errorf("example %d was seen %d times in 3 epochs", e, n)
		}
	}
	if slices.Equal(firstEpoch, secondEpoch) {
		t.Error("two epochs have the same order")
	}
	if got, want := newOrder(c, 10).step(5), o.step(5); !slices.Equal(got, want) {
		t.Errorf("step 5 takes %v when asked alone, %v in turn", got, want)
	}
}

func TestRate(t *testing.T) {
	c := DefaultConfig()
	c.LearningRate = 1
	for step, want := range map[int]float64{0: 0.2, 4: 1, 5: 1, 52: 0.55, 99: 0.1} {
		if got := c.Rate(step, 100); math.Abs(got-want) > 0.01 {
			t.Errorf("rate of step %d is %g, want %g", step, got, want)
		}
	}
	if got := c.Rate(29, 1000); got != 1 || c.Rate(0, 1000) != 1./30 {
		t.Errorf("3 %% of 1000 steps are warm-up: rate of step 29 is %g", got)
	}
}

func TestConfigRefusesNonsense(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no rate": func(c *Config) { c.LearningRate = 0 }, "schedule": func(c *Config) { c.Schedule = "linear" },
		"batch": func(c *Config) { c.Batch = 0 }, "beta": func(c *Config) { c.Optimizer.Beta1 = 1 },
		"floor": func(c *Config) { c.Floor = 2 }, "rate is no number": func(c *Config) { c.LearningRate = math.NaN() },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
