package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem"
	"tandem/store"
)

// runsCommand shows the runs of stages: when, with what, how far.
type runsCommand struct {
	List    runsListCommand    `cmd:"" help:"List the runs, the newest first."`
	Show    runsShowCommand    `cmd:"" help:"Show a run with its configuration, its last numbers and its events."`
	Tail    runsTailCommand    `cmd:"" help:"Print a run's numbers and events as they come, until it ends."`
	Compare runsCompareCommand `cmd:"" help:"Compare runs' settings and last numbers, side by side."`
}

type runsListCommand struct {
	Round int `help:"Runs of one round, from 1 (default: 0, all)." placeholder:"N"`
	Limit int `default:"100" help:"Runs at most, up to 1000 (default: 100)." placeholder:"N"`
	databaseFlags
}

// runReport is a run's JSON.
type runReport struct {
	ID         string             `json:"id"`
	Round      int                `json:"round,omitempty"`
	Stage      tandem.Stage       `json:"stage"`
	Status     tandem.RoundStatus `json:"status"`
	Attempt    int                `json:"attempt"`
	Config     json.RawMessage    `json:"config,omitempty"`
	Seed       uint64             `json:"seed"`
	Kernel     string             `json:"kernel,omitempty"`
	Host       string             `json:"host,omitempty"`
	Model      string             `json:"model,omitempty"` // that it made
	Error      string             `json:"error,omitempty"`
	StartedAt  time.Time          `json:"started_at"`
	FinishedAt *time.Time         `json:"finished_at,omitempty"`
	Metrics    []metricReport     `json:"metrics,omitempty"` // the last of each name
	Events     []eventReport      `json:"events,omitempty"`
}

type metricReport struct {
	Name  string `json:"name"`
	Step  int64  `json:"step"`
	Value number `json:"value"`
}

type eventReport struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
}

// number is a metric's value; JSON, which has neither NaN nor infinities, gets those as text.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return json.Marshal(fmt.Sprint(float64(n)))
	}
	return json.Marshal(float64(n))
}

func (n number) String() string { return strconv.FormatFloat(float64(n), 'g', 6, 64) }

func reportRun(r store.Run) runReport {
	return runReport{ID: r.ID, Round: r.Round, Stage: r.Stage, Status: r.Status, Attempt: r.Attempt, Config: r.Config, Seed: r.Seed, Kernel: r.Kernel,
		Host: r.Host, Model: r.Model, Error: r.Error, StartedAt: r.StartedAt, FinishedAt: unlessZero(r.FinishedAt)}
}

func (c *runsListCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		runs, err := s.Runs(ctx, store.RunQuery{Round: c.Round, Page: store.Page{Limit: c.Limit}})
		if err != nil {
			return err
		}
		list := struct {
			Runs []runReport `json:"runs"`
		}{[]runReport{}}
		var rows [][]string
		for _, r := range runs {
			report := reportRun(r)
			report.Config = nil // show has it
			list.Runs = append(list.Runs, report)
			took := "-"
			if !r.FinishedAt.IsZero() {
				took = r.Took(r.FinishedAt).Round(time.Second).String()
			}
			rows = append(rows, []string{r.ID, roundText(r.Round), string(r.Stage), string(r.Status), dash(r.Model), day(r.StartedAt), took, dash(r.Error)})
		}
		return w.table(list, []string{"ID", "ROUND", "STAGE", "STATUS", "MODEL", "STARTED", "TOOK", "ERROR"}, rows)
	})
}

type runsShowCommand struct {
	ID string `arg:"" name:"run" help:"The run's id."`
	databaseFlags
}

func (c *runsShowCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		report, err := wholeRun(ctx, s, c.ID)
		if err != nil {
			return err
		}
		var b strings.Builder
		fmt.Fprintf(&b, "run %s: %s, %s, started %s on %s, seed %d\n", report.ID, report.Stage, report.Status, day(report.StartedAt), dash(report.Host), report.Seed)
		for _, line := range []struct{ name, text string }{
			{"round", roundText(report.Round)}, {"model", dash(report.Model)}, {"kernel", dash(report.Kernel)}, {"error", dash(report.Error)}, {"config", string(report.Config)},
		} {
			fmt.Fprintf(&b, "%-7s %s\n", line.name, line.text)
		}
		for _, m := range report.Metrics {
			fmt.Fprintf(&b, "metric  %s = %v at step %d\n", m.Name, m.Value, m.Step)
		}
		for _, e := range report.Events {
			fmt.Fprintf(&b, "event   %s  %s: %s\n", day(e.At), e.Kind, e.Message)
		}
		return w.report(report, "%s", b.String())
	})
}

// wholeRun is a run with its last numbers and its events.
func wholeRun(ctx context.Context, s *store.Store, id string) (runReport, error) {
	r, err := s.Run(ctx, id)
	if err != nil {
		return runReport{}, err
	}
	report := reportRun(r)
	metrics, err := s.Metrics(ctx, id, 0)
	if err != nil {
		return runReport{}, err
	}
	for i, m := range metrics { // by name and step
		if i+1 == len(metrics) || metrics[i+1].Name != m.Name {
			report.Metrics = append(report.Metrics, metricReport{m.Name, m.Step, number(m.Value)})
		}
	}
	events, err := s.Events(ctx, id, "")
	if err != nil {
		return runReport{}, err
	}
	for _, e := range events {
		report.Events = append(report.Events, eventReport{e.At, e.Kind, e.Message})
	}
	return report, nil
}

type runsTailCommand struct {
	ID       string        `arg:"" name:"run" help:"The run's id."`
	Metric   []string      `help:"Numbers of these names alone, several with commas (default: all)." placeholder:"NAME,…"`
	Interval time.Duration `default:"2s" help:"How often to look for news (default: 2s)." placeholder:"DURATION"`
	databaseFlags
}

// Validate refuses to look without a pause.
func (c *runsTailCommand) Validate() error {
	if c.Interval <= 0 {
		return fmt.Errorf("--interval is %v, not positive", c.Interval)
	}
	return nil
}

func (c *runsTailCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		news := news{seen: make(map[string]int64)}
		ticker := time.NewTicker(c.Interval)
		defer ticker.Stop()
		for {
			r, err := s.Run(ctx, c.ID) // first, so that its last numbers are not missed when it has ended
			if err != nil {
				return err
			}
			if err := c.print(ctx, w, s, &news); err != nil {
				return err
			}
			if r.Status != tandem.RoundRunning {
				return w.report(reportRun(r), "%s\n", strings.TrimSuffix(string(r.Status)+": "+r.Error, ": "))
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-ticker.C:
			}
		}
	})
}

// news is what was printed of a run already.
type news struct {
	seen  map[string]int64 // by metric, one more than the last step
	step  int64            // the last of any
	event string           // id of the last
}

// print prints what is new of a run: its numbers, a line a step, and its events.
func (c *runsTailCommand) print(ctx context.Context, w *world, s *store.Store, last *news) error {
	metrics, err := s.Metrics(ctx, c.ID, last.step, c.Metric...) // of the last step again: more of it may have come
	if err != nil {
		return err
	}
	steps := make(map[int64][]string)
	for _, m := range metrics {
		if m.Step < last.seen[m.Name] {
			continue
		}
		last.seen[m.Name] = m.Step + 1
		last.step = max(last.step, m.Step)
		steps[m.Step] = append(steps[m.Step], m.Name+"="+number(m.Value).String())
	}
	for _, step := range slices.Sorted(maps.Keys(steps)) {
		if _, err := fmt.Fprintf(w.out, "step %d  %s\n", step, strings.Join(steps[step], " ")); err != nil {
			return stdoutError(err)
		}
	}
	events, err := s.Events(ctx, c.ID, last.event)
	if err != nil {
		return err
	}
	for _, e := range events {
		last.event = e.ID
		if _, err := fmt.Fprintf(w.out, "%s  %s: %s\n", day(e.At), e.Kind, e.Message); err != nil {
			return stdoutError(err)
		}
	}
	return nil
}

type runsCompareCommand struct {
	Runs []string `arg:"" name:"run" help:"The runs' ids, two or more."`
	databaseFlags
}

// Validate wants something to compare.
func (c *runsCompareCommand) Validate() error {
	if len(c.Runs) < 2 {
		return fmt.Errorf("expected two runs or more")
	}
	return nil
}

func (c *runsCompareCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		list := struct {
			Runs []runReport `json:"runs"`
		}{}
		head := []string{"NAME"}
		values := make(map[string][]string) // by name, one for each run
		set := func(name string, run int, value string) {
			if values[name] == nil {
				values[name] = slices.Repeat([]string{"-"}, len(c.Runs))
			}
			values[name][run] = value
		}
		for i, id := range c.Runs {
			r, err := wholeRun(ctx, s, id)
			if err != nil {
				return err
			}
			r.Events = nil
			list.Runs = append(list.Runs, r)
			head = append(head, "RUN "+r.ID)
			set(" stage", i, string(r.Stage)) // spaces sort what a run is before its settings and numbers
			set(" status", i, string(r.Status))
			set(" seed", i, strconv.FormatUint(r.Seed, 10))
			set(" kernel", i, dash(r.Kernel))
			var config any
			if err := json.Unmarshal(r.Config, &config); err == nil {
				flatten("config", config, func(name, value string) { set(name, i, value) })
			}
			for _, m := range r.Metrics {
				set("metric "+m.Name, i, m.Value.String())
			}
		}
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			// Settings that agree say nothing about the difference.
			if strings.HasPrefix(name, "config") && len(slices.Compact(slices.Clone(values[name]))) == 1 {
				continue
			}
			rows = append(rows, append([]string{strings.TrimSpace(name)}, values[name]...))
		}
		return w.table(list, head, rows)
	})
}

// flatten visits the leaves of a JSON value under dotted names.
func flatten(name string, v any, visit func(name, value string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			flatten(name+"."+key, child, visit)
		}
	case []any:
		for i, child := range v {
			flatten(name+"."+strconv.Itoa(i), child, visit)
		}
	default:
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte("?")
		}
		visit(name, string(text))
	}
}
