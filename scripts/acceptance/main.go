// Command acceptance measures what takes too long for the tests, with the built binary, and writes it to
// a Markdown file that names the commit and the machine: `make acceptance`. The documentation quotes no
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
	"runtime"
	"strings"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/tandem", "the built tandem")
	out := flag.String("out", "docs/acceptance.md", "file to write")
	seeds := flag.Int("seeds", 3, "demos to run, with seeds 1, 2, …")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *out, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, out string, seeds int) error {
	a := &acceptance{binary: binary, started: time.Now()}
	a.header(ctx)
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
	if err != nil {
		a.printf("\nEnded early: %v\n", err)
	}
	if err := errors.Join(err, os.WriteFile(out, a.page.Bytes(), 0o644)); err != nil {
		return err
	}
	fmt.Println(out)
	if len(a.failed) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(a.failed, "; "))
	}
	return nil
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

func (a *acceptance) header(ctx context.Context) {
	a.printf("# Acceptance\n\nWritten by `make acceptance`.\n\n| | |\n|---|---|\n")
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
