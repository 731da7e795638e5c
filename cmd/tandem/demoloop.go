package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"tandem/annotation"
	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/pipeline"
	"tandem/site"
	"tandem/store"
	"tandem/store/local"
)

// demoLoop is what a demo runs on: a loop whose work is done in this process, and a server for annotators.
type demoLoop struct {
	loop  *pipeline.Loop
	store *store.Store
	url   string // of the server
}

// withLoop runs do with a private database in folder, an HTTP server on the loopback interface and a
// worker, and ends them all after it. The database is the demo's own: it never mixes with real judgments.
func withLoop(ctx context.Context, w *world, e *engine, folder string, do func(context.Context, demoLoop) error) (err error) {
	server, err := local.Start(ctx, local.Config{Home: folder, Log: w.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := store.Migrate(ctx, server.OwnerURL()); err != nil {
		return err
	}
	s, err := store.Open(ctx, server.URL())
	if err != nil {
		return err
	}
	defer s.Close()
	shown := &stageProgress{world: w}
	defer shown.close()
	studio := e.studio(w.log)
	studio.Store, studio.Observe = s, shown.observe
	queue, err := pipeline.NewQueue(s, w.log)
	if err != nil {
		return err
	}
	handler, err := site.Handler(site.Config{Keys: s, Ready: s.Ping},
		func(api web.API) error { return annotation.Register(api, s) }, func(api web.API) error { return dashboard.Register(api, s) })
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the annotators: %w", err)
	}
	warnings := slog.New(slog.NewTextHandler(w.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	worker := &pipeline.Worker{Store: s, Handlers: studio.Handlers(), Name: workerName(), Log: warnings}

	d := demoLoop{
		loop:  &pipeline.Loop{Store: s, Queue: queue, Log: w.log, Progress: shown.units},
		store: s, url: "http://" + listener.Addr().String(),
	}
	return beside(ctx, func(ctx context.Context) error { return do(ctx, d) },
		worker.Run, func(ctx context.Context) error { return site.Serve(ctx, listener, handler) })
}

// workerName is this process's in leases.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + strconv.Itoa(os.Getpid())
}
