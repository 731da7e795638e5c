package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"tandem"
	"tandem/internal/practice/demo"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/train"
)

// benchCommand measures what the machine does, beside the best that it could.
type benchCommand struct {
	Train    benchTrainCommand    `cmd:"" help:"Training steps, optimizer included, beside the machine's best matrix product."`
	Generate benchGenerateCommand `cmd:"" help:"Sampling from a cache, beside bare products and the memory's speed."`
	Score    benchScoreCommand    `cmd:"" help:"Scoring whole sequences, beside bare products; of a pair of reward models the score API, beside their bare passes."`
	PPO      benchPPOCommand      `cmd:"" name:"ppo" help:"Iterations of PPO: where their time and memory go."`
	Annotate benchAnnotateCommand `cmd:"" help:"Judgments through the annotation site by a simulated crowd, beside pgbench."`
}

// shapeFlags choose an architecture: a named one, of which single sizes may be changed.
type shapeFlags struct {
	Shape        string `enum:"prototype,practice,stories260k,stories15m,stories110m" default:"${shape=prototype}" help:"Architecture: prototype (6 layers, hidden 288, vocabulary 4096), practice (the demo's), stories260k, stories15m or stories110m (default: ${default})." placeholder:"NAME" group:"shape"`
	Layers       int    `help:"Layers (default: the architecture's)." placeholder:"N" group:"shape"`
	Hidden       int    `help:"Width of the hidden states (default: the architecture's)." placeholder:"N" group:"shape"`
	Intermediate int    `help:"Width inside the SwiGLU blocks (default: the architecture's)." placeholder:"N" group:"shape"`
	Heads        int    `help:"Attention heads; they divide the hidden width (default: the architecture's)." placeholder:"N" group:"shape"`
	KvHeads      int    `help:"Key-value heads; they divide the heads (default: the architecture's, or the number of heads where that is set)." placeholder:"N" group:"shape"`
	Vocabulary   int    `help:"Tokens of the vocabulary (default: the architecture's)." placeholder:"N" group:"shape"`
}

// config is the architecture with a context of so many tokens at least.
func (f shapeFlags) config(context int) (llama.Config, error) {
	c := train.DefaultBenchConfig().Model
	named := func(layers, hidden, intermediate, heads, keyValue, vocabulary int) {
		c.NumHiddenLayers, c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads, c.NumKeyValueHeads, c.VocabSize = layers, hidden, intermediate, heads, keyValue, vocabulary
	}
	switch f.Shape { // the stories are llama2.c's (https://github.com/karpathy/llama2.c#models), tied
	case "practice":
		d := demo.DefaultConfig(1)
		named(d.Shape.Layers, d.Shape.HiddenSize, d.Shape.IntermediateSize, d.Shape.Heads, d.Shape.KeyValueHeads, d.Vocabulary)
	case "stories260k":
		named(5, 64, 172, 8, 4, 512)
	case "stories15m":
		named(6, 288, 768, 6, 6, 32000)
	case "stories110m":
		named(12, 768, 2048, 12, 12, 32000)
	}
	c.TieWordEmbeddings = f.Shape != "prototype"
	set := func(field *int, value int) {
		if value != 0 {
			*field = value
		}
	}
	set(&c.NumHiddenLayers, f.Layers)
	set(&c.HiddenSize, f.Hidden)
	set(&c.IntermediateSize, f.Intermediate)
	set(&c.NumAttentionHeads, f.Heads)
	set(&c.NumKeyValueHeads, f.Heads)
	set(&c.NumKeyValueHeads, f.KvHeads)
	set(&c.VocabSize, f.Vocabulary)
	if c.NumAttentionHeads < 1 || c.HiddenSize%c.NumAttentionHeads != 0 {
		return c, tandem.Errorf(tandem.Invalid, "", "the hidden width %d cannot be divided among %d heads", c.HiddenSize, c.NumAttentionHeads)
	}
	c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	c.MaxPositionEmbeddings = max(c.MaxPositionEmbeddings, context)
	c.BOS, c.PAD = -1, -1
	return c, c.Validate()
}

type benchTrainCommand struct {
	Sequences int `default:"16" help:"Sequences of a step (default: 16)." placeholder:"N"`
	Length    int `default:"256" help:"Tokens of a sequence (default: 256)." placeholder:"N"`
	Steps     int `default:"10" help:"Steps to measure, after two that are not (default: 10)." placeholder:"N"`
	shapeFlags
	engineFlags
}

func (c *benchTrainCommand) Run(ctx context.Context, w *world) error {
	model, err := c.config(c.Length)
	if err != nil {
		return err
	}
	e, err := c.engineFlags.open(w)
	if err != nil {
		return err
	}
	r, err := train.Bench(ctx, e.library, e.kernels, e.workers, train.BenchConfig{Model: model, Sequences: c.Sequences, Length: c.Length, Steps: c.Steps})
	if err != nil {
		return err
	}
	s := r.Shape
	return w.report(r, "%s", benchText([][2]string{
		{"training", fmt.Sprintf("%d layers, hidden %d, intermediate %d, %d heads on %d, vocabulary %d", s.Layers, s.HiddenSize, s.IntermediateSize, s.Heads, s.KeyValueHeads, s.VocabSize)},
		{"step", fmt.Sprintf("%d sequences of %d tokens in %.3f s, the median of %d", s.Sequences, s.Length, r.SecondsPerStep, s.Steps)},
		{"device", r.Device},
		{"tokens", fmt.Sprintf("%.0f /s", r.TokensPerSecond)},
		{"arithmetic", gigaflops(r.FlopsPerSecond)},
		{"peak", fmt.Sprintf("%s, the best square product; %.0f %% of it", gigaflops(r.PeakFlopsPerSecond), 100*r.ShareOfPeak)},
		{"memory", megabytes(r.PeakMemoryBytes)},
	}))
}

// benchInferenceFlags are what both inference benchmarks take.
type benchInferenceFlags struct {
	Model string `help:"Folder of a model to measure (default: random weights of the architecture)." placeholder:"DIR"`
	Batch int    `default:"32" help:"Sequences at once (default: 32)." placeholder:"N"`
	Runs  int    `default:"3" help:"Runs, of which the best counts; of the score API the median (default: 3)." placeholder:"N"`
	shapeFlags
	engineFlags
}

// weights are the model's, or random ones of the architecture.
func (f benchInferenceFlags) weights(ctx context.Context, classifier bool, tokens int) (*llama.Weights, error) {
	if f.Model != "" {
		m, err := checkpoint.Load(ctx, modelPath(f.Model))
		if err != nil {
			return nil, err
		}
		return m.Weights, nil
	}
	config, err := f.shapeFlags.config(tokens)
	if err != nil {
		return nil, err
	}
	w := llama.NewWeights(config, classifier)
	w.Init(rand.New(rand.NewPCG(1, 1)))
	return w, nil
}

// bench is the configuration of a benchmark on an engine.
func (f benchInferenceFlags) bench(e *engine) llama.BenchConfig {
	return llama.BenchConfig{Batch: f.Batch, Runs: f.Runs, Workers: e.workers.Count(), Kernel: e.kernels, BLAS: e.library}
}

type benchGenerateCommand struct {
	Prompt int `default:"32" help:"Tokens of each prompt (default: 32)." placeholder:"N"`
	Tokens int `default:"128" help:"Tokens to sample after each prompt (default: 128)." placeholder:"N"`
	benchInferenceFlags
}

func (c *benchGenerateCommand) Run(ctx context.Context, w *world) error {
	weights, err := c.weights(ctx, false, c.Prompt+c.Tokens)
	if err != nil {
		return err
	}
	e, err := c.open(w)
	if err != nil {
		return err
	}
	config := c.bench(e)
	config.Prompt, config.Tokens = c.Prompt, c.Tokens
	r, err := llama.BenchGenerate(ctx, weights, config)
	if err != nil {
		return err
	}
	return w.report(r, "%s", inferenceText("sampling", fmt.Sprintf("%d sequences, %d tokens after %d", r.Shape.Batch, r.Shape.Tokens, r.Shape.Prompt), r))
}

type benchScoreCommand struct {
	Length int `default:"256" help:"Tokens of each sequence; of the score API's texts the most (default: 256)." placeholder:"N"`
	pairFlags
	benchInferenceFlags
}

// Validate refuses half a pair, and one beside a model.
func (c *benchScoreCommand) Validate() error {
	if c.Model != "" && c.Helpfulness != "" {
		return errors.New("expected --model, or both --helpfulness and --safety")
	}
	return c.pairFlags.validate()
}

func (c *benchScoreCommand) Run(ctx context.Context, w *world) error {
	if c.Helpfulness != "" {
		return c.pair(ctx, w)
	}
	weights, err := c.weights(ctx, true, c.Length+1)
	if err != nil {
		return err
	}
	e, err := c.open(w)
	if err != nil {
		return err
	}
	config := c.bench(e)
	config.Prompt = c.Length
	r, err := llama.BenchScore(ctx, weights, config)
	if err != nil {
		return err
	}
	return w.report(r, "%s", inferenceText("scoring", fmt.Sprintf("%d sequences of %d tokens", r.Shape.Batch, r.Shape.Prompt), r))
}

// inferenceText is the table of an inference benchmark.
func inferenceText(what, work string, r llama.BenchResult) string {
	s := r.Shape
	rows := [][2]string{
		{what, fmt.Sprintf("%d layers, hidden %d, intermediate %d, %d heads on %d, vocabulary %d, %d parameters", s.Layers, s.Hidden, s.Intermediate, s.Heads, s.KeyValue, s.Vocabulary, s.Parameters)},
		{"work", work},
		{"device", fmt.Sprintf("%d workers, %s kernels; compared with %s", s.Workers, s.Kernel, s.BLAS)},
		{"tokens", fmt.Sprintf("%.0f /s", r.TokensPerSecond)},
		{"arithmetic", gigaflops(r.FlopsPerSecond)},
		{"bare", fmt.Sprintf("%s, the same products alone; %.0f %% of it", gigaflops(r.BareFlopsPerSecond), 100*r.ShareOfBare)},
		{"peak", fmt.Sprintf("%s, the best square product; %.0f %% of it", gigaflops(r.PeakFlopsPerSecond), 100*r.ShareOfPeak)},
	}
	if b := r.Bandwidth; b != nil {
		rows = append(rows, [2]string{"bandwidth", fmt.Sprintf("%.1f GB/s read, so %.0f tokens/s at most; %.0f %% of it", b.ReadBytesPerSecond/1e9, b.BoundTokensPerSecond, 100*b.ShareOfBound)})
	}
	return benchText(append(rows, [2]string{"memory", megabytes(r.PeakMemoryBytes)}))
}

func benchText(rows [][2]string) string {
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%-12s %s\n", row[0], row[1])
	}
	return b.String()
}

func gigaflops(perSecond float64) string { return fmt.Sprintf("%.1f GFLOP/s", perSecond/1e9) }

// megabytes is an amount of memory; systems that do not tell say 0.
func megabytes(bytes int64) string {
	if bytes == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.0f MB at most", float64(bytes)/1e6)
}
