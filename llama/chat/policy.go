package chat

import (
	"context"
	"iter"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
)

// Policy is a model that answers: weights, tokenizer and template. It implements tandem.Generator and
// tandem.LogProber. Any number of goroutines may use it; their calls take turns, and one call's requests
// are decoded together.
type Policy struct {
	Weights   *llama.Weights
	Tokenizer *tokenizer.Tokenizer
	Template  *Template
	// Model is what the folder held beside them; nil from NewPolicy.
	Model *checkpoint.Model

	sampler *llama.Sampler
	turn    chan struct{} // holds one value while no call samples
	forward *llama.Forward
}

var (
	_ tandem.Generator = (*Policy)(nil)
	_ tandem.LogProber = (*Policy)(nil)
)

// Config says how a Policy or a Classifier runs. The zero value is its default.
type Config struct {
	Template TemplateConfig
	Sampler  llama.SamplerConfig
	Forward  llama.ForwardConfig
}

// Open loads a policy from a model's folder, or from llama2.c's .bin with its tok….bin beside it.
func Open(ctx context.Context, path string, c Config) (*Policy, error) {
	m, t, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	p, err := NewPolicy(m.Weights, t, c)
	if err != nil {
		return nil, tandem.Errorf(tandem.CodeOf(err), op, "%s: %w", path, err)
	}
	p.Model = m
	return p, nil
}

// open loads a model and its tokenizer, and checks that they fit.
func open(ctx context.Context, path string) (*checkpoint.Model, *tokenizer.Tokenizer, error) {
	m, err := checkpoint.Load(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	t, err := tokenizer.Parse(m.Files)
	if tandem.CodeOf(err) == tandem.NotFound { // llama2.c's formats keep it beside the weights
		folder := m.Path
		if filepath.Ext(folder) == ".bin" {
			folder = filepath.Dir(folder)
		}
		t, err = tokenizer.Open(folder)
	}
	if err != nil {
		return nil, nil, tandem.Errorf(tandem.CodeOf(err), op, "the tokenizer of %s: %w", path, err)
	}
	return m, t, nil
}

// NewPolicy makes a policy of weights in memory. Changing the weights between two calls changes what it
// says; that is how one object serves a training loop and its sampler.
func NewPolicy(w *llama.Weights, t *tokenizer.Tokenizer, c Config) (*Policy, error) {
	template, err := templateOf(w, t, c)
	if err != nil {
		return nil, err
	}
	sampler, err := llama.NewSampler(w, c.Sampler)
	if err != nil {
		return nil, err
	}
	forward, err := llama.NewForward(w, c.Forward)
	if err != nil {
		return nil, err
	}
	p := &Policy{Weights: w, Tokenizer: t, Template: template, sampler: sampler, turn: make(chan struct{}, 1), forward: forward}
	p.turn <- struct{}{}
	return p, nil
}

// templateOf makes a model's template: config.json's EOS tokens end answers too.
func templateOf(w *llama.Weights, t *tokenizer.Tokenizer, c Config) (*Template, error) {
	if t.VocabSize() > w.Config.VocabSize {
		return nil, tandem.Errorf(tandem.Invalid, op, "the tokenizer has %d tokens, the model's vocabulary %d", t.VocabSize(), w.Config.VocabSize)
	}
	for _, id := range w.Config.EOS {
		c.Template.Stops = append(slices.Clip(c.Template.Stops), int32(id))
	}
	return NewTemplate(t, c.Template)
}

// LogProbs implements tandem.LogProber.
func (p *Policy) LogProbs(ctx context.Context, sequences [][]int32) ([][]float32, error) {
	return p.forward.LogProbs(ctx, sequences)
}

// Prompt returns the ids that a request is answered from: the rendered dialogue, or the raw text after
// BOS. A dialogue that leaves no room for an answer loses tokens on its left; cut counts them. Room is
// what Sampling.MaxTokens asks for, at most half of the context, and a quarter of it without MaxTokens.
func (p *Policy) Prompt(ctx context.Context, r tandem.GenerateRequest) (ids []int32, cut int, err error) {
	if (r.Text == nil) == (len(r.Messages) == 0) {
		return nil, 0, tandem.Errorf(tandem.Invalid, op, "a request has exactly one of messages and text")
	}
	if r.Text != nil {
		ids, err := p.rawPrompt(*r.Text)
		return ids, 0, err
	}
	context := p.Weights.Config.MaxPositionEmbeddings
	room := context / 4
	if asked := r.Sampling.MaxTokens; asked > 0 {
		room = min(asked, context/2)
	}
	e, err := p.Template.Prompt(ctx, r.Messages, max(context-room, 1))
	return e.Tokens, e.Cut, err
}

func (p *Policy) rawPrompt(text string) ([]int32, error) {
	ids, err := p.Tokenizer.EncodeRendered(text, false)
	if err != nil {
		return nil, err
	}
	if bos := p.Tokenizer.Special().BOS; bos != tokenizer.None {
		ids = append([]int32{bos}, ids...)
	}
	if len(ids) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "the prompt is empty and the tokenizer has no BOS token to begin with")
	}
	return ids, nil
}

// Generate implements tandem.Generator. An answer ends at a stop token, whose id is among the chunk's
// tokens but which has no text, before a stop text, or at its limit.
func (p *Policy) Generate(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		if err := p.generate(ctx, requests, yield); err != nil {
			yield(tandem.Chunk{}, err)
		}
	}
}

func (p *Policy) generate(ctx context.Context, requests []tandem.GenerateRequest, yield func(tandem.Chunk, error) bool) error {
	answers := make([]*Answer, len(requests))
	asked := make([]llama.Request, len(requests))
	for i, r := range requests {
		ids, _, err := p.Prompt(ctx, r)
		if err != nil {
			return tandem.Errorf(tandem.CodeOf(err), op, "request %d: %w", i, err)
		}
		asked[i] = llama.Request{Prompt: ids, Sampling: r.Sampling, Stop: p.Template.Stops(), Key: r.Key}
		answers[i] = p.NewAnswer(r.Sampling.Stop)
		if r.Text != nil { // the answer goes on where the text ends: a space between them is the answer's
			answers[i].decoder.Skip(ids...)
		}
	}
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for event, err := range p.sampler.Sample(ctx, asked) {
		if err != nil {
			return err
		}
		a := answers[event.Request]
		if a.Done() {
			continue
		}
		chunk := a.Next(event)
		if a.Done() && event.Finish == "" {
			p.sampler.Drop(event.Request)
		}
		if !yield(chunk, nil) {
			return nil
		}
	}
	return nil
}
