package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/llama/train"
	"tandem/store"
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
	// Store, if not nil, is where snapshots of comparisons are read, and where runs are kept to be watched.
	Store *store.Store
	// AnyKernel goes on with runs of another machine's kernels; results then differ in the last bits.
	AnyKernel bool
	// Judge, if not nil, is a model that says which of two answers is better.
	Judge *evaluation.ModelJudge
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

// fit trains weights, or adapters on them, on a task, resuming where the run was interrupted. It returns what it trained
// and the last step's figures, with those of held-out data that the weights were kept for.
func (w *work) fit(ctx context.Context, weights *llama.Weights, task, heldOut train.Task, c train.Config) (*llama.Weights, map[string]float64, error) {
	weights, err := adapted(weights, c)
	if err != nil {
		return nil, make(map[string]float64), err
	}
	t := train.Trainer{
		Device: w.studio.Device, Weights: weights, Task: task, HeldOut: heldOut, Config: c,
		States: w.states, Resume: w.resume, AnyKernel: w.studio.AnyKernel,
		Observe: func(stats train.Stats) {
			metrics := trainMetrics(stats)
			metrics[store.FlopsMetric] = stepFlops(weights, stats)
			w.observe(Observation{Step: stats.Step, Steps: stats.Steps, Metrics: metrics})
		},
	}
	err = t.Fit(ctx)
	o := t.Outcome()
	if err == nil && o.Stopped {
		w.studio.Log.Info("stopped early: held-out data no longer says that it improves", "step", o.Last.Step, "of", o.Last.Steps, "kept", o.Kept)
	}
	metrics := trainMetrics(o.Last)
	if maps.Copy(metrics, o.HeldOut); o.HeldOut != nil {
		metrics["kept_step"], metrics["steps"] = float64(o.Kept), float64(o.Last.Step)
	}
	return weights, metrics, err
}

// adapted is what a fit trains: the weights, or adapters on them.
func adapted(weights *llama.Weights, c train.Config) (*llama.Weights, error) {
	if c.LoRA.Rank == 0 {
		return weights, nil
	}
	return weights.Adapt(c.LoRA, rand.New(rand.NewPCG(c.Seed, 3)))
}

// trainMetrics are a step's figures under TRL's names.
func trainMetrics(s train.Stats) map[string]float64 {
	m := map[string]float64{
		"loss": s.Loss, "grad_norm": s.GradNorm, "lr": s.LearningRate, "epoch": s.Epoch,
		store.TokensMetric: float64(s.Tokens), "tokens_per_second": s.TokensPerSecond,
	}
	maps.Copy(m, s.Metrics)
	return m
}

// keep saves a finished model and removes the states by which its run could be resumed.
func (s *Studio) keep(ctx context.Context, out string, made *checkpoint.Model, m tandem.Model) (tandem.Model, error) {
	m.CreatedAt = time.Now().UTC()
	for name, value := range m.Metrics {
		if math.IsNaN(value) || math.IsInf(value, 0) { // JSON has neither
			delete(m.Metrics, name)
		}
	}
	made.Lineage = &m
	if err := saveAdapter(ctx, out, made); err != nil {
		return m, err
	}
	if err := checkpoint.Save(ctx, out, made, checkpoint.SaveOptions{}); err != nil {
		return m, err
	}
	s.dropStates(out)
	m.URL = out
	return m, nil
}

// dropStates removes the states of a run whose model stands. Nobody needs them any more, whoever does it.
func (s *Studio) dropStates(out string) {
	if err := os.RemoveAll(filepath.Join(out, statesName)); err != nil {
		s.Log.Warn("the states of a finished run could not be removed", "folder", out, "error", err)
	}
}

// open loads a policy with its tokenizer and template.
func (s *Studio) open(ctx context.Context, path string) (*chat.Policy, error) {
	return chat.Open(ctx, path, s.chatConfig())
}

// HashFiles is the SHA-256 of files' contents, one after another: the snapshot of data that comes as files.
func HashFiles(paths ...string) (string, error) {
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

// parentID is the id of the model in a folder, empty for one that tandem has not made.
func parentID(ctx context.Context, path string) (string, error) {
	lineage, err := checkpoint.ReadLineage(ctx, path)
	if err != nil || lineage == nil {
		return "", err
	}
	return lineage.ID, nil
}
