package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/store"
)

// stageLine is a stage of a round with the runs that did it.
type stageLine struct {
	store.StageProgress
	Cost cost
	Runs []runLine
}

// Took is how long the stage has been going, or went.
func (l stageLine) Took() string {
	if !l.Planned() {
		return l.Cost.Took()
	}
	if l.Ended.IsZero() {
		return span(time.Since(l.Begun))
	}
	return span(l.Ended.Sub(l.Begun))
}

// Status is how the stage stands.
func (l stageLine) Status() tandem.RoundStatus {
	switch {
	case !l.Planned():
		return l.Runs[len(l.Runs)-1].Status
	case !l.Ended.IsZero():
		return tandem.RoundDone
	case l.Held > 0:
		return tandem.RoundRunning
	}
	return tandem.RoundOpen // waits for a worker, perhaps to be tried again
}

// Planned reports whether the stage's work is divided into units; what is run without a queue has runs alone.
func (l stageLine) Planned() bool { return l.Units > 0 }

// roundLine is a round in the list.
type roundLine struct {
	tandem.Round
	Stages []stageLine
	Models []tandem.Model
}

// Done and Units are over all stages that were planned.
func (l roundLine) Done() (n int) {
	for _, s := range l.Stages {
		n += s.Done
	}
	return n
}

func (l roundLine) Units() (n int) {
	for _, s := range l.Stages {
		n += s.Units
	}
	return n
}

// Took is from the first stage's begin to the last one's end.
func (l roundLine) Took() string {
	if len(l.Stages) == 0 {
		return "–"
	}
	begun, ended := l.Stages[0].Begun, time.Time{}
	for _, s := range l.Stages {
		if s.Ended.IsZero() {
			ended = time.Now()
			break
		}
		if s.Ended.After(ended) {
			ended = s.Ended
		}
	}
	return span(ended.Sub(begun))
}

// Now is the stage that is worked on, or stands.
func (l roundLine) Now() *stageLine {
	for i := range l.Stages {
		if l.Stages[i].Ended.IsZero() {
			return &l.Stages[i]
		}
	}
	return nil
}

type roundsPage struct {
	phrases
	Rounds []roundLine // the newest first
}

func (p watchPages) rounds(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	rounds, err := p.store.Rounds(ctx)
	if err != nil {
		return err
	}
	stages, err := p.store.Stages(ctx, 0)
	if err != nil {
		return err
	}
	models, err := p.store.Models(ctx, "", store.Page{Limit: mostModels})
	if err != nil {
		return err
	}
	page := roundsPage{}
	for i := len(rounds) - 1; i >= 0; i-- {
		line := roundLine{Round: rounds[i]}
		for _, s := range stages {
			if s.Round == line.Number {
				line.Stages = append(line.Stages, stageLine{StageProgress: s})
			}
		}
		for _, m := range models {
			if m.Round == line.Number {
				line.Models = append(line.Models, m)
			}
		}
		page.Rounds = append(page.Rounds, line)
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["rounds.html"], "Rounds", page)
}

// roundOf finds the round that a request is about.
func (p watchPages) roundOf(r *http.Request) (tandem.Round, error) {
	number, err := strconv.ParseInt(chi.URLParam(r, "number"), 10, 32)
	if err != nil {
		return tandem.Round{}, tandem.Errorf(tandem.NotFound, "dashboard.Round", "there is no round %q", chi.URLParam(r, "number"))
	}
	return p.store.Round(r.Context(), int(number))
}

// mostRuns is how many runs of a round its page adds up.
const mostRuns = 1000

type roundPage struct {
	phrases
	roundLine
	All       cost
	Cancelled *auditLine // by whom and when, where it was and that is known
}

// Cancellable reports whether there is anything to cancel.
func (l roundLine) Cancellable() bool {
	return l.Status != tandem.RoundDone && l.Status != tandem.RoundCancelled
}

// Live reports whether the page has to look again: whatever is not done may be gone on with, and workers may still be at it.
func (p roundPage) Live() bool { return p.Status != tandem.RoundDone }

func (p watchPages) round(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	page := roundPage{}
	var err error
	if page.Round, err = p.roundOf(r); err != nil {
		return err
	}
	if page.Cancelled, err = p.cancelled(ctx, page.Round); err != nil {
		return err
	}
	stages, err := p.store.Stages(ctx, page.Number)
	if err != nil {
		return err
	}
	runs, err := p.store.Runs(ctx, store.RunQuery{Round: page.Number, Page: store.Page{Limit: mostRuns}})
	if err != nil {
		return err
	}
	lines, all, err := p.lines(ctx, runs)
	if err != nil {
		return err
	}
	page.All = all
	at := make(map[tandem.Stage]int)
	for _, s := range stages {
		at[s.Stage] = len(page.Stages)
		page.Stages = append(page.Stages, stageLine{StageProgress: s})
	}
	now := time.Now()
	for i := len(lines) - 1; i >= 0; i-- { // the first one first
		line := lines[i]
		k, ok := at[line.Stage]
		if !ok {
			k = len(page.Stages)
			at[line.Stage] = k
			page.Stages = append(page.Stages, stageLine{StageProgress: store.StageProgress{Round: page.Number, Stage: line.Stage}})
		}
		page.Stages[k].Runs = append(page.Stages[k].Runs, line)
		page.Stages[k].Cost.add(line.Run, line.Cost.Spent, now)
	}
	models, err := p.store.Models(ctx, "", store.Page{Limit: mostModels})
	if err != nil {
		return err
	}
	for _, m := range models {
		if m.Round == page.Number {
			page.Models = append(page.Models, m)
		}
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["round.html"], page.Name, page)
}
