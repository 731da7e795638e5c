package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type replayStore interface {
	Replays(ctx context.Context, model string, page store.Page) ([]store.Replay, error)
}

// Replay is how many earlier violating attacks no longer work on a policy.
type Replay struct {
	ID          string          `json:"id"`
	Helpfulness string          `json:"helpfulness_model_id"`
	Safety      string          `json:"safety_model_id"`
	Gate        float64         `json:"gate" doc:"The raw scalar of the safety model from which an answer counts as safe."`
	Sampling    tandem.Sampling `json:"sampling"`
	Seed        uint64          `json:"seed"`
	CreatedAt   time.Time       `json:"created_at"`
	All         FixedShare      `json:"all"`
	ByRisk      []FixedShare    `json:"by_risk_category"`
	ByVector    []FixedShare    `json:"by_attack_vector"`
	ByAgainst   []FixedShare    `json:"by_attacked" doc:"By the policy or variant that the attacks worked on."`
}

// FixedShare is a part of the attacks.
type FixedShare struct {
	Name    string   `json:"name,omitempty"`
	Attacks int      `json:"attacks"`
	Fixed   int      `json:"fixed"`
	Share   Estimate `json:"share" doc:"Of them fixed, with Wilson's interval."`
}

func (f *FixedShare) add(a store.ReplayedAttack) {
	f.Attacks++
	if a.Fixed {
		f.Fixed++
	}
}

// replayOf counts what a replay came to.
func replayOf(r store.Replay) (out Replay, err error) {
	out = Replay{ID: r.ID, Helpfulness: r.Helpfulness, Safety: r.Safety, Gate: r.Gate, Sampling: r.Sampling, Seed: r.Seed, CreatedAt: r.CreatedAt}
	for _, a := range r.Attacks {
		out.All.add(a)
	}
	if out.All.Share, err = share(out.All.Fixed, out.All.Attacks); err != nil {
		return out, err
	}
	for _, part := range []struct {
		to *[]FixedShare
		of func(store.ReplayedAttack) string
	}{
		{&out.ByRisk, func(a store.ReplayedAttack) string { return string(a.Risk) }},
		{&out.ByVector, func(a store.ReplayedAttack) string { return string(a.Vector) }},
		{&out.ByAgainst, func(a store.ReplayedAttack) string { return a.Against }},
	} {
		at := make(map[string]int)
		for _, a := range r.Attacks {
			name := part.of(a)
			if _, known := at[name]; !known {
				at[name] = len(*part.to)
				*part.to = append(*part.to, FixedShare{Name: name})
			}
			(*part.to)[at[name]].add(a)
		}
		for i, f := range *part.to {
			if (*part.to)[i].Share, err = share(f.Fixed, f.Attacks); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// replaysOf are a policy's replays, the last one first.
func replaysOf(ctx context.Context, s replayStore, model string, page store.Page) ([]Replay, error) {
	kept, err := s.Replays(ctx, model, page)
	if err != nil {
		return nil, err
	}
	out := make([]Replay, len(kept))
	for i, r := range kept {
		if out[i], err = replayOf(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type replaysInput struct {
	web.PathID
	web.Cursor
}

func registerReplays(api web.API, s replayStore) {
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "list-replays", Method: http.MethodGet, Path: "/api/v1/models/{id}/replays",
		Summary: "How many earlier violating attacks no longer work on a policy, the last replay first", Tags: []string{"models"},
	}, func(ctx context.Context, in *replaysInput) (*output[web.List[Replay]], error) {
		replays, err := replaysOf(ctx, s, in.ID, store.Page{After: in.After, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		return &output[web.List[Replay]]{web.ListOf(replays, in.Limit, func(r Replay) string { return r.ID })}, nil
	})
}
