package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/store"
)

// Handler does the units of one stage. It may be asked for a unit that another worker is still doing,
// thinks itself doing, or has half done: what it leaves on disk must be safe to do again, and what it
// leaves in the database belongs in Result.Write.
type Handler func(ctx context.Context, unit tandem.Unit, spec json.RawMessage) (Result, error)

// Result is what doing a unit came to.
type Result struct {
	// Value is the unit's result, as JSON.
	Value any
	// Write, if not nil, writes rows that exist exactly when the unit is done: it runs in the transaction
	// that completes the unit, under its lease.
	Write func(ctx context.Context, s *store.Store) error
}

// Worker does units that are delivered to this process.
type Worker struct {
	Store    *store.Store
	Handlers map[tandem.Stage]Handler
	Name     string        // of this process, in leases: host and process id
	Lease    time.Duration // Defaults to LeaseTime
	Parallel int           // Units at once. Defaults to 1: a unit uses all cores
	Log      *slog.Logger
}

// graceTime is how long a worker that is told to stop waits for its units to save what they have.
const graceTime = 10 * time.Minute

// Run works until ctx ends, then gives units in progress back and returns nil.
func (w *Worker) Run(ctx context.Context) error {
	if w.Lease == 0 {
		w.Lease = LeaseTime
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &unitWorker{worker: w})
	client, err := river.NewClient(riverpgxv5.New(w.Store.Pool()), &river.Config{
		Schema:  store.RiverSchema,
		Logger:  w.Log,
		Workers: workers,
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: max(w.Parallel, 1)}},
		// Leases decide what is stuck: a unit may take days, and River's own rescue goes by age.
		JobTimeout:           -1,
		RescueStuckJobsAfter: 10 * 365 * 24 * time.Hour,
		ReindexerSchedule:    river.NeverSchedule(), // the indexes belong to another role
		FetchCooldown:        100 * time.Millisecond,
		FetchPollInterval:    time.Second,
	})
	if err != nil {
		return tandem.Errorf(tandem.Internal, "pipeline.Worker", "the queue's client: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return tandem.Errorf(tandem.Unavailable, "pipeline.Worker", "start to take work: %w", err)
	}
	queue := &Queue{w.Store, client, w.Lease}
	tick := time.NewTicker(redeliverInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			// A dead worker's units come back here, whoever planned them.
			if err := queue.deliver(ctx); err != nil && ctx.Err() == nil {
				w.Log.Warn("units could not be delivered again", "error", err)
			}
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if err := client.StopAndCancel(stop); err != nil {
		return fmt.Errorf("stop taking work: %w", err)
	}
	return nil
}

// unitWorker is River's side of a Worker.
type unitWorker struct {
	river.WorkerDefaults[unitArgs]
	worker *Worker
}

// errNotOpen ends a delivery of a unit that is done, or another's by now.
var errNotOpen = errors.New("the unit is not to be had")

// Work does one delivered unit. The unit's own row says how it went, and what is not done is delivered again. Where it
// did not take the unit's lease, the job is cancelled: one that is done would keep the same delivery from being made
// again, though the unit may be open once more.
func (u *unitWorker) Work(ctx context.Context, job *river.Job[unitArgs]) error {
	w := u.worker
	log := w.Log.With("round", job.Args.Round, "stage", job.Args.Stage, "shard", job.Args.Shard)
	lease, err := w.Store.LeaseUnit(ctx, job.Args.Unit, w.Name, w.Lease)
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("unit could not be leased", "error", err)
		}
		return river.JobCancel(err)
	}
	if lease == nil {
		return river.JobCancel(errNotOpen)
	}
	if err := w.do(ctx, lease); err != nil {
		if tandem.CodeOf(err) == tandem.Stale {
			log.Warn("unit was lost to another worker", "error", err)
			return nil
		}
		switch {
		case errors.Is(err, store.ErrCancelled):
			log.Warn("unit is given back: its round was cancelled")
			err = context.Canceled
		case ctx.Err() == nil:
			log.Error("unit failed", "error", err)
		default:
			err = context.Canceled
		}
		giveBack, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := w.Store.Release(giveBack, lease, err); err != nil {
			log.Warn("unit could not be given back; its lease will run out", "error", err)
		}
	}
	return nil
}

// do runs a unit's handler under its lease and completes it.
func (w *Worker) do(ctx context.Context, lease *store.Lease) error {
	handler, ok := w.Handlers[lease.Stage]
	if !ok {
		return tandem.Errorf(tandem.Unsupported, "pipeline.Worker", "this worker does no %s", lease.Stage)
	}
	working, lost := context.WithCancelCause(ctx)
	keeping, rest := context.WithCancel(context.WithoutCancel(ctx)) // a unit that is told to stop may have a step to end and a state to save
	var beating sync.WaitGroup
	beating.Go(func() { w.beat(keeping, *lease, lost) })
	result, err := guarded(checkpoint.WithRight(working, w.held(*lease)), handler, lease)
	rest()
	beating.Wait()
	cause := context.Cause(working)
	lost(nil)
	if err != nil {
		if tandem.CodeOf(cause) == tandem.Stale || errors.Is(cause, store.ErrCancelled) {
			return cause
		}
		return err
	}
	value, err := json.Marshal(result.Value)
	if err != nil {
		return fmt.Errorf("the result as JSON: %w", err)
	}
	return w.Store.WithLease(ctx, lease, func(s *store.Store) error {
		if result.Write != nil {
			if err := result.Write(ctx, s); err != nil {
				return err
			}
		}
		return s.Complete(ctx, lease, value)
	})
}

// guarded turns a handler's panic into a failure of its unit: River would outlive the panic too, but
// nobody would count it, and the unit would be tried for ever.
func guarded(ctx context.Context, handler Handler, lease *store.Lease) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = tandem.Errorf(tandem.Internal, "pipeline.Worker", "the handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return handler(ctx, lease.Unit, lease.Spec)
}

// held says whether a lease is still the worker's, for what the unit writes to disk. While the database is
// away nobody knows, and the writing waits.
func (w *Worker) held(lease store.Lease) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			err := w.Store.Heartbeat(ctx, &lease, w.Lease)
			if errors.Is(err, store.ErrCancelled) { // what is done so far is kept
				return nil
			}
			if tandem.CodeOf(err) != tandem.Unavailable {
				return err
			}
			w.Log.Warn("a write waits for the database to say whether the unit is still this worker's", "error", err)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
	}
}

// beat renews a lease until ctx ends; when the lease is another's, or the round was cancelled, it ends ctx with the
// reason.
func (w *Worker) beat(ctx context.Context, lease store.Lease, lost context.CancelCauseFunc) {
	tick := time.NewTicker(w.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := w.Store.Heartbeat(ctx, &lease, w.Lease)
		switch {
		case err == nil || errors.Is(err, context.Canceled):
		case tandem.CodeOf(err) == tandem.Stale, errors.Is(err, store.ErrCancelled):
			lost(err)
			return
		default: // the database is away: the lease may still be ours when it is back
			w.Log.Warn("heartbeat failed", "error", err)
		}
	}
}
