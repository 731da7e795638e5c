package ppo

import (
	"math"
	"slices"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn/nntest"
	"tandem/llama/train"
)

// habits are sequences of the toys' vocabulary.
func habits() *train.LanguageModel {
	return &train.LanguageModel{Sequences: []train.Sequence{
		{Tokens: []int32{toyBOS, 2, 1, 2, 1, toyEOS}},
		{Tokens: []int32{toyBOS, 2, 2, toyEOS}, Weights: []float32{0, 0, 1, 1}},
		{Tokens: []int32{toyBOS, 1, 1, 1, 2, toyEOS}},
		{Tokens: []int32{toyBOS, toyEOS}},
		{Tokens: []int32{toyBOS, 2, 1, toyEOS}},
	}}
}

// The gradient is γ times that of the mean loss over the batch's tokens, in one piece or in several.
func TestPtxGradient(t *testing.T) {
	const gamma = 3
	of := func(graphTokens int) ([]float32, float64) {
		models := toyModels(4)
		c := shortRun()
		c.PtxCoefficient, c.PtxBatchSize, c.GraphTokens, c.MinibatchSize = gamma, 5, graphTokens, 5
		p, err := newPtx(nntest.Plain(t), models.Policy, habits(), c)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := p.gather(0)
		if err != nil {
			t.Fatal(err)
		}
		return gradientOf(models.Policy), loss
	}
	models := toyModels(4)
	g := llama.NewGraph(nntest.Plain(t), models.Policy, llama.Shape{Tokens: 64, Sequences: 5})
	program, err := habits().Build(g)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := habits().Batch([]int{0, 1, 2, 3, 4}, []int{0, 1, 2, 3, 4})
	if err != nil {
		t.Fatal(err)
	}
	result, err := program.Run(batch)
	if err != nil {
		t.Fatal(err)
	}
	want := gradientOf(models.Policy)
	for _, graphTokens := range []int{64, 8} {
		got, loss := of(graphTokens)
		if math.Abs(loss-result.Loss) > 1e-5 {
			t.Errorf("graph of %d: the loss is %g, want %g", graphTokens, loss, result.Loss)
		}
		for i, x := range want {
			if math.Abs(float64(got[i]-gamma*x)) > 1e-5 {
				t.Fatalf("graph of %d: gradient %d is %g, want %g", graphTokens, i, got[i], gamma*x)
			}
		}
	}
}

func gradientOf(w *llama.Weights) (all []float32) {
	for _, p := range w.Gradients().Params() {
		all = append(all, p.Grad...)
	}
	return all
}

// mixing is a run with every option of the objective at once.
func mixing() Config {
	c := controlledRun()
	c.CriticWarmup, c.EvaluateEvery, c.Patience, c.FinalLearningRate = 1, 2, 0, 1e-2
	c.KLEstimator, c.WhitenRewards, c.UpdateKLTarget, c.EntropyCoefficient = K3, true, 1e-3, 0.01
	c.PtxCoefficient, c.PtxBatchSize = 0.5, 3
	return c
}

func newMixing(t *testing.T, c Config) (*Trainer, Models) {
	t.Helper()
	models := toyModels(4)
	models.Ptx = habits()
	trainer, err := NewTrainer(nntest.Plain(t), models, lively{toy{lengthReward}}, c, 2)
	if err != nil {
		t.Fatal(err)
	}
	return trainer, models
}

// The language is learnt beside the rewards, and is not while the critic alone is fitted.
func TestPtxIsLearnt(t *testing.T) {
	c := mixing()
	c.Iterations, c.PtxBatchSize, c.UpdateKLTarget = 30, 5, 0 // all sequences in every step
	run, _ := newMixing(t, c)
	var losses []float64
	if err := run.Run(t.Context(), nil, Observer{Iteration: func(s Stats) {
		losses = append(losses, s.PtxLoss)
		if m := s.Metrics(); s.Iteration > 1 && m["loss/ptx_avg"] != s.PtxLoss {
			t.Errorf("iteration %d: the metric is %g, the loss %g", s.Iteration, m["loss/ptx_avg"], s.PtxLoss)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if losses[0] != 0 || losses[29] > losses[1]-0.3 {
		t.Errorf("losses %v", losses)
	}
}

func TestResumeWithEveryOptionIsExact(t *testing.T) {
	resumesExactly(t, func() (*Trainer, Models) { return newMixing(t, mixing()) }, 1, 4, 7)
}

// Every epoch holds every number once, in an order of its own that nothing but seed and epoch decides.
func TestShuffle(t *testing.T) {
	s := shuffle{n: 7, seed: 5}
	var all []int
	for k := range 21 {
		all = append(all, s.at(k))
	}
	for epoch := range 3 {
		if got := slices.Sorted(slices.Values(all[7*epoch : 7*epoch+7])); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6}) {
			t.Errorf("epoch %d holds %v", epoch, got)
		}
	}
	if slices.Equal(all[:7], all[7:14]) {
		t.Errorf("two epochs have the order %v", all[:7])
	}
	again := shuffle{n: 7, seed: 5}
	for _, k := range []int{20, 3, 8, 0} {
		if got := again.at(k); got != all[k] {
			t.Errorf("number %d is %d when asked alone, %d in the row", k, got, all[k])
		}
	}
}

func TestPtxNeedsDataAndCoefficient(t *testing.T) {
	long := &train.LanguageModel{Sequences: []train.Sequence{{Tokens: make([]int32, 9)}}}
	for name, c := range map[string]struct {
		gamma float64
		data  *train.LanguageModel
	}{"no data": {1, nil}, "no coefficient": {0, habits()}, "longer than the context": {1, long}} {
		config, models := shortRun(), toyModels(4)
		config.PtxCoefficient, models.Ptx = c.gamma, c.data
		if _, err := NewTrainer(nntest.Plain(t), models, toy{lengthReward}, config, 1); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
