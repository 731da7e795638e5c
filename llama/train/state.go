package train

import (
	"context"
	"slices"

	"tandem"
	"tandem/llama/checkpoint"
)

// state is what a saved state says beside its tensors.
type state struct {
	Config   Config `json:"config"`
	Examples int    `json:"examples"`
	Tokens   int    `json:"tokens"`
	Kernel   string `json:"kernel"` // what the bits depend on
	Step     int    `json:"step"`   // steps taken: the data position
	Last     Stats  `json:"last"`
	// Pending says that the evaluation after the last step is still to come.
	Pending bool  `json:"pending,omitempty"`
	HeldOut int   `json:"held_out,omitempty"` // examples; 0 where they decide nothing
	Best    *best `json:"best,omitempty"`     // nil where the last weights are kept
}

// state describes the run after so many steps.
func (t *Trainer) state(step int) state {
	s := state{Config: t.Config, Examples: t.Task.Examples(), Kernel: t.Device.String(), Step: step,
		Last: t.last, Pending: t.pending}
	s.Last.Metrics = finite(t.last.Metrics)
	if t.follows() {
		s.HeldOut, s.Best = t.HeldOut.Examples(), &t.best
	}
	for i := range s.Examples {
		s.Tokens += t.Task.Shape(i).Tokens
	}
	return s
}

// tensors lists everything that a step changes: the weights that are trained, the best ones so far and the optimizer's moments.
func (t *Trainer) tensors() []checkpoint.Tensor {
	var all []checkpoint.Tensor
	for _, p := range t.Weights.Trained() {
		all = append(all, checkpoint.Tensor{Name: "weights." + p.Name, Shape: p.Shape, Data: p.Data})
	}
	if t.best.weights != nil {
		for _, p := range t.best.weights.Trained() {
			all = append(all, checkpoint.Tensor{Name: "best." + p.Name, Shape: p.Shape, Data: p.Data})
		}
	}
	for _, s := range t.optimizer.State() {
		all = append(all, checkpoint.Tensor{Name: s.Name, Shape: []int{len(s.Data)}, Data: s.Data})
	}
	return all
}

func (t *Trainer) save(ctx context.Context, step int) error {
	if t.States == nil {
		return nil
	}
	return t.States.Save(ctx, int64(step), t.state(step), t.tensors())
}

// interrupted saves the state after so many steps and returns why the run ended.
func (t *Trainer) interrupted(ctx context.Context, step int) error {
	if err := t.save(context.WithoutCancel(ctx), step); err != nil {
		return err
	}
	return tandem.Errorf(tandem.Unavailable, "train.Fit", "interrupted after step %d of %d: %w", step, t.steps, context.Cause(ctx))
}

// restore reads the newest state that is whole and returns the step to go on with, 0 if there is none. When
// it refuses a state, what the weights hold is undefined, as after a failed read.
func (t *Trainer) restore(ctx context.Context) (int, error) {
	steps, err := t.States.Steps(ctx)
	if err != nil {
		return 0, err
	}
	for _, step := range slices.Backward(steps) {
		var saved state
		if err = t.States.Restore(ctx, step, &saved, t.tensors()); tandem.CodeOf(err) == tandem.Corrupt {
			continue // an older one may be whole
		}
		if err == nil {
			err = t.accept(saved)
		}
		if err != nil {
			return 0, err
		}
		t.optimizer.SetSteps(saved.Step)
		t.last, t.pending = saved.Last, saved.Pending
		if saved.Best != nil {
			kept := t.best.weights
			t.best = *saved.Best
			t.best.weights = kept
		}
		return saved.Step, nil
	}
	return 0, err
}

// accept refuses to go on with a state of another run.
func (t *Trainer) accept(saved state) error {
	const op = "train.Resume"
	now := t.state(saved.Step)
	now.Config.CheckpointEvery = saved.Config.CheckpointEvery // changes no bits
	if !t.follows() && saved.Best == nil {
		now.Config.EvaluateEvery = saved.Config.EvaluateEvery // nor does what is measured and decides nothing
	}
	switch {
	case saved.Config != now.Config:
		return tandem.Errorf(tandem.Conflict, op, "the state was saved with the configuration %+v, not %+v", saved.Config, now.Config)
	case saved.Examples != now.Examples || saved.Tokens != now.Tokens:
		return tandem.Errorf(tandem.Conflict, op, "the state was saved over %d examples of %d tokens, not %d of %d",
			saved.Examples, saved.Tokens, now.Examples, now.Tokens)
	case saved.HeldOut != now.HeldOut:
		return tandem.Errorf(tandem.Conflict, op, "the state was saved beside %d held-out examples that decide which weights are kept, not %d", saved.HeldOut, now.HeldOut)
	case saved.Kernel != now.Kernel && !t.AnyKernel:
		return tandem.Errorf(tandem.Conflict, op, "the state was computed by %q, this machine computes by %q: bits will differ", saved.Kernel, now.Kernel)
	}
	return nil
}
