package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
)

// contrary is a task that the training of a counting model first helps and then harms: half of its sequences count,
// half say something else.
func contrary(t testing.TB) *LanguageModel {
	t.Helper()
	rng := rand.New(rand.NewPCG(8, 8))
	m := counting(t, 12)
	for i, s := range m.Sequences {
		for j := range s.Tokens {
			if i%2 == 0 {
				s.Tokens[j] = int32(rng.IntN(11))
			}
		}
	}
	return m
}

// watched is a held-out task that tells when its batches are made.
type watched struct {
	Task
	batch func()
}

func (w watched) Batch(examples, step []int) (llama.Batch, error) {
	w.batch()
	return w.Task.Batch(examples, step)
}

// stopping is a run that stops early.
func stopping(t testing.TB) *Trainer {
	trainer := newTrainer(t)
	trainer.Config.Steps, trainer.Config.EvaluateEvery, trainer.Config.KeepBest, trainer.Config.Patience = 60, 3, KeepByLoss, 3
	trainer.HeldOut = contrary(t)
	return trainer
}

// The weights of the best evaluation are kept, and the run ends once patience is over.
func TestKeepsTheBestAndStops(t *testing.T) {
	trainer := stopping(t)
	losses := make(map[int]float64)
	after := make(map[int][]float32)
	trainer.Observe = func(s Stats) {
		if loss, ok := s.Metrics["eval_loss"]; ok {
			losses[s.Step], after[s.Step] = loss, flat(trainer.Weights)
		}
	}
	if err := trainer.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := trainer.Outcome()
	if !o.Stopped || o.Last.Step != o.Kept+9 || o.Kept <= 3 {
		t.Errorf("kept step %d of %d, stopped: %v; losses %v", o.Kept, o.Last.Step, o.Stopped, losses)
	}
	for step, loss := range losses {
		if loss < o.HeldOut["eval_loss"] || loss == o.HeldOut["eval_loss"] && step != o.Kept {
			t.Errorf("the loss after step %d is %g, the kept one %g", step, loss, o.HeldOut["eval_loss"])
		}
	}
	if !slices.Equal(flat(trainer.Weights), after[o.Kept]) {
		t.Errorf("the weights are not those after step %d", o.Kept)
	}
}

// A run that is interrupted anywhere, in an evaluation too, comes to the same bits and the same best step.
func TestResumeKeepsTheSameBest(t *testing.T) {
	undisturbed := stopping(t)
	var wanted []string
	line := func(s Stats) string { return fmt.Sprint(s.Step, s.Loss, s.Metrics) }
	undisturbed.Observe = func(s Stats) { wanted = append(wanted, line(s)) }
	if err := undisturbed.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, outcome := flat(undisturbed.Weights), undisturbed.Outcome()
	reason := errors.New("enough for today")
	for name, arrange := range map[string]func(*Trainer, func()){
		"every fourth step": func(r *Trainer, stop func()) {
			seen := r.Observe
			r.Observe = func(s Stats) {
				if seen(s); s.Step%4 == 0 {
					stop()
				}
			}
		},
		"in every second evaluation": func(r *Trainer, stop func()) {
			batches := 0
			r.HeldOut = watched{r.HeldOut, func() {
				if batches++; batches > 6 { // an evaluation has five micro-batches
					stop()
				}
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var got []string
			interruptions := 0
			for {
				ctx, cancel := context.WithCancelCause(t.Context())
				r := stopping(t)
				r.States, r.Resume, r.Config.CheckpointEvery = checkpoint.NewStates(checkpoint.Folder(dir), "states", 2), true, 0
				r.Observe = func(s Stats) { got = append(got, line(s)) }
				arrange(r, func() { cancel(reason) })
				err := r.Fit(ctx)
				if errors.Is(err, reason) && interruptions < 50 {
					interruptions++
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if o := r.Outcome(); !slices.Equal(flat(r.Weights), want) || o.Kept != outcome.Kept || o.Last.Step != outcome.Last.Step || o.HeldOut["eval_loss"] != outcome.HeldOut["eval_loss"] {
					t.Errorf("resumed to step %d of %d, undisturbed to %d of %d", o.Kept, o.Last.Step, outcome.Kept, outcome.Last.Step)
				}
				break
			}
			if interruptions < 3 {
				t.Errorf("interrupted %d times, which tells little", interruptions)
			}
			if !slices.Equal(got, wanted) {
				t.Errorf("the steps seen are\n%v\nnot\n%v", got, wanted)
			}
		})
	}
}

func TestResumeRefusesOtherEvaluations(t *testing.T) {
	dir := t.TempDir()
	states := checkpoint.NewStates(checkpoint.Folder(dir), "states", 2)
	trainer := stopping(t)
	trainer.States = states
	if err := trainer.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Trainer){
		"another interval":  func(r *Trainer) { r.Config.EvaluateEvery = 4 },
		"other held-out":    func(r *Trainer) { r.HeldOut = counting(t, 5) },
		"another patience":  func(r *Trainer) { r.Config.Patience = 7 },
		"by another figure": func(r *Trainer) { r.Config.KeepBest = "accuracy" },
	} {
		r := stopping(t)
		r.States, r.Resume = states, true
		change(r)
		if err := r.Fit(t.Context()); tandem.CodeOf(err) != tandem.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := stopping(t); !resumesTo(t, r, states, trainer) {
		t.Error("a finished run goes on")
	}
}

// resumesTo says whether r, resumed, takes no step and ends as the other did.
func resumesTo(t *testing.T, r *Trainer, states *checkpoint.States, other *Trainer) bool {
	steps := 0
	r.States, r.Resume, r.Observe = states, true, func(Stats) { steps++ }
	if err := r.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return steps == 0 && slices.Equal(flat(r.Weights), flat(other.Weights)) && r.Outcome().Kept == other.Outcome().Kept && r.Outcome().Last.Step == other.Outcome().Last.Step
}

func TestKeepBestRefusesWhatNobodyMeasures(t *testing.T) {
	for name, change := range map[string]func(*Trainer){
		"no such figure":          func(r *Trainer) { r.Config.KeepBest = "beauty" },
		"patience without figure": func(r *Trainer) { r.Config.KeepBest = "" },
		"patience without data":   func(r *Trainer) { r.HeldOut = nil },
		"patience without evals":  func(r *Trainer) { r.Config.EvaluateEvery = 0 },
	} {
		r := stopping(t)
		change(r)
		if err := r.Fit(t.Context()); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := best{weights: testWeights()}
	if err := b.follow(Config{KeepBest: "accuracy"}, 1, map[string]float64{"eval_accuracy": math.NaN()}, testWeights()); err == nil {
		t.Error("an accuracy that is no number is the best")
	}
}
