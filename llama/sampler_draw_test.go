package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
)

// newTestDrawer returns a drawer for rows of vocab logits.
func newTestDrawer(t testing.TB, vocab int) *drawer {
	t.Helper()
	c := testConfig()
	c.VocabSize = vocab
	trunk, err := newTrunk(&Weights{Config: c}, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return <-newDrawers(trunk)
}

// plainFilter is the distribution that draw draws from, by sorting, in float64: [vocab] probabilities.
func plainFilter(logits []float32, s tandem.Sampling) []float64 {
	ids := make([]int, len(logits))
	p := make([]float64, len(logits))
	for i, v := range logits {
		ids[i] = i
		p[i] = math.Exp(float64(v) / s.Temperature)
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	if s.TopK > 0 && s.TopK < len(ids) {
		ids = ids[:s.TopK]
	}
	total := 0.0
	for _, id := range ids {
		total += p[id]
	}
	if s.TopP > 0 && s.TopP < 1 {
		sum := 0.0
		for i, id := range ids {
			if sum += p[id]; sum >= s.TopP*total {
				ids, total = ids[:i+1], sum
				break
			}
		}
	}
	kept := make([]float64, len(logits))
	for _, id := range ids {
		kept[id] = p[id] / total
	}
	return kept
}

// TestDrawInvertsTheCumulatedDistribution compares tokens for a grid of u with the plain twin's.
func TestDrawInvertsTheCumulatedDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for trial := range 300 {
		vocab := 2 + rng.IntN(700)
		logits := make([]float32, vocab)
		for i := range logits {
			logits[i] = float32(rng.NormFloat64() * 3)
			if trial%3 == 0 {
				logits[i] = float32(math.Round(float64(logits[i]))) // ties
			}
		}
		s := tandem.Sampling{Temperature: 0.3 + 2*rng.Float64()}
		if trial%2 == 0 {
			s.TopK = 1 + rng.IntN(vocab+5)
		}
		if trial%4 < 2 {
			s.TopP = 0.05 + 0.94*rng.Float64()
		}
		want := plainFilter(logits, s)
		d := newTestDrawer(t, vocab)
		for step := range 50 {
			u := (float64(step) + 0.5) / 50
			token, _, ok := d.draw(logits, s, u)
			if !ok {
				t.Fatalf("trial %d: refused", trial)
			}
			below := 0.0
			for _, p := range want[:token] {
				below += p
			}
			const slack = 1e-5 // weights are float32
			if want[token] == 0 || u < below-slack || u > below+want[token]+slack {
				t.Fatalf("trial %d (%+v, vocabulary %d): u %.4f gives token %d, whose interval is [%.6f, %.6f)",
					trial, s, vocab, u, token, below, below+want[token])
			}
		}
	}
}

// TestDrawFrequencies draws through the keyed generator and holds the counts to the softmax: chi-square
// over 24 tokens (23 degrees of freedom) stays below its 99.99 % point.
func TestDrawFrequencies(t *testing.T) {
	const vocab, draws, limit = 24, 40000, 59.7
	rng := rand.New(rand.NewPCG(2, 2))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64())
	}
	s := tandem.Sampling{Temperature: 0.8}
	want := plainFilter(logits, s)
	d := newTestDrawer(t, vocab)
	var counts [vocab]float64
	for i := range draws {
		token, _, _ := d.draw(logits, s, uniform(tandem.SampleKey{Seed: 7, Sample: uint64(i)}, 3))
		counts[token]++
	}
	chi := 0.0
	for i, n := range counts {
		chi += (n - draws*want[i]) * (n - draws*want[i]) / (draws * want[i])
	}
	if chi > limit {
		t.Errorf("chi-square %.1f", chi)
	}
}

func TestDrawLogProb(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	logits := make([]float32, 1000)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64()*5 + 200) // a common offset must not cost precision
	}
	d := newTestDrawer(t, len(logits))
	for _, temperature := range []float64{0, 0.01, 0.7, 1, 1.3, 50} {
		// TopK keeps a single token, yet the log-probability is the whole distribution's.
		token, got, ok := d.draw(logits, tandem.Sampling{Temperature: temperature, TopK: 1}, 0.5)
		if !ok {
			t.Fatal("refused")
		}
		by := temperature
		if by == 0 {
			by = 1
		}
		total := 0.0
		for _, v := range logits {
			total += math.Exp((float64(v) - float64(logits[token])) / by)
		}
		if want := -math.Log(total); math.Abs(float64(got)-want) > 2e-6 {
			t.Errorf("temperature %g: log-probability %v, want %v", temperature, got, want)
		}
		if unlikely, _ := d.logProb(logits, 0, by); math.Abs(float64(unlikely)-((float64(logits[0])-float64(logits[token]))/by-math.Log(total))) > 1e-4 {
			t.Errorf("temperature %g: log-probability of token 0 is %v", temperature, unlikely)
		}
	}
}

// The entropy is the whole distribution's too, as its definition says.
func TestDrawEntropy(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, vocab := range []int{1, 100, 256, 1000} {
		logits := make([]float32, vocab)
		for i := range logits {
			logits[i] = float32(rng.NormFloat64()*5 + 200)
		}
		d := newTestDrawer(t, vocab)
		for _, temperature := range []float64{0, 0.01, 0.7, 1, 1.3, 50} {
			if _, _, ok := d.draw(logits, tandem.Sampling{Temperature: temperature, TopK: 3, TopP: 0.5}, 0.5); !ok {
				t.Fatal("refused")
			}
			got := d.entropy(logits, temperature)
			if temperature == 0 {
				temperature = 1
			}
			total := 0.0
			for _, v := range logits {
				total += math.Exp((float64(v) - 200) / temperature)
			}
			want := 0.0
			for _, v := range logits {
				lnP := (float64(v)-200)/temperature - math.Log(total)
				want -= math.Exp(lnP) * lnP
			}
			if math.Abs(float64(got)-want) > 2e-6*max(1, want) {
				t.Errorf("%d tokens, temperature %g: %v, want %v", vocab, temperature, got, want)
			}
		}
	}
}

func TestGreedyTakesTheLowestOfTies(t *testing.T) {
	logits := make([]float32, 600)
	logits[311], logits[599] = 2, 2
	if token, _, _ := newTestDrawer(t, 600).draw(logits, tandem.Sampling{}, 0.99); token != 311 {
		t.Errorf("greedy took token %d, want 311", token)
	}
	zeros := []float32{float32(math.Copysign(0, -1)), 0, 0}
	if token, _, _ := newTestDrawer(t, 3).draw(zeros, tandem.Sampling{}, 0); token != 0 {
		t.Errorf("greedy took token %d of zeros, want 0", token)
	}
	if token, _, _ := newTestDrawer(t, 3).draw(zeros, tandem.Sampling{Temperature: 1, TopK: 1}, 0.99); token != 0 {
		t.Errorf("top-k 1 took token %d of zeros, want 0", token)
	}
}

func TestDrawRefusesWhatIsNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		logits := make([]float32, 300)
		logits[217] = float32(bad)
		d := newTestDrawer(t, 300)
		if token, _, ok := d.draw(logits, tandem.Sampling{Temperature: 1}, 0.5); ok {
			t.Errorf("a logit of %v was sampled from: token %d", bad, token)
		}
		if _, ok := d.logProb(logits, 3, 1); ok {
			t.Errorf("a logit of %v has a log-probability", bad)
		}
	}
}

// TestDrawStaysInRange draws at the edge of u, where rounding may let the target escape.
func TestDrawStaysInRange(t *testing.T) {
	logits := make([]float32, 1000)
	for i := range logits {
		logits[i] = -200 // underflows against the largest
	}
	logits[700] = 0
	d := newTestDrawer(t, len(logits))
	for _, u := range []float64{0, 0.5, 1 - 0x1p-53} {
		for _, s := range []tandem.Sampling{{Temperature: 1}, {Temperature: 1, TopP: 0.9}, {Temperature: 1, TopK: 40}, {Temperature: 1e-30}} {
			if token, logprob, _ := d.draw(logits, s, u); token != 700 || logprob != 0 {
				t.Errorf("u %v, %+v: token %d with log-probability %v, want the only one with any weight", u, s, token, logprob)
			}
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	const vocab = 32000
	rng := rand.New(rand.NewPCG(4, 4))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2)
	}
	d := newTestDrawer(b, vocab)
	for _, s := range []tandem.Sampling{{}, {Temperature: 1}, {Temperature: 1, TopP: 0.9}, {Temperature: 1, TopK: 50}} {
		b.Run("T="+map[bool]string{true: "0", false: "1"}[s.Temperature == 0]+map[bool]string{true: ",p"}[s.TopP > 0]+map[bool]string{true: ",k"}[s.TopK > 0], func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				d.draw(logits, s, uniform(tandem.SampleKey{}, i))
			}
		})
	}
}
