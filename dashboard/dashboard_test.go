package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/dashboard"
	"tandem/internal/pgtest"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// oneKey lets "reader" in with a scope.
type oneKey store.Scope

func (k oneKey) VerifyKey(_ context.Context, secret string) (store.Key, error) {
	if secret != "reader" {
		return store.Key{}, tandem.Errorf(tandem.Unauthorized, "fake", "the key is not valid")
	}
	return store.Key{Scopes: []store.Scope{store.Scope(k)}}, nil
}

func handlerOf(t testing.TB, s dashboard.Store, scope store.Scope) http.Handler {
	t.Helper()
	handler, err := site.Handler(site.Config{Keys: oneKey(scope)}, func(api web.API) error { return dashboard.Register(api, s) })
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// get asks for path and decodes the answer into out.
func get(t *testing.T, handler http.Handler, path string, out any) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer reader")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code == http.StatusOK && out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s: %v in %s", path, err, w.Body)
		}
	}
	return w.Code
}

// names follows the cursors of a list to its end, two items a page.
func names[T any](t *testing.T, handler http.Handler, path string, name func(T) string) string {
	t.Helper()
	var out []string
	for after := ""; ; {
		var page web.List[T]
		if status := get(t, handler, path+"limit=2&after="+after, &page); status != http.StatusOK {
			t.Fatalf("%s after %q: %d", path, after, status)
		}
		for _, item := range page.Items {
			out = append(out, name(item))
		}
		if after = page.Next; after == "" {
			return strings.Join(out, " ")
		}
	}
}

func TestDashboard(t *testing.T) {
	ctx := t.Context()
	s := postgres.Store(t)
	for i := range 5 {
		if _, err := s.CreateRound(ctx, ""); err != nil {
			t.Fatal(err)
		}
		kind, parent := tandem.PolicyModel, ""
		if i == 4 {
			kind = tandem.HelpfulnessModel
		}
		if i > 0 {
			parent = fmt.Sprint("m", i-1)
		}
		err := s.AddModel(ctx, tandem.Model{ID: fmt.Sprint("m", i), Name: "a model", Kind: kind, URL: "file:///m", Parent: parent,
			Stage: tandem.StageSFT, Seed: math.MaxUint64, CreatedAt: time.Unix(int64(1000+i), 0)})
		if err != nil {
			t.Fatal(err)
		}
	}
	run, err := s.StartRun(ctx, store.Run{Round: 2, Stage: tandem.StagePPO, Config: json.RawMessage(`{"beta":0.01}`)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddMetrics(ctx, run.ID, []store.Metric{
		{Name: "objective/kl", Step: 1, Value: 0.5}, {Name: "objective/kl", Step: 2, Value: math.NaN()}, {Name: "lr", Step: 1, Value: 1e-6},
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddEvent(ctx, run.ID, "checkpoint", "step 2"); err != nil {
		t.Fatal(err)
	}
	if err := s.FinishRun(ctx, run.ID, "", errors.New("the loss is NaN")); err != nil {
		t.Fatal(err)
	}

	handler := handlerOf(t, s, store.ScopeRead)
	modelID := func(m tandem.Model) string { return m.ID }
	if got := names(t, handler, "/api/v1/models?", modelID); got != "m4 m3 m2 m1 m0" {
		t.Errorf("models %s", got)
	}
	if got := names(t, handler, "/api/v1/models?kind=policy&", modelID); got != "m3 m2 m1 m0" {
		t.Errorf("policies %s", got)
	}
	var lineage web.List[tandem.Model]
	if get(t, handler, "/api/v1/models/m2/lineage", &lineage); len(lineage.Items) != 3 || lineage.Items[2].ID != "m0" {
		t.Errorf("lineage %+v", lineage)
	}
	var model tandem.Model
	if get(t, handler, "/api/v1/models/m1", &model); model.Parent != "m0" || model.Seed != math.MaxUint64 {
		t.Errorf("model %+v", model)
	}
	if got := names(t, handler, "/api/v1/rounds?", func(r tandem.Round) string { return r.Name }); got != "RLHF-V1 RLHF-V2 RLHF-V3 RLHF-V4 RLHF-V5" {
		t.Errorf("rounds %s", got)
	}
	if got := names(t, handler, "/api/v1/runs?round=2&", func(r dashboard.Run) string { return r.ID + " " + string(r.Status) + " " + r.Error }); got != run.ID+" failed the loss is NaN" {
		t.Errorf("runs %s", got)
	}
	var metrics web.List[dashboard.Series]
	get(t, handler, "/api/v1/runs/"+run.ID+"/metrics?names=objective/kl,lr", &metrics)
	if len(metrics.Items) != 2 || metrics.Items[1].Name != "objective/kl" || *metrics.Items[1].Values[0] != 0.5 || metrics.Items[1].Values[1] != nil || metrics.Items[1].NotFinite["2"] != "NaN" {
		t.Errorf("metrics %+v", metrics)
	}
	var events web.List[dashboard.Event]
	if get(t, handler, "/api/v1/runs/"+run.ID+"/events", &events); len(events.Items) != 1 || events.Items[0].Message != "step 2" {
		t.Errorf("events %+v", events)
	}
	for _, path := range []string{"/api/v1/models/none", "/api/v1/models/none/lineage", "/api/v1/rounds/99", "/api/v1/runs/99", "/api/v1/runs?after=x", "/api/v1/rounds?after=x"} {
		if status := get(t, handler, path, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestOnlyReadersRead(t *testing.T) {
	handler := handlerOf(t, nil, store.ScopeAnnotate)
	for _, path := range []string{"/api/v1/models", "/api/v1/models/m", "/api/v1/models/m/lineage", "/api/v1/rounds", "/api/v1/rounds/1",
		"/api/v1/runs", "/api/v1/runs/1", "/api/v1/runs/1/metrics", "/api/v1/runs/1/events"} {
		if status := get(t, handler, path, nil); status != http.StatusForbidden {
			t.Errorf("%s: %d", path, status)
		}
	}
}
