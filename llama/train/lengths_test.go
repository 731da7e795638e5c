package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/llama"
	"tandem/llama/nn"
	"tandem/llama/nn/nntest"
)

// ranked is a reward model's task over pairs, without what it measures.
type ranked struct{ pairs [][2][]int32 }

func (r ranked) Examples() int { return len(r.pairs) }

func (r ranked) Shape(i int) llama.Shape {
	return llama.Shape{Tokens: len(r.pairs[i][0]) + len(r.pairs[i][1]), Sequences: 2}
}

func (r ranked) Build(g *llama.Graph) (p *llama.Program, err error) {
	err = nn.Guard(func() error {
		p, err = g.Compile(nn.RankingLoss(g.Scores(), g.Input("margins", nn.PerPair), nil, g.Input("pairs", nn.Scalar)))
		return err
	})
	return p, err
}

func (r ranked) Batch(examples, step []int) (llama.Batch, error) {
	var sequences [][]int32
	for _, e := range examples {
		sequences = append(sequences, r.pairs[e][0], r.pairs[e][1])
	}
	b := llama.NewBatch(sequences...)
	b.Targets = nil
	b.Inputs["margins"], b.Inputs["pairs"] = make([]float32, len(examples)), []float32{float32(len(step))}
	return b, nil
}

// BenchmarkLengths trains a reward model of the practice world's size on an epoch of pairs whose lengths spread as
// dialogues' do, in steps as they are drawn and in steps of pairs of like length (see split).
func BenchmarkLengths(b *testing.B) {
	c := llama.Config{
		VocabSize: 2048, HiddenSize: 128, IntermediateSize: 352, NumHiddenLayers: 4, NumAttentionHeads: 4, NumKeyValueHeads: 4,
		HeadDim: 32, MaxPositionEmbeddings: 1024, RMSNormEps: 1e-5, RopeTheta: 10000,
	}
	rng := rand.New(rand.NewPCG(1, 2))
	dialogue := func(n int) []int32 {
		tokens := make([]int32, n)
		for i := range tokens {
			tokens[i] = int32(rng.IntN(c.VocabSize))
		}
		return tokens
	}
	task, all := ranked{}, 0
	for range 512 {
		prompt := math.Exp(4 + 0.8*rng.NormFloat64()) // tokens; the median is 55
		n := func() int { return int(min(prompt+math.Exp(3.5+0.7*rng.NormFloat64()), 512)) + 2 }
		task.pairs = append(task.pairs, [2][]int32{dialogue(n()), dialogue(n())})
		all += task.Shape(len(task.pairs) - 1).Tokens
	}
	drawn, byLength := rng.Perm(512), rng.Perm(512)
	slices.SortStableFunc(byLength, func(i, j int) int { return task.Shape(i).Tokens - task.Shape(j).Tokens })
	for _, order := range []struct {
		name string
		of   []int
	}{{"as drawn", drawn}, {"of like length", byLength}} {
		b.Run(order.name, func(b *testing.B) {
			w := llama.NewWeights(c, true)
			w.Init(rng)
			config := DefaultConfig()
			config.Batch = 16
			shape := config.graphShape(task)
			program, err := task.Build(llama.NewGraph(nntest.Fast(b), w, shape))
			if err != nil {
				b.Fatal(err)
			}
			runs, padded := 0, 0
			for step := range slices.Chunk(order.of, config.Batch) {
				longest := 0
				for _, e := range step {
					longest = max(longest, len(task.pairs[e][0]), len(task.pairs[e][1]))
				}
				padded += 2 * len(step) * longest
			}
			for b.Loop() {
				for step := range slices.Chunk(order.of, config.Batch) {
					for _, micro := range split(task, step, shape) {
						batch, err := task.Batch(micro, step)
						if err != nil {
							b.Fatal(err)
						}
						if len(batch.Tokens) != task.tokens(micro) {
							b.Fatalf("a batch of %d tokens holds %d", task.tokens(micro), len(batch.Tokens))
						}
						if _, err := program.Run(batch); err != nil {
							b.Fatal(err)
						}
						runs++
					}
				}
			}
			b.ReportMetric(float64(all)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(float64(runs)/float64(b.N), "micro-batches/epoch")
			b.ReportMetric(float64(padded)/float64(all), "if-padded/tokens") // what a rectangular batch would compute
		})
	}
}

func (r ranked) tokens(examples []int) int {
	n := 0
	for _, e := range examples {
		n += r.Shape(e).Tokens
	}
	return n
}
