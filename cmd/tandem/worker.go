package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"tandem/pipeline"
	"tandem/store"
)

// workerCommand does queued units until it is stopped.
type workerCommand struct {
	Parallel int `default:"1" help:"Units at once; one uses all cores (default: 1)." placeholder:"N"`
	engineFlags
	databaseFlags
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
	worker.Parallel = c.Parallel
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
	studio := &pipeline.Studio{
		Device: e.device, Kernels: e.kernels, Workers: e.workers.Count(), Kernel: e.identity(), Log: log, Store: s, Observe: shown.observe,
	}
	return &pipeline.Worker{Store: s, Handlers: studio.Handlers(), Name: workerName(), Log: log}
}

// beside runs a worker while do runs, and stops it when do returns; nil runs none.
func beside(ctx context.Context, worker *pipeline.Worker, do func(context.Context) error) error {
	if worker == nil {
		return do(ctx)
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failing, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var running sync.WaitGroup
	var workErr error
	running.Go(func() {
		if workErr = worker.Run(working); workErr != nil {
			fail(workErr) // nobody would do the work
		}
	})
	err := do(failing)
	stop()
	running.Wait()
	if workErr != nil {
		return errors.Join(workErr, err)
	}
	return err
}
