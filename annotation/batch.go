package annotation

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type batchStore interface {
	AddBatch(ctx context.Context, projectID, name string, heldOutShare float64, by string) (store.Batch, error)
	Batches(ctx context.Context, projectID string) ([]store.Batch, error)
	AddBatchPrompts(ctx context.Context, projectID string, number int, prompts []tandem.Prompt) ([]tandem.Prompt, error)
}

// Batch is a collection batch of a project; tasks name it by its number.
type Batch struct {
	Number    int       `json:"number" readOnly:"true" required:"false" doc:"From 1."`
	Name      string    `json:"name,omitempty" maxLength:"200"`
	HeldOut   *float64  `json:"held_out_share,omitempty" minimum:"0" maximum:"1" doc:"Of the openings that are new with it; 0.2 unless said otherwise."`
	Tasks     int       `json:"tasks" readOnly:"true" required:"false"`
	Judgments int       `json:"judgments" readOnly:"true" required:"false" doc:"Each counted once however often it was revised."`
	CreatedAt time.Time `json:"created_at" readOnly:"true" required:"false"`
}

func batchOf(b store.Batch) Batch {
	return Batch{Number: b.Number, Name: b.Name, HeldOut: &b.HeldOutShare, Tasks: b.Tasks, Judgments: b.Judgments, CreatedAt: b.CreatedAt}
}

type batchInput struct {
	web.PathID
	Body Batch
}

type batchOutput struct{ Body Batch }

type batchesOutput struct{ Body web.List[Batch] }

type batchPromptsInput struct {
	web.PathID
	Number int `path:"number" minimum:"1" maximum:"2147483647"`
	Body   struct {
		Items []tandem.Prompt `json:"items" minItems:"1" maxItems:"1000"`
	}
}

func registerBatches(api web.API, s batchStore) {
	web.Create(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "add-batch", Method: http.MethodPost, Path: "/api/v1/projects/{id}/batches", DefaultStatus: http.StatusCreated,
		Summary: "Begin a project's next batch", Tags: []string{"projects"},
	}, func(ctx context.Context, in *batchInput) (*batchOutput, error) {
		share := tandem.HeldOutShare
		set(&share, in.Body.HeldOut)
		b, err := s.AddBatch(ctx, in.ID, in.Body.Name, share, web.Caller(ctx).Actor())
		return &batchOutput{batchOf(b)}, err
	})
	web.Register(api, web.Scopes{store.ScopeReview, store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-batches", Method: http.MethodGet, Path: "/api/v1/projects/{id}/batches",
		Summary: "A project's batches, the newest first", Tags: []string{"projects"},
	}, func(ctx context.Context, in *web.PathID) (*batchesOutput, error) {
		stored, err := s.Batches(ctx, in.ID)
		list := web.List[Batch]{Items: []Batch{}}
		for _, b := range stored {
			list.Items = append(list.Items, batchOf(b))
		}
		return &batchesOutput{list}, err
	})
	web.Register(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "add-batch-prompts", Method: http.MethodPost, Path: "/api/v1/projects/{id}/batches/{number}/prompts",
		MaxBodyBytes: 16 << 20, BodyReadTimeout: time.Minute,
		Summary: "Keep prompts for a batch, whose share of new openings is held out", Tags: []string{"projects"},
		Description: "An opening that was there before keeps its side of the split. Otherwise as add-prompts.",
	}, func(ctx context.Context, in *batchPromptsInput) (*promptsOutput, error) {
		kept, err := s.AddBatchPrompts(ctx, in.ID, in.Number, in.Body.Items)
		return &promptsOutput{web.List[tandem.Prompt]{Items: kept}}, err
	})
}
