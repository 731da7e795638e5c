package ppo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn/nntest"
	"tandem/llama/train"
)

// iteration is an iteration's answers, and what PyTorch makes of them; testdata/iteration.py computes it.
type iteration struct {
	Config  Config             `json:"config"`
	Ptx     [][]train.Sequence `json:"ptx,omitempty"` // for each minibatch
	Answers []iterationAnswer  `json:"answers"`
	Metrics map[string]float64 `json:"metrics"`
}

type iterationAnswer struct {
	Prompt []int32 `json:"prompt"`
	Tokens []int32 `json:"tokens"`
	Ended  bool    `json:"ended"`
	Score  float64 `json:"score"`
}

// sampled poses ragged prompts, scores answers by their tokens, and notes what it has scored.
type sampled struct{ answers []iterationAnswer }

func (*sampled) Questions(_, n int) ([]Question, error) {
	questions := make([]Question, n)
	for i := range questions {
		tokens := []int32{1}
		for j := range 2 + i*5%7 {
			tokens = append(tokens, int32(3+(i*11+j*17)%45))
		}
		questions[i] = Question{Tokens: tokens, Key: uint64(i)}
	}
	return questions, nil
}

func (*sampled) HeldOut() []Question { return nil }
func (*sampled) Stop() []int32       { return []int32{2, 5, 11, 17, 23, 31} }

func (e *sampled) Score(_ context.Context, answers []Answer) ([]tandem.Score, error) {
	scores := make([]tandem.Score, len(answers))
	for i, a := range answers {
		for _, token := range a.Tokens {
			scores[i].Combined += float64(token*7%13-6) / 8
		}
		e.answers = append(e.answers, iterationAnswer{a.Question.Tokens, a.Tokens, a.Finish == tandem.FinishStop, scores[i].Combined})
	}
	return scores, nil
}

// A whole iteration, two minibatches of several microbatches with KL, clipping, ragged answers and some that do
// not end, gives PyTorch's figures and weights: with the paper's objective, and with what may be added to it.
// TANDEM_GOLDEN_OUT names a folder to write the answers to instead.
func TestIterationAgainstPyTorch(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"iteration": func(*Config) {},
		"objective": func(c *Config) {
			c.KLEstimator, c.WhitenRewards, c.EntropyCoefficient, c.PtxCoefficient, c.PtxBatchSize = K3, true, 0.1, 0.4, 3
		},
	} {
		t.Run(name, func(t *testing.T) { againstPyTorch(t, name, change) })
	}
}

func againstPyTorch(t *testing.T, name string, change func(*Config)) {
	config := DefaultConfig()
	config.Iterations, config.BatchSize, config.MinibatchSize, config.CriticWarmup, config.EvaluateEvery = 2, 12, 6, 0, 0
	config.LearningRate, config.FinalLearningRate, config.CriticLearningRate = 1e-2, 1e-2, 3e-3
	config.Beta, config.Gamma, config.Lambda, config.Temperature, config.MissingEOSPenalty = 0.05, 0.97, 0.9, 1.3, 0.5
	config.MaxTokens, config.GraphTokens, config.Seed = 10, 64, 5
	change(&config)

	load := func(name string) *llama.Weights {
		m, err := checkpoint.Load(t.Context(), "../llama/testdata/"+name)
		if err != nil {
			t.Fatal(err)
		}
		return m.Weights
	}
	models := Models{Policy: load("untied"), Reference: load("head_dim"), Critic: load("classifier")}
	if config.PtxCoefficient > 0 {
		models.Ptx = &train.LanguageModel{Sequences: []train.Sequence{
			{Tokens: []int32{1, 9, 8, 7, 6}}, {Tokens: []int32{1, 30, 31, 32, 2}, Weights: []float32{0, 0, 1, 1, 1}},
			{Tokens: []int32{4, 4}}, {Tokens: []int32{1, 40, 12, 2, 13, 14, 15, 2}, Weights: []float32{0, 0, 1, 1, 0, 0, 1, 1}},
		}}
	}
	environment := &sampled{}
	trainer, err := NewTrainer(nntest.Plain(t), models, environment, config, 2)
	if err != nil {
		t.Fatal(err)
	}
	stats, err := trainer.iterate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out := os.Getenv("TANDEM_GOLDEN_OUT"); out != "" {
		text, err := json.Marshal(iteration{Config: config, Ptx: mixedIn(trainer), Answers: environment.answers})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, name+".json"), text, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}

	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var want iteration
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if want.Config != config || fmt.Sprint(want.Answers) != fmt.Sprint(environment.answers) || fmt.Sprint(want.Ptx) != fmt.Sprint(mixedIn(trainer)) {
		t.Fatalf("the golden values are of another run: %+v answered %v, here it is %v", want.Config, want.Answers, environment.answers)
	}
	got := stats.Metrics()
	for name, w := range want.Metrics {
		if g, ok := got[name]; !ok || math.Abs(g-w) > 1e-5*max(1, math.Abs(w)) {
			t.Errorf("%s = %.8g, want %.8g", name, g, w)
		}
	}
	after := goldenWeights(t, name)
	for who, w := range map[string]*llama.Weights{"policy.": models.Policy, "critic.": models.Critic} {
		for _, p := range checkpoint.Tensors(w) {
			golden := after[who+p.Name]
			if len(golden) != len(p.Data) {
				t.Fatalf("%s%s has %d golden values, want %d", who, p.Name, len(golden), len(p.Data))
			}
			for i, x := range p.Data {
				if math.Abs(float64(x-golden[i])) > 1e-5 {
					t.Errorf("%s%s[%d] = %.8g, want %.8g", who, p.Name, i, x, golden[i])
					break
				}
			}
		}
	}
}

// mixedIn are the sequences that each minibatch of the first iteration takes.
func mixedIn(trainer *Trainer) (all [][]train.Sequence) {
	p := trainer.ptx
	if p == nil {
		return nil
	}
	for step := range trainer.config.BatchSize / trainer.config.MinibatchSize {
		var batch []train.Sequence
		for i := range p.batch {
			batch = append(batch, p.task.Sequences[p.order.at(step*p.batch+i)])
		}
		all = append(all, batch)
	}
	return all
}

func goldenWeights(t *testing.T, name string) map[string][]float32 {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := checkpoint.ReadTensors(f, info.Size(), f.Name())
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string][]float32)
	for _, x := range tensors {
		byName[x.Name] = x.Data
	}
	return byName
}
