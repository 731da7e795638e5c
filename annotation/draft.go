package annotation

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tandem/internal/web"
	"tandem/store"
)

type draftStore interface {
	SaveDraft(ctx context.Context, annotator, assignment string, revision int, body json.RawMessage) (int, error)
	Draft(ctx context.Context, annotator, assignment string) (store.Draft, error)
}

// Draft is what an annotator has entered and not submitted.
type Draft struct {
	Revision int  `json:"revision" minimum:"0" maximum:"2147483647" doc:"On the way in, the revision that this was made from, 0 for the first. On the way out, its own."`
	Body     any  `json:"body" doc:"The client's own; the server does not look into it."`
	Closed   bool `json:"closed,omitempty" readOnly:"true" doc:"By a submit or a skip."`
}

type draftInput struct {
	web.PathID
	Body Draft
}

type draftOutput struct{ Body Draft }

func registerDrafts(api web.API, s draftStore) {
	annotate := web.Scopes{store.ScopeAnnotate}
	web.Register(api, annotate, huma.Operation{
		OperationID: "save-draft", Method: http.MethodPut, Path: "/api/v1/assignments/{id}/draft", MaxBodyBytes: 256 << 10,
		Summary: "Save a draft", Tags: []string{"annotation"},
		Description: "The problem stale says that another revision was saved since, or that the draft was closed: a late save never covers a submit.",
	}, func(ctx context.Context, in *draftInput) (*draftOutput, error) {
		body, err := json.Marshal(in.Body.Body)
		if err != nil {
			return nil, err
		}
		revision, err := s.SaveDraft(ctx, web.Caller(ctx).Annotator, in.ID, in.Body.Revision, body)
		return &draftOutput{Draft{Revision: revision, Body: in.Body.Body}}, err
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "get-draft", Method: http.MethodGet, Path: "/api/v1/assignments/{id}/draft",
		Summary: "One's own draft", Tags: []string{"annotation"},
	}, func(ctx context.Context, in *web.PathID) (*draftOutput, error) {
		d, err := s.Draft(ctx, web.Caller(ctx).Annotator, in.ID)
		return &draftOutput{Draft{Revision: d.Revision, Body: d.Body, Closed: d.Closed}}, err
	})
}
