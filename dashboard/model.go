package dashboard

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type modelStore interface {
	Model(ctx context.Context, id string) (tandem.Model, error)
	Models(ctx context.Context, kind tandem.ModelKind, page store.Page) ([]tandem.Model, error)
	Lineage(ctx context.Context, id string) ([]tandem.Model, error)
	Family(ctx context.Context, id string, most int) ([]tandem.Model, error)
	Promoted(ctx context.Context, kind tandem.ModelKind) (tandem.Model, error)
	Promotions(ctx context.Context, kind tandem.ModelKind) ([]store.Promotion, error)
	Decisions(ctx context.Context, model string) ([]tandem.Decision, error)
	Snapshots(ctx context.Context) ([]store.Snapshot, error)
	replayStore
}

type modelsInput struct {
	web.Cursor
	Kind string `query:"kind" enum:"policy,helpfulness,safety" doc:"Only models of this kind."`
}

type modelsOutput struct{ Body web.List[tandem.Model] }

type modelOutput struct{ Body tandem.Model }

func registerModels(api web.API, s modelStore) {
	registerReplays(api, s)
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "list-models", Method: http.MethodGet, Path: "/api/v1/models",
		Summary: "Models, the newest first", Tags: []string{"models"},
	}, func(ctx context.Context, in *modelsInput) (*modelsOutput, error) {
		models, err := s.Models(ctx, tandem.ModelKind(in.Kind), store.Page{After: in.After, Limit: in.Limit})
		return &modelsOutput{web.ListOf(models, in.Limit, func(m tandem.Model) string { return m.ID })}, err
	})
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "get-model", Method: http.MethodGet, Path: "/api/v1/models/{id}",
		Summary: "One model", Tags: []string{"models"},
	}, func(ctx context.Context, in *web.PathID) (*modelOutput, error) {
		m, err := s.Model(ctx, in.ID)
		return &modelOutput{m}, err
	})
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "get-lineage", Method: http.MethodGet, Path: "/api/v1/models/{id}/lineage",
		Summary: "A model and the models it comes from, itself first", Tags: []string{"models"},
	}, func(ctx context.Context, in *web.PathID) (*modelsOutput, error) {
		models, err := s.Lineage(ctx, in.ID)
		return &modelsOutput{web.List[tandem.Model]{Items: models}}, err
	})
}
