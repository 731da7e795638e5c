package chatapi

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
)

// call is one request under way. The goroutine that samples adds to it and never waits for the one that reads: how slowly
// an answer is taken changes nothing for others.
type call struct {
	batch    *batch
	logprobs bool
	came     time.Time
	news     chan struct{} // holds one value where take would return something
	gone     atomic.Bool   // nobody reads it any more
	choices  []*choice     // not changed once it is started

	mutex sync.Mutex // guards err and each choice's piece
	err   error      // instead of what is left
}

// choice is one answer of a call.
type choice struct {
	call    *call
	request llama.Request

	// The sampling goroutine's own.
	answer  *chat.Answer
	sampled int
	shown   int // bytes of text
	held    []sampledToken
	first   time.Time // when the first token was sampled

	piece piece
}

// piece is what has come of a choice since it was taken the last time.
type piece struct {
	text   string
	tokens int
	named  []sampledToken // with log-probabilities
	finish tandem.FinishReason
}

func (p piece) empty() bool { return p.tokens == 0 && p.finish == "" }

// sampledToken is a token of an answer for which log-probabilities were asked.
type sampledToken struct {
	llama.TokenLogProb
	top   []llama.TokenLogProb
	start int // bytes of text before it
}

func newCall(logprobs bool, came time.Time) *call {
	return &call{logprobs: logprobs, came: came, news: make(chan struct{}, 1)}
}

// leave gives the call up, or has no effect on one that has ended.
func (c *call) leave() { c.batch.leave(c) }

// take returns what has come of each choice, and why nothing more will.
func (c *call) take() ([]piece, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	pieces := make([]piece, len(c.choices))
	for i, o := range c.choices {
		pieces[i], o.piece = o.piece, piece{}
	}
	return pieces, c.err
}

// fail ends a call.
func (c *call) fail(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.gone.Store(true) // also its other choices
	c.tell()
}

func (c *call) tell() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// next adds a token, and returns why the answer has ended, if it has. stops are the policy's stop tokens.
func (o *choice) next(e llama.Event, stops []int32) tandem.FinishReason {
	if o.sampled++; o.sampled == 1 {
		o.first = time.Now()
		if !slices.ContainsFunc(o.call.choices, func(other *choice) bool { return other != o && other.sampled > 0 }) {
			o.call.batch.metrics.firstToken(time.Since(o.call.came))
		}
	}
	start, stopToken := o.answer.Decoded(), slices.Contains(stops, e.Token)
	chunk := o.answer.Next(e)
	o.shown += len(chunk.Text)
	var named []sampledToken
	if o.call.logprobs {
		if !stopToken { // it is no part of the answer's content
			o.held = append(o.held, sampledToken{llama.TokenLogProb{Token: e.Token, LogProb: e.LogProb}, e.Top, start})
		}
		named = o.release(chunk.Finish != "" && o.shown == o.answer.Decoded())
	}
	o.call.mutex.Lock()
	defer o.call.mutex.Unlock()
	p := &o.piece
	p.text += chunk.Text
	p.tokens++
	p.named = append(p.named, named...)
	p.finish = chunk.Finish
	o.call.tell()
	return chunk.Finish
}

// release returns the held tokens whose text is shown, at least its beginning, or all of them: what a stop text has cut
// off is never named.
func (o *choice) release(all bool) []sampledToken {
	n := 0
	for n < len(o.held) && (all || o.held[n].start < o.shown) {
		n++
	}
	out := o.held[:n:n]
	o.held = o.held[n:]
	return out
}
