package annotation

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type workplaceStore interface {
	Workplaces(ctx context.Context, annotator string) ([]store.Workplace, error)
	Standing(ctx context.Context, annotator, projectID string) (store.Standing, error)
	Decline(ctx context.Context, annotator, projectID string, declined bool) error
}

// Workplace is a project as an annotator sees it: what they may do there, and what they did.
type Workplace struct {
	Project
	Open         int                      `json:"open" doc:"Places that they may still fill."`
	Judgments    int                      `json:"judgments" doc:"Their own, each counted once however often it was revised."`
	Today        int                      `json:"today" doc:"Of them today, by their own time zone."`
	Held         string                   `json:"assignment_id,omitempty" doc:"The assignment that they hold."`
	Declined     bool                     `json:"declined,omitempty" doc:"They would rather not work here."`
	LimitReached bool                     `json:"limit_reached,omitempty" doc:"They did all that the project allows in a day."`
	State        store.QualificationState `json:"qualification_state" enum:"none,needed,passed,failed" doc:"How far they are with what the project asks them to pass first."`
	Warned       bool                     `json:"warned,omitempty" doc:"Their last judgments differ too often from the guideline."`
}

type workplacesOutput struct{ Body web.List[Workplace] }

type declineInput struct {
	web.PathID
	Body struct {
		Declined bool `json:"declined"`
	}
}

func registerWorkplaces(api web.API, s workplaceStore) {
	annotate := web.Scopes{store.ScopeAnnotate}
	web.Register(api, annotate, huma.Operation{
		OperationID: "list-workplaces", Method: http.MethodGet, Path: "/api/v1/workplaces",
		Summary: "The open projects, and what one may do there", Tags: []string{"annotation"},
		Description: "A claim is refused exactly where this says so: declined, limit_reached, or a qualification_state of needed or failed.",
	}, func(ctx context.Context, _ *struct{}) (*workplacesOutput, error) {
		places, err := s.Workplaces(ctx, web.Caller(ctx).Annotator)
		list := web.List[Workplace]{Items: []Workplace{}}
		for _, p := range places {
			list.Items = append(list.Items, Workplace{projectOf(ctx, p.Project), p.Open, p.Mine, p.Today, p.Held,
				p.Declined, p.LimitReached, p.QualificationState, p.Warned})
		}
		return &workplacesOutput{list}, err
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "decline-project", Method: http.MethodPut, Path: "/api/v1/projects/{id}/declined",
		Summary: "Decline a project, or take it up again", Tags: []string{"annotation"},
		Description: "It is held against nobody. A task that one holds there is given back.",
	}, func(ctx context.Context, in *declineInput) (*struct{}, error) {
		return nil, s.Decline(ctx, web.Caller(ctx).Annotator, in.ID, in.Body.Declined)
	})
}

// decline keeps one out of a project, or lets one back in, by a button.
func (p pages) decline(declined bool) web.PageHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := chi.URLParam(r, "id")
		if err := p.store.Decline(r.Context(), me(r), id, declined); err != nil {
			return err
		}
		return see(w, r, "/projects/"+id)
	}
}

// showProject shows a project's page: what it asks for, whether one may work there now and, in a qualification,
// whether the judgment on the assignment done was right.
func (p pages) showProject(w http.ResponseWriter, r *http.Request, page projectPage, done string) error {
	var err error
	if page.Standing, err = p.store.Standing(r.Context(), me(r), page.Project.ID); err != nil {
		return err
	}
	if page.Told, err = p.told(r, page.Project, done); err != nil {
		return err
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["project.html"], page.Name, page)
}

// told is what one is told of a judgment, nil where that is nothing: it is only in a qualification.
func (p pages) told(r *http.Request, project store.Project, assignment string) (*store.GoldAnswer, error) {
	if !project.Qualifies || assignment == "" {
		return nil, nil
	}
	answer, err := p.store.GoldAnswer(r.Context(), me(r), assignment)
	if tandem.CodeOf(err) == tandem.NotFound {
		return nil, nil
	}
	return &answer, err
}
