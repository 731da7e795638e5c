package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type roundStore interface {
	Round(ctx context.Context, number int) (tandem.Round, error)
	Rounds(ctx context.Context) ([]tandem.Round, error)
	Stages(ctx context.Context, round int) ([]store.StageProgress, error)
}

type roundsOutput struct{ Body web.List[tandem.Round] }

type roundOutput struct{ Body tandem.Round }

func registerRounds(api web.API, s roundStore) {
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "list-rounds", Method: http.MethodGet, Path: "/api/v1/rounds",
		Summary: "Rounds, the first one first", Tags: []string{"rounds"},
	}, func(ctx context.Context, in *web.Cursor) (*roundsOutput, error) {
		after := 0
		if in.After != "" {
			var err error
			if after, err = strconv.Atoi(in.After); err != nil {
				return nil, tandem.Errorf(tandem.NotFound, "dashboard.Rounds", "there is no round %q", in.After)
			}
		}
		rounds, err := s.Rounds(ctx)
		rounds = slices.DeleteFunc(rounds, func(r tandem.Round) bool { return r.Number <= after })
		rounds = rounds[:min(in.Limit, len(rounds))]
		return &roundsOutput{web.ListOf(rounds, in.Limit, func(r tandem.Round) string { return strconv.Itoa(r.Number) })}, err
	})
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "get-round", Method: http.MethodGet, Path: "/api/v1/rounds/{number}",
		Summary: "One round", Tags: []string{"rounds"},
	}, func(ctx context.Context, in *struct {
		Number int `path:"number" minimum:"1" maximum:"2147483647"`
	}) (*roundOutput, error) {
		r, err := s.Round(ctx, in.Number)
		return &roundOutput{r}, err
	})
}
