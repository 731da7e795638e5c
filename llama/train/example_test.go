package train_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/llama/train"
)

// Fit a tiny model to one sentence of token ids.
func ExampleTrainer() {
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		log.Fatal(err)
	}
	kernels, err := kernel.Select("")
	if err != nil {
		log.Fatal(err)
	}
	weights := llama.NewWeights(llama.Config{
		VocabSize: 8, HiddenSize: 8, IntermediateSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 2,
		HeadDim: 4, MaxPositionEmbeddings: 16, RMSNormEps: 1e-5, RopeTheta: 10000,
	}, false)
	weights.Init(rand.New(rand.NewPCG(1, 2)))
	task, err := train.NewLanguageModel([]train.Sequence{{Tokens: []int32{1, 5, 3, 7, 2}}})
	if err != nil {
		log.Fatal(err)
	}
	config := train.DefaultConfig()
	config.LearningRate, config.Batch, config.Steps = 0.02, 1, 100

	var first, last train.Stats
	trainer := train.Trainer{
		Device: nn.NewCPU(library, kernels, parallel.New(0)), Weights: weights, Task: task, Config: config,
		Observe: func(s train.Stats) {
			if s.Step == 1 {
				first = s
			}
			last = s
		},
	}
	if err := trainer.Fit(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("step %d of %d, loss below a tenth: %v\n", last.Step, last.Steps, last.Loss < first.Loss/10)
	// Output: step 100 of 100, loss below a tenth: true
}
