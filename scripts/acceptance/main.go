// Command acceptance measures what takes too long for the tests, with the built binary, and writes it to
// Markdown files that name the commit and the machine: `make acceptance`. The documentation quotes no
// other figures.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/tandem", "the built tandem")
	out := flag.String("out", "docs", "folder to write in")
	seeds := flag.Int("seeds", 3, "demos to run, with seeds 1, 2, …")
	only := flag.String("only", "", "one page alone: acceptance (the loop, an hour) or acceptance-site (annotation, ten minutes)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *out, *only, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, out, only string, seeds int) error {
	pages := []struct {
		name, title string
		measure     func(*acceptance, context.Context) error
	}{
		{"acceptance", "Acceptance", func(a *acceptance, ctx context.Context) error { return a.loop(ctx, seeds) }},
		{"acceptance-site", "Acceptance of the annotation site", (*acceptance).site},
	}
	var all error
	written := 0
	for _, page := range pages {
		if only != "" && only != page.name {
			continue
		}
		a := &acceptance{binary: binary, started: time.Now()}
		a.header(ctx, page.title)
		err := page.measure(a, ctx)
		if err != nil {
			a.printf("\nEnded early: %v\n", err)
		}
		file := filepath.Join(out, page.name+".md")
		err = errors.Join(err, os.WriteFile(file, a.page.Bytes(), 0o644))
		if len(a.failed) > 0 {
			err = errors.Join(err, fmt.Errorf("%s: missed: %s", file, strings.Join(a.failed, "; ")))
		}
		fmt.Println(file)
		all = errors.Join(all, err)
		written++
	}
	if written == 0 {
		return fmt.Errorf("there is no page %q", only)
	}
	return all
}

// loop measures the demo, a long PPO run, repetition and speed.
func (a *acceptance) loop(ctx context.Context, seeds int) error {
	loop, err := a.demos(ctx, seeds)
	for _, part := range []func(context.Context) error{
		func(ctx context.Context) error { return a.longPPO(ctx, loop) },
		func(ctx context.Context) error { return a.repetition(ctx, loop) },
		a.speed,
	} {
		if err == nil {
			err = part(ctx)
		}
	}
	return err
}

// acceptance is the page being written.
type acceptance struct {
	binary  string
	started time.Time
	page    bytes.Buffer
	failed  []string
}

func (a *acceptance) printf(format string, args ...any) { fmt.Fprintf(&a.page, format, args...) }

// check notes whether a claim holds.
func (a *acceptance) check(ok bool, format string, args ...any) {
	claim, mark := fmt.Sprintf(format, args...), "met"
	if !ok {
		mark = "**missed**"
		a.failed = append(a.failed, claim)
	}
	a.printf("- %s: %s\n", mark, claim)
}

func (a *acceptance) header(ctx context.Context, title string) {
	a.printf("# %s\n\nWritten by `make acceptance`.\n\n| | |\n|---|---|\n", title)
	a.printf("| commit | %s |\n", command(ctx, "git", "describe", "--always", "--dirty"))
	a.printf("| date | %s |\n", a.started.UTC().Format("2006-01-02 15:04 MST"))
	a.printf("| machine | %s/%s, %d cores, %s |\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())
	version := strings.Split(command(ctx, a.binary, "version"), "\n")
	a.printf("| tandem | %s |\n", strings.Join(version, "; "))
}

// command returns what a command prints, or why it did not.
func command(ctx context.Context, name string, args ...string) string {
	text, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// processor is the model name of /proc/cpuinfo, or what Go knows.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return runtime.GOARCH
}

// tandem runs the binary with --json and reads its last object.
func (a *acceptance) tandem(ctx context.Context, environment []string, reply any, args ...string) error {
	c := exec.CommandContext(ctx, a.binary, append([]string{"--json"}, args...)...)
	c.Env = append(os.Environ(), environment...)
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return json.Unmarshal(text, reply)
}
