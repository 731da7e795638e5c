package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/nn"
	"tandem/llama/nn/nntest"
)

// adapted puts adapters on a small model. With spread, B is random too.
func adapted(t *testing.T, base *Weights, c LoRA, spread bool) *Weights {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 12))
	w, err := base.Adapt(c, rng)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range w.Trained() {
		if spread && strings.HasSuffix(p.Name, "lora_B") {
			for i := range p.Data {
				p.Data[i] = float32(rng.NormFloat64() * 0.1)
			}
		}
	}
	return w
}

// forward computes the outputs of a graph over w for a batch.
func forward(t *testing.T, w *Weights, b Batch) []float32 {
	t.Helper()
	g := NewGraph(nntest.Plain(t), w, b.Shape())
	output := g.Scores
	if !w.IsClassifier() {
		output = g.Logits
	}
	p, err := g.Compile(nil, output())
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(r.Outputs[0])
}

// New adapters change nothing, to the bit: the policy is its reference. A is spread as PEFT spreads it.
func TestNewAdaptersChangeNothing(t *testing.T) {
	for _, classifier := range []bool{false, true} {
		base := graphWeights(graphConfig(true), classifier)
		w := adapted(t, base, LoRA{Rank: 3, Alpha: 7}, false)
		b := graphBatch()
		if got, want := forward(t, w, b), forward(t, base, b); !slices.Equal(got, want) {
			t.Errorf("classifier %t: the graph's outputs differ", classifier)
		}
		merged := w.Merged()
		for i, p := range base.Params() {
			if !slices.Equal(p.Data, merged.Params()[i].Data) {
				t.Errorf("classifier %t: merged, %s differs", classifier, p.Name)
			}
		}
		for _, p := range w.Params() {
			if !strings.HasSuffix(p.Name, "lora_A") {
				continue
			}
			bound, square := 1/math.Sqrt(float64(p.Shape[1])), 0.0
			for _, x := range p.Data {
				square += float64(x) * float64(x)
				if math.Abs(float64(x)) > bound {
					t.Errorf("%s holds %g, beyond %g", p.Name, x, bound)
				}
			}
			n := float64(len(p.Data))
			if got, want := square/n, bound*bound/3; math.Abs(got-want) > 4*want/math.Sqrt(n) {
				t.Errorf("%s has variance %g, want %g", p.Name, got, want)
			}
		}
	}
}

func TestGradientOfAdaptedModel(t *testing.T) {
	w := adapted(t, graphWeights(graphConfig(true), false), LoRA{Rank: 2}, true)
	b := languageBatch()
	checkGradient(t, w, languageModel(t, w, b.Shape()), b)
}

// Adapters alone are trained: they have gradients, moments and a step, the base keeps its bits and goes on as it was.
func TestOnlyAdaptersAreTrained(t *testing.T) {
	base := graphWeights(graphConfig(false), true)
	was := base.Clone()
	w := adapted(t, base, LoRA{Rank: 2, Targets: "q_proj,down_proj"}, false)
	g := NewGraph(nntest.Plain(t), w, graphBatch().Shape())
	p, err := g.Compile(nn.RestraintLoss(g.Scores(), g.Input("count", nn.Scalar), 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	b := graphBatch()
	b.Targets, b.Inputs = nil, map[string][]float32{"count": {4}}
	optimizer := nn.NewAdamW(nntest.Plain(t), w.Gradients().Params(), nn.DefaultAdamWConfig())
	for range 2 { // in the first one B is 0, and so is the gradient of A
		if _, err := p.Run(b); err != nil {
			t.Fatal(err)
		}
		if _, err := optimizer.Step(1e-2); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for i, param := range w.Gradients().Params() {
		names = append(names, param.Name)
		if fresh := adapted(t, was, w.LoRA(), false).Trained()[i]; slices.Equal(fresh.Data, param.Value) {
			t.Errorf("%s has not moved", param.Name)
		}
	}
	want := "layers.0.q_proj.lora_A layers.0.q_proj.lora_B layers.0.down_proj.lora_A layers.0.down_proj.lora_B " +
		"layers.1.q_proj.lora_A layers.1.q_proj.lora_B layers.1.down_proj.lora_A layers.1.down_proj.lora_B score"
	if got := strings.Join(names, " "); got != want || len(optimizer.State()) != 2*len(names) {
		t.Errorf("trained are %s, with %d moments", got, len(optimizer.State()))
	}
	for i, p := range base.Params() {
		if !slices.Equal(p.Data, was.Params()[i].Data) {
			t.Errorf("%s of the base has changed", p.Name)
		}
	}
	if base.Frozen("embed") || !w.Frozen("embed") || &w.Embed[0] != &base.Embed[0] || &w.Layers[1].QKV[0] != &base.Layers[1].QKV[0] {
		t.Error("the base is frozen, or not shared")
	}
}

// Merged weights compute what the adapters do, and share what is not adapted.
func TestMergedWeightsComputeTheSame(t *testing.T) {
	base := graphWeights(graphConfig(false), false)
	w := adapted(t, base, LoRA{Rank: 3, Alpha: 6, Targets: "k_proj,v_proj,up_proj"}, true)
	m := w.Merged()
	got, want, plain := forward(t, m, graphBatch()), forward(t, w, graphBatch()), forward(t, base, graphBatch())
	furthest := 0.0
	for i := range got {
		furthest = max(furthest, math.Abs(float64(plain[i]-want[i])))
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Fatalf("logit %d is %g merged, %g adapted", i, got[i], want[i])
		}
	}
	if furthest < 0.1 {
		t.Errorf("the adapters change logits by %g at most, which shows nothing", furthest)
	}
	if &m.Layers[0].O[0] != &base.Layers[0].O[0] || &m.Layers[0].QKV[0] == &base.Layers[0].QKV[0] {
		t.Error("what is not adapted is copied, or what is adapted is not")
	}
	if m.LoRA().Rank != 0 || len(m.Trained()) != len(base.Params()) || w.ToClassifier(rand.New(rand.NewPCG(1, 1))).Layers[0].QKV[0] != m.Layers[0].QKV[0] {
		t.Error("the merged weights are no ordinary ones")
	}
}

// A sampler of adapted weights samples what one of the merged ones does, to the bit and with any number of workers, and
// follows the adapters from one run to the next.
func TestSamplerFollowsAdapters(t *testing.T) {
	w := adapted(t, graphWeights(graphConfig(true), false), LoRA{Rank: 2}, true)
	var requests []Request
	for i := range 9 {
		requests = append(requests, Request{Prompt: []int32{int32(i % 4), 2}, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: 12}, Key: tandem.SampleKey{Seed: 1, Prompt: uint64(i)}})
	}
	drawn := func(s *Sampler) (events []Event) {
		t.Helper()
		for e, err := range s.Sample(t.Context(), requests) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		slices.SortStableFunc(events, func(a, b Event) int { return a.Request - b.Request })
		return events
	}
	same := func(a, b []Event) bool {
		return slices.EqualFunc(a, b, func(a, b Event) bool { return a.Request == b.Request && a.Token == b.Token && a.LogProb == b.LogProb })
	}
	sampler := func(w *Weights, workers, slots int) *Sampler {
		s, err := NewSampler(w, SamplerConfig{Workers: workers, Slots: slots})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	kept := sampler(w, 3, 4)
	first := drawn(kept)
	if !same(first, drawn(sampler(w.Merged(), 1, 9))) {
		t.Error("adapted and merged weights sample differently")
	}
	for _, p := range w.Trained() {
		for i := range p.Data {
			p.Data[i] *= -1.5
		}
	}
	second := drawn(kept)
	if same(first, second) {
		t.Error("the sampler has not seen the adapters change")
	}
	if !same(second, drawn(sampler(w.Merged(), 2, 1))) {
		t.Error("after a change adapted and merged weights sample differently")
	}
}

// A copy of adapted weights has adapters of its own on the same base.
func TestCloneOfAdaptedWeights(t *testing.T) {
	base := graphWeights(graphConfig(false), true)
	w := adapted(t, base, LoRA{Rank: 2}, true)
	c := w.Clone()
	if c.LoRA() != w.LoRA() || &c.Embed[0] != &base.Embed[0] {
		t.Error("the copy is none of adapted weights on the same base")
	}
	trained, copied := w.Trained(), c.Trained()
	if len(trained) != len(copied) || len(trained) != 2*7*2+1 {
		t.Fatalf("%d trained parameters, the copy has %d", len(trained), len(copied))
	}
	for i, p := range trained {
		if copied[i].Name != p.Name || !slices.Equal(copied[i].Data, p.Data) || &copied[i].Data[0] == &p.Data[0] {
			t.Errorf("%s is not copied", p.Name)
		}
	}
}

func TestAdaptRefuses(t *testing.T) {
	base := graphWeights(graphConfig(false), false)
	rng := rand.New(rand.NewPCG(1, 1))
	for want, c := range map[string]LoRA{
		"rank 0": {}, "lora-rank is -1": {Rank: -1}, "lora-alpha is -2": {Rank: 1, Alpha: -2}, "lora-alpha is NaN": {Rank: 1, Alpha: math.NaN()},
		`lora-targets is "q_proj,w"`: {Rank: 1, Targets: "q_proj,w"}, `lora-targets is "o_proj,o_proj"`: {Rank: 1, Targets: "o_proj,o_proj"},
		"lora-rank is 0": {Targets: "q_proj"},
	} {
		if _, err := base.Adapt(c, rng); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
	w := adapted(t, base, LoRA{Rank: 1}, false)
	if _, err := w.Adapt(LoRA{Rank: 1}, rng); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("adapted twice: %v", err)
	}
}
