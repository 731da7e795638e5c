package annotation

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

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
