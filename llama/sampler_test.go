package llama

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem"
)

// answer is what one request sampled.
type answer struct {
	tokens    []int32
	logprobs  []float32
	entropies []float32
	finish    tandem.FinishReason
}

func (a answer) equal(b answer) bool {
	return slices.Equal(a.tokens, b.tokens) && slices.Equal(a.logprobs, b.logprobs) && a.finish == b.finish
}

// take adds an event to the answers.
func take(t testing.TB, answers map[int]*answer, e Event) {
	t.Helper()
	a := answers[e.Request]
	if a == nil {
		a = &answer{}
		answers[e.Request] = a
	}
	if a.finish != "" {
		t.Fatalf("request %d goes on after it finished by %s", e.Request, a.finish)
	}
	a.tokens, a.logprobs, a.finish = append(a.tokens, e.Token), append(a.logprobs, e.LogProb), e.Finish
	a.entropies = append(a.entropies, e.Entropy)
}

func newTestSampler(t testing.TB, w *Weights, config SamplerConfig) *Sampler {
	t.Helper()
	s, err := NewSampler(w, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sampleAll answers requests, in their order.
func sampleAll(t testing.TB, s *Sampler, requests ...Request) []answer {
	t.Helper()
	answers := make(map[int]*answer)
	for e, err := range s.Sample(context.Background(), requests) {
		if err != nil {
			t.Fatal(err)
		}
		take(t, answers, e)
	}
	out := make([]answer, len(requests))
	for i := range out {
		if answers[i] == nil || answers[i].finish == "" {
			t.Fatalf("request %d did not finish", i)
		}
		out[i] = *answers[i]
	}
	return out
}

// randomRequests returns requests of every kind: greedy and not, with top-k, top-p, stop tokens and
// limits, some of them samples of one prompt.
func randomRequests(c Config, n int, rng *rand.Rand) []Request {
	prompts := randomSequences(c, n, c.MaxPositionEmbeddings-1, rng)
	requests := make([]Request, n)
	for i := range requests {
		r := Request{Prompt: prompts[i], Key: tandem.SampleKey{Seed: 5, Prompt: uint64(i)}}
		if i > 0 && rng.IntN(3) == 0 {
			r.Prompt, r.Key = requests[i-1].Prompt, requests[i-1].Key
			r.Key.Sample++
		}
		r.Sampling.MaxTokens = 1 + rng.IntN(40)
		if rng.IntN(4) > 0 {
			r.Sampling.Temperature = 0.5 + rng.Float64()
		}
		if rng.IntN(3) == 0 {
			r.Sampling.TopK = 1 + rng.IntN(c.VocabSize)
		}
		if rng.IntN(3) == 0 {
			r.Sampling.TopP = rng.Float64()
		}
		if rng.IntN(2) == 0 {
			r.Stop = []int32{2, 3}
		}
		requests[i] = r
	}
	return requests
}

// TestSamplerIsTheForwardPass follows what was sampled with the cacheless pass: the recorded
// log-probabilities are the same bits, greedy tokens are the likeliest, and answers end where they should.
func TestSamplerIsTheForwardPass(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	ctx := context.Background()
	stopped := 0
	for range 15 {
		c := randomConfig(rng)
		w := randomWeights(c, false, rng)
		requests := randomRequests(c, 12, rng)
		forward := newTestForward(t, w, ForwardConfig{})
		for i, a := range sampleAll(t, newTestSampler(t, w, SamplerConfig{Slots: 5, PrefillTokens: 30}), requests...) {
			r := requests[i]
			whole := slices.Concat(r.Prompt, a.tokens)
			temperature := r.Sampling.Temperature
			if temperature == 0 {
				temperature = 1
			}
			logprobs, err := forward.LogProbsAt(ctx, [][]int32{whole}, temperature)
			if err != nil {
				t.Fatal(err)
			}
			if got := logprobs[0][len(r.Prompt):]; !slices.Equal(got, a.logprobs) {
				t.Fatalf("%+v: request %d recorded %v, the forward pass gives %v", c, i, a.logprobs, got)
			}
			if r.Sampling.Temperature == 0 {
				hidden, err := forward.Hidden(ctx, [][]int32{whole})
				if err != nil {
					t.Fatal(err)
				}
				logits := make([]float32, c.VocabSize)
				for j, token := range a.tokens {
					at := (len(r.Prompt) + j - 1) * c.HiddenSize
					forward.trunk.shared.product(logits, hidden[0][at:at+c.HiddenSize], w.Output, 1, c.HiddenSize, c.VocabSize)
					if best := slices.Index(logits, slices.Max(logits)); best != int(token) {
						t.Fatalf("request %d: greedy took token %d at %d, the likeliest is %d", i, token, j, best)
					}
				}
			}
			switch last := a.tokens[len(a.tokens)-1]; {
			case slices.Contains(r.Stop, last):
				stopped++
				if a.finish != tandem.FinishStop {
					t.Errorf("request %d ended in stop token %d by %s", i, last, a.finish)
				}
			case a.finish != tandem.FinishLength:
				t.Errorf("request %d ended by %s in token %d", i, a.finish, last)
			case len(a.tokens) != r.Sampling.MaxTokens && len(whole) != c.MaxPositionEmbeddings:
				t.Errorf("request %d ended after %d of %d tokens, %d of the context", i, len(a.tokens), r.Sampling.MaxTokens, len(whole))
			}
		}
	}
	if stopped == 0 {
		t.Error("no answer met a stop token: the test does not cover them")
	}
}

// TestSamplerDoesNotDependOnItsBatch holds every bit of the answers still while order, slots, size of the
// prompts' pieces, workers and company change.
func TestSamplerDoesNotDependOnItsBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	sets := kernelSets(t)
	for trial := range 6 {
		c, set := randomConfig(rng), sets[trial%len(sets)]
		w := randomWeights(c, false, rng)
		requests := randomRequests(c, 14, rng)
		var alone []answer
		for _, r := range requests {
			alone = append(alone, sampleAll(t, newTestSampler(t, w, SamplerConfig{Workers: 1, Kernel: set}), r)...)
		}
		for _, config := range []SamplerConfig{
			{Workers: 1, Slots: 1}, {Workers: 3, Slots: 4, PrefillTokens: 7}, {Workers: 2, Slots: 32, PrefillTokens: 1000},
		} {
			config.Kernel = set
			s := newTestSampler(t, w, config)
			for range 2 { // the second time on used memory
				order := rng.Perm(len(requests))
				shuffled := make([]Request, len(order))
				for i, from := range order {
					shuffled[i] = requests[from]
				}
				for i, a := range sampleAll(t, s, shuffled...) {
					if !a.equal(alone[order[i]]) {
						t.Fatalf("%s, %+v: request %d gives %v, alone %v", set.Name(), c, order[i], a, alone[order[i]])
					}
				}
			}
		}
	}
}

// TestRequestsJoinAndLeave adds requests while others run, drops some, and finds the rest unchanged.
func TestRequestsJoinAndLeave(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	w := randomWeights(testConfig(), false, rng)
	requests := randomRequests(w.Config, 30, rng)
	alone := sampleAll(t, newTestSampler(t, w, SamplerConfig{}), requests...)

	s := newTestSampler(t, w, SamplerConfig{Slots: 4, PrefillTokens: 50})
	answers, dropped := make(map[int]*answer), make(map[int]bool)
	for added := 0; added < len(requests) || !s.Idle(); {
		for added < len(requests) && rng.IntN(3) > 0 {
			id, err := s.Add(requests[added])
			if err != nil || id != added {
				t.Fatalf("request %d was numbered %d: %v", added, id, err)
			}
			added++
		}
		events, err := s.Step(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if dropped[e.Request] {
				t.Fatalf("request %d yields a token after it was dropped", e.Request)
			}
			take(t, answers, e)
		}
		if rng.IntN(8) == 0 && added > 0 {
			id := rng.IntN(added)
			if a := answers[id]; a == nil || a.finish == "" {
				dropped[id] = true
			}
			s.Drop(id)
		}
	}
	for i := range requests {
		if got := answers[i]; !dropped[i] && (got == nil || !got.equal(alone[i])) {
			t.Errorf("request %d gives %v among others, %v alone", i, got, alone[i])
		}
	}
	if len(dropped) == 0 || len(dropped) == len(requests) {
		t.Errorf("%d of %d requests were dropped: the test covers nothing", len(dropped), len(requests))
	}
	inUse := s.pool.held - len(s.pool.free)
	if inUse != 0 {
		t.Errorf("%d pages are in use by an idle sampler", inUse)
	}
}

// TestSamplesShareTheirPrompt counts the rows that K samples of one prompt cost.
func TestSamplesShareTheirPrompt(t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 1))
	w := randomWeights(testConfig(), false, rng)
	prompt := randomSequences(w.Config, 1, 1, rng)[0]
	for len(prompt) < 100 {
		prompt = append(prompt, int32(rng.IntN(w.Config.VocabSize)))
	}
	const samples, tokens = 10, 5
	s := newTestSampler(t, w, SamplerConfig{Slots: 4})
	for i := range samples {
		r := Request{Prompt: prompt, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: tokens}, Key: tandem.SampleKey{Sample: uint64(i)}}
		if _, err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	for !s.Idle() {
		if _, err := s.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
		rows += len(s.rows)
	}
	if want := len(prompt) + samples*(tokens-1); rows != want {
		t.Errorf("%d samples took %d rows, want %d: the prompt once", samples, rows, want)
	}
}

// A prompt that takes several steps to read has steps without any token to draw, and a vocabulary that is
// split over workers must not be computed for none.
func TestLongPromptIsReadInPieces(t *testing.T) {
	c := testConfig()
	c.VocabSize, c.HiddenSize, c.HeadDim = 4096, 128, 128/c.NumAttentionHeads
	w := randomWeights(c, false, rand.New(rand.NewPCG(5, 6)))
	request := Request{Prompt: make([]int32, 40), Sampling: tandem.Sampling{MaxTokens: 3}}
	whole := sampleAll(t, newTestSampler(t, w, SamplerConfig{Workers: 2}), request)
	pieces := sampleAll(t, newTestSampler(t, w, SamplerConfig{Workers: 2, PrefillTokens: 15}), request)
	if !pieces[0].equal(whole[0]) {
		t.Errorf("read in pieces, the prompt's answer is %v, not %v", pieces[0], whole[0])
	}
}

func TestSamplesDiffer(t *testing.T) {
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(25, 1)))
	base := Request{Prompt: []int32{1, 5, 9}, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: 20}}
	other := func(change func(*Request)) Request { r := base; change(&r); return r }
	answers := sampleAll(t, newTestSampler(t, w, SamplerConfig{}), base,
		other(func(r *Request) { r.Key.Seed = 1 }),
		other(func(r *Request) { r.Key.Prompt = 1 }),
		other(func(r *Request) { r.Key.Sample = 1 }),
		base)
	for i, a := range answers[1:4] {
		if slices.Equal(a.tokens, answers[0].tokens) {
			t.Errorf("changing part %d of the key leaves the sample as it is", i)
		}
	}
	if !answers[4].equal(answers[0]) {
		t.Errorf("one key gives %v and %v", answers[0], answers[4])
	}
}

func TestSamplerRefuses(t *testing.T) {
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(26, 1)))
	full := make([]int32, w.Config.MaxPositionEmbeddings)
	good := Request{Prompt: []int32{1}}
	for _, test := range []struct {
		bad  Request
		says string
	}{
		{Request{}, "request 1: the prompt has no tokens"},
		{Request{Prompt: full}, "request 1: a prompt of 150 tokens leaves no room for an answer in the context of 150"},
		{Request{Prompt: []int32{1, 2, 53}}, "request 1: token 2 of the prompt is 53, outside the vocabulary of 53"},
		{Request{Prompt: []int32{1}, Sampling: tandem.Sampling{Temperature: -1}}, "temperature -1"},
		{Request{Prompt: []int32{1}, Sampling: tandem.Sampling{Temperature: math.NaN()}}, "temperature NaN"},
		{Request{Prompt: []int32{1}, Sampling: tandem.Sampling{TopK: -1}}, "top_k -1"},
		{Request{Prompt: []int32{1}, Sampling: tandem.Sampling{TopP: 1.5}}, "top_p 1.5"},
		{Request{Prompt: []int32{1}, Sampling: tandem.Sampling{MaxTokens: -1}}, "max_tokens -1"},
	} {
		s := newTestSampler(t, w, SamplerConfig{})
		var failure error
		for e, err := range s.Sample(context.Background(), []Request{good, test.bad}) {
			if failure = err; err == nil {
				t.Fatalf("%s: sampled %+v before all requests were checked", test.says, e)
			}
		}
		if tandem.CodeOf(failure) != tandem.Invalid || !strings.Contains(fmt.Sprint(failure), test.says) {
			t.Errorf("error %v, want invalid and %q", failure, test.says)
		}
		if !s.Idle() {
			t.Errorf("%s: the sampler is not idle after the refusal", test.says)
		}
	}
	head := randomWeights(testConfig(), true, rand.New(rand.NewPCG(26, 2)))
	if _, err := NewSampler(head, SamplerConfig{}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a classifier is sampled from: %v", err)
	}
}

// TestSamplerSurvivesWhatIsNotFinite drops the one request whose logits are broken, and no other.
func TestSamplerSurvivesWhatIsNotFinite(t *testing.T) {
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(27, 1)))
	good := Request{Prompt: []int32{1, 5}, Sampling: tandem.Sampling{MaxTokens: 30}, Stop: []int32{7}}
	want := sampleAll(t, newTestSampler(t, w, SamplerConfig{}), good)[0]
	if slices.Contains(want.tokens[:len(want.tokens)-1], 7) {
		t.Fatal("the good answer meets the broken token")
	}
	w.Embed[7*w.Config.HiddenSize] = float32(math.NaN())
	s := newTestSampler(t, w, SamplerConfig{})
	for _, r := range []Request{good, {Prompt: []int32{3, 7, 4}}} {
		if _, err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	answers, failures := make(map[int]*answer), 0
	for !s.Idle() {
		events, err := s.Step(context.Background())
		for _, e := range events {
			take(t, answers, e)
		}
		if err != nil {
			failures++
			if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "request 1: the logits") {
				t.Errorf("error %v, want one that names request 1", err)
			}
		}
	}
	if failures != 1 || answers[1] != nil || answers[0] == nil || !answers[0].equal(want) {
		t.Errorf("%d failures; the good request gave %v, want %v; the broken one %v", failures, answers[0], want, answers[1])
	}
	if again := sampleAll(t, s, good)[0]; !again.equal(want) { // on pages that held NaN
		t.Errorf("afterwards the good request gives %v, want %v", again, want)
	}
}

func TestSampleStopsWithItsContextAndItsLoop(t *testing.T) {
	w := randomWeights(testConfig(), false, rand.New(rand.NewPCG(28, 1)))
	s := newTestSampler(t, w, SamplerConfig{})
	requests := []Request{{Prompt: []int32{1}}, {Prompt: []int32{2}}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := 0
	for _, err := range s.Sample(ctx, requests) {
		if err != nil {
			if err != context.Canceled {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
			break
		}
		if events++; events == 4 {
			cancel()
		}
	}
	if events != 4 || !s.Idle() {
		t.Errorf("%d events after cancelling at 4; idle: %v", events, s.Idle())
	}
	for e := range s.Sample(context.Background(), requests) {
		for _, err := range s.Sample(context.Background(), requests) {
			if tandem.CodeOf(err) != tandem.Conflict {
				t.Errorf("a second Sample at once: %v, want a conflict", err)
			}
		}
		_ = e
		break
	}
	if !s.Idle() {
		t.Error("the sampler is not idle after its loop was left")
	}
}
