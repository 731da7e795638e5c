package scoreapi

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"tandem"
)

// BatchConfig bounds what is computed and waits at once.
type BatchConfig struct {
	// Tokens of a batch at most, of each model; an item that is longer goes alone. Defaults to 2,048: two passes of a
	// model, so that what comes next does not wait for long.
	Tokens int
	// Delay is how long an item waits for others at most, counted from when it came. Only items that came while a batch
	// was computed wait for it: one that finds nothing at work is computed at once. Defaults to 1 ms.
	Delay time.Duration
	// Waiting items at most; requests beyond them are refused. Defaults to 1,024.
	Waiting int
}

// DefaultBatchConfig returns the defaults.
func DefaultBatchConfig() BatchConfig {
	return BatchConfig{Tokens: 2048, Delay: time.Millisecond, Waiting: 1024}
}

// Validate reports the first field that nothing could be computed with.
func (c BatchConfig) Validate() error {
	if c.Tokens < 1 || c.Waiting < 1 || c.Delay < 0 {
		return tandem.Errorf(tandem.Invalid, "scoreapi.BatchConfig", "a batch of %d tokens, %d items waiting and a delay of %v: sizes are at least 1 and the delay is not negative", c.Tokens, c.Waiting, c.Delay)
	}
	return nil
}

// Batcher computes the raw scalars of items that many goroutines bring at once. It has no goroutine of its own: who
// finds nothing at work computes the first batch, and hands the lead to whoever has waited longest. It is safe for
// concurrent use.
type Batcher struct {
	config  BatchConfig
	metrics *Metrics

	mutex   sync.Mutex
	waiting []*item       // in the order in which they came
	tokens  int           // of those
	led     bool          // somebody computes, or is about to
	arrived chan struct{} // wakes a leader that waits for more

	pace float64 // seconds for a token, lately
}

// NewBatcher returns a batcher that nothing waits in. metrics may be nil.
func NewBatcher(c BatchConfig, metrics *Metrics) (*Batcher, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Batcher{config: c, metrics: metrics, arrived: make(chan struct{}, 1)}, nil
}

// item is one text for both models of a pair.
type item struct {
	pair                *Pair
	helpfulness, safety []int32 // tokens

	call   *call
	came   time.Time
	rh, rs float32
	err    error // its own: the others of the batch do not share it
}

// length is what an item counts in a batch.
func (i *item) length() int { return max(len(i.helpfulness), len(i.safety)) }

// call is the items of one request.
type call struct {
	ctx  context.Context
	left int           // items without an answer
	done chan struct{} // closed when there are none
	lead chan struct{} // receives the lead, once
}

// fullError says that too many items wait.
type fullError struct {
	waiting int
	after   time.Duration // until so many are computed
}

func (e *fullError) Error() string { return fmt.Sprintf("%d items wait", e.waiting) }

// Score computes the scalars of items, which share a pair, into them. Errors: a fullError when too many wait; ctx's when it ends,
// and then those that were not begun are not computed. What is wrong with a single item stands in the item.
func (b *Batcher) Score(ctx context.Context, items []*item) error {
	if len(items) == 0 {
		return nil
	}
	c := &call{ctx: ctx, left: len(items), done: make(chan struct{}), lead: make(chan struct{}, 1)}
	lead, err := b.join(c, items)
	if err != nil {
		return err
	}
	idle := lead
	for {
		if lead {
			return b.leadUntilDone(c, idle)
		}
		select {
		case <-c.done:
			return nil
		case <-c.lead:
			lead = true
		case <-ctx.Done():
			b.leave(c)
			return ctx.Err()
		}
	}
}

// join puts a call's items behind those that wait. The first to come where nobody computes has the lead.
func (b *Batcher) join(c *call, items []*item) (lead bool, err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if n := len(b.waiting); n > 0 && n+len(items) > b.config.Waiting {
		return false, &fullError{n, time.Duration(b.pace * float64(b.tokens) * float64(time.Second))}
	}
	now := time.Now()
	for _, i := range items {
		i.call, i.came = c, now
		b.waiting = append(b.waiting, i)
		b.tokens += i.length()
	}
	b.metrics.depth(len(b.waiting), b.tokens)
	lead = !b.led
	b.led = true
	select {
	case b.arrived <- struct{}{}:
	default:
	}
	return lead, nil
}

// leave takes the items of a call that has ended out of the queue, and passes on the lead if it was just given it.
func (b *Batcher) leave(c *call) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.remove(func(i *item) bool { return i.call == c })
	select {
	case <-c.lead:
		b.handOver()
	default:
	}
}

// remove drops items from the queue.
func (b *Batcher) remove(drop func(*item) bool) {
	b.waiting = slices.DeleteFunc(b.waiting, func(i *item) bool {
		if drop(i) {
			b.tokens -= i.length()
			return true
		}
		return false
	})
	b.metrics.depth(len(b.waiting), b.tokens)
}

// handOver gives the lead to whoever has waited longest, and to nobody where nobody waits.
func (b *Batcher) handOver() {
	b.remove(func(i *item) bool { return i.call.ctx.Err() != nil })
	if len(b.waiting) == 0 {
		b.led = false
		return
	}
	b.waiting[0].call.lead <- struct{}{}
}

// leadUntilDone computes batch after batch until the call's own items are answered; others' go with them. idle says
// that nobody was at work when the call came: it waits for nobody.
func (b *Batcher) leadUntilDone(c *call, idle bool) error {
	defer func() {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		b.remove(func(i *item) bool { return i.call == c })
		b.handOver()
	}()
	for {
		if !idle {
			b.gather(c.ctx)
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		b.compute(c.ctx, b.take())
		select {
		case <-c.done:
			return nil
		default:
		}
	}
}

// gather waits until a whole batch is there or the oldest item has waited for the delay.
func (b *Batcher) gather(ctx context.Context) {
	for {
		b.mutex.Lock()
		tokens, waited := b.tokens, b.config.Delay
		if len(b.waiting) > 0 {
			waited = time.Since(b.waiting[0].came)
		}
		b.mutex.Unlock()
		if tokens >= b.config.Tokens || waited >= b.config.Delay {
			return
		}
		timer := time.NewTimer(b.config.Delay - waited)
		select {
		case <-b.arrived:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// take removes the next batch from the queue: the oldest item, and of those for the same pair the nearest to it in
// length, as many as fit. Long ones among short would make all wait for them. Items whose request has ended are dropped.
func (b *Batcher) take() []*item {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.remove(func(i *item) bool { return i.call.ctx.Err() != nil })
	if len(b.waiting) == 0 {
		return nil
	}
	oldest := b.waiting[0]
	batch := make([]*item, 0, len(b.waiting))
	for _, i := range b.waiting {
		if i.pair == oldest.pair {
			batch = append(batch, i)
		}
	}
	far := func(i *item) int { return max(i.length()-oldest.length(), oldest.length()-i.length()) }
	slices.SortStableFunc(batch, func(x, y *item) int { return far(x) - far(y) })
	tokens, n := 0, 0
	for n < len(batch) && (n == 0 || tokens+batch[n].length() <= b.config.Tokens) {
		tokens += batch[n].length()
		n++
	}
	batch = batch[:n]
	taken := make(map[*item]bool, n)
	for _, i := range batch {
		taken[i] = true
	}
	b.remove(func(i *item) bool { return taken[i] })
	return batch
}

// compute runs both models over a batch and answers its items, whatever happens.
func (b *Batcher) compute(ctx context.Context, batch []*item) {
	if len(batch) == 0 {
		return
	}
	// The leader's end is not the others': what was begun is finished.
	ctx = context.WithoutCancel(ctx)
	start := time.Now()
	finished := false
	defer func() {
		if !finished { // a panic goes on to the leader's request; the others must not wait for ever
			for _, i := range batch {
				i.err = tandem.Errorf(tandem.Internal, "scoreapi.Batcher", "the batch was not finished")
			}
		}
		b.answer(batch, time.Since(start))
	}()
	if err := scalars(ctx, batch); err != nil && len(batch) > 1 {
		// One of them is to blame; an item's error, like its score, does not depend on its batch.
		for n := range batch {
			batch[n].err = scalars(ctx, batch[n:n+1])
		}
	} else if err != nil {
		batch[0].err = err
	}
	finished = true
}

// scalars runs both models over items.
func scalars(ctx context.Context, items []*item) error {
	tokens := make([][]int32, len(items))
	for n, i := range items {
		tokens[n] = i.helpfulness
	}
	rh, err := items[0].pair.Helpfulness.TokenScores(ctx, tokens)
	if err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	for n, i := range items {
		tokens[n] = i.safety
	}
	rs, err := items[0].pair.Safety.TokenScores(ctx, tokens)
	if err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	for n, i := range items {
		i.rh, i.rs = rh[n], rs[n]
	}
	return nil
}

// answer tells the calls of a batch that it is computed.
func (b *Batcher) answer(batch []*item, took time.Duration) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	tokens := 0
	for _, i := range batch {
		tokens += len(i.helpfulness) + len(i.safety)
		if i.call.left--; i.call.left == 0 {
			close(i.call.done)
		}
	}
	b.metrics.batch(len(batch), tokens)
	const old = 0.8 // of the pace that was
	pace := took.Seconds() / float64(tokens) * 2
	if b.pace > 0 {
		pace = old*b.pace + (1-old)*pace
	}
	b.pace = pace
}
