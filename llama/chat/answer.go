package chat

import (
	"tandem"
	"tandem/llama"
	"tandem/llama/tokenizer"
)

// Answer makes text of the tokens that a sampler draws for one request, for who drives a sampler of their own; Policy's
// Generate does both.
type Answer struct {
	template *Template
	decoder  *tokenizer.Decoder
	stopper  *stopper
	decoded  int
	done     bool
}

// NewAnswer begins the answer to a dialogue. Stop are texts that end it.
func (p *Policy) NewAnswer(stop []string) *Answer {
	return &Answer{template: p.Template, decoder: p.Tokenizer.NewDecoder(), stopper: newStopper(stop)}
}

// Next makes a chunk of one sampled token. The chunk's Finish may be the answer's while the event's is not: a stop text
// was found, and the sampler should drop the request.
func (a *Answer) Next(e llama.Event) tandem.Chunk {
	c := tandem.Chunk{Request: e.Request, Tokens: []int32{e.Token}, LogProbs: []float32{e.LogProb}, Finish: e.Finish}
	text := ""
	if !a.template.isStop(e.Token) {
		text = a.decoder.Next(e.Token)
	}
	if e.Finish != "" {
		text += a.decoder.Flush()
	}
	a.decoded += len(text)
	var stopped bool
	c.Text, stopped = a.stopper.next(text)
	switch {
	case stopped:
		c.Finish = tandem.FinishStop
	case e.Finish != "":
		c.Text += a.stopper.flush()
	}
	a.done = c.Finish != ""
	return c
}

// Done reports whether the answer has ended.
func (a *Answer) Done() bool { return a.done }

// Decoded is how many bytes the tokens so far say. Chunks may show fewer: what may be the beginning of a stop text is held
// back, and what follows one is never shown.
func (a *Answer) Decoded() int { return a.decoded }
