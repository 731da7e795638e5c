package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// quietAfter is how long a run may say nothing before its page doubts that it goes on.
const quietAfter = 10 * time.Minute

// runLine is a run in a list.
type runLine struct {
	store.Run
	Cost  cost
	Quiet time.Duration // how long nothing was heard of it, where that is doubtful
}

// QuietText is Quiet for people.
func (l runLine) QuietText() string { return span(l.Quiet) }

// lines are runs with what they cost, and the cost of all.
func (p watchPages) lines(ctx context.Context, runs []store.Run) (lines []runLine, all cost, err error) {
	now := time.Now()
	each, all, err := costs(ctx, p.store, runs, now)
	if err != nil {
		return nil, all, err
	}
	var running []string
	for _, r := range runs {
		if r.Status == tandem.RoundRunning {
			running = append(running, r.ID)
		}
	}
	heard, err := p.store.Heard(ctx, running...)
	for i, r := range runs {
		line := runLine{Run: r, Cost: each[i]}
		if at, ok := heard[r.ID]; ok && now.Sub(at) > quietAfter {
			line.Quiet = now.Sub(at)
		}
		lines = append(lines, line)
	}
	return lines, all, err
}

// stages are what a run can be of, in the loop's order.
func stages() []tandem.Stage {
	return []tandem.Stage{tandem.StageImport, tandem.StagePretrain, tandem.StageSFT, tandem.StageCollect, tandem.StageRewardHelpfulness,
		tandem.StageRewardSafety, tandem.StageReject, tandem.StagePPO, tandem.StageGhost, tandem.StageDistill,
		tandem.StageEvaluate, tandem.StagePromote}
}

// runsPage is the list of runs.
type runsPage struct {
	phrases
	web.List[runLine]
	Round    int
	Stage    tandem.Stage
	Status   tandem.RoundStatus
	Stages   []tandem.Stage
	Statuses []tandem.RoundStatus
	Rounds   []tandem.Round
}

// Filtered reports whether the list leaves runs out.
func (p runsPage) Filtered() bool { return p.Round != 0 || p.Stage != "" || p.Status != "" }

// Earlier is where the list goes on.
func (p runsPage) Earlier() string {
	q := url.Values{"after": {p.Next}}
	if p.Round != 0 {
		q.Set("round", strconv.Itoa(p.Round))
	}
	if p.Stage != "" {
		q.Set("stage", string(p.Stage))
	}
	if p.Status != "" {
		q.Set("status", string(p.Status))
	}
	return "/runs?" + q.Encode()
}

func (p watchPages) runs(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	page := runsPage{Stages: stages(), Statuses: []tandem.RoundStatus{tandem.RoundRunning, tandem.RoundDone, tandem.RoundFailed, tandem.RoundCancelled, tandem.RoundInterrupted}}
	if n, err := strconv.ParseInt(q.Get("round"), 10, 32); err == nil && n > 0 {
		page.Round = int(n)
	}
	if stage := tandem.Stage(q.Get("stage")); slices.Contains(page.Stages, stage) {
		page.Stage = stage
	}
	if status := tandem.RoundStatus(q.Get("status")); slices.Contains(page.Statuses, status) {
		page.Status = status
	}
	var err error
	if page.Rounds, err = p.store.Rounds(ctx); err != nil {
		return err
	}
	runs, err := p.store.Runs(ctx, store.RunQuery{Round: page.Round, Stage: page.Stage, Status: page.Status, Page: store.Page{After: q.Get("after"), Limit: onPage}})
	if err != nil {
		return err
	}
	lines, _, err := p.lines(ctx, runs)
	if err != nil {
		return err
	}
	page.List = web.ListOf(lines, onPage, func(l runLine) string { return l.ID })
	return p.api.Render(w, r, http.StatusOK, p.Pages["runs.html"], "Runs", page)
}

// drawnPoints is how many points a curve has where it is drawn by the server, livePoints where a browser draws it.
const (
	drawnPoints = 200
	livePoints  = 1000
)

// runPage is a run with all that is known of it.
type runPage struct {
	phrases
	Run    runLine
	Round  tandem.Round // the zero value outside a round
	Model  tandem.Model // that it made; the zero value for none
	Of     tandem.Model // policy that it evaluated; the zero value for none
	Groups []curveGroup
	Events []store.Event
	Config string // indented
}

// LastEvent is the id of the last event that the page shows.
func (p runPage) LastEvent() string {
	if len(p.Events) == 0 {
		return ""
	}
	return p.Events[len(p.Events)-1].ID
}

func (p watchPages) run(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), chi.URLParam(r, "id")
	run, err := p.store.Run(ctx, id)
	if err != nil {
		return err
	}
	page := runPage{}
	lines, _, err := p.lines(ctx, []store.Run{run})
	if err != nil {
		return err
	}
	page.Run = lines[0]
	if run.Round != 0 {
		if page.Round, err = p.store.Round(ctx, run.Round); err != nil {
			return err
		}
	}
	if run.Model != "" {
		if page.Model, err = p.store.Model(ctx, run.Model); err != nil {
			return err
		}
	}
	if of := evaluationOf(run).PolicyID; of != "" {
		if page.Of, err = p.store.Model(ctx, of); err != nil && tandem.CodeOf(err) != tandem.NotFound {
			return err
		}
	}
	curves, err := p.store.Curves(ctx, id, drawnPoints)
	if err != nil {
		return err
	}
	last, err := p.store.LastMetrics(ctx, id)
	if err != nil {
		return err
	}
	if page.Groups, err = groupsOf(curves, last); err != nil {
		return err
	}
	if page.Events, err = p.store.Events(ctx, id, ""); err != nil {
		return err
	}
	page.Config = indented(run.Config)
	return p.api.Render(w, r, http.StatusOK, p.Pages["run.html"], "Run "+run.ID+": "+words(string(run.Stage)), page)
}

// indented is a JSON text for people.
func indented(text json.RawMessage) string {
	var b bytes.Buffer
	if len(text) == 0 || json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// How often a stream of a run looks for news, and how often it says anew how the run stands.
const (
	runLook   = time.Second
	stateLook = 5 * time.Second
)

// liveSeries is a piece of a curve for a browser. A value is null where it is not finite.
type liveSeries struct {
	Name   string     `json:"name"`
	Steps  []int64    `json:"steps"`
	Values []*float64 `json:"values"`
	Low    []*float64 `json:"low,omitempty"` // where a point stands for several steps
	High   []*float64 `json:"high,omitempty"`
}

// liveEvent is an event for a browser.
type liveEvent struct {
	ID   string `json:"id"`
	HTML string `json:"html"`
}

// runEvents streams a run to its page: "curves" first, its whole curves; then "points" that are new, an "event" for each
// that happened, and "state", the part of the page that says how it stands; "end" after the last of a run that has ended.
func (p watchPages) runEvents(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), chi.URLParam(r, "id")
	run, err := p.store.Run(ctx, id)
	if err != nil {
		return err
	}
	curves, err := p.store.Curves(ctx, id, livePoints)
	if err != nil {
		return err
	}
	after := r.URL.Query().Get("after")
	if after != "" {
		if _, err := p.store.Events(ctx, id, after); err != nil {
			return err
		}
	}
	out := web.NewEventStream(w)
	seen := make(map[string]int64)
	whole := make([]liveSeries, len(curves))
	for i, c := range curves {
		whole[i] = liveOf(c)
		seen[c.Name] = c.Points[len(c.Points)-1].Step
	}
	if out.Send("curves", whole) != nil {
		return nil
	}
	end, look := time.NewTimer(web.StreamTime), time.NewTicker(runLook)
	defer end.Stop()
	defer look.Stop()
	var said time.Time
	for {
		// Was read before its news, so that the last is not missed. One that was interrupted may be resumed.
		ended := run.Status != tandem.RoundRunning && run.Status != tandem.RoundInterrupted
		metrics, err := p.store.MetricsAfter(ctx, id, seen)
		if err != nil {
			return nil // the browser comes again, and is told
		}
		if news := newsOf(metrics, seen); len(news) > 0 && out.Send("points", news) != nil {
			return nil
		}
		events, err := p.store.Events(ctx, id, after)
		if err != nil {
			return nil
		}
		for _, e := range events {
			text, err := p.part("run.html", "event", e)
			if err != nil || out.Send("event", liveEvent{e.ID, text}) != nil {
				return nil
			}
			after = e.ID
		}
		if ended || time.Since(said) >= stateLook {
			said = time.Now()
			lines, _, err := p.lines(ctx, []store.Run{run})
			if err != nil {
				return nil
			}
			text, err := p.part("run.html", "state", lines[0])
			if err != nil || out.Send("state", text) != nil {
				return nil
			}
		}
		if ended {
			_ = out.Send("end", run.Status) // nothing comes after it
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-web.Stopping(ctx):
			return nil
		case <-end.C:
			return nil
		case <-look.C:
		}
		if _, err := p.api.Authorize(r, mayRead()); err != nil { // signed out, disabled or erased since
			return nil
		}
		if run, err = p.store.Run(ctx, id); err != nil {
			return nil
		}
	}
}

// part is a part of a page as text.
func (p watchPages) part(page, name string, data any) (string, error) {
	var b bytes.Buffer
	err := p.Pages[page].ExecuteTemplate(&b, name, data)
	return b.String(), err
}

func liveOf(c store.Curve) liveSeries {
	out := liveSeries{Name: c.Name}
	thinned := false
	for _, point := range c.Points {
		out.Steps = append(out.Steps, point.Step)
		out.Values = append(out.Values, finiteOrNil(point.Value))
		out.Low = append(out.Low, finiteOrNil(point.Low))
		out.High = append(out.High, finiteOrNil(point.High))
		thinned = thinned || point.Low < point.High
	}
	if !thinned {
		out.Low, out.High = nil, nil
	}
	return out
}

// newsOf groups metrics, which come by name and step, and notes the last steps.
func newsOf(metrics []store.Metric, seen map[string]int64) (news []liveSeries) {
	for _, m := range metrics {
		if len(news) == 0 || news[len(news)-1].Name != m.Name {
			news = append(news, liveSeries{Name: m.Name})
		}
		s := &news[len(news)-1]
		s.Steps, s.Values = append(s.Steps, m.Step), append(s.Values, finiteOrNil(m.Value))
		seen[m.Name] = m.Step
	}
	return news
}
