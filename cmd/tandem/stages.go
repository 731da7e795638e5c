package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/train"
	"tandem/pipeline"
)

// stageFlags are what every stage has that makes a model.
type stageFlags struct {
	Out       string `required:"" type:"path" help:"Folder for the model; a run that was interrupted keeps its state there." placeholder:"DIR"`
	Name      string `help:"Name in the model's lineage (default: the folder's)." placeholder:"NAME"`
	Resume    bool   `help:"Go on with the run that was interrupted in the folder, to the same result."`
	AnyKernel bool   `help:"Go on even where another machine's kernels began; the last bits then differ."`
	DryRun    bool   `help:"Print the configuration, the counts of data, the steps, the time and memory to be expected and what would be written; touch nothing."`
	Record    bool   `help:"Keep the run in the database (default: where DATABASE_URL is set)."`
	engineFlags
	databaseFlags
}

func (f stageFlags) name() string {
	if f.Name != "" {
		return f.Name
	}
	return filepath.Base(f.Out)
}

// snapshotPrefix says that data is a snapshot of the database.
const snapshotPrefix = "snapshot:"

// dataPath is a file as an absolute path, so that a model's lineage says which it was; a snapshot stays.
func dataPath(data string) (string, error) {
	if data == "" || strings.HasPrefix(data, snapshotPrefix) {
		return data, nil
	}
	return filepath.Abs(data)
}

// studio opens what computes and, where it is wanted, the database, hands them to do, and prints what do
// came to once its progress is off the screen.
func (f stageFlags) studio(ctx context.Context, w *world, data []string, do func(*pipeline.Studio) (print func() error, err error)) (err error) {
	e, err := f.engineFlags.open(w)
	if err != nil {
		return err
	}
	shown := &stageProgress{world: w}
	s := e.studio(w.log)
	s.AnyKernel, s.Observe = f.AnyKernel, shown.observe
	fromDatabase := slices.ContainsFunc(data, func(d string) bool { return strings.HasPrefix(d, snapshotPrefix) })
	if fromDatabase || !f.DryRun && (f.Record || f.DatabaseURL != "") {
		db, err := f.databaseFlags.open(ctx, w)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.close()) }()
		s.Store = db.Store
	}
	print, err := do(s)
	if err != nil {
		shown.abandon()
		return err
	}
	shown.close()
	return print()
}

// abandon takes the bar of a stage that failed off the terminal.
func (s *stageProgress) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil && s.bar.bar != nil {
		_ = s.bar.bar.Exit() // a terminal that fails is not worth another error
	}
	s.bar, s.total = nil, 0
}

// reportPlan prints what a stage would do.
func (w *world) reportPlan(p pipeline.Plan) error {
	if w.json {
		return w.encode(p)
	}
	config, err := json.MarshalIndent(p.Config, "  ", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "stage   %s (%s)\nsteps   %d\ndata\n", p.Stage, p.Status, p.Steps)
	for _, name := range slices.Sorted(maps.Keys(p.Data)) {
		fmt.Fprintf(&b, "  %s: %d\n", name, p.Data[name])
	}
	b.WriteString(expectedLines(p.Expected))
	fmt.Fprintf(&b, "config\n  %s\nwould write\n", config)
	for _, path := range p.Writes {
		fmt.Fprintf(&b, "  %s\n", path)
	}
	_, err = w.out.Write([]byte(b.String()))
	return stdoutError(err)
}

// expectedLines tell what a stage would take.
func expectedLines(e *pipeline.Expectation) string {
	if e == nil {
		return ""
	}
	most := ""
	if e.AtMost {
		most = " at most, where every answer is as long as it may be"
	}
	memory := "unknown"
	if e.MemoryBytes > 0 {
		memory = fmt.Sprintf("%.0f MB", float64(e.MemoryBytes)/1e6)
	}
	return fmt.Sprintf("time    %s%s (%.3g floating point operations at %s)\nmemory  %s\n",
		time.Duration(e.Seconds*float64(time.Second)).Round(time.Second), most, e.Flops, gigaflops(e.FlopsPerSecond), memory)
}

// reportModel prints the lineage of the model that a stage made.
func (w *world) reportModel(m tandem.Model) error {
	figures := ""
	for _, name := range []string{"loss", "eval_loss", "accuracy", "eval_accuracy", "objective/scores", "objective/kl"} {
		if v, ok := m.Metrics[name]; ok {
			figures += fmt.Sprintf(", %s %.4g", name, v)
		}
	}
	return w.report(m, "%s: %s (%s, %s%s)\n", m.URL, m.Name, m.ID, m.Stage, figures)
}

// fitFlags override a preset's training loop.
type fitFlags struct {
	LearningRate    *float64 `help:"Learning rate after the warm-up (default: the preset's)." placeholder:"RATE" group:"training"`
	Schedule        *string  `help:"Of the rate: cosine or constant (default: the preset's)." placeholder:"NAME" group:"training"`
	Floor           *float64 `help:"Share of the rate at which the cosine ends (default: the preset's)." placeholder:"SHARE" group:"training"`
	WarmupShare     *float64 `help:"Share of all steps over which the rate rises (default: the preset's)." placeholder:"SHARE" group:"training"`
	WarmupSteps     *int     `help:"Least number of such steps (default: the preset's)." placeholder:"N" group:"training"`
	Batch           *int     `help:"Examples a step (default: the preset's)." placeholder:"N" group:"training"`
	GraphTokens     *int     `help:"Tokens that go through the model at once; bounds memory (default: the preset's)." placeholder:"N" group:"training"`
	Epochs          *int     `help:"How often every example is seen (default: the preset's)." placeholder:"N" group:"training"`
	Steps           *int     `help:"Steps to take, instead of as many as the epochs say." placeholder:"N" group:"training"`
	Seed            *uint64  `help:"Seed of the order of examples and of new weights (default: 0)." placeholder:"N" group:"training"`
	CheckpointEvery *int     `help:"Steps between resumable states; 0 for interruptions and the end alone (default: the preset's)." placeholder:"N" group:"training"`
	EvaluateEvery   *int     `help:"Steps between measurements of held-out data; 0 for the end alone (default: the preset's)." placeholder:"N" group:"training"`
	KeepBest        *string  `help:"Held-out figure by whose best evaluation weights are kept: loss, accuracy (of reward models) or last, for those of the last step; needs --evaluate-every (default: the preset's)." placeholder:"NAME" group:"training"`
	Patience        *int     `help:"End the run when that many evaluations on end were no better than the best; 0 for never (default: the preset's)." placeholder:"N" group:"training"`
	Beta1           *float64 `name:"beta1" help:"Decay of AdamW's mean (default: the preset's)." placeholder:"X" group:"training"`
	Beta2           *float64 `name:"beta2" help:"Decay of AdamW's square (default: the preset's)." placeholder:"X" group:"training"`
	Epsilon         *float64 `help:"AdamW's epsilon (default: the preset's)." placeholder:"X" group:"training"`
	WeightDecay     *float64 `help:"Decoupled weight decay (default: the preset's)." placeholder:"X" group:"training"`
	GradientClip    *float64 `help:"Largest norm of the gradient; 0 for any (default: the preset's)." placeholder:"X" group:"training"`
	loraFlags
}

// loraFlags train adapters in place of the weights.
type loraFlags struct {
	LoRARank    *int     `name:"lora-rank" help:"Rank of low-rank adapters that are trained in place of the weights, and are merged into them at the end; 0 for none (default: 0)." placeholder:"N" group:"training"`
	LoRAAlpha   *float64 `name:"lora-alpha" help:"What adapters are weighed with, over their rank (default: 16)." placeholder:"X" group:"training"`
	LoRATargets []string `name:"lora-targets" help:"Projections that get adapters: all-linear, or some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj (default: all-linear)." placeholder:"NAME" group:"training"`
}

// apply overrides how adapters are made. The defaults are spelled, so that a model's lineage says what they were.
func (f loraFlags) apply(l *llama.LoRA) {
	set(&l.Rank, f.LoRARank)
	set(&l.Alpha, f.LoRAAlpha)
	if f.LoRATargets != nil {
		l.Targets = strings.Join(f.LoRATargets, ",")
	}
	*l = l.WithDefaults()
}

func (f fitFlags) apply(c *train.Config) {
	set(&c.LearningRate, f.LearningRate)
	if f.Schedule != nil {
		c.Schedule = train.Schedule(*f.Schedule)
	}
	set(&c.Floor, f.Floor)
	set(&c.WarmupShare, f.WarmupShare)
	set(&c.WarmupSteps, f.WarmupSteps)
	set(&c.Batch, f.Batch)
	set(&c.GraphTokens, f.GraphTokens)
	set(&c.Epochs, f.Epochs)
	set(&c.Steps, f.Steps)
	set(&c.Seed, f.Seed)
	set(&c.CheckpointEvery, f.CheckpointEvery)
	set(&c.EvaluateEvery, f.EvaluateEvery)
	if set(&c.KeepBest, f.KeepBest); c.KeepBest == "last" {
		c.KeepBest = ""
	}
	set(&c.Patience, f.Patience)
	set(&c.Optimizer.Beta1, f.Beta1)
	set(&c.Optimizer.Beta2, f.Beta2)
	set(&c.Optimizer.Epsilon, f.Epsilon)
	set(&c.Optimizer.Decay, f.WeightDecay)
	set(&c.Optimizer.Clip, f.GradientClip)
	f.loraFlags.apply(&c.LoRA)
}

// set overrides a field by a flag that was given.
func set[T any](field, flag *T) {
	if flag != nil {
		*field = *flag
	}
}

// make makes the model of a stage, or says what would be made.
func (f stageFlags) make(ctx context.Context, w *world, data []string, plan func(*pipeline.Studio) (pipeline.Plan, error), do func(*pipeline.Studio) (tandem.Model, error)) error {
	return f.studio(ctx, w, data, func(s *pipeline.Studio) (func() error, error) {
		if f.DryRun {
			p, err := plan(s)
			return func() error { return w.reportPlan(p) }, err
		}
		m, err := do(s)
		return func() error { return w.reportModel(m) }, err
	})
}
