package chatapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
)

// BatchConfig bounds what is sampled and waits at once.
type BatchConfig struct {
	// Slots is how many answers are sampled at once. Defaults to 32.
	Slots int
	// Waiting answers at most, beside those that are sampled; requests beyond them are refused. Defaults to 256.
	Waiting int
}

// DefaultBatchConfig returns the defaults.
func DefaultBatchConfig() BatchConfig { return BatchConfig{Slots: 32, Waiting: 256} }

// Validate reports the first field that nothing could be answered with.
func (c BatchConfig) Validate() error {
	if c.Slots < 1 || c.Waiting < 1 {
		return tandem.Errorf(tandem.Invalid, "chatapi.BatchConfig", "%d slots and %d answers waiting: both are at least 1", c.Slots, c.Waiting)
	}
	return nil
}

// batch samples the answers to requests of many goroutines together, with one policy. Each takes a slot, in the order in
// which they came, and leaves it when it ends or is given up; a step samples one token of every answer that has one. One
// goroutine steps as long as there is anything to answer; who finds none at work starts it. It is safe for concurrent use.
type batch struct {
	config   BatchConfig
	policy   *chat.Policy
	sampling llama.SamplerConfig
	metrics  *Metrics
	running  *sync.WaitGroup // of the goroutines that step

	// The stepping goroutine's own.
	sampler *llama.Sampler
	active  map[int]*choice // by the sampler's numbers

	mutex   sync.Mutex
	working bool      // a goroutine steps, or is about to
	waiting []*choice // for a slot
	busy    int       // slots taken, at the last step
	pace    pace
}

// newBatch returns a batch that nothing waits in. metrics may be nil.
func newBatch(p *chat.Policy, c BatchConfig, sampling llama.SamplerConfig, running *sync.WaitGroup, m *Metrics) (*batch, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	sampling.Slots = c.Slots
	s, err := llama.NewSampler(p.Weights, sampling)
	if err != nil {
		return nil, err
	}
	return &batch{config: c, policy: p, sampling: sampling, metrics: m, running: running, sampler: s, active: make(map[int]*choice)}, nil
}

// fullError says that too many answers wait.
type fullError struct {
	waiting int
	after   time.Duration // until so many are likely to have left
}

func (e *fullError) Error() string { return fmt.Sprintf("%d answers wait", e.waiting) }

// start has the choices of a call sampled, each by one of the requests: the call says when there is news, and whoever
// started it leaves it in the end. Errors: a fullError when too many wait.
func (b *batch) start(c *call, requests []llama.Request) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	under := b.busy + len(b.waiting)
	if under > 0 && under+len(requests) > b.config.Slots+b.config.Waiting {
		return &fullError{len(b.waiting), b.pace.time(len(b.waiting))}
	}
	c.batch = b
	for _, r := range requests {
		one := &choice{call: c, request: r, answer: b.policy.NewAnswer(r.Sampling.Stop)}
		c.choices = append(c.choices, one)
		b.waiting = append(b.waiting, one)
	}
	b.metrics.queue(len(requests))
	if !b.working {
		b.working = true
		b.running.Go(b.work)
	}
	return nil
}

// leave gives a call up: what waits of it leaves the queue, and what is sampled its slots, before the next step.
func (b *batch) leave(c *call) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	c.gone.Store(true)
	b.forget(c)
}

// forget takes a call out of the queue.
func (b *batch) forget(c *call) {
	before := len(b.waiting)
	b.waiting = slices.DeleteFunc(b.waiting, func(o *choice) bool { return o.call == c })
	b.metrics.queue(len(b.waiting) - before)
	b.metrics.finish(finishGivenUp, before-len(b.waiting))
}

// work steps until there is nothing to answer.
func (b *batch) work() {
	for whole := false; !whole; {
		b.sampler.Hold(func() { whole = b.steps() })
	}
}

// steps reports false where a step has broken the sampler, which was replaced.
func (b *batch) steps() (whole bool) {
	for b.admit() {
		start := time.Now()
		events, err := b.step()
		b.deliver(events)
		b.mutex.Lock()
		b.pace.step(len(events), time.Since(start))
		b.mutex.Unlock()
		switch {
		case tandem.CodeOf(err) == tandem.Internal:
			b.replace(err)
			return false
		case err != nil:
			b.drop(err)
		}
	}
	return true
}

// step samples. A panic of the model's is an error like others: it must not end what else the process does.
func (b *batch) step() (events []llama.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			events, err = nil, tandem.Errorf(tandem.Internal, "chatapi.Batch", "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return b.sampler.Step(context.Background()) // requests end one by one: see leave
}

// admit frees the slots of answers that nobody waits for any more, and gives free ones to those that wait. It is false
// where there is nothing to answer, and then the work ends.
func (b *batch) admit() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for id, c := range b.active {
		if c.call.gone.Load() {
			b.sampler.Drop(id)
			delete(b.active, id)
			b.metrics.finish(finishGivenUp, 1)
		}
	}
	for len(b.active) < b.config.Slots && len(b.waiting) > 0 {
		c := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.metrics.queue(-1)
		id, err := b.sampler.Add(c.request)
		if err != nil { // the request was checked, so this is a mistake of this package
			c.call.fail(err)
			b.forget(c.call)
			continue
		}
		b.active[id] = c
	}
	b.metrics.slots(len(b.active) - b.busy)
	b.busy = len(b.active)
	b.working = b.busy > 0
	return b.working
}

// deliver hands sampled tokens to the calls that wait for them.
func (b *batch) deliver(events []llama.Event) {
	for _, e := range events {
		c := b.active[e.Request]
		finish := c.next(e, b.policy.Template.Stops())
		if finish == "" {
			continue
		}
		if e.Finish == "" { // a stop text, which the sampler does not know
			b.sampler.Drop(e.Request)
		}
		delete(b.active, e.Request)
		b.mutex.Lock()
		b.pace.answer(c.sampled)
		b.mutex.Unlock()
		b.metrics.finish(string(finish), 1)
		b.metrics.answered(c.sampled, time.Since(c.first))
	}
	b.metrics.sampled(len(events))
}

// drop fails the answers that the sampler has dropped, since their logits are not finite.
func (b *batch) drop(err error) {
	for id, c := range b.active {
		if !b.sampler.Has(id) {
			c.call.fail(err)
			delete(b.active, id)
			b.metrics.finish(finishFailed, 1)
		}
	}
}

// replace fails every answer that is being sampled, and goes on with a sampler that nothing has happened to.
func (b *batch) replace(err error) {
	for _, c := range b.active {
		c.call.fail(err)
	}
	b.metrics.finish(finishFailed, len(b.active))
	clear(b.active)
	if s, again := llama.NewSampler(b.policy.Weights, b.sampling); again == nil { // it was made of the same before
		b.sampler = s
	}
}

// pace is how fast answers leave, lately.
type pace struct {
	seconds, tokens float64 // spent and sampled, old ones counting less
	length          float64 // of an answer, in tokens
}

// step counts a step.
func (p *pace) step(tokens int, took time.Duration) {
	const old = 0.99
	p.seconds, p.tokens = old*p.seconds+took.Seconds(), old*p.tokens+float64(tokens)
}

// answer counts an answer.
func (p *pace) answer(tokens int) {
	const old = 0.9
	if p.length == 0 {
		p.length = float64(tokens)
	}
	p.length = old*p.length + (1-old)*float64(tokens)
}

// time is how long n answers are likely to take; at least a second, and at most a minute.
func (p *pace) time(n int) time.Duration {
	seconds := 0.
	if p.tokens > 0 {
		seconds = float64(n) * p.length * p.seconds / p.tokens
	}
	return time.Duration(min(max(seconds, 1), 60) * float64(time.Second))
}
