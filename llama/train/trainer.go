package train

import (
	"context"
	"maps"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
)

// Stats is what one step did. Names in JSON are TRL's.
type Stats struct {
	Step         int     `json:"step"`  // steps taken, this one included
	Steps        int     `json:"steps"` // of the whole run
	Epoch        float64 `json:"epoch"`
	Loss         float64 `json:"loss"`
	GradNorm     float64 `json:"grad_norm"` // before clipping
	LearningRate float64 `json:"lr"`
	Examples     int     `json:"examples"`  // of this step
	Sequences    int     `json:"sequences"` // of this step; a pair is an example of two
	Tokens       int     `json:"tokens"`    // of this step
	// Seconds is the step's own time, evaluation and checkpoints not counted.
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	// Metrics are the task's own, and with the prefix eval_ those of held-out examples, where measured.
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// Trainer fits weights to a task. The zero values of optional fields do nothing.
type Trainer struct {
	Device  nn.Device
	Weights *llama.Weights
	Task    Task
	Config  Config

	HeldOut Task               // Optional. Measured every EvaluateEvery steps and at the end; see Config.KeepBest
	Observe func(Stats)        // Optional. Told of every step, in its goroutine
	States  *checkpoint.States // Optional. Where the run's states are kept
	Resume  bool               // Continue from the newest state, if there is one
	Now     func() time.Time   // The clock of Stats. Defaults to time.Now

	// AnyKernel allows to resume a state of another machine's kernels. Results then differ in the last bits.
	AnyKernel bool

	program   *llama.Program
	optimizer *nn.AdamW
	shape     llama.Shape
	order     *order
	steps     int // of the whole run
	last      Stats
	pending   bool // the evaluation after the last step was interrupted
	best      best
}

// Fit runs until the last step, or until evaluations no longer improve (see Config.Patience). When ctx ends it
// stops after at most one micro-batch, saves the state of the last whole step, and returns an error that wraps
// context.Cause. The weights are then those of the last whole step. Whatever happens, the run's gradients, activations
// and optimizer are let go of.
func (t *Trainer) Fit(ctx context.Context) error {
	defer t.release()
	step, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	for t.pending || step < t.steps && !t.best.over(t.Config) {
		if !t.pending {
			stats, err := t.step(ctx, step)
			if err != nil {
				if ctx.Err() == nil {
					return tandem.Errorf(tandem.CodeOf(err), "train.Fit", "step %d of %d: %w", step+1, t.steps, err)
				}
				return t.interrupted(ctx, step) // a step that was begun is a step not taken
			}
			t.last = stats
			step++
		}
		if t.pending = t.due(step); t.pending {
			if err := t.evaluate(ctx, step); err != nil {
				if ctx.Err() == nil {
					return err
				}
				return t.interrupted(ctx, step)
			}
			t.pending = false
		}
		if t.Observe != nil {
			t.Observe(t.last)
		}
		if t.Config.CheckpointEvery > 0 && step%t.Config.CheckpointEvery == 0 || step == t.steps || t.best.over(t.Config) {
			if err := t.save(context.WithoutCancel(ctx), step); err != nil {
				return err
			}
		}
	}
	if t.follows() && t.best.Step > 0 {
		copyWeights(t.Weights, t.best.weights)
	}
	return nil
}

// due says whether held-out examples are measured after so many steps.
func (t *Trainer) due(step int) bool {
	return t.HeldOut != nil && (step == t.steps || t.Config.EvaluateEvery > 0 && step%t.Config.EvaluateEvery == 0)
}

// follows says whether evaluations decide which weights the run ends with.
func (t *Trainer) follows() bool {
	return t.HeldOut != nil && t.Config.KeepBest != "" && t.Config.EvaluateEvery > 0
}

// prepare compiles the program, makes the optimizer and returns the first step to take.
func (t *Trainer) prepare(ctx context.Context) (step int, err error) {
	if err := t.compile(); err != nil {
		return 0, err
	}
	if t.follows() {
		t.best.weights = t.Weights.Clone() // memory that a state is restored into, whether or not there was an evaluation
	}
	if !t.Resume || t.States == nil {
		return 0, nil
	}
	return t.restore(ctx)
}

// compile checks the configuration, and makes the program and the optimizer.
func (t *Trainer) compile() (err error) {
	if err := t.Config.Validate(); err != nil {
		return err
	}
	examples := t.Task.Examples()
	if examples == 0 {
		return tandem.Errorf(tandem.Invalid, "train.Fit", "there are no examples to train on")
	}
	if t.Now == nil {
		t.Now = time.Now
	}
	tasks := []Task{t.Task}
	if t.HeldOut != nil {
		tasks = append(tasks, t.HeldOut)
	} else if t.Config.Patience > 0 {
		return tandem.Errorf(tandem.Invalid, "train.Fit", "patience is %d, and no examples are held out to measure", t.Config.Patience)
	}
	t.shape = t.Config.graphShape(tasks...)
	t.steps = t.Config.TotalSteps(examples)
	t.order = newOrder(t.Config, examples)
	if t.program, err = t.Task.Build(llama.NewGraph(t.Device, t.Weights, t.shape)); err != nil {
		return err
	}
	t.optimizer = nn.NewAdamW(t.Device, t.Weights.Gradients().Params(), t.Config.Optimizer)
	return nil
}

// release lets go of gradients, activations and the optimizer.
func (t *Trainer) release() {
	t.program, t.optimizer, t.best.weights = nil, nil, nil
	t.Weights.DropGradients()
}

// step takes one step, counted from 0.
func (t *Trainer) step(ctx context.Context, step int) (s Stats, err error) {
	start := t.Now()
	examples := t.order.step(step)
	s = Stats{
		Step: step + 1, Steps: t.steps, Epoch: t.order.epochAfter(step + 1),
		LearningRate: t.Config.Rate(step, t.steps), Examples: len(examples),
	}
	for _, micro := range split(t.Task, examples, t.shape) {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		b, err := t.Task.Batch(micro, examples)
		if err != nil {
			return s, err
		}
		r, err := t.program.Run(b)
		if err != nil {
			return s, err
		}
		s.Loss += r.Loss
		s.Tokens += len(b.Tokens)
		for _, i := range micro {
			s.Sequences += t.Task.Shape(i).Sequences
		}
		if m, ok := t.Task.(Measurer); ok {
			m.Measure(micro, r)
		}
	}
	if s.GradNorm, err = t.optimizer.Step(s.LearningRate); err != nil {
		return s, err
	}
	if m, ok := t.Task.(Measurer); ok {
		s.Metrics = m.Metrics()
	}
	s.Seconds = t.Now().Sub(start).Seconds()
	if s.Seconds > 0 {
		s.TokensPerSecond = float64(s.Tokens) / s.Seconds
	}
	return s, nil
}

// evaluate measures the held-out task after a step, and keeps the weights where they are the best so far.
func (t *Trainer) evaluate(ctx context.Context, step int) error {
	metrics, err := t.measure(ctx)
	if err != nil {
		return err
	}
	t.last.Metrics = merge(t.last.Metrics, metrics)
	if !t.follows() {
		return nil
	}
	return t.best.follow(t.Config, step, metrics, t.Weights)
}

// measure is what the held-out task says: eval_loss is the loss of all its examples as one step.
func (t *Trainer) measure(ctx context.Context) (map[string]float64, error) {
	all := make([]int, t.HeldOut.Examples())
	for i := range all {
		all[i] = i
	}
	loss := 0.0
	measurer, measures := t.HeldOut.(Measurer)
	for _, micro := range split(t.HeldOut, all, t.shape) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := t.HeldOut.Batch(micro, all)
		if err != nil {
			return nil, err
		}
		r, err := t.program.Forward(b)
		if err != nil {
			return nil, err
		}
		loss += r.Loss
		if measures {
			measurer.Measure(micro, r)
		}
	}
	metrics := map[string]float64{"eval_loss": loss}
	if measures {
		for name, value := range measurer.Metrics() {
			metrics["eval_"+name] = value
		}
	}
	return metrics, nil
}

// merge adds b to a, which may be nil.
func merge(a, b map[string]float64) map[string]float64 {
	if a == nil {
		return b
	}
	maps.Copy(a, b)
	return a
}
