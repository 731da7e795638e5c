package llama_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tandem/llama"
	"tandem/llama/checkpoint"
)

func TestAttentionIsTransformers(t *testing.T) {
	for _, name := range []string{"gqa_tied", "untied"} {
		t.Run(name, func(t *testing.T) {
			var golden struct {
				Tokens     []int32         `json:"tokens"`
				Attentions [][][][]float64 `json:"attentions"`
			}
			text, err := os.ReadFile(filepath.Join("testdata", name, "attention.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &golden); err != nil {
				t.Fatal(err)
			}
			m, err := checkpoint.Load(t.Context(), filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := llama.NewForward(m.Weights, llama.ForwardConfig{})
			if err != nil {
				t.Fatal(err)
			}
			a, err := f.Attention(t.Context(), golden.Tokens)
			if err != nil {
				t.Fatal(err)
			}
			if a.Layers != len(golden.Attentions) || a.Heads != len(golden.Attentions[0]) {
				t.Fatalf("%d layers and %d heads", a.Layers, a.Heads)
			}
			for l, heads := range golden.Attentions {
				for h, queries := range heads {
					for q, keys := range queries {
						for k, got := range a.Of(l, h, q) {
							if math.Abs(float64(got)-keys[k]) > 1e-5 {
								t.Errorf("layer %d, head %d, query %d, key %d: %g, transformers has %g", l, h, q, k, got, keys[k])
							}
						}
					}
				}
			}
			if _, err := f.LogProbs(t.Context(), [][]int32{golden.Tokens}); err != nil { // and nobody watches any more
				t.Fatal(err)
			}
		})
	}
}
