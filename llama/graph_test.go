package llama

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"tandem"
	"tandem/llama/nn"
	"tandem/llama/nn/nntest"
)

// graphConfig is a model with grouped queries and a few hundred parameters.
func graphConfig(tied bool) Config {
	return Config{
		VocabSize: 13, HiddenSize: 8, IntermediateSize: 12, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 4, MaxPositionEmbeddings: 32, RMSNormEps: 1e-5, RopeTheta: 100, TieWordEmbeddings: tied,
	}
}

// graphWeights draws weights large enough that every parameter matters.
func graphWeights(c Config, classifier bool) *Weights {
	w, rng := NewWeights(c, classifier), rand.New(rand.NewPCG(5, 6))
	for _, p := range w.Params() {
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64() * 0.4)
			if !p.Decay {
				p.Data[i] += 1
			}
		}
	}
	return w
}

// graphBatch is two ragged pairs.
func graphBatch() Batch {
	rng := rand.New(rand.NewPCG(7, 8))
	var sequences [][]int32
	for _, length := range []int{9, 4, 1, 17} {
		s := make([]int32, length)
		for i := range s {
			s[i] = int32(rng.IntN(13))
		}
		sequences = append(sequences, s)
	}
	return NewBatch(sequences...)
}

// languageModel compiles the plain next-token loss.
func languageModel(t testing.TB, w *Weights, shape Shape) *Program {
	t.Helper()
	g := NewGraph(nntest.Plain(t), w, shape)
	p, err := g.Compile(nn.CrossEntropy(g.LogProbs(1), g.Input("weights", nn.PerToken), g.Input("count", nn.Scalar)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func languageBatch() Batch {
	b := graphBatch()
	weights, count := make([]float32, len(b.Tokens)), float32(0)
	for i, target := range b.Targets {
		if target >= 0 {
			weights[i] = 1
			count++
		}
	}
	b.Inputs = map[string][]float32{"weights": weights, "count": {count}}
	return b
}

// checkGradient compares each parameter's gradient along a random direction, and along its own gradient,
// with central differences of the loss.
func checkGradient(t *testing.T, w *Weights, p *Program, b Batch) {
	t.Helper()
	if _, err := p.Run(b); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(9, 10))
	for _, param := range w.Gradients().Params() {
		was := slices.Clone(param.Value)
		for along, direction := range map[string]func(i int) float64{
			"a random direction": func(int) float64 { return rng.NormFloat64() },
			"its own direction":  func(i int) float64 { return float64(param.Grad[i]) },
		} {
			d, norm := make([]float64, len(was)), 0.0
			for i := range d {
				d[i] = direction(i)
				norm += d[i] * d[i]
			}
			if norm == 0 {
				t.Fatalf("the gradient of %s is zero", param.Name)
			}
			const step = 4e-3
			want, gradient := 0.0, 0.0
			for _, sign := range []float64{1, -1} {
				for i := range d {
					param.Value[i] = was[i] + float32(sign*step*d[i]/math.Sqrt(norm))
				}
				r, err := p.Forward(b)
				if err != nil {
					t.Fatal(err)
				}
				want += sign * r.Loss / (2 * step)
			}
			copy(param.Value, was)
			for i := range d {
				gradient += float64(param.Grad[i]) * d[i] / math.Sqrt(norm)
			}
			if math.Abs(gradient-want) > 0.01*math.Abs(want)+2e-4 {
				t.Errorf("%s along %s: gradient %.6g, differences %.6g", param.Name, along, gradient, want)
			}
		}
	}
}

func TestGradientOfWholeModel(t *testing.T) {
	for name, tied := range map[string]bool{"tied": true, "untied": false} {
		t.Run("policy "+name, func(t *testing.T) {
			w := graphWeights(graphConfig(tied), false)
			checkGradient(t, w, languageModel(t, w, Shape{40, 5}), languageBatch())
		})
	}
	t.Run("reward model", func(t *testing.T) {
		w := graphWeights(graphConfig(true), true)
		g := NewGraph(nntest.Plain(t), w, Shape{40, 6})
		scores := g.Scores()
		p, err := g.Compile(nn.AddLosses([]float64{1, 1},
			nn.RankingLoss(scores, g.Input("margins", nn.PerPair), nil, g.Input("pairs", nn.Scalar)),
			nn.SafetyLoss(scores, g.Input("labels", nn.PerSequence), g.Input("labelled", nn.Scalar), 0.5)), scores)
		if err != nil {
			t.Fatal(err)
		}
		b := graphBatch()
		b.Inputs = map[string][]float32{"margins": {1, 1. / 3}, "pairs": {2}, "labels": {1, 0, -1, 0}, "labelled": {3}}
		checkGradient(t, w, p, b)
	})
	t.Run("critic", func(t *testing.T) {
		w := graphWeights(graphConfig(true), true)
		g := NewGraph(nntest.Plain(t), w, Shape{40, 6})
		p, err := g.Compile(nn.PPOValueLoss(g.Values(), g.Input("old", nn.PerToken), g.Input("returns", nn.PerToken),
			g.Input("mask", nn.PerToken), g.Input("count", nn.Scalar), g.Input("clip", nn.Scalar)))
		if err != nil {
			t.Fatal(err)
		}
		b := graphBatch()
		n := len(b.Tokens)
		b.Inputs = map[string][]float32{"old": make([]float32, n), "returns": slices.Repeat([]float32{0.5}, n),
			"mask": slices.Repeat([]float32{1}, n), "count": {float32(n)}, "clip": {100}}
		checkGradient(t, w, p, b)
	})
}

// A sequence's log-probabilities do not depend on what stands beside it, and a graph with room to spare
// gives what a tight one gives.
func TestRaggedSequencesAreIndependent(t *testing.T) {
	w := graphWeights(graphConfig(true), false)
	all := graphBatch()
	logProbs := func(shape Shape, b Batch) []float32 {
		g := NewGraph(nntest.Plain(t), w, shape)
		p, err := g.Compile(nil, g.LogProbs(0.8))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Forward(b)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(r.Outputs[0])
	}
	together := logProbs(Shape{50, 8}, all)
	for s := range all.Sequences() {
		from, to := all.Offsets[s], all.Offsets[s+1]
		alone := NewBatch(all.Tokens[from:to])
		for i, got := range logProbs(alone.Shape(), alone) {
			if want := together[int(from)+i]; math.Abs(float64(got-want)) > 1e-5 {
				t.Errorf("sequence %d, token %d: %g alone, %g among others", s, i, got, want)
			}
		}
	}
}

func TestFrozenParametersGetNoGradient(t *testing.T) {
	c := graphConfig(true)
	free, frozen := graphWeights(c, true), graphWeights(c, true)
	if err := frozen.Freeze("embed", "layers.0.qkv"); err != nil {
		t.Fatal(err)
	}
	if err := frozen.Freeze("layers.9.qkv"); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("freezing an unknown parameter: %v", err)
	}
	gradients := func(w *Weights) map[string][]float32 {
		g := NewGraph(nntest.Plain(t), w, Shape{40, 6})
		p, err := g.Compile(nn.RankingLoss(g.Scores(), g.Input("margins", nn.PerPair), nil, g.Input("pairs", nn.Scalar)))
		if err != nil {
			t.Fatal(err)
		}
		b := graphBatch()
		b.Inputs = map[string][]float32{"margins": {0, 0}, "pairs": {2}}
		if _, err := p.Run(b); err != nil {
			t.Fatal(err)
		}
		out := make(map[string][]float32)
		for _, p := range w.Gradients().Params() {
			out[p.Name] = p.Grad
		}
		return out
	}
	all, some := gradients(free), gradients(frozen)
	if len(some) != len(all)-2 {
		t.Errorf("%d gradients with 2 of %d frozen", len(some), len(all))
	}
	for name, g := range some {
		if !slices.Equal(g, all[name]) {
			t.Errorf("freezing others changed the gradient of %s", name)
		}
	}
}

func TestRunsGiveTheSameBitsAndAccumulate(t *testing.T) {
	w := graphWeights(graphConfig(true), false)
	p, b := languageModel(t, w, Shape{40, 5}), languageBatch()
	snapshot := func() (all []float32) {
		for _, p := range w.Gradients().Params() {
			all = append(all, p.Grad...)
		}
		return all
	}
	var first []float32
	for range 3 {
		w.Gradients().Zero()
		if _, err := p.Run(b); err != nil {
			t.Fatal(err)
		}
		if got := snapshot(); first == nil {
			first = got
		} else if !slices.Equal(got, first) {
			t.Fatal("the same batch gave different gradients")
		}
	}
	if _, err := p.Run(b); err != nil {
		t.Fatal(err)
	}
	for i, g := range snapshot() {
		if math.Abs(float64(g-2*first[i])) > 1e-6+1e-5*math.Abs(float64(first[i])) {
			t.Fatalf("element %d is %g after two runs, %g after one", i, g, first[i])
		}
	}
}

// A leak shows in most stretches of steps, where a pool that is filled late, or
// what the runtime itself sets aside or gives back, shows in one or two.
func TestMemoryDoesNotGrow(t *testing.T) {
	w := graphWeights(graphConfig(true), false)
	p, b := languageModel(t, w, Shape{40, 5}), languageBatch()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // pools keep what they hold through one collection
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	run := func(n int) {
		for range n {
			if _, err := p.Run(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(300) // until pools and stacks have what they need
	arena := w.Gradients().Bytes()
	const steps, bytesPerStep = 100, 64
	var grown [5]int64
	before := heap()
	for i := range grown {
		run(steps)
		after := heap()
		grown[i], before = after-before, after
	}
	slices.Sort(grown[:])
	if median := grown[len(grown)/2]; median > steps*bytesPerStep {
		t.Errorf("the heap grew by %d bytes in %d steps: %v", median, steps, grown)
	}
	if w.Gradients().Bytes() != arena {
		t.Error("the arena grew")
	}
}

func TestBadBatchesAreRefused(t *testing.T) {
	w := graphWeights(graphConfig(true), false)
	p := languageModel(t, w, Shape{40, 5})
	for name, spoil := range map[string]func(b *Batch){
		"empty":                   func(b *Batch) { *b = Batch{} },
		"unknown token":           func(b *Batch) { b.Tokens[3] = 13 },
		"negative token":          func(b *Batch) { b.Tokens[3] = -1 },
		"unknown target":          func(b *Batch) { b.Targets[3] = 13 },
		"missing input":           func(b *Batch) { delete(b.Inputs, "count") },
		"unknown input":           func(b *Batch) { b.Inputs["margins"] = nil },
		"short input":             func(b *Batch) { b.Inputs["weights"] = b.Inputs["weights"][1:] },
		"not a number":            func(b *Batch) { b.Inputs["weights"][2] = float32(math.NaN()) },
		"empty sequence":          func(b *Batch) { b.Offsets[1] = 0 },
		"offsets beyond tokens":   func(b *Batch) { b.Offsets[4]++ },
		"too many tokens":         func(b *Batch) { *b = NewBatch(make([]int32, 41)) },
		"longer than the context": func(b *Batch) { *b = NewBatch(make([]int32, 33)) },
		"no targets":              func(b *Batch) { b.Targets = nil },
	} {
		b := languageBatch()
		spoil(&b)
		if _, err := p.Run(b); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Run(languageBatch()); err != nil {
		t.Errorf("a good batch after bad ones: %v", err)
	}
}

// A margin that is not one for each pair must not broadcast over the scores.
func TestMarginsNeverBroadcast(t *testing.T) {
	for _, rows := range []nn.Rows{nn.Scalar, nn.PerSequence, nn.PerToken} {
		err := nn.Guard(func() error {
			g := NewGraph(nntest.Plain(t), graphWeights(graphConfig(true), true), Shape{40, 4})
			nn.RankingLoss(g.Scores(), g.Input("margins", rows), nil, g.Input("pairs", nn.Scalar))
			return nil
		})
		if tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("margins for each %v: %v", rows, err)
		}
	}
}

func TestLossFallsOnAToyTask(t *testing.T) {
	w := graphWeights(graphConfig(true), false)
	p, b := languageModel(t, w, Shape{40, 5}), languageBatch()
	opt := nn.NewAdamW(nntest.Plain(t), w.Gradients().Params(), nn.DefaultAdamWConfig())
	var first, last float64
	for step := range 60 {
		r, err := p.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			first = r.Loss
		}
		last = r.Loss
		if _, err := opt.Step(0.02); err != nil {
			t.Fatal(err)
		}
	}
	if !(last < first/4) {
		t.Errorf("the loss went from %g to %g", first, last)
	}
}

// Rows without a target have no logits: they read 0, send nothing back, and may be all there are.
func TestRowsWithoutTargets(t *testing.T) {
	w := graphWeights(graphConfig(true), false)
	b := graphBatch()
	run := func(targets []int32) []float32 {
		b.Targets = targets
		g := NewGraph(nntest.Plain(t), w, Shape{40, 5})
		p, err := g.Compile(nil, g.LogProbs(0.8), g.Entropy(0.8))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Forward(b)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Concat(r.Outputs...)
	}
	all, some := slices.Clone(b.Targets), slices.Clone(b.Targets)
	for i := range some {
		if i%3 != 0 {
			some[i] = -1
		}
	}
	whole, part := run(all), run(some)
	for i, got := range part {
		want := whole[i]
		if some[i%len(some)] < 0 {
			want = 0
		}
		if math.Abs(float64(got-want)) > 1e-5 {
			t.Errorf("value %d is %g, want %g", i, got, want)
		}
	}
	p, none := languageModel(t, w, Shape{40, 5}), languageBatch()
	for i := range none.Targets {
		none.Targets[i] = -1
	}
	r, err := p.Run(none)
	if err != nil || r.Loss != 0 {
		t.Errorf("the loss without targets is %g, %v", r.Loss, err)
	}
	for _, p := range w.Gradients().Params() {
		if slices.ContainsFunc(p.Grad, func(g float32) bool { return g != 0 }) {
			t.Errorf("%s has a gradient without targets", p.Name)
		}
	}
}
