package llama

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"tandem"
	"tandem/internal/blas"
	"tandem/internal/memory"
	"tandem/internal/parallel"
	"tandem/llama/nn/kernel"
)

// BenchConfig is what a benchmark of inference runs.
type BenchConfig struct {
	Batch   int           // sequences at once. Defaults to 32
	Prompt  int           // tokens of each prompt; of each sequence when scoring. Defaults to 32, scoring 256
	Tokens  int           // tokens sampled after each prompt. Defaults to 128
	Runs    int           // the best of so many counts: other processes can only slow a run. Defaults to 3
	Workers int           // defaults to the number of cores that Go uses
	Kernel  *kernel.Set   // defaults to the fastest that the processor has
	BLAS    *blas.Library // what peak and bare products are measured with. Defaults to the machine's
	Peak    float64       // the machine's peak in flops per second, where it is known. Defaults to measuring it
}

// BenchWeights returns a policy with random weights and a context of 1,024, to measure where there is no
// model at hand: size is "15M" or "110M", the shapes of llama2.c's stories15M and stories110M.
func BenchWeights(size string) (*Weights, error) {
	c := Config{
		VocabSize: 32000, MaxPositionEmbeddings: 1024, RMSNormEps: 1e-5, RopeTheta: 10000, TieWordEmbeddings: true,
		BOS: 1, EOS: []int{2}, PAD: -1,
	}
	switch size {
	case "15M":
		c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 288, 768, 6, 6
	case "110M":
		c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 768, 2048, 12, 12
	default:
		return nil, tandem.Errorf(tandem.Invalid, "llama.BenchWeights", "there is no size %q (there are 15M and 110M)", size)
	}
	c.NumKeyValueHeads, c.HeadDim = c.NumAttentionHeads, c.HiddenSize/c.NumAttentionHeads
	w := NewWeights(c, false)
	w.Init(rand.New(rand.NewPCG(1, 1)))
	return w, nil
}

// BenchResult is what `tandem bench generate` and `tandem bench score` report. A rate is the best run's.
type BenchResult struct {
	TokensPerSecond float64 `json:"tokens_per_second"` // sampled, or scored
	// FlopsPerSecond counts 2 for every element of a matrix that a token is multiplied with, no embedding
	// look-up, and attention over the positions that it sees.
	FlopsPerSecond     float64 `json:"flops_per_second"`
	PeakFlopsPerSecond float64 `json:"peak_flops_per_second"` // the best square matrix product
	ShareOfPeak        float64 `json:"share_of_peak"`
	PeakMemoryBytes    int64   `json:"peak_memory_bytes"` // of the process, after the first run; 0 where the system does not say
	// BareFlopsPerSecond is the rate of the same matrix products alone, at the same number of rows, by the
	// BLAS, taken in turn with the steps.
	BareFlopsPerSecond float64 `json:"bare_flops_per_second"`
	ShareOfBare        float64 `json:"share_of_bare"`
	// Bandwidth stands where one sequence is decoded at a time, which reads all matrices for every token.
	Bandwidth *BenchBandwidth `json:"bandwidth,omitempty"`
	Shape     BenchShape      `json:"shape"`
}

// BenchBandwidth compares decoding with reading memory.
type BenchBandwidth struct {
	WeightBytes          int64   `json:"weight_bytes"`          // read for a token
	ReadBytesPerSecond   float64 `json:"read_bytes_per_second"` // of a large array, by all workers, in turn with the steps
	BoundTokensPerSecond float64 `json:"bound_tokens_per_second"`
	ShareOfBound         float64 `json:"share_of_bound"`
}

// BenchShape says what a figure was measured on.
type BenchShape struct {
	Vocabulary   int    `json:"vocabulary"`
	Hidden       int    `json:"hidden"`
	Intermediate int    `json:"intermediate"`
	Layers       int    `json:"layers"`
	Heads        int    `json:"heads"`
	KeyValue     int    `json:"key_value_heads"`
	Parameters   int64  `json:"parameters"`
	Batch        int    `json:"batch"`
	Prompt       int    `json:"prompt_tokens"`
	Tokens       int    `json:"new_tokens,omitempty"`
	Workers      int    `json:"workers"`
	Kernel       string `json:"kernel"`
	BLAS         string `json:"blas"`
}

// bench is a benchmark under way. Its work is measured in turn with what it is compared with, run by
// run, so that both meet the same neighbours on the machine; of each the best run counts.
type bench struct {
	config  BenchConfig
	weights *Weights
	workers parallel.Workers
	result  BenchResult

	x, y, array []float32 // what the comparisons work on

	run, best benchTimes
}

// benchTimes are the times of one run.
type benchTimes struct {
	work time.Duration // the benchmark's own
	bare time.Duration // the products alone
	read time.Duration // reading memory; 0 where that is not compared
}

func newBench(w *Weights, config BenchConfig) (*bench, error) {
	setDefault := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	setDefault(&config.Batch, 32)
	setDefault(&config.Prompt, 32)
	setDefault(&config.Tokens, 128)
	setDefault(&config.Runs, 3)
	if most := w.Config.MaxPositionEmbeddings; config.Prompt >= most {
		return nil, tandem.Errorf(tandem.Invalid, "llama.Bench", "sequences of %d tokens do not fit the context of %d", config.Prompt, most)
	}
	var err error
	if config.Kernel == nil {
		if config.Kernel, err = kernel.Select(""); err != nil {
			return nil, err
		}
	}
	if config.BLAS == nil {
		if config.BLAS, err = blas.Load(blas.Options{}); err != nil {
			return nil, err
		}
	}
	workers := parallel.New(config.Workers)
	c := w.Config
	parameters := int64(0)
	for _, p := range w.Params() {
		parameters += int64(len(p.Data))
	}
	return &bench{
		config: config, weights: w, workers: workers,
		result: BenchResult{Shape: BenchShape{
			Vocabulary: c.VocabSize, Hidden: c.HiddenSize, Intermediate: c.IntermediateSize, Layers: c.NumHiddenLayers,
			Heads: c.NumAttentionHeads, KeyValue: c.NumKeyValueHeads, Parameters: parameters,
			Batch: config.Batch, Prompt: config.Prompt, Workers: workers.Count(),
			Kernel: config.Kernel.Name(), BLAS: config.BLAS.String(),
		}},
	}, nil
}

// BenchGenerate measures decoding: Batch sequences with random prompts, sampled at temperature 1 without
// stop tokens. The time begins when all prompts have been taken in.
func BenchGenerate(ctx context.Context, w *Weights, config BenchConfig) (BenchResult, error) {
	b, err := newBench(w, config)
	if err != nil {
		return BenchResult{}, err
	}
	config = b.config
	config.Tokens = min(config.Tokens, w.Config.MaxPositionEmbeddings-config.Prompt)
	b.result.Shape.Tokens = config.Tokens
	s, err := NewSampler(w, SamplerConfig{Slots: config.Batch, PrefillTokens: config.Batch * config.Prompt, Workers: config.Workers, Kernel: config.Kernel})
	if err != nil {
		return BenchResult{}, err
	}
	steps := config.Tokens - 1
	if steps < 1 {
		return BenchResult{}, tandem.Errorf(tandem.Invalid, "llama.BenchGenerate", "%d new tokens are too few to measure", config.Tokens)
	}
	for run := range config.Runs {
		s.Reset()
		for i, prompt := range b.prompts() {
			key := tandem.SampleKey{Seed: uint64(run), Prompt: uint64(i)}
			if _, err := s.Add(Request{Prompt: prompt, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: config.Tokens}, Key: key}); err != nil {
				return BenchResult{}, err
			}
		}
		if _, err := s.Step(ctx); err != nil {
			return BenchResult{}, err
		}
		start := time.Now()
		s.trunk.workers.Hold(func() { // as Sample does
			for !s.Idle() && err == nil {
				_, err = s.Step(ctx)
			}
		})
		b.run.work = time.Since(start)
		if err != nil {
			return BenchResult{}, err
		}
		for range steps { // not between the steps: it would take the model out of the caches
			b.compare(config.Batch)
		}
		b.endRun()
	}
	// The mean position of a decoded token is half of the answer behind the prompt.
	position := float64(config.Prompt) + float64(config.Tokens)/2
	return b.finish(ctx, steps, config.Batch, config.Batch*steps, position)
}

// BenchScore measures the pass over whole sequences: Batch sequences of Prompt random tokens each, scored
// by the scalar head of a classifier, or by the log-probability of every token of a policy.
func BenchScore(ctx context.Context, w *Weights, config BenchConfig) (BenchResult, error) {
	if config.Prompt <= 0 {
		config.Prompt = min(256, w.Config.MaxPositionEmbeddings-1)
	}
	b, err := newBench(w, config)
	if err != nil {
		return BenchResult{}, err
	}
	config = b.config
	forward, err := NewForward(w, ForwardConfig{Workers: config.Workers, Kernel: config.Kernel})
	if err != nil {
		return BenchResult{}, err
	}
	classifier := &Classifier{forward}
	sequences, tokens := b.prompts(), config.Batch*config.Prompt
	rows := min(tokens, forward.limit)
	passes := (tokens + rows - 1) / rows
	for range config.Runs {
		start := time.Now()
		if w.IsClassifier() {
			_, err = classifier.Scores(ctx, sequences)
		} else {
			_, err = forward.LogProbs(ctx, sequences)
		}
		if err != nil {
			return BenchResult{}, err
		}
		b.run.work = time.Since(start)
		for range passes {
			b.compare(rows)
		}
		b.endRun()
	}
	return b.finish(ctx, passes, rows, tokens, float64(config.Prompt)/2)
}

// prompts returns Batch distinct sequences of Prompt random tokens.
func (b *bench) prompts() [][]int32 {
	rng := rand.New(rand.NewPCG(1, 1))
	prompts := make([][]int32, b.config.Batch)
	for i := range prompts {
		prompts[i] = make([]int32, b.config.Prompt)
		for j := range prompts[i] {
			prompts[i][j] = int32(rng.IntN(b.weights.Config.VocabSize))
		}
	}
	return prompts
}

// matrix is one product of a token's pass, with weights [out, in].
type matrix struct {
	data    []float32
	out, in int
}

// matrices lists the products of a token's pass. The scalar head is too small to count.
func (b *bench) matrices() []matrix {
	c := b.weights.Config
	d, f := c.HiddenSize, c.IntermediateSize
	var all []matrix
	for _, l := range b.weights.Layers {
		all = append(all, matrix{l.QKV, c.QKVSize(), d}, matrix{l.O, d, c.AttentionSize()},
			matrix{l.GateUp, 2 * f, d}, matrix{l.Down, d, f})
	}
	if b.weights.Output != nil {
		all = append(all, matrix{b.weights.Output, c.VocabSize, d})
	}
	return all
}

// flops is what one token at a position costs.
func (b *bench) flops(position float64) float64 {
	c := b.weights.Config
	attention := 4 * position * float64(c.AttentionSize()*c.NumHiddenLayers)
	return 2*float64(b.elements()) + attention
}

// elements counts the matrices' elements.
func (b *bench) elements() int {
	n := 0
	for _, m := range b.matrices() {
		n += len(m.data)
	}
	return n
}

// compare measures one pass of bare products with so many rows, and for a single row the speed of memory.
func (b *bench) compare(rows int) {
	if b.result.PeakMemoryBytes == 0 {
		b.result.PeakMemoryBytes = memory.Peak() // before the comparison's own arrays
	}
	matrices, most := b.matrices(), 0
	for _, m := range matrices {
		most = max(most, m.out, m.in)
	}
	if b.x == nil {
		b.x, b.y = slices.Repeat([]float32{1}, rows*most), make([]float32, rows*most)
	}
	b.workers.Hold(func() {
		start := time.Now()
		for _, m := range matrices {
			b.config.BLAS.GemmParallel(b.workers, false, true, rows, m.out, m.in, 1, b.x, m.in, m.data, m.in, 0, b.y, m.out)
		}
		b.run.bare += time.Since(start)
	})
	if rows == 1 {
		b.run.read += b.readMemory()
	}
}

// readFloats is the length of the array that readMemory reads, several times the size of a cache.
const readFloats = 64 << 20

// readMemory returns how long all workers take to read the array.
func (b *bench) readMemory() time.Duration {
	const chunk = 1 << 16
	if b.array == nil {
		b.array = slices.Repeat([]float32{1}, readFloats) // pages that nobody wrote to would all be one page
	}
	start := time.Now()
	b.workers.For(readFloats/chunk, 1, func(from, to int) {
		for i := from; i < to; i++ {
			b.config.Kernel.Sum(b.array[i*chunk : (i+1)*chunk])
		}
	})
	return time.Since(start)
}

// endRun keeps the run's times where they are the best so far.
func (b *bench) endRun() {
	keep := func(best *time.Duration, took time.Duration) {
		if *best == 0 || took < *best {
			*best = took
		}
	}
	keep(&b.best.work, b.run.work)
	keep(&b.best.bare, b.run.bare)
	keep(&b.best.read, b.run.read)
	b.run = benchTimes{}
}

// finish works out the rates of runs that took the given tokens, each at the given mean position, and were
// compared with so many passes of rows; and it adds the machine's peak.
func (b *bench) finish(ctx context.Context, passes, rows, tokens int, position float64) (BenchResult, error) {
	r := b.result
	r.TokensPerSecond = float64(tokens) / b.best.work.Seconds()
	r.FlopsPerSecond = r.TokensPerSecond * b.flops(position)
	r.BareFlopsPerSecond = 2 * float64(b.elements()) * float64(passes*rows) / b.best.bare.Seconds()
	r.ShareOfBare = r.FlopsPerSecond / r.BareFlopsPerSecond
	if b.best.read > 0 {
		bytes := 4 * float64(b.elements())
		rate := 4 * readFloats * float64(passes) / b.best.read.Seconds()
		r.Bandwidth = &BenchBandwidth{
			WeightBytes:          int64(bytes),
			ReadBytesPerSecond:   rate,
			BoundTokensPerSecond: rate / bytes,
			ShareOfBound:         r.TokensPerSecond * bytes / rate,
		}
	}
	r.PeakFlopsPerSecond = b.config.Peak
	if r.PeakFlopsPerSecond == 0 {
		peak, err := blas.PeakFlops(ctx, b.config.BLAS, b.workers)
		if err != nil {
			return BenchResult{}, err
		}
		r.PeakFlopsPerSecond = peak.FlopsPerSecond
	}
	r.ShareOfPeak = r.FlopsPerSecond / r.PeakFlopsPerSecond
	return r, nil
}
