package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
	"tandem/llama/nn"
	"tandem/llama/nn/nntest"
)

// TestSamplerAgreesWithTheGraph samples ragged answers at temperatures other than 1, some ending in EOS,
// and recomputes every token's log-probability, and the entropy there, with the training graph: within 1e-4, or PPO's first
// ratio would not be 1. Scores are compared likewise.
func TestSamplerAgreesWithTheGraph(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 1))
	device := nntest.Fast(t)
	stopped := 0
	for trial := range 6 {
		c := randomConfig(rng)
		eos := []int32{2, 3}
		temperature := []float64{0.6, 0.8, 1.3}[trial%3]
		w := randomWeights(c, false, rng)
		var requests []Request
		for i, prompt := range randomSequences(c, 8, 40, rng) {
			requests = append(requests, Request{
				Prompt: prompt, Stop: eos, Entropy: i > 0, Key: tandem.SampleKey{Seed: 9, Prompt: uint64(i)},
				Sampling: tandem.Sampling{Temperature: temperature, MaxTokens: 1 + rng.IntN(60), TopK: trial % 2 * 3},
			})
		}
		answers := sampleAll(t, newTestSampler(t, w, SamplerConfig{}), requests...)
		var whole [][]int32
		for i, a := range answers {
			whole = append(whole, slices.Concat(requests[i].Prompt, a.tokens))
			if a.finish == tandem.FinishStop {
				stopped++
			}
		}
		batch := NewBatch(whole...)
		graph := NewGraph(device, w, batch.Shape())
		program, err := graph.Compile(nil, graph.LogProbs(temperature), graph.Entropy(temperature))
		if err != nil {
			t.Fatal(err)
		}
		result, err := program.Forward(batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			// Row t of the graph predicts token t + 1.
			first := int(batch.Offsets[i]) + len(requests[i].Prompt) - 1
			for j, got := range a.entropies {
				want := result.Outputs[1][first+j]
				if i == 0 { // it did not ask
					want = 0
				}
				if math.Abs(float64(got-want)) > 1e-4 {
					t.Fatalf("%+v: answer %d, token %d of %d: entropy %v when sampled, %v in the graph", c, i, j, len(a.entropies), got, want)
				}
			}
			for j, got := range a.logprobs {
				if want := result.Outputs[0][first+j]; math.Abs(float64(got-want)) > 1e-4 {
					t.Fatalf("%+v: answer %d, token %d of %d: log-probability %v when sampled, %v in the graph",
						c, i, j, len(a.logprobs), got, want)
				}
			}
		}
		compareScores(t, device, randomWeights(c, true, rng), whole, batch)
	}
	if stopped == 0 {
		t.Error("no answer ended in EOS")
	}
}

// compareScores holds the classifier to the graph's scores.
func compareScores(t *testing.T, device nn.Device, w *Weights, sequences [][]int32, batch Batch) {
	t.Helper()
	graph := NewGraph(device, w, batch.Shape())
	program, err := graph.Compile(nil, graph.Scores())
	if err != nil {
		t.Fatal(err)
	}
	result, err := program.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	classifier, err := NewClassifier(w, ForwardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := classifier.Scores(t.Context(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range scores {
		if want := result.Outputs[0][i]; math.Abs(float64(got-want)) > 1e-4 {
			t.Fatalf("sequence %d scores %v, %v in the graph", i, got, want)
		}
	}
}
