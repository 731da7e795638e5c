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

type promptStore interface {
	AddPrompts(ctx context.Context, prompts []tandem.Prompt) ([]tandem.Prompt, error)
	Prompts(ctx context.Context, q store.PromptQuery) ([]tandem.Prompt, error)
}

type promptsInput struct {
	Body struct {
		Items []tandem.Prompt `json:"items" minItems:"1" maxItems:"1000"`
	}
}

type promptsOutput struct{ Body web.List[tandem.Prompt] }

type promptQuery struct {
	web.Cursor
	Split  string `query:"split" enum:"train,held_out" doc:"One side of the train / held-out split; both without."`
	Safety string `query:"safety" enum:"true,false" doc:"Only safety prompts, or only others; both without."`
	Source string `query:"source" doc:"Only prompts of this source."`
}

func registerPrompts(api web.API, s promptStore) {
	web.Create(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "add-prompts", Method: http.MethodPost, Path: "/api/v1/prompts", MaxBodyBytes: 16 << 20, BodyReadTimeout: time.Minute,
		Summary: "Keep prompts; one that is there already keeps its first row", Tags: []string{"prompts"},
		Description: "Answers with the prompts in the order sent, with their ids and their side of the train / held-out split, which the server decides.",
	}, func(ctx context.Context, in *promptsInput) (*promptsOutput, error) {
		kept, err := s.AddPrompts(ctx, in.Body.Items)
		return &promptsOutput{web.List[tandem.Prompt]{Items: kept}}, err
	})
	web.Register(api, web.Scopes{store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-prompts", Method: http.MethodGet, Path: "/api/v1/prompts",
		Summary: "Prompts, the first one first", Tags: []string{"prompts"},
	}, func(ctx context.Context, in *promptQuery) (*promptsOutput, error) {
		q := store.PromptQuery{Split: store.Split(in.Split), Source: in.Source, Page: store.Page{After: in.After, Limit: in.Limit}}
		if in.Safety != "" {
			safety := in.Safety == "true"
			q.Safety = &safety
		}
		prompts, err := s.Prompts(ctx, q)
		return &promptsOutput{web.ListOf(prompts, in.Limit, func(p tandem.Prompt) string { return p.ID })}, err
	})
}
