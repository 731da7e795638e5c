package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type runStore interface {
	Run(ctx context.Context, id string) (store.Run, error)
	Runs(ctx context.Context, q store.RunQuery) ([]store.Run, error)
	Metrics(ctx context.Context, runID string, from int64, names ...string) ([]store.Metric, error)
	MetricsAfter(ctx context.Context, runID string, seen map[string]int64) ([]store.Metric, error)
	LastMetrics(ctx context.Context, runID string) ([]store.Metric, error)
	Curves(ctx context.Context, runID string, most int) ([]store.Curve, error)
	Heard(ctx context.Context, runIDs ...string) (map[string]time.Time, error)
	Spent(ctx context.Context, runIDs ...string) (map[string]store.Spent, error)
	Events(ctx context.Context, runID, after string) ([]store.Event, error)
}

// Run is one run of a stage.
type Run struct {
	ID         string             `json:"id"`
	Round      int                `json:"round,omitempty" doc:"Absent outside a round."`
	Stage      tandem.Stage       `json:"stage"`
	Status     tandem.RoundStatus `json:"status" enum:"running,done,failed,cancelled,interrupted" doc:"Interrupted: its process ended without a word, and nobody has resumed it yet."`
	Attempt    int                `json:"attempt" doc:"One more whenever it was resumed."`
	Config     json.RawMessage    `json:"config" doc:"The stage's configuration, whole."`
	Seed       uint64             `json:"seed"`
	Kernel     string             `json:"kernel,omitempty"`
	Host       string             `json:"host,omitempty"`
	Model      string             `json:"model,omitempty" doc:"Id of the model that it made."`
	Error      string             `json:"error,omitempty" doc:"Why it failed."`
	StartedAt  time.Time          `json:"started_at"`
	FinishedAt *time.Time         `json:"finished_at,omitempty"`
}

func runOf(r store.Run) Run {
	out := Run{ID: r.ID, Round: r.Round, Stage: r.Stage, Status: r.Status, Attempt: r.Attempt, Config: r.Config, Seed: r.Seed, Kernel: r.Kernel,
		Host: r.Host, Model: r.Model, Error: r.Error, StartedAt: r.StartedAt}
	if !r.FinishedAt.IsZero() {
		out.FinishedAt = &r.FinishedAt
	}
	return out
}

// Series is one metric of a run over its steps.
type Series struct {
	Name   string     `json:"name"`
	Steps  []int64    `json:"steps"`
	Values []*float64 `json:"values" doc:"By step; null where the value was not finite, see not_finite."`
	// JSON has no NaN, and one that is missed is a run that nobody stops.
	NotFinite map[string]string `json:"not_finite,omitempty" doc:"NaN, +Inf or -Inf, by step."`
}

// seriesOf groups metrics, which come sorted by name and step.
func seriesOf(metrics []store.Metric) []Series {
	var out []Series
	for _, m := range metrics {
		if len(out) == 0 || out[len(out)-1].Name != m.Name {
			out = append(out, Series{Name: m.Name})
		}
		s := &out[len(out)-1]
		s.Steps = append(s.Steps, m.Step)
		if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
			if s.NotFinite == nil {
				s.NotFinite = make(map[string]string)
			}
			s.NotFinite[fmt.Sprint(m.Step)] = fmt.Sprint(m.Value)
			s.Values = append(s.Values, nil)
			continue
		}
		s.Values = append(s.Values, &m.Value)
	}
	return out
}

// Event is something that happened to a run.
type Event struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind" doc:"checkpoint, resume, warning …"`
	Message string    `json:"message"`
}

type runsInput struct {
	web.Cursor
	Round int `query:"round" minimum:"0" maximum:"2147483647" doc:"Only runs of this round; all for 0."`
}

type runsOutput struct{ Body web.List[Run] }

type runOutput struct{ Body Run }

type metricsInput struct {
	web.PathID
	From  int64    `query:"from" minimum:"0" doc:"Only steps from this one on."`
	Names []string `query:"names" doc:"Only these metrics, divided by commas; all without."`
}

type metricsOutput struct{ Body web.List[Series] }

type eventsInput struct {
	web.PathID
	After string `query:"after" doc:"Only events after the one with this id."`
}

type eventsOutput struct{ Body web.List[Event] }

func registerRuns(api web.API, s runStore) {
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "list-runs", Method: http.MethodGet, Path: "/api/v1/runs",
		Summary: "Runs, the newest first", Tags: []string{"runs"},
	}, func(ctx context.Context, in *runsInput) (*runsOutput, error) {
		stored, err := s.Runs(ctx, store.RunQuery{Round: in.Round, Page: store.Page{After: in.After, Limit: in.Limit}})
		runs := make([]Run, len(stored))
		for i, r := range stored {
			runs[i] = runOf(r)
		}
		return &runsOutput{web.ListOf(runs, in.Limit, func(r Run) string { return r.ID })}, err
	})
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "get-run", Method: http.MethodGet, Path: "/api/v1/runs/{id}",
		Summary: "One run", Tags: []string{"runs"},
	}, func(ctx context.Context, in *web.PathID) (*runOutput, error) {
		r, err := s.Run(ctx, in.ID)
		return &runOutput{runOf(r)}, err
	})
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "get-metrics", Method: http.MethodGet, Path: "/api/v1/runs/{id}/metrics",
		Summary: "A run's metrics, step by step", Tags: []string{"runs"},
	}, func(ctx context.Context, in *metricsInput) (*metricsOutput, error) {
		metrics, err := s.Metrics(ctx, in.ID, in.From, in.Names...)
		list := web.List[Series]{Items: seriesOf(metrics)}
		if list.Items == nil {
			list.Items = []Series{}
		}
		return &metricsOutput{list}, err
	})
	web.Register(api, mayRead(), huma.Operation{
		OperationID: "list-events", Method: http.MethodGet, Path: "/api/v1/runs/{id}/events",
		Summary: "What happened to a run, the first event first", Tags: []string{"runs"},
	}, func(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
		stored, err := s.Events(ctx, in.ID, in.After)
		list := web.List[Event]{Items: make([]Event, len(stored))}
		for i, e := range stored {
			list.Items[i] = Event{e.ID, e.At, e.Kind, e.Message}
		}
		return &eventsOutput{list}, err
	})
}
