package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/pipeline/tfevents"
	"tandem/store"
)

// metricsName is the file beside a model with the figures of its run: a JSON object a step, under TRL's
// names, with the step itself as "step". What is not finite is null.
const metricsName = "metrics.jsonl"

func metricsPath(out string) string { return filepath.Join(out, metricsName) }

// metricsFile appends to a run's figures. A resumed run keeps the lines up to the state that it goes on
// from, so that each step stands there once. The same figures go into an event file for TensorBoard.
type metricsFile struct {
	path   string
	file   *os.File
	events *tfevents.Writer
	seen   map[metricsKey]bool // kept from before
	kept   []store.Metric      // the same
	err    error               // the first
}

// metricsKey tells apart the two lines that a step may have: its own and an evaluation's.
type metricsKey struct {
	step  int
	first string // name of the first figure
}

// metricsLine is a step of the file.
type metricsLine struct {
	step    int64
	figures map[string]*float64 // with the step; nil for what is not finite
	text    json.RawMessage
}

// readMetrics reads a run's figures up to a step.
func readMetrics(out string, upTo int64) (lines []metricsLine, err error) {
	text, err := os.ReadFile(metricsPath(out))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, tandem.Errorf(tandem.Unavailable, "pipeline", "%w", err)
	}
	for line := range bytes.Lines(text) {
		var figures map[string]*float64
		if json.Unmarshal(line, &figures) != nil || figures["step"] == nil {
			continue // half a line: the process was killed
		}
		if step := int64(*figures["step"]); step <= upTo {
			lines = append(lines, metricsLine{step, figures, bytes.TrimSpace(line)})
		}
	}
	return lines, nil
}

// metrics are the figures as the database has them.
func (l metricsLine) metrics() (metrics []store.Metric) {
	for name, value := range l.figures {
		if name == "step" {
			continue
		}
		m := store.Metric{Name: name, Step: l.step, Value: math.NaN()}
		if value != nil {
			m.Value = *value
		}
		metrics = append(metrics, m)
	}
	return metrics
}

func openMetrics(ctx context.Context, out string, upTo int64) (*metricsFile, error) {
	m := &metricsFile{path: metricsPath(out), seen: make(map[metricsKey]bool)}
	lines, err := readMetrics(out, upTo)
	if err != nil {
		return nil, err
	}
	var kept []json.RawMessage
	for _, line := range lines {
		kept, m.kept = append(kept, line.text), append(m.kept, line.metrics()...)
		m.seen[keyOf(int(line.step), line.figures)] = true
	}
	if m.file, err = renewLines(ctx, m.path, slices.Values(kept)); err != nil {
		return nil, err
	}
	events := filepath.Join(out, tfevents.Name)
	_, err = renew(ctx, events, func(f *os.File) (err error) {
		if m.events, err = tfevents.Continue(f, events, upTo, time.Now()); err != nil {
			return err
		}
		return f.Chmod(0o644) // TensorBoard may be another user's
	})
	if err != nil {
		return nil, errors.Join(err, m.file.Close())
	}
	return m, nil
}

func keyOf[V any](step int, figures map[string]V) metricsKey {
	first := ""
	for name := range figures {
		if name != "step" && (first == "" || name < first) {
			first = name
		}
	}
	return metricsKey{step, first}
}

func (m *metricsFile) add(o Observation) {
	if len(o.Metrics) == 0 || m.seen[keyOf(o.Step, o.Metrics)] || m.err != nil {
		return
	}
	line := map[string]any{"step": o.Step}
	for name, value := range o.Metrics {
		if line[name] = value; math.IsNaN(value) || math.IsInf(value, 0) {
			line[name] = nil
		}
	}
	var b bytes.Buffer
	if m.err = json.NewEncoder(&b).Encode(line); m.err == nil {
		_, m.err = m.file.Write(b.Bytes())
	}
	if m.err == nil {
		m.err = m.events.Add(time.Now(), int64(o.Step), o.Metrics)
	}
}

// close returns the first error that there was.
func (m *metricsFile) close() error {
	err := errors.Join(m.err, m.file.Close(), m.events.Close())
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, "pipeline", "%s: %w", m.path, err)
	}
	return nil
}

const (
	// recordInterval is the least time between two writes of figures to the database.
	recordInterval = time.Second
	// recordTimeout bounds how long a run waits for the database.
	recordTimeout = 5 * time.Second
)

// recorder keeps a run in the database, for the dashboard. A database that is away costs the run nothing
// but its rows, and a warning. A nil recorder records nothing.
type recorder struct {
	store   *store.Store
	log     *slog.Logger
	run     store.Run
	pending []store.Metric
	written time.Time
	failed  bool   // a warning has been given
	rest    func() // ends the beat
}

// runOf is the row of a run in this process.
func (s *Studio) runOf(ctx context.Context, m tandem.Model) store.Run {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	stage := m.Stage
	if unit, ok := unitOf(ctx); ok { // a queue's stage may make a model by another: "sft" one of rejection sampling
		stage = unit.Stage
	}
	return store.Run{Round: m.Round, Stage: stage, Config: m.Config, Seed: m.Seed, Kernel: m.Kernel, Host: host}
}

// close ends the row of a run whose model stands: its process was killed between making the model and saying so.
func (s *Studio) close(ctx context.Context, m, made tandem.Model) {
	if s.Store == nil {
		return
	}
	r := &recorder{store: s.Store, log: s.Log, rest: func() {}}
	r.within(ctx, func(ctx context.Context) (err error) {
		r.run, err = s.Store.ResumeRun(ctx, s.runOf(ctx, m), math.MaxInt64)
		if tandem.CodeOf(err) == tandem.NotFound { // it is done, or was another database's
			return nil
		}
		return err
	})
	if r.run.ID == "" {
		return
	}
	kept, err := readMetrics(made.URL, math.MaxInt64)
	if err != nil {
		s.Log.Warn("the figures of a finished run cannot be read", "error", err)
	}
	for _, line := range kept {
		r.pending = append(r.pending, line.metrics()...)
	}
	r.end(ctx, made, nil)
}

// record begins a run's row, or goes on with that of the attempt before, whose numbers after a step will come again.
func (s *Studio) record(ctx context.Context, m tandem.Model, from int64) *recorder {
	if s.Store == nil {
		return nil
	}
	r := &recorder{store: s.Store, log: s.Log, written: time.Now()}
	if kept, ok := s.Log.Handler().(*eventLog); ok { // whose events are this recorder's
		r.log = slog.New(kept.Handler)
	}
	r.within(ctx, func(ctx context.Context) error {
		if err := checkpoint.HoldsRight(ctx); err != nil { // whoever has the unit now has begun the run, and perhaps ended it
			return err
		}
		run, err := s.Store.StartRun(ctx, s.runOf(ctx, m), from)
		r.run = run
		return err
	})
	if r.run.ID == "" {
		return nil
	}
	beating, rest := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() { r.beat(beating) })
	r.rest = func() { rest(); beats.Wait() }
	return r
}

// beat says that the run goes on until ctx ends. A beat that fails is made up for by the next.
func (r *recorder) beat(ctx context.Context) {
	tick := time.NewTicker(store.AliveTime / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, recordTimeout)
		err := r.store.KeepRun(within, r.run)
		cancel()
		if tandem.CodeOf(err) == tandem.Stale {
			return
		}
	}
}

// within runs a write to the database, even where the stage has been cancelled.
func (r *recorder) within(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := do(ctx); err != nil && !r.failed {
		r.failed = true
		r.log.Warn("the run cannot be recorded in the database", "error", err)
	}
}

func (r *recorder) add(o Observation) {
	if r == nil || r.failed {
		return
	}
	for name, value := range o.Metrics {
		r.pending = append(r.pending, store.Metric{Name: name, Step: int64(o.Step), Value: value})
	}
	if time.Since(r.written) >= recordInterval {
		r.flush(context.Background()) // between two steps, which have no context
	}
}

// catchUp writes what an earlier attempt kept in its file and could not write any more.
func (r *recorder) catchUp(ctx context.Context, kept []store.Metric) {
	if r == nil || len(kept) == 0 {
		return
	}
	r.within(ctx, func(ctx context.Context) error {
		last, err := r.store.LastMetrics(ctx, r.run.ID)
		if err != nil {
			return err
		}
		written := make(map[string]int64, len(last))
		for _, m := range last {
			written[m.Name] = m.Step
		}
		for _, m := range kept {
			if step, any := written[m.Name]; !any || m.Step > step {
				r.pending = append(r.pending, m)
			}
		}
		return nil
	})
	r.flush(ctx)
}

func (r *recorder) flush(ctx context.Context) {
	if len(r.pending) > 0 {
		r.within(ctx, func(ctx context.Context) error {
			return r.store.WithRun(ctx, r.run, func(s *store.Store) error { return s.AddMetrics(ctx, r.run.ID, r.pending) })
		})
	}
	r.pending, r.written = r.pending[:0], time.Now()
}

// event keeps what was said of the run.
func (r *recorder) event(e store.Event) {
	if r.failed {
		return
	}
	r.within(context.Background(), func(ctx context.Context) error {
		return r.store.WithRun(ctx, r.run, func(s *store.Store) error { return s.AddEvent(ctx, r.run.ID, e.Kind, e.Message) })
	})
}

// end closes the run's row; where it made a model, that is kept first, with the models that it came from.
func (r *recorder) end(ctx context.Context, m tandem.Model, cause error) {
	if r == nil {
		return
	}
	r.rest()
	r.flush(ctx)
	id := ""
	if cause == nil && m.ID != "" {
		r.within(ctx, func(ctx context.Context) error {
			err := r.store.WithRun(ctx, r.run, func(s *store.Store) error { return Register(ctx, s, m) })
			if err == nil {
				id = m.ID
			}
			return err
		})
	}
	r.within(ctx, func(ctx context.Context) error {
		return r.store.WithRun(ctx, r.run, func(s *store.Store) error { return s.FinishRun(ctx, r.run.ID, id, cause) })
	})
}
