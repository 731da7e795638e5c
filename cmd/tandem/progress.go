package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tandem"
	"tandem/pipeline"
)

// progress shows how far a stage has come: a bar with an estimate of the time left on a terminal, and a
// plain line every so often elsewhere. It belongs to one goroutine.
type progress struct {
	bar   *progressbar.ProgressBar // nil without a terminal
	out   io.Writer
	label string
	done  int
	total int
	start time.Time
	last  time.Time
	now   func() time.Time
}

// plainInterval is the least time between two plain lines.
const plainInterval = 10 * time.Second

// newProgress starts showing a stage of total steps; quiet worlds are told nothing.
func newProgress(w *world, label string, total int) *progress {
	p := &progress{out: w.err, label: label, total: total, now: time.Now}
	if w.quiet {
		p.out = io.Discard
	}
	p.start = p.now()
	p.last = p.start
	if file, ok := p.out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(file),
			progressbar.OptionSetDescription(label),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// set reports that done steps are behind; note is a short text of the newest figures.
func (p *progress) set(done int, note string) {
	p.done = done
	if p.bar != nil {
		if note != "" {
			p.bar.Describe(p.label + "  " + note)
		}
		_ = p.bar.Set(done) // a terminal that fails is not worth a stage
		return
	}
	now := p.now()
	if now.Sub(p.last) < plainInterval && done < p.total {
		return
	}
	p.last = now
	left := ""
	if elapsed := now.Sub(p.start); done > 0 && done < p.total {
		left = ", " + (elapsed * time.Duration(p.total-done) / time.Duration(done)).Round(time.Second).String() + " left"
	}
	if note != "" {
		note = "  " + note
	}
	fmt.Fprintf(p.out, "%s: %d/%d%s%s\n", p.label, done, p.total, left, note)
}

// close takes the bar off the terminal and says how long the stage took.
func (p *progress) close() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	fmt.Fprintf(p.out, "%s: done in %s\n", p.label, p.now().Sub(p.start).Round(time.Second/10))
}

// stageProgress shows the stage that runs: its units where there are several, with the steps of the one at
// work beside them, and the steps of a single one otherwise.
type stageProgress struct {
	world       *world
	mu          sync.Mutex
	name        string
	bar         *progress
	observed    tandem.Stage
	heldOut     string // its newest figures of held-out data
	done, total int    // units of the stage that is shown; 0 for a single one
}

// observe is told of a fit's steps.
func (s *stageProgress) observe(o pipeline.Observation) {
	note := figures(o.Metrics, "loss", "accuracy", "objective/scores", "objective/kl")
	s.mu.Lock()
	defer s.mu.Unlock()
	if measured := figures(o.Metrics, "eval_loss", "eval_accuracy"); measured != "" || o.Stage != s.observed {
		s.observed, s.heldOut = o.Stage, measured
	}
	note += s.heldOut
	if s.total > 0 {
		s.bar.set(s.done, fmt.Sprintf("%s %d/%d %s", o.Stage, o.Step, o.Steps, note))
		return
	}
	s.show(string(o.Stage), o.Step, o.Steps, note)
}

// figures are those of the named ones that there are.
func figures(metrics map[string]float64, names ...string) string {
	note := ""
	for _, name := range names {
		if v, ok := metrics[name]; ok {
			note += fmt.Sprintf(" %s %.3f", name, v)
		}
	}
	return note
}

// units is told of a stage's units; a single unit says nothing that its steps do not.
func (s *stageProgress) units(round int, stage tandem.Stage, done, total int) {
	if total == 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show(fmt.Sprintf("round %d: %s", round, stage), done, total, "")
	if s.done, s.total = done, total; done == total {
		s.total = 0
	}
}

// judgments is told of a project's progress.
func (s *stageProgress) judgments(project string, done, wanted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show("project "+project+": judgments", done, wanted, "")
}

// show goes on with the bar of that name, or begins it.
func (s *stageProgress) show(name string, done, total int, note string) {
	if name != s.name || s.bar == nil || total != s.bar.total || done < s.bar.done { // or another one of the same name
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
