package train

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"tandem"
	"tandem/internal/blas"
	"tandem/internal/memory"
	"tandem/internal/parallel"
	"tandem/llama"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
)

// BenchConfig is what Bench measures.
type BenchConfig struct {
	Model     llama.Config
	Sequences int // Per step. Defaults to 16
	Length    int // Tokens of a sequence. Defaults to 256
	Steps     int // Measured, after two that are not. Defaults to 10
}

// DefaultBenchConfig is the shape that the project's figures are quoted at: 6 layers, d 288, f 768, 6 heads,
// vocabulary 4,096 with a separate output matrix; 16 sequences of 256 tokens.
func DefaultBenchConfig() BenchConfig {
	return BenchConfig{
		Model: llama.Config{
			VocabSize: 4096, HiddenSize: 288, IntermediateSize: 768, NumHiddenLayers: 6, NumAttentionHeads: 6, NumKeyValueHeads: 6,
			HeadDim: 48, MaxPositionEmbeddings: 256, RMSNormEps: 1e-5, RopeTheta: 10000,
		},
		Sequences: 16, Length: 256, Steps: 10,
	}
}

// BenchResult is what training costs on this machine: the JSON of `tandem bench train`.
type BenchResult struct {
	TokensPerSecond float64 `json:"tokens_per_second"`
	// FlopsPerSecond counts 6 for every matrix parameter and token, the embedding's look-up not counted, plus
	// attention's products at their causal half; recomputation is not counted.
	FlopsPerSecond     float64    `json:"flops_per_second"`
	PeakFlopsPerSecond float64    `json:"peak_flops_per_second"` // the best square product, the BLAS's or the device's, measured between steps
	ShareOfPeak        float64    `json:"share_of_peak"`
	PeakMemoryBytes    int64      `json:"peak_memory_bytes"` // of the whole process, over the first half of the steps: then the peak is measured too
	SecondsPerStep     float64    `json:"seconds_per_step"`  // the median
	Device             string     `json:"device"`
	Shape              BenchShape `json:"shape"`
}

// BenchShape is the shape that was measured.
type BenchShape struct {
	Sequences        int `json:"sequences"`
	Length           int `json:"length"`
	Steps            int `json:"steps"`
	Layers           int `json:"layers"`
	HiddenSize       int `json:"hidden_size"`
	IntermediateSize int `json:"intermediate_size"`
	Heads            int `json:"heads"`
	KeyValueHeads    int `json:"key_value_heads"`
	VocabSize        int `json:"vocab_size"`
}

// FlopsPerStep is how many floating point operations one step of training must make.
func (c BenchConfig) FlopsPerStep() float64 {
	m := c.Model
	d := m.HiddenSize
	matrices := m.NumHiddenLayers*(d*m.QKVSize()+d*m.AttentionSize()+3*d*m.IntermediateSize) + d*m.VocabSize
	tokens := float64(c.Sequences * c.Length)
	// q·kᵀ and p·v take 2·e each for every pair of tokens and head, half of the pairs, three times for
	// forward and backward.
	attention := 6 * float64(m.NumHiddenLayers) * float64(m.AttentionSize()) * tokens * float64(c.Length)
	return 6*float64(matrices)*tokens + attention
}

// Bench trains a model of the given shape on random tokens and measures its steps, optimizer included, and the peak of
// matrix products with the same library, kernels and workers. From the middle of the run on each step is followed by
// such a product: the speed of a machine that others share changes within seconds, for both alike.
func Bench(ctx context.Context, library *blas.Library, kernels *kernel.Set, workers parallel.Workers, c BenchConfig) (r BenchResult, err error) {
	if err := c.Model.Validate(); err != nil {
		return r, err
	}
	if c.Sequences < 1 || c.Length < 2 || c.Steps < 1 || c.Length > c.Model.MaxPositionEmbeddings {
		return r, tandem.Errorf(tandem.Invalid, "train.Bench", "%d steps of %d sequences of %d tokens in a context of %d",
			c.Steps, c.Sequences, c.Length, c.Model.MaxPositionEmbeddings)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var sequences []Sequence
	for range c.Sequences {
		s := Sequence{Tokens: make([]int32, c.Length)}
		for i := range s.Tokens {
			s.Tokens[i] = int32(rng.IntN(c.Model.VocabSize))
		}
		sequences = append(sequences, s)
	}
	task, err := NewLanguageModel(sequences)
	if err != nil {
		return r, err
	}
	const warmup = 2
	config := DefaultConfig()
	config.Batch, config.GraphTokens, config.Steps, config.CheckpointEvery = c.Sequences, c.Sequences*c.Length, warmup+c.Steps, 0
	config.LearningRate = 1e-4
	weights := llama.NewWeights(c.Model, false)
	weights.Init(rng)
	device := nn.NewCPU(library, kernels, workers)
	var seconds, peaks []float64
	var product func() float64 // the best square one's rate
	trainer := Trainer{
		Device: device, Weights: weights, Task: task, Config: config, Now: time.Now,
		Observe: func(s Stats) {
			seconds = append(seconds, s.Seconds)
			switch {
			case product != nil:
				peaks = append(peaks, product())
			case s.Step >= warmup+c.Steps/2:
				r.PeakMemoryBytes = memory.Peak()
				product = BestProduct(ctx, library, device, workers)
				peaks = append(peaks, product())
			}
		},
	}
	if err := trainer.Fit(ctx); err != nil {
		return r, err
	}
	r.SecondsPerStep = median(seconds[warmup:])
	r.TokensPerSecond = float64(c.Sequences*c.Length) / r.SecondsPerStep
	r.FlopsPerSecond = c.FlopsPerStep() / r.SecondsPerStep
	r.PeakFlopsPerSecond = median(peaks)
	r.ShareOfPeak = r.FlopsPerSecond / r.PeakFlopsPerSecond
	r.Device = device.String()
	m := c.Model
	r.Shape = BenchShape{c.Sequences, c.Length, c.Steps, m.NumHiddenLayers, m.HiddenSize, m.IntermediateSize,
		m.NumAttentionHeads, m.NumKeyValueHeads, m.VocabSize}
	return r, nil
}

// BestProduct returns what runs the fastest square product once more and tells its rate: the BLAS's, or where no tuned one
// is installed perhaps the device's of 1024³.
func BestProduct(ctx context.Context, library *blas.Library, device nn.Device, workers parallel.Workers) func() float64 {
	own := deviceProduct(device)
	peak, err := blas.PeakFlops(ctx, library, workers)
	if err != nil || peak.FlopsPerSecond < medianOf(own) { // an error is the context's, which the trainer meets too
		return own
	}
	return blas.NewSquare(library, workers, peak.Size).FlopsPerSecond
}

// DeviceProduct is the rate of the device's square product of 1024³, the median of some.
func DeviceProduct(device nn.Device) float64 { return medianOf(deviceProduct(device)) }

// deviceProduct returns what runs that product once more and tells its rate.
func deviceProduct(device nn.Device) func() float64 {
	const n = 1024
	x, w, y := memory.Floats(n*n), memory.Floats(n*n), memory.Floats(n*n)
	for i := range x {
		x[i], w[i] = float32(i%7)-3, float32(i%5)-2
	}
	return func() (rate float64) {
		device.Hold(func() {
			start := time.Now()
			device.Linear(n, n, n, y, x, w)
			rate = 2 * n * n * n / time.Since(start).Seconds()
		})
		return rate
	}
}

// medianOf is the median of what several runs measure.
func medianOf(run func() float64) float64 {
	const runs = 7
	var measured []float64
	for range runs {
		measured = append(measured, run())
	}
	return median(measured)
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
