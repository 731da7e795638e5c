package llama

import (
	"context"
	"iter"

	"tandem"
	"tandem/llama/nn/kernel"
)

// SamplerConfig sizes a Sampler.
type SamplerConfig struct {
	// Slots is how many sequences are decoded at once; more wait. Defaults to 32.
	Slots int
	// PrefillTokens is how many prompt tokens one step takes in at most, beside the decoded ones: more
	// start faster, fewer keep the running sequences' steps short. Defaults to 256.
	PrefillTokens int
	// Workers is how many goroutines compute. Defaults to the number of cores that Go uses.
	Workers int
	// Kernel is the arithmetic. Defaults to the fastest that the processor has.
	Kernel *kernel.Set
}

// Request asks for one answer, in token ids.
type Request struct {
	Prompt   []int32         // at least one token, shorter than the context
	Sampling tandem.Sampling // its Stop texts are the caller's to find; the sampler knows ids alone
	Stop     []int32         // tokens that end the answer; the one sampled is part of it
	Top      int             // how many of the likeliest tokens each event names; 0 for none
	Entropy  bool            // whether each event has the entropy of what it was drawn from
	Key      tandem.SampleKey
}

// Event is one sampled token.
type Event struct {
	Request int                 // what Add returned; in Sample the index of the request
	Token   int32               // a stop token included
	LogProb float32             // ln softmax(logits / temperature)[Token], before top-k and top-p; temperature 1 where it is 0
	Top     []TokenLogProb      // the likeliest tokens and their LogProb, the likeliest first, as many as the request asks for
	Entropy float32             // of softmax(logits / temperature), as for LogProb, in nats; 0 unless the request asks for it
	Finish  tandem.FinishReason // empty until the request's last event
}

// TokenLogProb is a token that may be sampled, and its log-probability as Event has it.
type TokenLogProb struct {
	Token   int32
	LogProb float32
}

// Sampler decodes many sequences at once with a KV cache on a model's weights in place: changing the
// weights between two runs changes what is sampled.
//
// Sequences join when a slot is free and leave when they end, so a step always works on as many as there
// are. What a request samples depends on its prompt, sampling and key alone, to the bit, not on the other
// requests, the step that it joined in, or the number of workers. Requests with the same prompt that wait
// together, the K samples of rejection sampling, compute it once.
//
// A Sampler is used by one goroutine at a time. It starts none that outlive a call.
type Sampler struct {
	config  SamplerConfig
	weights *Weights
	trunk   *trunk
	pool    *pages
	drawers chan *drawer // one for each worker

	next    int       // the next request's number
	queue   []*prompt // prompts that requests wait with, in order of their first request
	prompts map[string]*prompt
	active  []*sequence // at most config.Slots, in order of joining

	// What one step works on, kept for reuse.
	rows   []row
	wanted []int // rows whose logits are drawn from
	draws  []draw
	logits []float32 // [wanted, vocab]
	events []Event
}

// sequence is a request with a slot.
type sequence struct {
	id      int
	request Request
	cache   cache
	fed     int     // tokens in the cache, counting those of the step under way
	last    int32   // the last sampled token, not fed yet
	answer  int     // sampled tokens
	prompt  *prompt // where others with the same prompt wait
}

// prompt gathers the waiting requests that have it in common.
type prompt struct {
	key     string
	waiting []waiting
	leader  *sequence // computes the prompt now; nil before and after
	ready   bool      // computed: cache holds it, and logits are those after its last token
	cache   cache
	logits  []float32 // [vocab]
}

type waiting struct {
	id      int
	request Request
}

// draw is a token about to be sampled.
type draw struct {
	sequence *sequence
	logits   []float32 // [vocab]
	token    int32
	logprob  float32
	entropy  float32
	top      []TokenLogProb
	ok       bool
}

// NewSampler returns a sampler on w, which must be a policy's.
func NewSampler(w *Weights, config SamplerConfig) (*Sampler, error) {
	if w.IsClassifier() {
		return nil, tandem.Errorf(tandem.Invalid, "llama.NewSampler", "a classifier has no output matrix to sample from")
	}
	if config.Slots <= 0 {
		config.Slots = 32
	}
	if config.PrefillTokens <= 0 {
		config.PrefillTokens = 256
	}
	t, err := newTrunk(w, config.Kernel, config.Workers)
	if err != nil {
		return nil, err
	}
	return &Sampler{
		config:  config,
		weights: w,
		trunk:   t,
		pool:    t.pool(w.Config.NumHiddenLayers),
		drawers: newDrawers(t),
		prompts: make(map[string]*prompt),
	}, nil
}

// Sample answers all requests and yields their tokens as they are sampled, interleaved; each request's
// in order. The sampler must be idle. All requests are checked before any is started. An error ends the
// sequence, and so does breaking off the loop; either way the sampler is idle again. Within the loop a
// request can be given up with Drop.
func (s *Sampler) Sample(ctx context.Context, requests []Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if !s.Idle() {
			yield(Event{}, tandem.Errorf(tandem.Conflict, "llama.Sample", "the sampler is at work on other requests"))
			return
		}
		s.Reset()
		defer s.Reset()
		for i, r := range requests {
			if _, err := s.Add(r); err != nil {
				yield(Event{Request: i}, err)
				return
			}
		}
		s.trunk.workers.Hold(func() { s.drain(ctx, yield) })
	}
}

// drain steps until no request is left.
func (s *Sampler) drain(ctx context.Context, yield func(Event, error) bool) {
	for !s.Idle() {
		events, err := s.Step(ctx)
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
	}
}

// CacheBytes is how much memory the keys and values of so many requests take at most, each of so many tokens with its answer.
func (s *Sampler) CacheBytes(requests, tokens int) int {
	pages := (tokens + pageTokens - 1) / pageTokens
	return 4 * min(requests, s.config.Slots) * pages * s.pool.size()
}
