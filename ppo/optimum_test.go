package ppo

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn/nntest"
)

// toy is an environment of one question whose answers are few enough to list: symbols 1, 2, … and EOS 0.
type toy struct {
	reward func(answer []int32) float64
}

func (toy) Questions(_, n int) ([]Question, error) {
	questions := make([]Question, n)
	for i := range questions {
		questions[i] = Question{Tokens: []int32{toyBOS}, Key: 7}
	}
	return questions, nil
}

func (toy) HeldOut() []Question { return nil }
func (toy) Stop() []int32       { return []int32{toyEOS} }

func (e toy) Score(_ context.Context, answers []Answer) ([]tandem.Score, error) {
	scores := make([]tandem.Score, len(answers))
	for i, a := range answers {
		scores[i].Combined = e.reward(a.Tokens)
	}
	return scores, nil
}

const (
	toyEOS = 0
	toyBOS = 3 // the vocabulary is EOS, two symbols and BOS
)

// toyModels draws a policy with opinions, its reference and a critic.
func toyModels(vocabulary int) Models {
	c := llama.Config{
		VocabSize: vocabulary, HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 1, NumAttentionHeads: 2,
		NumKeyValueHeads: 1, HeadDim: 8, MaxPositionEmbeddings: 8, RMSNormEps: 1e-5, RopeTheta: 10000, BOS: toyBOS, EOS: []int{toyEOS}, PAD: -1,
	}
	rng := rand.New(rand.NewPCG(1, 1))
	policy, critic := llama.NewWeights(c, false), llama.NewWeights(c, true)
	for _, w := range []*llama.Weights{policy, critic} {
		w.Init(rng)
		for _, p := range w.Params() {
			if p.Decay && p.Name != "score" {
				for i := range p.Data {
					p.Data[i] *= 10
				}
			}
		}
	}
	return Models{Policy: policy, Reference: policy.Clone(), Critic: critic}
}

// adaptedToys are toyModels as a run with the configuration has them.
func adaptedToys(t *testing.T, c Config) Models {
	t.Helper()
	toys := toyModels(4)
	if c.LoRA.Rank == 0 {
		return toys
	}
	models, err := NewModels(toys.Policy, toys.Critic, c)
	if err != nil {
		t.Fatal(err)
	}
	return models
}

// enumerate lists every answer of at most most tokens with its probability under w: answers end in EOS or
// at the limit.
func enumerate(t *testing.T, w *llama.Weights, most int) (answers [][]int32, probabilities []float64) {
	t.Helper()
	forward, err := llama.NewForward(w, llama.ForwardConfig{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	var extend func(prefix []int32)
	extend = func(prefix []int32) {
		if n := len(prefix); n > 0 && (n == most || prefix[n-1] == toyEOS) {
			answers = append(answers, append([]int32(nil), prefix...))
			return
		}
		for token := range int32(w.Config.VocabSize) {
			extend(append(prefix, token))
		}
	}
	extend(nil)
	sequences := make([][]int32, len(answers))
	for i, a := range answers {
		sequences[i] = append([]int32{toyBOS}, a...)
	}
	logprobs, err := forward.LogProbs(t.Context(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	for _, lp := range logprobs {
		sum := 0.0
		for _, x := range lp[1:] {
			sum += float64(x)
		}
		probabilities = append(probabilities, math.Exp(sum))
	}
	return answers, probabilities
}

// PPO's objective has a closed-form optimum over all policies, π*(a) ∝ π₀(a)·exp(R(a)/β)
// (https://arxiv.org/abs/1909.08593, equation 3): the trained policy must come to it.
func TestConvergesToTheKnownOptimum(t *testing.T) {
	if testing.Short() {
		t.Skip("a few hundred iterations; not under the race detector")
	}
	for _, c := range []struct {
		name       string
		tokens     int
		iterations int
		lora       llama.LoRA
		reward     func([]int32) float64
	}{
		{"one token", 1, 200, llama.LoRA{}, oneToken},
		{"one token, by adapters", 1, 200, llama.LoRA{Rank: 4, Alpha: 8}, oneToken},
		{"three tokens, ending early or cut", 3, 400, llama.LoRA{}, severalTokens},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := DefaultConfig()
			config.LoRA = c.lora
			models := adaptedToys(t, config)
			const beta = 0.5
			answers, prior := enumerate(t, models.Reference, c.tokens)
			optimum, z := make([]float64, len(answers)), 0.0
			for i, a := range answers {
				optimum[i] = prior[i] * math.Exp(c.reward(a)/beta)
				z += optimum[i]
			}
			for i := range optimum {
				optimum[i] /= z
			}

			config.Iterations, config.BatchSize, config.MinibatchSize = c.iterations, 512, 128
			config.LearningRate, config.FinalLearningRate, config.CriticLearningRate, config.CriticWarmup = 3e-3, 0, 1e-2, 5
			config.Beta, config.MaxTokens, config.WeightDecay = beta, c.tokens, 0
			config.WhitenScores, config.WhitenAdvantages, config.EvaluateEvery, config.Seed = false, false, 0, 3
			trainer, err := NewTrainer(nntest.Plain(t), models, toy{c.reward}, config, 2)
			if err != nil {
				t.Fatal(err)
			}
			var last Stats
			if err := trainer.Run(t.Context(), nil, Observer{Iteration: func(s Stats) { last = s }}); err != nil {
				t.Fatal(err)
			}
			_, got := enumerate(t, models.Policy, c.tokens)
			before, after := totalVariation(prior, optimum), totalVariation(got, optimum)
			t.Logf("total variation to the optimum: %.4f before, %.4f after; %d answers; KL %.3f", before, after, len(answers), last.KL)
			if before < 0.1 {
				t.Errorf("the case shows nothing: the reference is %.4f from the optimum", before)
			}
			if after > 0.02 {
				t.Errorf("total variation %.4f, want at most 0.02", after)
				for i, a := range answers {
					t.Log(fmt.Sprint(a), prior[i], got[i], optimum[i])
				}
			}
		})
	}
}

func oneToken(a []int32) float64 { return []float64{-0.5, 1, 0.3, -1}[a[0]] }

// severalTokens rewards a whole answer: for the first symbol, for its repetition, and for ending.
func severalTokens(a []int32) float64 {
	r := 0.0
	for i, token := range a {
		switch {
		case token == toyEOS:
			r += 0.4
		case token == 1:
			r += 0.5
		case i > 0 && a[i-1] == token:
			r -= 0.7
		}
	}
	return r
}

func totalVariation(p, q []float64) float64 {
	sum := 0.0
	for i := range p {
		sum += math.Abs(p[i] - q[i])
	}
	return sum / 2
}

// On the first minibatch of the first update the policy is still the one that sampled, and the reference: sampler and
// training graph say the same of it, but for rounding.
func TestFirstMinibatchHasRatioOneAndNoKL(t *testing.T) {
	t.Run("whole", func(t *testing.T) { beginsAtReference(t, llama.LoRA{}) })
	t.Run("adapters", func(t *testing.T) { beginsAtReference(t, llama.LoRA{Rank: 3}) })
}

func beginsAtReference(t *testing.T, lora llama.LoRA) {
	t.Helper()
	config := DefaultConfig()
	config.LoRA = lora
	models := adaptedToys(t, config)
	config.Iterations, config.BatchSize, config.MinibatchSize, config.CriticWarmup, config.EvaluateEvery = 2, 32, 8, 0, 0
	config.MaxTokens, config.Temperature, config.LearningRate = 6, 1.3, 1e-2
	config.GraphTokens = 20 // several microbatches a minibatch
	trainer, err := NewTrainer(nntest.Plain(t), models, toy{func(a []int32) float64 { return float64(len(a)) }}, config, 2)
	if err != nil {
		t.Fatal(err)
	}
	var all []Stats
	if err := trainer.Run(t.Context(), nil, Observer{Iteration: func(s Stats) { all = append(all, s) }}); err != nil {
		t.Fatal(err)
	}
	const rounding = 1e-5
	if first := all[0]; first.FirstRatioError > rounding || math.Abs(first.KL) > rounding || math.Abs(first.KLPerToken) > rounding {
		t.Errorf("ratio off by %g, KL %g before the first update", first.FirstRatioError, first.KL)
	}
	if second := all[1]; second.FirstRatioError > rounding || second.KL < 100*rounding {
		t.Errorf("second iteration: ratio off by %g, KL %g", second.FirstRatioError, second.KL)
	}
	if all[0].ApproxKL == 0 {
		t.Error("the updates moved nothing")
	}
}
