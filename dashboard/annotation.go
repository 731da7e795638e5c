package dashboard

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem/internal/web"
	"tandem/report"
	"tandem/store"
)

//go:embed _figure.html annotation.html disagreements.html redteam.html review.html _material.html
var annotationFiles embed.FS

// annotationStore is what the statistics of annotation are of.
type annotationStore interface {
	throughputStore
	agreementStore
	choiceStore
	goldStore
	remarkStore
	disagreementStore
	reviewStore
	redTeamStore
	Project(ctx context.Context, id string) (store.Project, error)
	ProjectCounts(ctx context.Context) ([]store.ProjectCount, error)
}

// mayWatch are the scopes of annotation's statistics, mayReview of what changes which judgments count.
func mayWatch() web.Scopes {
	return web.Scopes{store.ScopeReview, store.ScopeRead, store.ScopeAdmin}
}

func mayReview() web.Scopes { return web.Scopes{store.ScopeReview, store.ScopeAdmin} }

// reviews reports whether who asks may change which judgments count.
func reviews(r *http.Request) bool {
	caller := web.Caller(r.Context())
	return caller.Has(store.ScopeReview) || caller.Has(store.ScopeAdmin)
}

// reads reports whether who asks may read of models.
func reads(r *http.Request) bool {
	caller := web.Caller(r.Context())
	return caller.Has(store.ScopeRead) || caller.Has(store.ScopeAdmin)
}

// OfProject is the input of a statistic. (It is exported for huma, which cannot fill what it embeds otherwise.)
type OfProject struct {
	Project string `query:"project" doc:"Id of a project; all projects together without."`
}

// exists refuses a project that is not there, whose empty figures would say that nobody did anything.
func (in OfProject) exists(ctx context.Context, s annotationStore) error {
	if in.Project == "" {
		return nil
	}
	_, err := s.Project(ctx, in.Project)
	return err
}

type daysInput struct {
	OfProject
	Days int `query:"days" minimum:"1" maximum:"366" default:"30" doc:"Days to go back from today."`
}

// output is the body of an answer.
type output[T any] struct{ Body T }

// watcher computes statistics, and remembers the dear ones for a while.
type watcher struct {
	store  annotationStore
	memory *memory
}

func (w watcher) throughput(ctx context.Context, project string, days int) (Throughput, error) {
	return remembered(ctx, w.memory, fmt.Sprint("throughput ", project, " ", days), func() (Throughput, error) {
		return throughputOf(ctx, w.store, project, days)
	})
}

// compared is the agreement in a project, or in all together and each by itself.
type compared struct {
	Agreement
	lines map[string]projectLine // by project, of all
}

func (w watcher) agreement(ctx context.Context, project string) (compared, error) {
	return remembered(ctx, w.memory, "agreement "+project, func() (compared, error) {
		choices, err := w.store.Choices(ctx, project)
		if err != nil {
			return compared{}, err
		}
		c := compared{lines: make(map[string]projectLine)}
		if c.Agreement, err = agreementOf(choices); err != nil || project != "" {
			return c, err
		}
		byProject := make(map[int][]store.Choice)
		for _, choice := range choices {
			byProject[choice.Project] = append(byProject[choice.Project], choice)
		}
		for id, of := range byProject {
			p := pairsOf(of)
			line := projectLine{Several: p.several, Divided: p.divided}
			if line.AC2, err = ac2(of); err != nil {
				return c, err
			}
			c.lines[strconv.Itoa(id)] = line
		}
		return c, nil
	})
}

// chosen is what follows from where judgments stand.
type chosen struct {
	bias   PositionBias
	shares Shares
}

func (w watcher) choices(ctx context.Context, project string) (chosen, error) {
	return remembered(ctx, w.memory, "choices "+project, func() (c chosen, err error) {
		counts, err := w.store.ChoiceCounts(ctx, project)
		if err != nil {
			return c, err
		}
		if c.bias, err = positionBiasOf(counts); err != nil {
			return c, err
		}
		c.shares, err = sharesOf(counts)
		return c, err
	})
}

func (w watcher) projects(ctx context.Context) ([]store.ProjectCount, error) {
	return remembered(ctx, w.memory, "projects", func() ([]store.ProjectCount, error) { return w.store.ProjectCounts(ctx) })
}

func (w watcher) gold(ctx context.Context, project string) ([]Quality, error) {
	return remembered(ctx, w.memory, "gold "+project, func() ([]Quality, error) {
		ids := []string{project}
		if project == "" {
			counts, err := w.projects(ctx)
			if err != nil {
				return nil, err
			}
			ids = nil
			for _, c := range counts {
				ids = append(ids, c.ID)
			}
		}
		return qualitiesOf(ctx, w.store, ids)
	})
}

func (w watcher) remarks(ctx context.Context, project string) ([]Remark, error) {
	return remembered(ctx, w.memory, "remarks "+project, func() ([]Remark, error) { return remarksOf(ctx, w.store, project) })
}

func registerAnnotation(api web.API, s annotationStore) error {
	w := watcher{s, &memory{}}
	registerStatistic(api, s, "throughput", "How much was judged, by day and person, and how long it took", "",
		func(ctx context.Context, in *daysInput) (Throughput, error) {
			return w.throughput(ctx, in.Project, in.Days)
		})
	registerStatistic(api, s, "agreement", "How far people agree on the same pairs", "Of the judgments that count: newest versions, not excluded, no gold tasks. Intervals are bootstrap percentiles over items, and too narrow where there are few; a coefficient that is not defined says why.",
		func(ctx context.Context, in *OfProject) (Agreement, error) {
			c, err := w.agreement(ctx, in.Project)
			return c.Agreement, err
		})
	registerStatistic(api, s, "position-bias", "How often the answer that stood left was chosen", "The order is drawn at random for each person and task, so one half is right.",
		func(ctx context.Context, in *OfProject) (PositionBias, error) {
			c, err := w.choices(ctx, in.Project)
			return c.bias, err
		})
	registerStatistic(api, s, "shares", "Shares of degrees and of safety bins, by batch, beside Llama 2's", "Gold tasks are left out.",
		func(ctx context.Context, in *OfProject) (Shares, error) {
			c, err := w.choices(ctx, in.Project)
			return c.shares, err
		})
	registerStatistic(api, s, "gold", "How well people judge the tasks whose answer is known, who does worst first", "",
		func(ctx context.Context, in *OfProject) (web.List[Quality], error) {
			qualities, err := w.gold(ctx, in.Project)
			return web.List[Quality]{Items: qualities}, err
		})
	registerStatistic(api, s, "remarks", "Why tasks were skipped or flagged, the most frequent reasons first", "",
		func(ctx context.Context, in *OfProject) (web.List[Remark], error) {
			remarks, err := w.remarks(ctx, in.Project)
			return web.List[Remark]{Items: remarks}, err
		})
	registerDisagreements(api, s)
	return registerAnnotationPages(api, w)
}

// registerStatistic adds an operation that reads a statistic of a project or of all.
func registerStatistic[I interface {
	exists(ctx context.Context, s annotationStore) error
}, T any](api web.API, s annotationStore, name, summary, description string, of func(context.Context, *I) (T, error)) {
	web.Register(api, mayWatch(), huma.Operation{
		OperationID: "get-" + name, Method: http.MethodGet, Path: "/api/v1/statistics/" + name,
		Summary: summary, Description: description, Tags: []string{"statistics"},
	}, func(ctx context.Context, in *I) (*output[T], error) {
		if err := (*in).exists(ctx, s); err != nil {
			return nil, err
		}
		value, err := of(ctx, in)
		return &output[T]{value}, err
	})
}

// annotationPages are the statistics in the browser. They show what the operations answer.
type annotationPages struct {
	api web.API
	watcher
	web.Pages
}

func registerAnnotationPages(api web.API, w watcher) error {
	parsed, err := web.ParsePages(annotationFiles)
	if err != nil {
		return err
	}
	p := annotationPages{api, w, parsed}
	api.AddLink("/annotation", "Annotation", mayWatch())
	api.Page(http.MethodGet, "/annotation", mayWatch(), p.show)
	api.Page(http.MethodGet, "/annotation/projects/{id}", mayWatch(), p.show)
	api.Page(http.MethodGet, "/annotation/disagreements", mayWatch(), p.disagreements)
	api.Page(http.MethodGet, "/annotation/projects/{id}/disagreements", mayWatch(), p.disagreements)
	api.Page(http.MethodGet, "/annotation/projects/{id}/review", mayReview(), p.review)
	api.Page(http.MethodPost, "/annotation/projects/{id}/review", mayReview(), p.decideMany)
	api.Page(http.MethodPost, "/annotation/projects/{id}/judgments/{judgment}/return", mayReview(), p.sendBack)
	api.Page(http.MethodPost, "/annotation/projects/{id}/judgments/{judgment}/exclusion", mayReview(), p.exclude)
	p.registerRedTeaming(w.store)
	return nil
}

// shownDays is how far the page's throughput goes back.
const shownDays = 30

// wording is how pages put things.
type wording struct{}

// Name is how an annotator is called.
func (wording) Name(annotator string) string { return pseudonym(annotator) }

// Words are a degree's, a bin's or a column's name.
func (wording) Words(name string) string { return words(name) }

// Time is a time in seconds.
func (wording) Time(s float64) string { return seconds(s) }

// Rate is a number with one decimal, or a dash for none.
func (wording) Rate(x *float64) string {
	if x == nil {
		return "–"
	}
	return strconv.FormatFloat(*x, 'f', 1, 64)
}

// annotationPage is the statistics of one project, or of all.
type annotationPage struct {
	wording
	Project    store.Project // the zero value for all
	Projects   []projectLine // of the page of all
	Throughput Throughput
	Agreement  Agreement
	Bias       PositionBias
	Shares     Shares
	Gold       []Quality
	Remarks    []Remark
	Figures    map[string]report.Drawing
	Days       int
	MayReview  bool // look at single judgments, and decide on them
	MayRead    bool // what was attacked
}

// Totals are the counts of all lines together.
func (p annotationPage) Totals() store.ProjectCount {
	var t store.ProjectCount
	for _, line := range p.Projects {
		t.Wanted += line.Wanted
		t.Done += line.Done
		t.Judgments += line.Judgments
		t.Skips += line.Skips
		t.Flags += line.Flags
	}
	return t
}

// Path is where the page's parts are found.
func (p annotationPage) Path() string {
	if p.Project.ID == "" {
		return "/annotation"
	}
	return "/annotation/projects/" + p.Project.ID
}

// Query limits an operation to the page's project.
func (p annotationPage) Query() string {
	if p.Project.ID == "" {
		return ""
	}
	return "?project=" + p.Project.ID
}

// projectLine is a project on the page of all.
type projectLine struct {
	store.ProjectCount
	AC2     Estimate
	Several int // pairs judged by two or more
	Divided int
}

// show renders the statistics of a project or of all.
func (p annotationPages) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	page := annotationPage{Days: shownDays, MayReview: reviews(r), MayRead: reads(r), Figures: make(map[string]report.Drawing)}
	var err error
	if id := chi.URLParam(r, "id"); id != "" {
		if page.Project, err = p.store.Project(ctx, id); err != nil {
			return err
		}
	}
	id := page.Project.ID
	if page.Throughput, err = p.throughput(ctx, id, page.Days); err != nil {
		return err
	}
	agreement, err := p.agreement(ctx, id)
	if err != nil {
		return err
	}
	page.Agreement = agreement.Agreement
	counts, err := p.projects(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		if id == "" || c.ID == id {
			line := agreement.lines[c.ID]
			line.ProjectCount = c
			page.Projects = append(page.Projects, line)
		}
	}
	choices, err := p.choices(ctx, id)
	if err != nil {
		return err
	}
	page.Bias, page.Shares = choices.bias, choices.shares
	if page.Gold, err = p.gold(ctx, id); err != nil {
		return err
	}
	if page.Remarks, err = p.remarks(ctx, id); err != nil {
		return err
	}
	figures := map[string]*report.Figure{"days": page.Throughput.figure(), "pace": page.Throughput.paceFigure(),
		"positions": page.Bias.figure(), "degrees": page.Shares.degreeFigure(), "bins": page.Shares.binFigure()}
	for name, f := range figures {
		if f == nil {
			continue
		}
		if page.Figures[name], err = f.Draw(); err != nil {
			return err
		}
	}
	title := "Annotation"
	if id != "" {
		title = page.Project.Name + " · Annotation"
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["annotation.html"], title, page)
}
