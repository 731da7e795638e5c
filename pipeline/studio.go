package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/llama/tokenizer"
	"tandem/llama/train"
)

// Studio is what stages compute with. Its methods are the stages: each takes a specification that names
// files and folders, leaves a model's folder or a file, and may be done again: what is finished is found
// finished, and what was interrupted goes on from its last state.
type Studio struct {
	Device  nn.Device
	Kernels *kernel.Set
	Workers int    // that sample and score; 0 is one for each core
	Kernel  string // BLAS build and kernels, for lineage
	Log     *slog.Logger
	// Observe, if not nil, is told of every step of the stage that runs.
	Observe func(Observation)
}

// Observation is how far a stage is.
type Observation struct {
	Stage   tandem.Stage
	Step    int
	Steps   int
	Metrics map[string]float64 // of this step; nil where it measured nothing
}

func (s *Studio) observe(o Observation) {
	if s.Observe != nil {
		s.Observe(o)
	}
}

func (s *Studio) chatConfig() chat.Config {
	return chat.Config{
		Sampler: llama.SamplerConfig{Workers: s.Workers, Kernel: s.Kernels},
		Forward: llama.ForwardConfig{Workers: s.Workers, Kernel: s.Kernels},
	}
}

// making describes the model that a stage makes: its lineage before it is measured.
type making struct {
	Out   string
	Model tandem.Model // all but ID, Config, Kernel and CreatedAt
	Spec  any          // the stage's specification, kept as Model.Config
}

// identify completes a model's lineage. The id is a hash of it, so that the same work on the same inputs
// is the same model wherever it is done.
func (s *Studio) identify(m making) (tandem.Model, error) {
	config, err := json.Marshal(m.Spec)
	if err != nil {
		return tandem.Model{}, fmt.Errorf("the specification as JSON: %w", err)
	}
	model := m.Model
	model.Config, model.Kernel, model.URL = config, s.Kernel, ""
	text, err := json.Marshal(model)
	if err != nil {
		return tandem.Model{}, fmt.Errorf("the lineage as JSON: %w", err)
	}
	sum := sha256.Sum256(text)
	model.ID = hex.EncodeToString(sum[:8])
	return model, nil
}

// finished returns the model that stands in a folder if it is the very one that would be made.
func (s *Studio) finished(ctx context.Context, m tandem.Model, out string) (tandem.Model, bool, error) {
	there, err := checkpoint.ReadLineage(ctx, out)
	switch {
	case tandem.CodeOf(err) == tandem.NotFound || errors.Is(err, fs.ErrNotExist):
		return tandem.Model{}, false, nil
	case err != nil:
		return tandem.Model{}, false, err
	}
	if there == nil || there.ID != m.ID {
		return tandem.Model{}, false, nil
	}
	there.URL = out
	return *there, true, nil
}

// statesOf keeps a run's resumable states beside the model that it makes.
func statesOf(out string) *checkpoint.States {
	return checkpoint.NewStates(checkpoint.Folder(out), "states", 2)
}

// fit trains weights on a task, resuming where a run of the same model was interrupted.
func (s *Studio) fit(ctx context.Context, stage tandem.Stage, w *llama.Weights, task, heldOut train.Task, c train.Config, out string, resume bool) (last train.Stats, err error) {
	states := statesOf(out)
	if !resume {
		if err := untouched(ctx, states, out); err != nil {
			return last, err
		}
	}
	t := train.Trainer{
		Device: s.Device, Weights: w, Task: task, HeldOut: heldOut, Config: c,
		States: states, Resume: resume,
		Observe: func(stats train.Stats) {
			last = stats
			s.observe(Observation{Stage: stage, Step: stats.Step, Steps: stats.Steps, Metrics: trainMetrics(stats)})
		},
	}
	return last, t.Fit(ctx)
}

// untouched refuses to begin anew where an interrupted run could be resumed.
func untouched(ctx context.Context, states *checkpoint.States, out string) error {
	steps, err := states.Steps(ctx)
	if err != nil || len(steps) == 0 {
		return err
	}
	return tandem.Errorf(tandem.Conflict, "pipeline", "%s holds the state of a run that was interrupted after step %d: resume it, or remove the folder",
		out, steps[len(steps)-1])
}

// trainMetrics are a step's figures under TRL's names.
func trainMetrics(s train.Stats) map[string]float64 {
	m := map[string]float64{
		"loss": s.Loss, "grad_norm": s.GradNorm, "lr": s.LearningRate, "epoch": s.Epoch, "tokens_per_second": s.TokensPerSecond,
	}
	maps.Copy(m, s.Metrics)
	return m
}

// keep saves a finished model and removes the states by which its run could be resumed.
func (s *Studio) keep(ctx context.Context, out string, from *checkpoint.Model, w *llama.Weights, m tandem.Model) (tandem.Model, error) {
	m.CreatedAt = time.Now().UTC()
	for name, value := range m.Metrics {
		if value != value || value-value != 0 { // JSON has no NaN and no infinity
			delete(m.Metrics, name)
		}
	}
	model := &checkpoint.Model{Weights: w, Lineage: &m, Files: from.Files, Fields: from.Fields}
	if err := checkpoint.Save(ctx, out, model, checkpoint.SaveOptions{}); err != nil {
		return tandem.Model{}, err
	}
	if err := os.RemoveAll(filepath.Join(out, "states")); err != nil {
		s.Log.Warn("the states of a finished run could not be removed", "folder", out, "error", err)
	}
	m.URL = out
	return m, nil
}

// open loads a policy with its tokenizer and template.
func (s *Studio) open(ctx context.Context, path string) (*chat.Policy, error) {
	return chat.Open(ctx, path, s.chatConfig())
}

// hashFiles is the SHA-256 of files' contents, one after another: the snapshot of data that comes as files.
func hashFiles(paths ...string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// parentID is a loaded model's id, empty for one that tandem has not made.
func parentID(m *checkpoint.Model) string {
	if m == nil || m.Lineage == nil {
		return ""
	}
	return m.Lineage.ID
}

// withTokenizer returns the files of a model that a fresh tokenizer goes with.
func withTokenizer(t *tokenizer.Tokenizer) *checkpoint.Model {
	return &checkpoint.Model{Files: t.Files()}
}
