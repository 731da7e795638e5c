package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type disagreementStore interface {
	Disagreements(ctx context.Context, projectID string, page store.Page) ([]store.Disagreement, error)
}

// Disagreement is a pair that people judged differently, for somebody to look at.
type Disagreement struct {
	Task      string          `json:"task"`
	Project   string          `json:"project"`
	Batch     int             `json:"batch,omitempty"`
	Prompt    tandem.Dialogue `json:"prompt"`
	Answers   []Answer        `json:"answers" doc:"The one with the smaller id first; people saw them in an order of their own."`
	Side      bool            `json:"side" doc:"People chose different answers."`
	Spread    int             `json:"spread" doc:"Positions between the two who are farthest apart, of eight."`
	Labels    bool            `json:"labels" doc:"People gave an answer different safety labels."`
	Judgments []Opinion       `json:"judgments"`
}

// Answer is one of a pair's answers.
type Answer struct {
	ID      string `json:"id"`
	Content string `json:"content"`
}

// Opinion is one person's judgment of a pair.
type Opinion struct {
	Judgment   string                        `json:"judgment"`
	Assignment string                        `json:"assignment"`
	Annotator  string                        `json:"annotator" doc:"Pseudonym."`
	Chosen     string                        `json:"chosen" doc:"Id of the answer."`
	Degree     tandem.Degree                 `json:"degree"`
	Position   int                           `json:"position" doc:"0 to 7, from the first answer significantly better to the second significantly better."`
	Left       bool                          `json:"left" doc:"The chosen answer stood left."`
	Labels     map[string]tandem.SafetyLabel `json:"labels,omitempty" doc:"By answer's id."`
	Comment    string                        `json:"comment,omitempty"`
	Version    int                           `json:"version"`
	CreatedAt  time.Time                     `json:"created_at"`
	Returned   string                        `json:"returned,omitempty" doc:"Why it was sent back, while that waits for an answer."`
}

func disagreementOf(d store.Disagreement) Disagreement {
	out := Disagreement{Task: d.Task, Project: d.ProjectID, Batch: d.Batch, Prompt: d.Prompt, Side: d.Side, Spread: d.Spread, Labels: d.Labels}
	for _, r := range d.Responses {
		out.Answers = append(out.Answers, Answer{r.ID, r.Content})
	}
	for _, c := range d.Judgments {
		out.Judgments = append(out.Judgments, Opinion(c))
	}
	return out
}

// Reasons say in which ways people differ.
func (d Disagreement) Reasons() []string {
	var reasons []string
	switch {
	case d.Side:
		reasons = append(reasons, "different sides")
	case d.Spread >= 2:
		reasons = append(reasons, "degrees two or more apart")
	}
	if d.Labels {
		reasons = append(reasons, "different labels")
	}
	return reasons
}

// Labelled reports whether anybody gave the answers safety labels.
func (d Disagreement) Labelled() bool {
	return slices.ContainsFunc(d.Judgments, func(o Opinion) bool { return len(o.Labels) > 0 })
}

// Label is the label that somebody gave an answer, or a dash.
func (d Disagreement) Label(o Opinion, answer string) string {
	return cmp.Or(string(o.Labels[answer]), "–")
}

// Letter names the pair's answers, A the first.
func (d Disagreement) Letter(id string) string { return letterOf(d.Answers, id) }

func letterOf(answers []Answer, id string) string {
	for i, a := range answers {
		if a.ID == id {
			return string(rune('A' + i))
		}
	}
	return "?"
}

type disagreementsInput struct {
	web.Cursor
	OfProject
}

type disagreementsOutput struct{ Body web.List[Disagreement] }

func registerDisagreements(api web.API, s annotationStore) {
	web.Register(api, mayWatch(), huma.Operation{
		OperationID: "list-disagreements", Method: http.MethodGet, Path: "/api/v1/disagreements",
		Summary: "Pairs that people judged differently, the newest first", Tags: []string{"statistics"},
		Description: "Different sides, two or more degrees apart, or different safety labels, among the judgments that count. Gold tasks are left out.",
	}, func(ctx context.Context, in *disagreementsInput) (*disagreementsOutput, error) {
		if err := in.exists(ctx, s); err != nil {
			return nil, err
		}
		found, err := s.Disagreements(ctx, in.Project, store.Page{After: in.After, Limit: in.Limit})
		list := make([]Disagreement, len(found))
		for i, d := range found {
			list[i] = disagreementOf(d)
		}
		return &disagreementsOutput{web.ListOf(list, in.Limit, func(d Disagreement) string { return d.Task })}, err
	})
}

// disagreementsPage is a part of the list.
type disagreementsPage struct {
	wording
	Project store.Project // the zero value for all
	web.List[Disagreement]
	MayAct bool   // exclude and send back
	After  bool   // it is not the first part
	Here   string // the page's own path
	Done   string // what was done just now
}

// Marks are the eight positions, the one that somebody chose true.
func (disagreementsPage) Marks(position int) (marks [8]bool) {
	marks[position] = true
	return marks
}

// mostShown is how many disagreements stand on a page.
const mostShown = 10

func (p annotationPages) disagreements(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	page := disagreementsPage{Here: r.URL.Path, Done: done[query.Get("done")], After: query.Has("after")}
	var err error
	if id := chi.URLParam(r, "id"); id != "" {
		if page.Project, err = p.store.Project(r.Context(), id); err != nil {
			return err
		}
	}
	found, err := p.store.Disagreements(r.Context(), page.Project.ID, store.Page{After: query.Get("after"), Limit: mostShown})
	if err != nil {
		return err
	}
	list := make([]Disagreement, len(found))
	for i, d := range found {
		list[i] = disagreementOf(d)
	}
	page.List = web.ListOf(list, mostShown, func(d Disagreement) string { return d.Task })
	page.MayAct = reviews(r)
	return p.api.Render(w, r, http.StatusOK, p.Pages["disagreements.html"], "Disagreements", page)
}

// done are the words for what a form did, by the name that its redirect carries.
var done = map[string]string{
	"returned": "Sent back: its annotator sees it when they come next. Until they revise it, it counts as it is.",
	"excluded": "Excluded: the judgment counts no more.",
	"nothing":  "That was so already.",
}

// sendBack asks an annotator to look at a judgment again.
func (p annotationPages) sendBack(w http.ResponseWriter, r *http.Request) error {
	return decide(w, r, "returned", p.store.SendBack)
}

// exclude takes a judgment out of what counts.
func (p annotationPages) exclude(w http.ResponseWriter, r *http.Request) error {
	return decide(w, r, "excluded", func(ctx context.Context, q store.ReviewQuery, reason, by string) (int, error) {
		return p.store.ExcludeAll(ctx, q, true, reason, by)
	})
}

// decide does to the judgment of a form what it asks for, and leads back to the list that the form stood on.
func decide(w http.ResponseWriter, r *http.Request, word string, do func(ctx context.Context, q store.ReviewQuery, reason, by string) (int, error)) error {
	project := chi.URLParam(r, "id")
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if reason == "" {
		return tandem.Errorf(tandem.Invalid, "dashboard.decide", "Say why.")
	}
	n, err := do(r.Context(), store.ReviewQuery{Project: project, Judgments: []string{chi.URLParam(r, "judgment")}}, reason, web.Caller(r.Context()).Actor())
	if err != nil {
		return err
	}
	if n == 0 {
		word = "nothing"
	}
	path := "/annotation/projects/" + project + "/disagreements"
	if r.PostFormValue("all") != "" {
		path = "/annotation/disagreements"
	}
	http.Redirect(w, r, path+"?done="+word, http.StatusSeeOther)
	return nil
}
