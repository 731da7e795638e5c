package annotation

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tandem"
	"tandem/store"
)

// samplingStore is the queue of answers to be sampled. It is kept in the database: a server that dies is taken
// over by another, or by itself when it is back.
type samplingStore interface {
	TakeAnswer(ctx context.Context, lease time.Duration) (store.LiveJob, error)
	RenewAnswer(ctx context.Context, j store.LiveJob, lease time.Duration) (store.LiveJob, error)
	ReleaseAnswer(ctx context.Context, j store.LiveJob) error
	FailAnswer(ctx context.Context, j store.LiveJob, f store.Failure) error
	FinishAnswer(ctx context.Context, j store.LiveJob, c tandem.Completion) error
}

// LiveStore is what live projects need kept; a *store.Store is one.
type LiveStore interface {
	samplingStore
	turnStore
	variantStore
}

// LiveConfig says how a server samples live answers.
type LiveConfig struct {
	// Open makes a variant answer: the policy in a folder, or a client of an endpoint. What it returns is kept
	// for as long as the variant is asked, and may be asked by several goroutines at once.
	Open func(ctx context.Context, v store.Variant) (tandem.Generator, error)
	// AtOnce is how many answers this server samples at once; more wait. Defaults to 2.
	AtOnce int
	// Models is how many variants stay open at once; beyond it the one that was idle longest is let go. Defaults to 4.
	Models int
	// Lease is how long an answer stays with this server unless it renews it; after a crash others wait as long.
	// Defaults to 30 seconds.
	Lease time.Duration
	// Limit is the longest that one try may take. Defaults to 2 minutes.
	Limit time.Duration
	// Pause is how long an answer waits that failed and is to be tried again. Defaults to 2 seconds.
	Pause time.Duration
	// Look is how often the server looks for answers that it was not told of: those that other servers were asked
	// for, or left behind. Defaults to 2 seconds.
	Look time.Duration
	// Seed draws the seed of a turn. Defaults to one of crypto/rand's.
	Seed func() uint64
	// Log takes what annotators are not told: which variant failed, and why. Defaults to discarding it.
	Log *slog.Logger
}

// DefaultLiveConfig returns the defaults; Open is left to the caller.
func DefaultLiveConfig() LiveConfig {
	return LiveConfig{AtOnce: 2, Models: 4, Lease: 30 * time.Second, Limit: 2 * time.Minute, Pause: 2 * time.Second, Look: 2 * time.Second,
		Seed: randomSeed, Log: slog.New(slog.DiscardHandler)}
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// Validate reports the first field that nothing can be sampled with.
func (c LiveConfig) Validate() error {
	const op = "annotation.LiveConfig"
	switch {
	case c.Open == nil:
		return tandem.Errorf(tandem.Invalid, op, "Open is missing: no variant could answer")
	case c.AtOnce < 1 || c.Models < 1:
		return tandem.Errorf(tandem.Invalid, op, "AtOnce is %d and Models %d; both are at least 1", c.AtOnce, c.Models)
	case c.Lease < time.Second || c.Limit <= 0 || c.Pause < 0 || c.Look <= 0:
		return tandem.Errorf(tandem.Invalid, op, "Lease %v, Limit %v, Pause %v or Look %v is too short", c.Lease, c.Limit, c.Pause, c.Look)
	}
	return nil
}

// Live samples the answers of live projects: Llama 2's own protocol (section 3.2.1), in which two different
// variants answer what an annotator wrote, at two temperatures, while they watch. Variants of any age can be drawn
// beside each other, which is how the paper kept an eye on regressions: to sample an old model beside a new one is
// to choose both for a project.
//
// Every server samples what it can hold at once; the queue between them is the database's. What is written at this
// moment only the server that samples it can show: people at another one see the answer when it is whole.
type Live struct {
	store    LiveStore
	config   LiveConfig
	models   *models
	watched  *watched
	pace     pace
	wake     chan struct{}
	stopping chan struct{}
}

// NewLive returns a Live with the config's zero values replaced by the defaults. It samples nothing before Run.
func NewLive(s LiveStore, c LiveConfig) (*Live, error) {
	d := DefaultLiveConfig()
	for _, f := range []struct{ field, with *int }{{&c.AtOnce, &d.AtOnce}, {&c.Models, &d.Models}} {
		if *f.field == 0 {
			*f.field = *f.with
		}
	}
	for _, f := range []struct{ field, with *time.Duration }{{&c.Lease, &d.Lease}, {&c.Limit, &d.Limit}, {&c.Pause, &d.Pause}, {&c.Look, &d.Look}} {
		if *f.field == 0 {
			*f.field = *f.with
		}
	}
	if c.Seed == nil {
		c.Seed = d.Seed
	}
	if c.Log == nil {
		c.Log = d.Log
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Live{store: s, config: c, models: newModels(c.Open, c.Models), watched: newWatched(), pace: pace{mean: 10 * time.Second},
		wake: make(chan struct{}, c.AtOnce), stopping: make(chan struct{})}, nil
}

// Run samples until ctx ends, once. Answers under way are given back then, for another server to begin at once.
func (l *Live) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { close(l.stopping) })
	defer stop()
	var workers sync.WaitGroup
	for range l.config.AtOnce {
		workers.Go(func() { l.work(ctx) })
	}
	workers.Wait()
}

// look tells the workers that answers wait.
func (l *Live) look() {
	for range l.config.AtOnce {
		select {
		case l.wake <- struct{}{}:
		default:
			return
		}
	}
}

// work takes one answer after the other.
func (l *Live) work(ctx context.Context) {
	for ctx.Err() == nil {
		j, err := l.store.TakeAnswer(ctx, l.config.Lease)
		if err == nil {
			l.sample(ctx, j)
			continue
		}
		if tandem.CodeOf(err) != tandem.NotFound && ctx.Err() == nil {
			l.config.Log.WarnContext(ctx, "live answers cannot be taken", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-time.After(l.config.Look):
		}
	}
}

// settling is how long the database may take to note what came of an answer.
const settling = 10 * time.Second

// sample answers one job and notes what came of it.
func (l *Live) sample(ctx context.Context, j store.LiveJob) {
	const op = "annotation.sample"
	began := time.Now()
	l.watched.begin(j.Turn, j.Number)
	trying, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	limited, cancel := context.WithTimeoutCause(trying, l.config.Limit, tandem.Errorf(tandem.Unavailable, op, "no whole answer within %v", l.config.Limit))
	defer cancel()
	stop := l.hold(ctx, j, lose)
	completion, err := l.answer(limited, j)
	j = stop()
	if cause := context.Cause(limited); err != nil && cause != nil {
		err = cause
	}

	after, cancelAfter := context.WithTimeout(context.WithoutCancel(ctx), settling)
	defer cancelAfter()
	if err == nil {
		if err = l.store.FinishAnswer(after, j, completion); err == nil {
			l.pace.note(time.Since(began))
		}
	}
	log := l.config.Log.With("turn", j.Turn, "answer", j.Number, "variant", j.Variant.Name)
	switch code := tandem.CodeOf(err); {
	case err == nil:
	case ctx.Err() != nil:
		err = l.store.ReleaseAnswer(after, j)
	case code == tandem.Stale:
		log.InfoContext(after, "a live answer is held no more", "error", err)
		err = nil
	default:
		failure := store.Failure{Reason: string(code) + ": " + err.Error(), Final: final(code), Pause: l.config.Pause, Seed: l.config.Seed()}
		log.WarnContext(after, "a live answer failed", "try", j.Failures+1, "of", store.LiveTries, "final", failure.Final, "error", err)
		err = l.store.FailAnswer(after, j, failure)
	}
	if err != nil { // the lease runs out, and the answer is taken again
		log.WarnContext(after, "what came of a live answer cannot be noted", "error", err)
	}
	l.watched.end(j.Turn, j.Number)
}

// final reports whether what fails with a code fails again. Conflict is two answers that say the same.
func final(c tandem.Code) bool {
	switch c {
	case tandem.Unavailable, tandem.Internal, tandem.Conflict:
		return false
	}
	return true
}

// answerLimit is the longest answer, in bytes, however many tokens it was to have.
const answerLimit = 64 << 10

// answer samples one answer, and shows it while it is written.
func (l *Live) answer(ctx context.Context, j store.LiveJob) (tandem.Completion, error) {
	const op = "annotation.answer"
	var c tandem.Completion
	g, err := l.models.open(ctx, j.Variant)
	if err != nil {
		return c, err
	}
	var text strings.Builder
	for chunk, err := range g.Generate(ctx, []tandem.GenerateRequest{{Messages: j.Messages, Sampling: j.Sampling, Key: j.Key()}}) {
		if err != nil {
			return c, err
		}
		piece := clean(chunk.Text)
		text.WriteString(piece)
		if text.Len() > answerLimit {
			return c, tandem.Errorf(tandem.Unsupported, op, "the answer has more than %d bytes", answerLimit)
		}
		l.watched.add(j.Turn, j.Number, piece)
		c.Tokens = append(c.Tokens, chunk.Tokens...)
		c.Finish = chunk.Finish
	}
	if err := ctx.Err(); err != nil { // a generator may end in silence
		return c, err
	}
	c.Text = text.String()
	if strings.TrimSpace(c.Text) == "" {
		return c, tandem.Errorf(tandem.Conflict, op, "the answer is empty")
	}
	return c, nil
}

// clean is text that the database can keep.
func clean(text string) string {
	text = strings.ReplaceAll(text, "\x00", string(utf8.RuneError))
	return strings.ToValidUTF8(text, string(utf8.RuneError))
}

// hold renews a job's lease until stop is called, which returns the job as it is held by then. When it is lost to
// another, or nobody waits for it any more, lose is called.
func (l *Live) hold(ctx context.Context, j store.LiveJob, lose context.CancelCauseFunc) (stop func() store.LiveJob) {
	ended := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() {
		beat := time.NewTicker(l.config.Lease / 3)
		defer beat.Stop()
		for {
			select {
			case <-ended:
				return
			case <-beat.C:
			}
			// Not cut short: a renewal whose reply is not read would leave a lease that nobody knows.
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), settling)
			renewed, err := l.store.RenewAnswer(limited, j, l.config.Lease)
			cancel()
			switch {
			case err == nil:
				j = renewed
			case tandem.CodeOf(err) == tandem.Stale:
				lose(err)
				return
			default: // the database is away for a moment; the lease runs on
				l.config.Log.WarnContext(ctx, "a live answer's lease cannot be renewed", "turn", j.Turn, "error", err)
			}
		}
	})
	return func() store.LiveJob {
		close(ended)
		keeper.Wait()
		return j
	}
}

// try asks a variant for a short answer, to see that it works.
func (l *Live) try(ctx context.Context, v store.Variant) (tandem.Completion, error) {
	g, err := l.models.open(ctx, v)
	if err != nil {
		return tandem.Completion{}, err
	}
	answers, err := tandem.Collect(ctx, g, []tandem.GenerateRequest{{
		Messages: tandem.Dialogue{{Role: tandem.User, Content: "Say hello in one short sentence."}},
		Sampling: tandem.Sampling{Temperature: 0.7, MaxTokens: 48},
		Key:      tandem.SampleKey{Seed: l.config.Seed()},
	}})
	if err != nil {
		return tandem.Completion{}, err
	}
	if answers[0].Text = clean(answers[0].Text); strings.TrimSpace(answers[0].Text) == "" {
		err = tandem.Errorf(tandem.Conflict, "annotation.try", "the answer is empty")
	}
	return answers[0], err
}

// pace is how long answers took of late.
type pace struct {
	mutex sync.Mutex
	mean  time.Duration
}

func (p *pace) note(took time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.mean += (took - p.mean) / 5
}

// wait is what is to be expected behind so many answers, of which so many are sampled at once.
func (p *pace) wait(ahead, atOnce int) time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return time.Duration(float64(p.mean) * float64(ahead) / float64(atOnce))
}

// models are the variants that are open.
type models struct {
	opener func(context.Context, store.Variant) (tandem.Generator, error)
	most   int

	mutex sync.Mutex
	kept  []*model // the one that was used last is the last
}

// model is a variant that is open, or is being opened until ready is closed.
type model struct {
	variant   string
	ready     chan struct{}
	generator tandem.Generator
	err       error
}

func newModels(opener func(context.Context, store.Variant) (tandem.Generator, error), most int) *models {
	return &models{opener: opener, most: most}
}

// open returns a variant that is ready to answer. Several who want one that is not open wait for the first of them.
func (m *models) open(ctx context.Context, v store.Variant) (tandem.Generator, error) {
	for {
		found, mine := m.find(v.ID)
		if mine {
			found.generator, found.err = m.opener(ctx, v)
			if found.err != nil {
				m.drop(found)
			}
			close(found.ready)
			return found.generator, found.err
		}
		select {
		case <-found.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if found.err != nil && (errors.Is(found.err, context.Canceled) || errors.Is(found.err, context.DeadlineExceeded)) {
			continue // who opened it was called off
		}
		return found.generator, found.err
	}
}

// find returns a variant's model, a new one that the caller is to open if it was not there, and lets the one go
// that was idle longest where there are too many.
func (m *models) find(variant string) (found *model, mine bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for i, kept := range m.kept {
		if kept.variant == variant {
			m.kept = append(append(m.kept[:i:i], m.kept[i+1:]...), kept)
			return kept, false
		}
	}
	found = &model{variant: variant, ready: make(chan struct{})}
	m.kept = append(m.kept, found)
	if len(m.kept) > m.most {
		m.kept = m.kept[1:] // whoever is asking it goes on; then it is garbage
	}
	return found, true
}

func (m *models) drop(gone *model) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for i, kept := range m.kept {
		if kept == gone {
			m.kept = append(m.kept[:i:i], m.kept[i+1:]...)
			return
		}
	}
}
