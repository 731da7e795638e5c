package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem"
	"tandem/internal/practice/demo"
	"tandem/pipeline"
	"tandem/report"
)

// AfterApply refuses flags that do not go together.
func (c *roundCommand) AfterApply() error {
	given := map[string]bool{"--model": len(c.Model) > 0, "--base": c.Base != "", "--demonstrations": c.Demonstrations != "", "--prompts": c.Prompts != ""}
	var missing []string
	for _, name := range []string{"--model", "--base", "--demonstrations", "--prompts"} {
		if given[name] && c.Practice {
			return errors.New(name + " does not go with --practice, which makes its own")
		}
		if !given[name] {
			missing = append(missing, name)
		}
	}
	switch {
	case !c.Practice && c.Miniature:
		return errors.New("--miniature is the practice world's")
	case !c.Practice && len(missing) > 0:
		return errors.New("missing flags: " + strings.Join(missing, ", "))
	case c.Practice && (c.Preset != "" || c.Reference != "" || len(c.Archive) > 0 || c.Collect || c.PPO || c.TrialPrompts != "" || c.Data != "" || c.Number != 0 || c.Name != "" || !c.Worker):
		return errors.New("of the other flags --practice takes those that change the recipe, --out, --resume and --dry-run alone: it makes its own prompts, collects, tunes by PPO at the end and promotes")
	case c.Rounds < 1:
		return errors.New("--rounds must be at least 1")
	}
	return nil
}

// practiceName is the file that says what rounds on the practice world were begun with.
const practiceName = "practice.json"

// practice runs rounds on the practice world, each on fresh annotations of the newest policy's answers.
func (c *roundCommand) practice(ctx context.Context, w *world) error {
	start := time.Now()
	result := demoResult{Seed: 1, Report: filepath.Join(c.Out, "report.html")}
	set(&result.Seed, c.Seed)
	config := demo.DefaultConfig(result.Seed)
	if c.Miniature {
		config = demo.Miniature(result.Seed)
	}
	config = config.Promoting(c.Rounds)
	recipe, err := c.change(config.DefaultRecipe())
	if err != nil {
		return err
	}
	if recipe.SecondShare == 0 {
		return tandem.Errorf(tandem.Invalid, "", "second_share is 0, and --practice tries every version by the second pair of reward models")
	}
	config.Recipe = &recipe
	e, err := c.engineFlags.open(w)
	if err != nil {
		return err
	}
	loop := demo.Demo{Config: config, Folder: filepath.Join(c.Out, "loop")}
	if c.DryRun {
		return c.planPractice(ctx, w, e, loop)
	}
	if err := c.beginPractice(config); err != nil {
		return err
	}
	var outcome demo.Outcome
	err = withLoop(ctx, w, e, c.Out, func(ctx context.Context, d demoLoop) (err error) {
		loop.Store, loop.URL, loop.Loop = d.store, d.url, d.loop
		outcome, err = loop.Run(ctx)
		return err
	})
	if err != nil {
		return err
	}
	result.describe(outcome)
	if err := result.finish(e, c.Out, start, func(facts []report.Fact) (report.Report, error) { return outcome.Report(config, facts, time.Now()) }); err != nil {
		return err
	}
	return w.report(result, "%s", result)
}

// planPractice prints what rounds on the practice world would do.
func (c *roundCommand) planPractice(ctx context.Context, w *world, e *engine, loop demo.Demo) error {
	p, err := loop.Plan(ctx, e.studio(w.log))
	if err != nil {
		return err
	}
	if p.Config, err = json.Marshal(loop.Config); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.Out, practiceName)); err == nil {
		p.Status = "begun"
	}
	p.Writes = append(p.Writes, filepath.Join(c.Out, practiceName), filepath.Join(c.Out, "report.html"), filepath.Join(c.Out, "report.json"))
	return w.reportPlan(p)
}

// beginPractice keeps what rounds are begun with, and refuses to go on with others.
func (c *roundCommand) beginPractice(config demo.Config) error {
	path := filepath.Join(c.Out, practiceName)
	now, err := json.Marshal(config)
	if err != nil {
		return err
	}
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if entries, err := os.ReadDir(c.Out); err == nil && len(entries) > 0 {
			return tandem.Errorf(tandem.Conflict, "", "%s holds something else: choose another folder", c.Out)
		}
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, now, 0o644)
	case err != nil:
		return err
	case !c.Resume:
		return tandem.Errorf(tandem.Conflict, "", "%s holds rounds on the practice world: go on with them by --resume, or choose another folder", c.Out)
	}
	if names := pipeline.Changed(there, now); len(names) > 0 {
		return tandem.Errorf(tandem.Conflict, "", "the rounds in %s were begun otherwise (different: %s): %s", c.Out, strings.Join(names, ", "), asBegun)
	}
	return nil
}

// decided says after a prefix whether a version was promoted and why; nothing where it was not tried.
func decided(prefix string, d *tandem.Decision) string {
	switch {
	case d == nil:
		return ""
	case d.Promoted:
		return fmt.Sprintf("%spromoted: %s", prefix, d.Reason)
	}
	return fmt.Sprintf("%snot promoted: %s", prefix, d.Reason)
}
