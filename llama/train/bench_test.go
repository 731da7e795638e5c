package train

import (
	"encoding/json"
	"os"
	"testing"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama/nn/kernel"
)

// 6 × matrix parameters × tokens, and attention at its causal half, by hand for the shape that figures are
// quoted at.
func TestFlopsPerStep(t *testing.T) {
	const matrices = 6*(288*864+288*288+3*288*768) + 288*4096
	const want = 6*matrices*4096 + 6*6*288*4096*256
	if got := DefaultBenchConfig().FlopsPerStep(); got != want {
		t.Errorf("%g operations, want %g", got, float64(want))
	}
}

// BenchmarkTraining measures the shape that figures are quoted at, or a small one under -short, and
// prints what `tandem bench train --json` does. OPENBLAS_CORETYPE chooses the kernels.
func BenchmarkTraining(b *testing.B) {
	library, err := blas.Load(blas.Options{})
	if err != nil {
		b.Fatal(err)
	}
	kernels, err := kernel.Select(kernel.NameForCoreType(os.Getenv("OPENBLAS_CORETYPE")))
	if err != nil {
		b.Fatal(err)
	}
	c := DefaultBenchConfig()
	if testing.Short() {
		c.Model.NumHiddenLayers, c.Sequences, c.Steps = 1, 2, 2
	}
	for range b.N {
		r, err := Bench(b.Context(), library, kernels, parallel.New(0), c)
		if err != nil {
			b.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		b.Log(string(text))
		b.ReportMetric(r.TokensPerSecond, "tokens/s")
		b.ReportMetric(r.ShareOfPeak, "share-of-peak")
	}
}
