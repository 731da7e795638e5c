package annotation

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem/internal/web"
	"tandem/store"
)

type reviewStore interface {
	Review(ctx context.Context, q store.ReviewQuery) ([]store.Reviewed, error)
	SendBack(ctx context.Context, q store.ReviewQuery, reason, by string) (int, error)
	TakeBack(ctx context.Context, id, reason, by string) error
	ExcludeAll(ctx context.Context, q store.ReviewQuery, excluded bool, reason, by string) (int, error)
}

// Reviewed is a judgment as a reviewer sees it: its newest version, and what became of it.
type Reviewed struct {
	Judgment
	Batch       int     `json:"batch,omitempty"`
	Asked       string  `json:"asked" doc:"The user's last message."`
	Gold        *bool   `json:"gold,omitempty" doc:"On a gold task: whether the answer was right."`
	Excluded    bool    `json:"excluded,omitempty"`
	ExcludedWhy string  `json:"excluded_because,omitempty"`
	Undone      bool    `json:"undone,omitempty" doc:"Its annotator took it back and has it before them again."`
	Returned    *Return `json:"returned,omitempty" doc:"Sent back, and not answered yet."`
}

// Return is a judgment that was sent back to its annotator.
type Return struct {
	ID     string    `json:"id"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

func reviewedOf(r store.Reviewed) (Reviewed, error) {
	judgment, err := judgmentOf(r.Judgment)
	out := Reviewed{Judgment: judgment, Batch: r.Batch, Asked: r.Asked, Excluded: r.Excluded, ExcludedWhy: r.ExcludedWhy, Undone: r.Undone}
	if r.Gold {
		out.Gold = &r.Right
	}
	if r.Returned != nil {
		out.Returned = &Return{r.Returned.ID, r.Returned.Reason, r.Returned.By, r.Returned.At}
	}
	return out, err
}

type reviewInput struct {
	web.PathID
	web.Cursor
	Annotator string `query:"annotator_id" doc:"Only this annotator's."`
	Batch     int    `query:"batch" minimum:"0" maximum:"2147483647" doc:"Only this batch's."`
	Returned  string `query:"returned" enum:"true,false" doc:"Only those that are sent back now, or only others."`
	Excluded  string `query:"excluded" enum:"true,false" doc:"Only those that are excluded, or only others."`
}

func (in reviewInput) query() store.ReviewQuery {
	is := func(text string) *bool {
		if text == "" {
			return nil
		}
		return new(text == "true")
	}
	return store.ReviewQuery{Project: in.ID, Annotator: in.Annotator, Batch: in.Batch, Returned: is(in.Returned), Excluded: is(in.Excluded),
		Page: store.Page{After: in.After, Limit: in.Limit}}
}

type reviewOutput struct{ Body web.List[Reviewed] }

// Selection says which of a project's judgments are meant, and why: those that are named, or all of an annotator,
// of a batch, or of an annotator in a batch.
type Selection struct {
	Judgments []string `json:"judgment_ids,omitempty" maxItems:"1000" doc:"The newest versions; the problem stale says that one was revised since."`
	Annotator string   `json:"annotator_id,omitempty"`
	Batch     int      `json:"batch,omitempty" minimum:"1" maximum:"2147483647"`
	Reason    string   `json:"reason" minLength:"1" maxLength:"10000" doc:"The annotator sees it where work is sent back."`
}

func (s Selection) query(project string) store.ReviewQuery {
	return store.ReviewQuery{Project: project, Judgments: s.Judgments, Annotator: s.Annotator, Batch: s.Batch}
}

// Resolve refuses a selection of everything, which nobody means. (It is huma's hook for rules between fields.)
func (s Selection) Resolve(huma.Context) []error {
	if len(s.Judgments) == 0 && s.Annotator == "" && s.Batch == 0 {
		return []error{&huma.ErrorDetail{Location: "body", Message: "name judgment_ids, an annotator_id or a batch"}}
	}
	return nil
}

type selectionInput struct {
	web.PathID
	Body Selection
}

type exclusionInput struct {
	web.PathID
	Body struct {
		Selection
		Excluded bool `json:"excluded" doc:"Whether they count no more, or again."`
	}
}

type changedOutput struct {
	Body struct {
		Changed int `json:"changed" doc:"Judgments; the others were so already, or undone by their annotator."`
	}
}

func changed(n int, err error) (*changedOutput, error) {
	var out changedOutput
	out.Body.Changed = n
	return &out, err
}

func registerReview(api web.API, s reviewStore) {
	reviewers := web.Scopes{store.ScopeReview, store.ScopeAdmin}
	web.Register(api, reviewers, huma.Operation{
		OperationID: "review-judgments", Method: http.MethodGet, Path: "/api/v1/projects/{id}/review",
		Summary: "A project's judgments for a reviewer, the last one first", Tags: []string{"quality"},
		Description: "The newest version of each, excluded ones too.",
	}, func(ctx context.Context, in *reviewInput) (*reviewOutput, error) {
		stored, err := s.Review(ctx, in.query())
		if err != nil {
			return nil, err
		}
		items := make([]Reviewed, len(stored))
		for i, r := range stored {
			if items[i], err = reviewedOf(r); err != nil {
				return nil, err
			}
		}
		return &reviewOutput{web.ListOf(items, in.Limit, func(r Reviewed) string { return r.ID })}, nil
	})
	web.Create(api, reviewers, huma.Operation{
		OperationID: "send-back", Method: http.MethodPost, Path: "/api/v1/projects/{id}/returns",
		Summary: "Send judgments back to their annotators", Tags: []string{"quality"},
		Description: "All or none. They see it with the reason when they come next; a new version answers it.",
	}, func(ctx context.Context, in *selectionInput) (*changedOutput, error) {
		return changed(s.SendBack(ctx, in.Body.query(in.ID), in.Body.Reason, web.Caller(ctx).Actor()))
	})
	web.Register(api, reviewers, huma.Operation{
		OperationID: "take-back", Method: http.MethodPost, Path: "/api/v1/returns/{id}/take-back",
		Summary: "Withdraw what was sent back and not answered yet", Tags: []string{"quality"},
		Description: "The problem conflict says that a newer version answered it already, or that it was taken back.",
	}, func(ctx context.Context, in *reasonInput) (*struct{}, error) {
		return nil, s.TakeBack(ctx, in.ID, in.Body.Reason, web.Caller(ctx).Actor())
	})
	web.Create(api, reviewers, huma.Operation{
		OperationID: "exclude-judgments", Method: http.MethodPost, Path: "/api/v1/projects/{id}/exclusions",
		Summary: "Take judgments out of what counts, or back in", Tags: []string{"quality"},
		Description: "All or none. Nothing is deleted: who did it and why is kept.",
	}, func(ctx context.Context, in *exclusionInput) (*changedOutput, error) {
		return changed(s.ExcludeAll(ctx, in.Body.query(in.ID), in.Body.Excluded, in.Body.Reason, web.Caller(ctx).Actor()))
	})
}
