package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tandem/pipeline"
	"tandem/store"
)

// workerCommand does queued units until it is stopped.
type workerCommand struct {
	Parallel int           `default:"1" help:"Units at once; one uses all cores (default: 1)." placeholder:"N"`
	Lease    time.Duration `default:"30s" help:"How long a unit waits for a worker that has gone silent before another takes it up (default: 30s)." placeholder:"DURATION"`
	engineFlags
	databaseFlags
}

// Validate refuses leases that run out between two heartbeats.
func (c *workerCommand) Validate() error {
	if c.Lease < time.Second {
		return fmt.Errorf("--lease is %v, less than a second", c.Lease)
	}
	return nil
}

func (c *workerCommand) Run(ctx context.Context, w *world) (err error) {
	e, err := c.engineFlags.open(w)
	if err != nil {
		return err
	}
	db, err := c.databaseFlags.open(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	shown := &stageProgress{world: w}
	defer shown.close()
	worker := newWorker(w, e, db.Store, shown)
	worker.Parallel, worker.Lease = c.Parallel, c.Lease
	w.log.Info("taking work until Ctrl-C", "name", worker.Name)
	if err := worker.Run(ctx); err != nil {
		return err
	}
	w.log.Info("stopped; what was unfinished is given back", "name", worker.Name)
	return nil
}

// newWorker is a worker of this process.
func newWorker(w *world, e *engine, s *store.Store, shown *stageProgress) *pipeline.Worker {
	log := slog.New(slog.NewTextHandler(w.err, &slog.HandlerOptions{Level: slog.LevelWarn})) // River says much
	studio := e.studio(log)
	studio.Store, studio.Observe = s, shown.observe
	return &pipeline.Worker{Store: s, Handlers: studio.Handlers(), Name: workerName(), Log: log}
}

// beside runs services while do runs, and stops them when do returns. One that fails ends do: nobody would
// do its work.
func beside(ctx context.Context, do func(context.Context) error, services ...func(context.Context) error) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failing, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var running sync.WaitGroup
	errs := make([]error, len(services))
	for i, serve := range services {
		running.Go(func() {
			if errs[i] = serve(working); errs[i] != nil {
				fail(errs[i])
			}
		})
	}
	err := do(failing)
	stop()
	running.Wait()
	if failed := errors.Join(errs...); failed != nil {
		return errors.Join(failed, err)
	}
	return err
}
