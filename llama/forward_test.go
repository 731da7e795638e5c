package llama

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/nn/kernel"
)

// testConfig is a small model with grouped queries and sizes that fit no vector width.
func testConfig() Config {
	return Config{
		VocabSize: 53, HiddenSize: 20, IntermediateSize: 27, NumHiddenLayers: 2,
		NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 6, MaxPositionEmbeddings: 150,
		RMSNormEps: 1e-5, RopeTheta: 10000, BOS: 1, EOS: []int{2}, PAD: -1,
	}
}

// randomConfig varies everything that a config may: groups, odd widths, head sizes, scaling, tied output.
func randomConfig(rng *rand.Rand) Config {
	c := testConfig()
	c.VocabSize = 5 + rng.IntN(90)
	c.HiddenSize = 1 + rng.IntN(40)
	c.IntermediateSize = 1 + rng.IntN(50)
	c.NumHiddenLayers = 1 + rng.IntN(3)
	c.NumKeyValueHeads = 1 + rng.IntN(3)
	c.NumAttentionHeads = c.NumKeyValueHeads * (1 + rng.IntN(3))
	c.HeadDim = 2 * (1 + rng.IntN(9))
	c.TieWordEmbeddings = rng.IntN(2) == 0
	switch rng.IntN(3) {
	case 0:
		c.RopeScaling = &RopeScaling{Type: "linear", Factor: 2}
	case 1:
		c.RopeScaling = &RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPosition: 32}
	}
	return c
}

// randomWeights draws weights large enough that a model of a few layers is far from uniform.
func randomWeights(c Config, classifier bool, rng *rand.Rand) *Weights {
	w := NewWeights(c, classifier)
	for _, p := range w.Params() {
		for i := range p.Data {
			if p.Decay {
				p.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(p.Shape[1])) * 1.5)
			} else {
				p.Data[i] = float32(1 + 0.2*rng.NormFloat64())
			}
		}
	}
	return w
}

// randomSequences returns n sequences of 1 to most tokens.
func randomSequences(c Config, n, most int, rng *rand.Rand) [][]int32 {
	out := make([][]int32, n)
	for i := range out {
		out[i] = make([]int32, 1+rng.IntN(most))
		for j := range out[i] {
			out[i][j] = int32(rng.IntN(c.VocabSize))
		}
	}
	return out
}

// plainHidden is the architecture as package llama documents it, token by token in float64: the normalised
// hidden states, [len(tokens)][d].
func plainHidden(w *Weights, tokens []int32) [][]float64 {
	c := w.Config
	e, h, g := c.HeadDim, c.NumAttentionHeads, c.NumKeyValueHeads
	product := func(m []float32, x []float64) []float64 {
		y := make([]float64, len(m)/len(x))
		for o := range y {
			for k, v := range x {
				y[o] += float64(m[o*len(x)+k]) * v
			}
		}
		return y
	}
	norm := func(x []float64, gain []float32) []float64 {
		mean := 0.0
		for _, v := range x {
			mean += v * v / float64(len(x))
		}
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = v / math.Sqrt(mean+c.RMSNormEps) * float64(gain[i])
		}
		return y
	}
	freqs := c.InverseFrequencies()
	turn := func(x []float64, position int) {
		for i, f := range freqs {
			sin, cos := math.Sincos(float64(position) * float64(f))
			a, b := x[i], x[i+e/2]
			x[i], x[i+e/2] = a*cos-b*sin, b*cos+a*sin
		}
	}
	x := make([][]float64, len(tokens))
	for t, token := range tokens {
		for _, v := range w.Embed[int(token)*c.HiddenSize:][:c.HiddenSize] {
			x[t] = append(x[t], float64(v))
		}
	}
	for _, l := range w.Layers {
		qkv := make([][]float64, len(x))
		for t := range x {
			qkv[t] = product(l.QKV, norm(x[t], l.AttentionNorm))
			for head := range h + g {
				turn(qkv[t][head*e:(head+1)*e], t)
			}
		}
		for t := range x {
			mixed := make([]float64, h*e)
			for head := range h {
				key, value := (h+head/(h/g))*e, (h+g+head/(h/g))*e
				weights, total := make([]float64, t+1), 0.0
				for s := range weights {
					score := 0.0
					for i := range e {
						score += qkv[t][head*e+i] * qkv[s][key+i]
					}
					weights[s] = math.Exp(score / math.Sqrt(float64(e)))
					total += weights[s]
				}
				for s, p := range weights {
					for i := range e {
						mixed[head*e+i] += p / total * qkv[s][value+i]
					}
				}
			}
			for i, v := range product(l.O, mixed) {
				x[t][i] += v
			}
			both := product(l.GateUp, norm(x[t], l.MLPNorm))
			f := c.IntermediateSize
			gated := make([]float64, f)
			for i := range gated {
				gated[i] = both[i] / (1 + math.Exp(-both[i])) * both[f+i]
			}
			for i, v := range product(l.Down, gated) {
				x[t][i] += v
			}
		}
	}
	for t := range x {
		x[t] = norm(x[t], w.Norm)
	}
	return x
}

// plainLogProbs is LogProbsAt in float64.
func plainLogProbs(w *Weights, tokens []int32, temperature float64) []float64 {
	out := make([]float64, len(tokens))
	hidden := plainHidden(w, tokens)
	d := w.Config.HiddenSize
	for t := 1; t < len(tokens); t++ {
		total, chosen := 0.0, 0.0
		for v := range w.Config.VocabSize {
			logit := 0.0
			for k, x := range hidden[t-1] {
				logit += float64(w.Output[v*d+k]) * x
			}
			total += math.Exp(logit / temperature)
			if v == int(tokens[t]) {
				chosen = logit / temperature
			}
		}
		out[t] = chosen - math.Log(total)
	}
	return out
}

// kernelSets are those that the processor has.
func kernelSets(t testing.TB) []*kernel.Set {
	t.Helper()
	var sets []*kernel.Set
	for _, name := range []string{kernel.AVX512, kernel.AVX2, kernel.Plain} {
		set, err := kernel.Select(name)
		if tandem.CodeOf(err) == tandem.Unsupported {
			t.Logf("not tested: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	return sets
}

func newTestForward(t testing.TB, w *Weights, config ForwardConfig) *Forward {
	t.Helper()
	f, err := NewForward(w, config)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestForwardMatchesPlain compares hidden states and log-probabilities with the float64 twin on random
// architectures, sequences longer than a page and than a pass among them.
func TestForwardMatchesPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	ctx := context.Background()
	for trial := range 25 {
		c := randomConfig(rng)
		w := randomWeights(c, false, rng)
		sequences := append(randomSequences(c, 3, 30, rng), randomSequences(c, 1, c.MaxPositionEmbeddings, rng)...)
		f := newTestForward(t, w, ForwardConfig{Tokens: 40, Workers: 1 + trial%3})
		hidden, err := f.Hidden(ctx, sequences)
		if err != nil {
			t.Fatal(err)
		}
		temperature := 0.5 + rng.Float64()
		logprobs, err := f.LogProbsAt(ctx, sequences, temperature)
		if err != nil {
			t.Fatal(err)
		}
		for i, tokens := range sequences {
			for p, row := range plainHidden(w, tokens) {
				for k, want := range row {
					if got := float64(hidden[i][p*c.HiddenSize+k]); math.Abs(got-want) > 1e-4 {
						t.Fatalf("trial %d (%+v): sequence %d, position %d: hidden[%d] = %v, want %v", trial, c, i, p, k, got, want)
					}
				}
			}
			for p, want := range plainLogProbs(w, tokens, temperature) {
				if got := float64(logprobs[i][p]); math.Abs(got-want) > 1e-4 {
					t.Fatalf("trial %d (%+v): sequence %d, position %d: log-probability %v, want %v", trial, c, i, p, got, want)
				}
			}
		}
	}
}

// TestForwardDoesNotDependOnItsBatch holds every bit of a sequence's results still while the batch, its
// order, the size of a pass and the number of workers change.
func TestForwardDoesNotDependOnItsBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	ctx := context.Background()
	sets := kernelSets(t)
	for trial := range 12 {
		c, set := randomConfig(rng), sets[trial%len(sets)]
		policy, head := randomWeights(c, false, rng), randomWeights(c, true, rng)
		sequences := randomSequences(c, 9, 100, rng)
		compute := func(config ForwardConfig, sequences ...[]int32) ([][]float32, []float32) {
			t.Helper()
			config.Kernel = set
			logprobs, err := newTestForward(t, policy, config).LogProbsAt(ctx, sequences, 1.2)
			if err != nil {
				t.Fatal(err)
			}
			classifier, err := NewClassifier(head, config)
			if err != nil {
				t.Fatal(err)
			}
			scores, err := classifier.Scores(ctx, sequences)
			if err != nil {
				t.Fatal(err)
			}
			return logprobs, scores
		}
		var logprobs [][]float32
		var scores []float32
		for _, s := range sequences { // alone
			l, r := compute(ForwardConfig{Workers: 1}, s)
			logprobs, scores = append(logprobs, l[0]), append(scores, r[0])
		}
		for _, config := range []ForwardConfig{{Workers: 1}, {Workers: 3}, {Workers: 2, Tokens: 70}} {
			order := rng.Perm(len(sequences))
			shuffled := make([][]int32, len(order))
			for i, from := range order {
				shuffled[i] = sequences[from]
			}
			l, r := compute(config, shuffled...)
			for i, from := range order {
				if !slices.Equal(l[i], logprobs[from]) || r[i] != scores[from] {
					t.Fatalf("%s, %+v, %+v: sequence %d differs from itself alone", set.Name(), c, config, from)
				}
			}
		}
	}
}

func TestClassifierScoresTheLastToken(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 1))
	w := randomWeights(testConfig(), true, rng)
	sequences := randomSequences(w.Config, 6, 90, rng)
	classifier, err := NewClassifier(w, ForwardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := classifier.Scores(context.Background(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	for i, tokens := range sequences {
		hidden := plainHidden(w, tokens)
		want := 0.0
		for k, v := range hidden[len(tokens)-1] {
			want += float64(w.Score[k]) * v
		}
		if math.Abs(float64(scores[i])-want) > 1e-4 {
			t.Errorf("sequence %d scores %v, want %v", i, scores[i], want)
		}
	}
}

func TestForwardRefuses(t *testing.T) {
	ctx := context.Background()
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(14, 1)))
	head := randomWeights(testConfig(), true, rand.New(rand.NewPCG(14, 2)))
	f := newTestForward(t, w, ForwardConfig{})
	long := make([]int32, w.Config.MaxPositionEmbeddings+2)
	broken := w.Clone()
	broken.Embed[7*w.Config.HiddenSize] = float32(math.NaN())

	for name, test := range map[string]struct {
		call func() error
		says string
	}{
		"too long": {func() error { _, err := f.LogProbs(ctx, [][]int32{{1}, long}); return err },
			"sequence 1 has 152 tokens, more than the context of 150"},
		"too long to read": {func() error { _, err := f.Hidden(ctx, [][]int32{{1}, long[1:]}); return err },
			"sequence 1 has 151 tokens, more than the context of 150"},
		"unknown last token": {func() error { _, err := f.LogProbs(ctx, [][]int32{{1, 53}}); return err },
			"sequence 0: token 1 is 53, outside the vocabulary of 53"},
		"unknown token": {func() error { _, err := f.Hidden(ctx, [][]int32{{1, 53}}); return err },
			"sequence 0: token 1 is 53, outside the vocabulary of 53"},
		"negative token": {func() error { _, err := f.Hidden(ctx, [][]int32{{-1}}); return err },
			"sequence 0: token 0 is -1"},
		"temperature": {func() error { _, err := f.LogProbsAt(ctx, [][]int32{{1, 2}}, 0); return err },
			"temperature 0 is not a positive number"},
		"classifier's log-probabilities": {func() error {
			_, err := newTestForward(t, head, ForwardConfig{}).LogProbs(ctx, [][]int32{{1, 2}})
			return err
		}, "no output matrix"},
		"policy's scores": {func() error { _, err := NewClassifier(w, ForwardConfig{}); return err }, "no scalar head"},
		"empty sequence": {func() error {
			classifier, err := NewClassifier(head, ForwardConfig{})
			if err != nil {
				return err
			}
			_, err = classifier.Scores(ctx, [][]int32{{1}, {}})
			return err
		}, "sequence 1 has no tokens"},
		"not finite": {func() error {
			_, err := newTestForward(t, broken, ForwardConfig{}).LogProbs(ctx, [][]int32{{1, 2}, {3, 7, 4}})
			return err
		}, "sequence 1: its logits are not finite"},
	} {
		err := test.call()
		if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want invalid and %q", name, err, test.says)
		}
	}
}

// TestForwardPredictsBehindTheContext: the last token takes no position.
func TestForwardPredictsBehindTheContext(t *testing.T) {
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(16, 1)))
	f := newTestForward(t, w, ForwardConfig{})
	sequence := make([]int32, w.Config.MaxPositionEmbeddings+1)
	for i := range sequence {
		sequence[i] = int32(i % w.Config.VocabSize)
	}
	got, err := f.LogProbs(t.Context(), [][]int32{sequence})
	if err != nil {
		t.Fatal(err)
	}
	want := plainLogProbs(w, sequence, 1)
	for i := range want {
		if math.Abs(float64(got[0][i])-want[i]) > 1e-4 {
			t.Errorf("token %d: %v, want %v", i, got[0][i], want[i])
		}
	}
}

func TestForwardOfNothing(t *testing.T) {
	f := newTestForward(t, randomWeights(testConfig(), false, rand.New(rand.NewPCG(15, 1))), ForwardConfig{})
	got, err := f.LogProbs(context.Background(), [][]int32{{}, {3}, {}})
	if err != nil || len(got) != 3 || len(got[0]) != 0 || len(got[1]) != 1 || got[1][0] != 0 {
		t.Errorf("log-probabilities of empty and one-token sequences: %v, %v", got, err)
	}
	if got, err := f.LogProbs(context.Background(), [][]int32{{}}); err != nil || len(got) != 1 {
		t.Errorf("log-probabilities of an empty sequence: %v, %v", got, err)
	}
	if got, err := f.Hidden(context.Background(), nil); err != nil || len(got) != 0 {
		t.Errorf("hidden states of no sequences: %v, %v", got, err)
	}
}

func TestForwardStopsWithItsContext(t *testing.T) {
	f := newTestForward(t, randomWeights(testConfig(), false, rand.New(rand.NewPCG(16, 1))), ForwardConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.LogProbs(ctx, [][]int32{{1, 2}}); err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// A pass that panics keeps nothing that later ones need.
func TestForwardAfterAPanic(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	w := randomWeights(testConfig(), false, rng)
	f := newTestForward(t, w, ForwardConfig{Workers: 2})
	sequences := randomSequences(w.Config, 12, 40, rng)
	want, err := f.Hidden(t.Context(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	norm := w.Layers[1].MLPNorm
	for range 5 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a layer without its gains computes")
				}
			}()
			w.Layers[1].MLPNorm = nil
			_, _ = f.Hidden(t.Context(), sequences)
		}()
	}
	w.Layers[1].MLPNorm = norm
	got, err := f.Hidden(t.Context(), sequences)
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("after panics: %v, and other hidden states", err)
	}
}
