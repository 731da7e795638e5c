package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/dashboard"
	"tandem/internal/practice/demo"
	"tandem/internal/web"
	"tandem/pipeline"
	"tandem/report"
	"tandem/site"
	"tandem/store"
	"tandem/store/local"
)

// demoCommand runs the whole loop in a folder of its own, on a database of its own.
type demoCommand struct {
	engineFlags
	Seed      uint64 `default:"1" help:"Seed of the world, the models and the annotators."`
	Seeds     int    `default:"1" help:"Run as many demos, with consecutive seeds." placeholder:"N"`
	Miniature bool   `help:"The same loop in a minute: small models, one round, no claim."`
	Resume    bool   `help:"Go on with the newest demo that was interrupted."`
	Home      string `help:"Folder that demos lie in (default: demo under tandem's home)." placeholder:"DIR" type:"path"`
}

// demoResult is the demo's JSON.
type demoResult struct {
	Seed     uint64               `json:"seed"`
	Report   string               `json:"report"`
	Seconds  float64              `json:"seconds"`
	Versions []demoVersion        `json:"versions"`
	Controls map[string]demo.Gold `json:"controls,omitempty"`
}

type demoVersion struct {
	Name string    `json:"name"`
	Gold demo.Gold `json:"gold"`
}

func (c *demoCommand) Run(ctx context.Context, w *world) error {
	home := c.Home
	if home == "" {
		base, err := local.Home(os.Getuid(), os.Getenv)
		if err != nil {
			return err
		}
		home = filepath.Join(base, "demo")
	}
	var results []demoResult
	for i := range c.Seeds {
		result, err := c.one(ctx, w, home, c.Seed+uint64(i))
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	if w.json {
		return json.NewEncoder(w.out).Encode(map[string]any{"demos": results})
	}
	for _, r := range results {
		first, last := r.Versions[0], r.Versions[len(r.Versions)-1]
		_, err := fmt.Fprintf(w.out, "seed %d, %.0f s: %s → %s\n  gold helpfulness %s → %s\n  gold safety      %s → %s\n  report: %s\n", r.Seed, r.Seconds,
			first.Name, last.Name, first.Gold.Helpfulness, last.Gold.Helpfulness, first.Gold.Safety, last.Gold.Safety, r.Report)
		if err != nil {
			return err
		}
	}
	return nil
}

// one runs the demo of one seed.
func (c *demoCommand) one(ctx context.Context, w *world, home string, seed uint64) (result demoResult, err error) {
	start := time.Now()
	folder, err := demoFolder(home, c.Resume)
	if err != nil {
		return result, err
	}
	e, err := c.engineFlags.open(w)
	if err != nil {
		return result, err
	}
	// A database of the demo's own: it never mixes with real judgments.
	server, err := local.Start(ctx, local.Config{Home: folder, Log: w.log})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := store.Migrate(ctx, server.OwnerURL()); err != nil {
		return result, err
	}
	s, err := store.Open(ctx, server.URL())
	if err != nil {
		return result, err
	}
	defer s.Close()

	config := demo.DefaultConfig(seed)
	if c.Miniature {
		config = demo.Miniature(seed)
	}
	shown := &stageProgress{world: w}
	defer shown.close()
	studio := &pipeline.Studio{
		Device: e.device, Kernels: e.kernels, Workers: e.workers.Count(), Kernel: e.identity(), Log: w.log, Store: s, Observe: shown.observe,
	}
	queue, err := pipeline.NewQueue(s, w.log)
	if err != nil {
		return result, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return result, fmt.Errorf("listen for the annotators: %w", err)
	}
	handler, err := site.Handler(site.Config{Keys: s, Ready: s.Ping},
		func(api web.API) { annotation.Register(api, s) }, func(api web.API) { dashboard.Register(api, s) })
	if err != nil {
		return result, err
	}
	worker := &pipeline.Worker{Store: s, Handlers: studio.Handlers(), Name: workerName(), Log: slog.New(slog.NewTextHandler(w.err, &slog.HandlerOptions{Level: slog.LevelWarn}))}

	// The server and the worker run beside the demo and end with it.
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	var serveErr, workErr error
	running.Go(func() { serveErr = site.Serve(beside, listener, handler) })
	running.Go(func() { workErr = worker.Run(beside) })
	outcome, err := demo.Demo{
		Config: config, Folder: filepath.Join(folder, "loop"), Store: s, URL: "http://" + listener.Addr().String(),
		Loop: &pipeline.Loop{Store: s, Queue: queue, Log: w.log, Progress: shown.units},
	}.Run(ctx)
	stop()
	running.Wait()
	if err := errors.Join(err, serveErr, workErr); err != nil {
		return result, err
	}
	result = describeDemo(outcome, seed, folder, time.Since(start))
	facts := []report.Fact{
		{Name: "seed", Value: strconv.FormatUint(seed, 10)},
		{Name: "kernel", Value: e.identity()},
		{Name: "machine", Value: fmt.Sprintf("%s/%s, %d workers", runtime.GOOS, runtime.GOARCH, e.workers.Count())},
		{Name: "seconds", Value: fmt.Sprintf("%.0f", result.Seconds)},
	}
	if err := outcome.Report(config, facts, time.Now()).WriteFiles(folder); err != nil {
		return result, err
	}
	return result, os.WriteFile(filepath.Join(folder, doneName), nil, 0o644)
}

func describeDemo(o demo.Outcome, seed uint64, folder string, took time.Duration) demoResult {
	r := demoResult{Seed: seed, Report: filepath.Join(folder, "report.html"), Seconds: took.Seconds(), Controls: make(map[string]demo.Gold)}
	for i, chapter := range o.Chapters {
		if chapter.Control != pipeline.NoControl {
			r.Controls[string(chapter.Control)] = o.Gold[i]
			continue
		}
		r.Versions = append(r.Versions, demoVersion{chapter.Name, o.Gold[i]})
	}
	return r
}

// doneName marks a demo that is finished.
const doneName = "done"

// demoFolder makes the next numbered folder, or finds the newest that is unfinished.
func demoFolder(home string, resume bool) (string, error) {
	newest := 0
	entries, err := os.ReadDir(home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, entry := range entries {
		if n, err := strconv.Atoi(entry.Name()); err == nil {
			newest = max(newest, n)
		}
	}
	folder := filepath.Join(home, strconv.Itoa(newest))
	if resume {
		if newest == 0 {
			return "", tandem.Errorf(tandem.NotFound, "", "there is no demo in %s to go on with", home)
		}
		if _, err := os.Stat(filepath.Join(folder, doneName)); err == nil {
			return "", tandem.Errorf(tandem.Conflict, "", "the newest demo, %s, is finished", folder)
		}
		return folder, nil
	}
	folder = filepath.Join(home, strconv.Itoa(newest+1))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return folder, nil
}

// workerName is this process's in leases.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + strconv.Itoa(os.Getpid())
}

// stageProgress shows the stage that runs: its steps where it has any, its units otherwise.
type stageProgress struct {
	world *world
	mu    sync.Mutex
	name  string
	bar   *progress
}

// observe is told of a fit's steps.
func (s *stageProgress) observe(o pipeline.Observation) {
	note := ""
	for _, name := range []string{"loss", "accuracy", "objective/scores", "objective/kl"} {
		if v, ok := o.Metrics[name]; ok {
			note += fmt.Sprintf(" %s %.3f", name, v)
		}
	}
	s.show(string(o.Stage), o.Step, o.Steps, note)
}

// units is told of a stage's units; a single unit says nothing that its steps do not.
func (s *stageProgress) units(round int, stage tandem.Stage, done, total int) {
	if total > 1 {
		s.show(fmt.Sprintf("round %d: %s", round, stage), done, total, "")
	}
}

func (s *stageProgress) show(name string, done, total int, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != s.name || s.bar == nil {
		if s.bar != nil {
			s.bar.close()
		}
		s.name, s.bar = name, newProgress(s.world, name, total)
	}
	s.bar.set(done, note)
}

func (s *stageProgress) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		s.bar.close()
		s.bar = nil
	}
}
