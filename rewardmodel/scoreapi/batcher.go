package scoreapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"tandem"
	"tandem/rewardmodel"
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

// Batcher computes the raw scalars of items that many goroutines bring at once. One goroutine computes as long as
// anything waits; who finds nothing at work starts it, and Wait waits for its end. It is safe for concurrent use.
type Batcher struct {
	config  BatchConfig
	metrics *Metrics

	mutex   sync.Mutex
	waiting []*item       // in the order in which they came
	tokens  int           // of those
	working bool          // a goroutine computes, or is about to
	idle    *sync.Cond    // told when it no longer does
	arrived chan struct{} // wakes one that waits for more

	batch []*item            // that is computed now
	stop  context.CancelFunc // of it

	pace float64 // seconds for a token, lately
}

// NewBatcher returns a batcher that nothing waits in. metrics may be nil.
func NewBatcher(c BatchConfig, metrics *Metrics) (*Batcher, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b := &Batcher{config: c, metrics: metrics, arrived: make(chan struct{}, 1)}
	b.idle = sync.NewCond(&b.mutex)
	return b, nil
}

// Wait returns when nothing waits and nothing is computed: who serves its callers calls it when the last of them has returned.
func (b *Batcher) Wait() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for b.working {
		b.idle.Wait()
	}
}

// item is one text for both models of a pair.
type item struct {
	pair                *Pair
	helpfulness, safety []int32 // tokens
	prompt              int     // the first tokens of safety, of which the pair's head is to judge; 0 asks nothing

	call   *call
	came   time.Time
	rh, rs rewardmodel.Scalar

	safetyPrompt *bool // what the head says of the prompt
	err          error // its own: the others of the batch do not share it
}

// length is what an item counts in a batch.
func (i *item) length() int { return max(len(i.helpfulness), len(i.safety)) }

// call is the items of one request.
type call struct {
	of   *Batcher
	left int           // items without an answer
	done chan struct{} // closed when there are none
	gone bool          // nobody waits for it any more
}

// fullError says that too many items wait.
type fullError struct {
	waiting int
	after   time.Duration // until so many are computed
}

func (e *fullError) Error() string { return fmt.Sprintf("%d items wait", e.waiting) }

// Start has the scalars of items computed, which share a pair, into them: the call that it returns says when, and
// someone waits for it or leaves it. What is wrong with a single item stands in the item. Errors: a fullError when too
// many wait.
func (b *Batcher) Start(items []*item) (*call, error) {
	c := &call{of: b, left: len(items), done: make(chan struct{})}
	if len(items) == 0 {
		close(c.done)
		return c, nil
	}
	return c, b.join(c, items)
}

// wait returns when all items are computed, or with ctx's error as soon as it ends; then the call is left.
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.leave()
		return ctx.Err()
	}
}

// leave gives a call up: what nobody else waits for is not computed.
func (c *call) leave() { c.of.leave(c) }

// join puts a call's items behind those that wait, and starts the work where nothing is at work.
func (b *Batcher) join(c *call, items []*item) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if n := len(b.waiting); n > 0 && n+len(items) > b.config.Waiting {
		return &fullError{n, time.Duration(b.pace * float64(b.tokens) * float64(time.Second))}
	}
	now := time.Now()
	for _, i := range items {
		i.call, i.came = c, now
		b.waiting = append(b.waiting, i)
		b.tokens += i.length()
	}
	b.metrics.depth(len(b.waiting), b.tokens)
	if !b.working {
		b.working = true
		go b.work()
		return nil
	}
	select {
	case b.arrived <- struct{}{}:
	default:
	}
	return nil
}

// leave takes the items of a call that has ended out of the queue, and stops the batch that is computed for nobody else.
func (b *Batcher) leave(c *call) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	c.gone = true
	b.remove(func(i *item) bool { return i.call == c })
	if len(b.batch) > 0 && !slices.ContainsFunc(b.batch, func(i *item) bool { return !i.call.gone }) {
		b.stop()
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

// work computes batch after batch until nothing waits. What came first waits for nobody: there was nothing at work.
func (b *Batcher) work() {
	for {
		ctx, stop := context.WithCancel(context.Background()) // its requests end one by one: see leave
		batch := b.take(stop)
		if len(batch) == 0 {
			stop()
			return
		}
		start := time.Now()
		compute(ctx, batch)
		b.answer(batch, time.Since(start), ctx.Err() == nil)
		stop()
		b.gather()
	}
}

// gather waits until a whole batch is there or the oldest item has waited for the delay.
func (b *Batcher) gather() {
	for {
		b.mutex.Lock()
		tokens, left := b.tokens, time.Duration(0)
		if len(b.waiting) > 0 {
			left = b.config.Delay - time.Since(b.waiting[0].came)
		}
		b.mutex.Unlock()
		if tokens >= b.config.Tokens || left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-b.arrived:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take removes the next batch from the queue: the oldest item, and of those for the same pair the nearest to it in
// length, as many as fit. Long ones among short would make all wait for them. Where nothing waits the work ends.
func (b *Batcher) take(stop context.CancelFunc) []*item {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.waiting) == 0 {
		b.working = false
		b.idle.Broadcast()
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
	b.batch, b.stop = batch, stop
	return batch
}

// compute runs both models over a batch, whatever happens.
func compute(ctx context.Context, batch []*item) {
	err := scalars(ctx, batch)
	if err == nil {
		return
	}
	if len(batch) == 1 || ctx.Err() != nil {
		for _, i := range batch {
			i.err = err
		}
		return
	}
	// One of them is to blame; an item's error, like its score, does not depend on its batch.
	for n, i := range batch {
		i.err = scalars(ctx, batch[n:n+1])
	}
}

// scalars runs both models over items. A panic of theirs is an error like others: it must end no other request's batch.
func scalars(ctx context.Context, items []*item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = tandem.Errorf(tandem.Internal, "scoreapi.Batcher", "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return items[0].pair.scalars(ctx, items)
}

// answer tells the calls of a batch that it is over. One that was stopped says nothing of the pace.
func (b *Batcher) answer(batch []*item, took time.Duration, whole bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.batch = nil
	length, tokens := 0, 0
	for _, i := range batch {
		length += i.length()
		tokens += len(i.helpfulness) + len(i.safety)
		if i.call.left--; i.call.left == 0 {
			close(i.call.done)
		}
	}
	if !whole {
		return
	}
	b.metrics.batch(len(batch), tokens)
	const old = 0.8 // of the pace that was
	pace := took.Seconds() / float64(length)
	if b.pace > 0 {
		pace = old*b.pace + (1-old)*pace
	}
	b.pace = pace
}
