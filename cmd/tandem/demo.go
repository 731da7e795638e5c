package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem"
	"tandem/internal/practice/demo"
	"tandem/pipeline"
	"tandem/report"
	"tandem/statistics"
	"tandem/store/local"
)

// demoCommand runs the whole loop in a folder of its own, on a database of its own.
type demoCommand struct {
	engineFlags
	Seed      uint64   `default:"1" help:"Seed of the world, the models and the annotators."`
	Seeds     int      `default:"1" help:"Run as many demos, with consecutive seeds." placeholder:"N"`
	Miniature bool     `help:"The same loop in a minute: small models, one round, no claim."`
	Resume    bool     `help:"Go on with the newest demo that was interrupted."`
	Folder    string   `help:"Folder that demos lie in (default: demo under tandem's home)." placeholder:"DIR" type:"path"`
	Helpful   []string `help:"Files of helpfulness comparisons (hh): the loop on real pairs instead." placeholder:"FILE" group:"real pairs"`
	Safety    []string `help:"Files of safety comparisons (hh)." placeholder:"FILE" group:"real pairs"`
	Base      string   `help:"Folder of the base model that real pairs are learnt from (default: a small model and tokenizer made of the dialogues first)." placeholder:"DIR" group:"real pairs"`
}

// AfterApply refuses flags that do not go together.
func (c *demoCommand) AfterApply() error {
	if (len(c.Helpful) > 0) != (len(c.Safety) > 0) || c.Base != "" && !c.real() {
		return errors.New("the demo on real pairs needs --helpful and --safety")
	}
	if c.real() && c.Miniature {
		return errors.New("--miniature is the practice world's")
	}
	if c.Seeds < 1 {
		return errors.New("--seeds must be at least 1")
	}
	return nil
}

// real says that the loop runs on comparisons that people made.
func (c *demoCommand) real() bool { return len(c.Helpful) > 0 }

// demoResult is the demo's JSON.
type demoResult struct {
	Seed     uint64                `json:"seed"`
	Report   string                `json:"report"`
	Seconds  float64               `json:"seconds"`
	Versions []demoVersion         `json:"versions,omitempty"`
	Controls map[string]demo.Gold  `json:"controls,omitempty"`
	Real     *pipeline.RealOutcome `json:"real,omitempty"`
}

type demoVersion struct {
	Name string    `json:"name"`
	Gold demo.Gold `json:"gold"`
	// Where versions are promoted: the decision, and wins over the first version by each judge.
	Decision *tandem.Decision                                         `json:"decision,omitempty"`
	Wins     map[pipeline.Judge]map[tandem.Aspect]statistics.Outcomes `json:"wins,omitempty"`
}

func (c *demoCommand) Run(ctx context.Context, w *world) error {
	home := c.Folder
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
		if _, err := fmt.Fprint(w.out, r); err != nil {
			return err
		}
	}
	return nil
}

// String is the result as a terminal shows it.
func (r demoResult) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %.0f s\n", r.Seed, r.Seconds)
	for _, v := range r.Versions {
		fmt.Fprintf(&b, "  %-16s gold helpfulness %s   gold safety %s%s\n", v.Name, v.Gold.Helpfulness, v.Gold.Safety, decided("   ", v.Decision))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Controls)) {
		g := r.Controls[name]
		fmt.Fprintf(&b, "  %-16s gold helpfulness %s   gold safety %s\n", "("+name+")", g.Helpfulness, g.Safety)
	}
	fmt.Fprintf(&b, "  report: %s\n", r.Report)
	return b.String()
}

// one runs the demo of one seed.
func (c *demoCommand) one(ctx context.Context, w *world, home string, seed uint64) (demoResult, error) {
	start := time.Now()
	folder, err := demoFolder(home, c.Resume)
	if err != nil {
		return demoResult{}, err
	}
	e, err := c.engineFlags.open(w)
	if err != nil {
		return demoResult{}, err
	}
	result := demoResult{Seed: seed, Report: filepath.Join(folder, "report.html")}
	var page func(facts []report.Fact) (report.Report, error)
	err = withLoop(ctx, w, e, folder, func(ctx context.Context, d demoLoop) error {
		if c.real() {
			config := pipeline.DefaultRealConfig(seed)
			if c.Base == "" {
				config.Pretrain = pipeline.DefaultRealPretrain(seed)
			}
			outcome, err := pipeline.Real{
				Loop: d.loop, Folder: filepath.Join(folder, "loop"), Helpful: c.Helpful, Safety: c.Safety, Base: c.Base, Config: config,
			}.Run(ctx)
			result.Real = &outcome
			page = func(facts []report.Fact) (report.Report, error) {
				return outcome.Report(config, facts, time.Now()), nil
			}
			return err
		}
		config := demo.DefaultConfig(seed)
		if c.Miniature {
			config = demo.Miniature(seed)
		}
		outcome, err := demo.Demo{Config: config, Folder: filepath.Join(folder, "loop"), Store: d.store, URL: d.url, Loop: d.loop}.Run(ctx)
		result.describe(outcome)
		page = func(facts []report.Fact) (report.Report, error) { return outcome.Report(config, facts, time.Now()) }
		return err
	})
	if err != nil {
		return result, err
	}
	return result, result.finish(e, folder, start, page)
}

// finish writes the report, and marks the folder's work as done.
func (r *demoResult) finish(e *engine, folder string, start time.Time, page func(facts []report.Fact) (report.Report, error)) error {
	r.Seconds = time.Since(start).Seconds()
	facts := []report.Fact{
		{Name: "seed", Value: strconv.FormatUint(r.Seed, 10)},
		{Name: "kernel", Value: e.identity()},
		{Name: "machine", Value: fmt.Sprintf("%s/%s, %d workers", runtime.GOOS, runtime.GOARCH, e.workers.Count())},
		{Name: "seconds", Value: fmt.Sprintf("%.0f", r.Seconds)},
	}
	shown, err := page(facts)
	if err != nil {
		return err
	}
	if err := shown.WriteFiles(folder); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, doneName), nil, 0o644)
}

// describe fills in what the practice world's demo reached.
func (r *demoResult) describe(o demo.Outcome) {
	r.Controls = make(map[string]demo.Gold)
	for i, chapter := range o.Chapters {
		if i >= len(o.Gold) {
			return
		}
		if chapter.Control != pipeline.NoControl {
			r.Controls[string(chapter.Control)] = o.Gold[i]
			continue
		}
		r.Versions = append(r.Versions, demoVersion{chapter.Name, o.Gold[i], chapter.Decision, chapter.Wins})
	}
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
