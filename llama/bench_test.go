package llama

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/internal/blas"
)

func TestBenchesReport(t *testing.T) {
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(41, 1))
	config := BenchConfig{Batch: 2, Prompt: 5, Tokens: 4, Runs: 1, BLAS: library, Peak: 1e9}
	for name, run := range map[string]func() (BenchResult, error){
		"generate": func() (BenchResult, error) {
			return BenchGenerate(t.Context(), randomWeights(testConfig(), false, rng), config)
		},
		"score a policy": func() (BenchResult, error) {
			return BenchScore(t.Context(), randomWeights(testConfig(), false, rng), config)
		},
		"score": func() (BenchResult, error) {
			return BenchScore(t.Context(), randomWeights(testConfig(), true, rng), config)
		},
	} {
		r, err := run()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !(r.TokensPerSecond > 0 && r.FlopsPerSecond > r.TokensPerSecond && r.ShareOfBare > 0 && r.ShareOfPeak > 0) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestFlopsCountTheMatrices works the count of a token by hand.
func TestFlopsCountTheMatrices(t *testing.T) {
	c := testConfig() // d 20, f 27, 4 heads of 6 on 2, vocabulary 53, 2 layers
	b := &bench{weights: NewWeights(c, false)}
	matrices := 2*((4+2*2)*6*20+20*24+2*27*20+20*27) + 53*20
	if got, want := b.flops(10), 2*float64(matrices)+4*10*24*2; got != want {
		t.Errorf("a token at position 10 costs %v, want %v", got, want)
	}
}

// BenchmarkInference runs the benches on the shapes that the targets are set for.
func BenchmarkInference(b *testing.B) {
	for _, size := range []string{"15M", "110M"} {
		w, err := BenchWeights(size)
		if err != nil {
			b.Fatal(err)
		}
		for _, batch := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/batch%d", size, batch), func(b *testing.B) {
				for b.Loop() {
					r, err := BenchGenerate(context.Background(), w, BenchConfig{Batch: batch, Tokens: 64})
					if err != nil {
						b.Fatal(err)
					}
					text, _ := json.Marshal(r)
					b.Logf("%s", text)
				}
			})
		}
		b.Run(size+"/score", func(b *testing.B) {
			for b.Loop() {
				r, err := BenchScore(context.Background(), w, BenchConfig{Batch: 8})
				if err != nil {
					b.Fatal(err)
				}
				text, _ := json.Marshal(r)
				b.Logf("%s", text)
			}
		})
	}
}
