package llama

import (
	"context"
	"slices"

	"tandem"
)

// Step lets waiting requests join, passes the last token of every running sequence and as much of the new
// prompts as PrefillTokens allows through the model at once, and samples: at most one token a request. The
// events are valid until the next call. Requests that end leave their slots.
//
// A request whose logits are not finite is dropped, and named by the error; the events of the others are
// returned beside it. When ctx is done, Step returns its error and changes nothing.
func (s *Sampler) Step(ctx context.Context) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.draws = s.draws[:0]
	s.admit()
	s.gather()
	s.forward()
	s.drawAll()
	return s.conclude()
}

// gather collects the rows of this step: one for each running sequence, then prompts in pieces.
func (s *Sampler) gather() {
	s.rows, s.wanted = s.rows[:0], s.wanted[:0]
	prefill := s.config.PrefillTokens
	for _, q := range s.active {
		prompt := q.request.Prompt
		switch {
		case q.fed >= len(prompt) && q.answer > 0:
			s.want(q, row{&q.cache, q.fed, q.last})
		case q.fed < len(prompt) && prefill > 0:
			to := min(len(prompt), q.fed+prefill)
			prefill -= to - q.fed
			for at := q.fed; at < to; at++ {
				if r := (row{&q.cache, at, prompt[at]}); at == len(prompt)-1 {
					s.want(q, r)
				} else {
					s.rows = append(s.rows, r)
				}
			}
			q.fed = to
		}
	}
}

// want adds a row whose logits q draws its next token from.
func (s *Sampler) want(q *sequence, r row) {
	s.wanted = append(s.wanted, len(s.rows))
	s.rows = append(s.rows, r)
	s.draws = append(s.draws, draw{sequence: q})
	q.fed = r.position + 1
}

// forward computes the logits of the wanted rows.
func (s *Sampler) forward() {
	if len(s.rows) == 0 {
		return
	}
	hidden := s.trunk.run(s.rows, s.wanted)
	if len(s.wanted) == 0 { // no prompt has come to its end
		return
	}
	d, vocab, n := s.trunk.config.HiddenSize, s.trunk.config.VocabSize, len(s.wanted)
	s.logits = resize(s.logits, n*vocab)
	s.trunk.shared.product(s.logits, hidden, s.weights.Output, n, d, vocab)
	joined := len(s.draws) - n // these came with their logits
	for i := range n {
		q := s.draws[joined+i].sequence
		logits := s.logits[i*vocab : (i+1)*vocab]
		s.draws[joined+i].logits = logits
		if q.answer == 0 {
			s.computed(q, logits)
		}
	}
}

// drawAll samples every draw's token.
func (s *Sampler) drawAll() {
	s.trunk.workers.Each(len(s.draws), func(i int) {
		drawer := <-s.drawers
		d := &s.draws[i]
		r := &d.sequence.request
		u := uniform(r.Key, d.sequence.fed)
		d.token, d.logprob, d.ok = drawer.draw(d.logits, r.Sampling, u)
		if d.ok && r.Entropy {
			d.entropy = drawer.entropy(d.logits, r.Sampling.Temperature)
		}
		if d.ok && r.Top > 0 {
			d.top = drawer.top(d.logits, r.Sampling.Temperature, r.Top)
		}
		s.drawers <- drawer
	})
}

// conclude turns draws into events and ends what is to end.
func (s *Sampler) conclude() ([]Event, error) {
	s.events = s.events[:0]
	var failure error
	for _, d := range s.draws {
		q := d.sequence
		if !d.ok {
			if failure == nil {
				failure = tandem.Errorf(tandem.Invalid, "llama.Sampler",
					"request %d: the logits at position %d are not finite; the model's weights are broken or diverged", q.id, q.fed-1)
			}
			s.leave(q)
			continue
		}
		q.last = d.token
		q.answer++
		event := Event{Request: q.id, Token: d.token, LogProb: d.logprob, Top: d.top, Entropy: d.entropy}
		switch {
		case slices.Contains(q.request.Stop, d.token):
			event.Finish = tandem.FinishStop
		case q.answer == q.request.Sampling.MaxTokens || q.fed+1 >= s.trunk.config.MaxPositionEmbeddings:
			event.Finish = tandem.FinishLength
		}
		if event.Finish != "" {
			s.leave(q)
		}
		s.events = append(s.events, event)
	}
	return s.events, failure
}
