package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"tandem/pipeline"
)

// unitFlags are those of a command whose work is divided into units.
type unitFlags struct {
	Out   string `required:"" type:"path" help:"Folder for what comes of it; an interrupted command goes on there when it is given again." placeholder:"DIR"`
	Share bool   `help:"Divide the work, through the database, among this process and every tandem worker that reaches the files (default: this process alone)."`
	measuringFlags
}

// run opens what computes and hands it to do with who does the units, and prints what do came to.
func (f unitFlags) run(ctx context.Context, w *world, name string, do func(*pipeline.Studio, pipeline.Units) (print func() error, err error)) error {
	if f.Share {
		return sharing{f.engineFlags, f.databaseFlags, true}.run(ctx, w, name, do)
	}
	units := filepath.Join(f.Out, "units")
	return f.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		print, err := do(s, s.Kept(units))
		if err == nil {
			err = os.RemoveAll(units)
		}
		return print, err
	})
}

// sharing divides units, through the database, among all workers that there are.
type sharing struct {
	engineFlags
	databaseFlags
	worker bool // this process is one of them
}

func (f sharing) run(ctx context.Context, w *world, name string, do func(*pipeline.Studio, pipeline.Units) (print func() error, err error)) (err error) {
	db, err := f.databaseFlags.open(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	e, err := f.engineFlags.open(w)
	if err != nil {
		return err
	}
	shown := &stageProgress{world: w}
	queue, err := pipeline.NewQueue(db.Store, w.log)
	if err != nil {
		return err
	}
	loop := &pipeline.Loop{Store: db.Store, Queue: queue, Log: w.log, Progress: shown.units}
	s := e.studio(w.log)
	s.Store = db.Store
	var services []func(context.Context) error
	if f.worker {
		services = append(services, newWorker(w, e, db.Store, shown).Run)
	}
	var print func() error
	err = beside(ctx, func(ctx context.Context) (err error) {
		print, err = do(s, loop.Shared(name))
		return err
	}, services...)
	if err != nil {
		shown.abandon()
		return err
	}
	shown.close()
	return print()
}
