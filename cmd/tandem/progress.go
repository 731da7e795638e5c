package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a stage has come: a bar with an estimate of the time left on a terminal, and a
// plain line every so often elsewhere. It belongs to one goroutine.
type progress struct {
	bar   *progressbar.ProgressBar // nil without a terminal
	out   io.Writer
	label string
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
