package llama

import (
	"math"
	"slices"
	"unsafe"

	"tandem"
)

// Add queues a request, to join when a slot is free, and returns its number: requests are numbered from 0
// since the sampler was made or Reset. The request's slices must not change until it ends.
func (s *Sampler) Add(r Request) (int, error) {
	id := s.next
	if err := s.check(id, r); err != nil {
		return 0, err
	}
	if s.Idle() {
		s.trunk.refresh()
	}
	s.next++
	// The prompt's bytes are the key; a map keeps its own copy of the string.
	key := string(unsafe.Slice((*byte)(unsafe.Pointer(&r.Prompt[0])), 4*len(r.Prompt)))
	p := s.prompts[key]
	if p == nil {
		p = &prompt{key: key}
		s.prompts[key] = p
		s.queue = append(s.queue, p)
	}
	p.waiting = append(p.waiting, waiting{id, r})
	return id, nil
}

// check reports what makes a request impossible to answer.
func (s *Sampler) check(id int, r Request) error {
	const op = "llama.Sampler"
	c := s.trunk.config
	if len(r.Prompt) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "request %d: the prompt has no tokens", id)
	}
	if len(r.Prompt) >= c.MaxPositionEmbeddings {
		return tandem.Errorf(tandem.Invalid, op, "request %d: a prompt of %d tokens leaves no room for an answer in the context of %d",
			id, len(r.Prompt), c.MaxPositionEmbeddings)
	}
	if at := unknownToken(c, r.Prompt); at >= 0 {
		return tandem.Errorf(tandem.Invalid, op, "request %d: token %d of the prompt is %d, outside the vocabulary of %d",
			id, at, r.Prompt[at], c.VocabSize)
	}
	p := r.Sampling
	switch {
	case !(p.Temperature >= 0) || math.IsInf(p.Temperature, 0):
		return tandem.Errorf(tandem.Invalid, op, "request %d: temperature %g is not a finite number from 0 on", id, p.Temperature)
	case p.TopK < 0:
		return tandem.Errorf(tandem.Invalid, op, "request %d: top_k %d is negative", id, p.TopK)
	case !(p.TopP >= 0 && p.TopP <= 1):
		return tandem.Errorf(tandem.Invalid, op, "request %d: top_p %g is outside [0, 1]", id, p.TopP)
	case p.MaxTokens < 0:
		return tandem.Errorf(tandem.Invalid, op, "request %d: max_tokens %d is negative", id, p.MaxTokens)
	case r.Top < 0:
		return tandem.Errorf(tandem.Invalid, op, "request %d: %d of the likeliest tokens is negative", id, r.Top)
	}
	return nil
}

// unknownToken returns the index of the first token that is not in c's vocabulary, or −1.
func unknownToken(c Config, tokens []int32) int {
	return slices.IndexFunc(tokens, func(t int32) bool { return t < 0 || int(t) >= c.VocabSize })
}

// Has reports whether a request is waiting or being answered.
func (s *Sampler) Has(id int) bool {
	return slices.ContainsFunc(s.active, func(q *sequence) bool { return q.id == id }) ||
		slices.ContainsFunc(s.queue, func(p *prompt) bool {
			return slices.ContainsFunc(p.waiting, func(w waiting) bool { return w.id == id })
		})
}

// Hold calls body, which steps: the goroutines that compute stay awake from one step to the next. Sample does so by itself.
func (s *Sampler) Hold(body func()) { s.trunk.workers.Hold(body) }

// Idle reports whether no request is waiting or being answered.
func (s *Sampler) Idle() bool { return len(s.queue) == 0 && len(s.active) == 0 }

// Drop gives up a request: it yields no more events, and its slot is free for the next. Numbers of
// requests that have ended are ignored.
func (s *Sampler) Drop(id int) {
	for _, q := range s.active {
		if q.id == id {
			s.leave(q)
			return
		}
	}
	for _, p := range s.queue {
		if i := slices.IndexFunc(p.waiting, func(w waiting) bool { return w.id == id }); i >= 0 {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			s.forget(p)
			return
		}
	}
}

// Reset gives up all requests. Memory is kept for those to come.
func (s *Sampler) Reset() {
	for len(s.active) > 0 {
		s.leave(s.active[len(s.active)-1])
	}
	for _, p := range s.queue {
		p.cache.release()
	}
	s.queue = s.queue[:0]
	clear(s.prompts)
	s.next = 0
}

// admit gives free slots to waiting requests, in the order in which their prompts were first asked for.
// A prompt that no one has computed gets a slot for its first request, which leads; the others wait until
// it is computed, then join with a fork of its cache, and their first token is drawn without a pass.
func (s *Sampler) admit() {
	for i := 0; i < len(s.queue) && len(s.active) < s.config.Slots; {
		p := s.queue[i]
		for p.leader == nil && len(p.waiting) > 0 && len(s.active) < s.config.Slots {
			first := p.waiting[0]
			p.waiting = p.waiting[1:]
			q := &sequence{id: first.id, request: first.request, prompt: p}
			if p.ready {
				q.cache = p.cache.fork(len(first.request.Prompt))
				q.fed = len(first.request.Prompt)
				s.draws = append(s.draws, draw{sequence: q, logits: p.logits})
			} else {
				q.cache = cache{pool: s.pool}
				p.leader = q
			}
			s.active = append(s.active, q)
		}
		if !s.forget(p) {
			i++
		}
	}
}

// computed is called when q's prompt is in its cache and logits follow it: those who wait for the same
// prompt get what they need of it.
func (s *Sampler) computed(q *sequence, logits []float32) {
	p := q.prompt
	if p.leader != q {
		return
	}
	p.leader = nil
	if s.forget(p) {
		return
	}
	p.ready = true
	p.cache = q.cache.fork(q.fed)
	p.logits = slices.Clone(logits)
}

// leave ends q and frees its slot.
func (s *Sampler) leave(q *sequence) {
	q.cache.release()
	s.active = slices.DeleteFunc(s.active, func(other *sequence) bool { return other == q })
	if p := q.prompt; p.leader == q {
		p.leader = nil
		s.forget(p)
	}
}

// forget takes p out of the queue if no one waits for it or computes it, and reports whether it did.
func (s *Sampler) forget(p *prompt) bool {
	if len(p.waiting) > 0 || p.leader != nil {
		return false
	}
	p.cache.release()
	if s.prompts[p.key] == p {
		delete(s.prompts, p.key)
		s.queue = slices.DeleteFunc(s.queue, func(other *prompt) bool { return other == p })
	}
	return true
}
