package llama_test

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
)

// A loss of log-probabilities: its gradient is added to the weights' buffers, from which AdamW moves them.
func ExampleGraph() {
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		log.Fatal(err)
	}
	kernels, err := kernel.Select("")
	if err != nil {
		log.Fatal(err)
	}
	device := nn.NewCPU(library, kernels, parallel.New(0))
	weights := llama.NewWeights(llama.Config{
		VocabSize: 8, HiddenSize: 8, IntermediateSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 4, MaxPositionEmbeddings: 16, RMSNormEps: 1e-5, RopeTheta: 10000,
	}, false)
	weights.Init(rand.New(rand.NewPCG(1, 2)))

	graph := llama.NewGraph(device, weights, llama.Shape{Tokens: 64, Sequences: 8})
	logProbs := graph.LogProbs(1) // [N]
	loss := nn.CrossEntropy(logProbs, graph.Input("weights", nn.PerToken), graph.Input("count", nn.Scalar))
	program, err := graph.Compile(loss, logProbs)
	if err != nil {
		log.Fatal(err)
	}

	batch := llama.NewBatch([]int32{1, 5, 3}, []int32{1, 4})
	batch.Inputs["weights"] = []float32{1, 1, 0, 1, 0} // the last token of a sequence predicts nothing
	batch.Inputs["count"] = []float32{3}
	result, err := program.Run(batch)
	if err != nil {
		log.Fatal(err)
	}
	optimizer := nn.NewAdamW(device, weights.Gradients().Params(), nn.DefaultAdamWConfig())
	if _, err := optimizer.Step(1e-3); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss near ln 8: %v, log-probabilities: %d\n", math.Abs(result.Loss-math.Log(8)) < 0.1, len(result.Outputs[0]))
	// Output: loss near ln 8: true, log-probabilities: 5
}
