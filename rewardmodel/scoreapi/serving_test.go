package scoreapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/rewardmodel/scoreapi"
)

// promotions are models as a store names them.
type promotions struct {
	mutex    sync.Mutex
	promoted map[tandem.ModelKind]tandem.Model
	failing  int // looks for a safety model that find no database
}

func (p *promotions) Promoted(_ context.Context, kind tandem.ModelKind) (tandem.Model, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if kind == tandem.SafetyModel && p.failing > 0 {
		p.failing--
		return tandem.Model{}, tandem.Errorf(tandem.Unavailable, "promotions", "the database is away")
	}
	return p.promoted[kind], nil
}

func (p *promotions) promote(kind tandem.ModelKind, id, folder string, failing int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.promoted[kind], p.failing = tandem.Model{ID: id, URL: folder}, failing
}

// A model that is promoted, single or an ensemble, takes over while requests come, none of which fails; also where the look that found it could
// not be ended.
func TestPromotedModelsTakeOver(t *testing.T) {
	store := &promotions{promoted: make(map[tandem.ModelKind]tandem.Model)}
	store.promote(tandem.HelpfulnessModel, "h1", judge(t, tandem.HelpfulnessModel, "h1", 1), 0)
	store.promote(tandem.SafetyModel, "s1", judge(t, tandem.SafetyModel, "s1", 1), 0)
	second, third := judge(t, tandem.HelpfulnessModel, "h2", 2), ensemble(t, "h3")
	s := newServer(t, nil, nil, nil)
	item := itemOf(goldens(t)[1].Messages, nil)

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() {
		s.serving.Watch(ctx, scoreapi.WatchConfig{Promotions: store, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	})
	// serves waits until a helpfulness model answers.
	serves := func(id string) (helpfulness float64) {
		t.Helper()
		for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(time.Millisecond) {
			w := s.post(ctx, "/v1/score", map[string]any{"items": []scoreItem{item}})
			if w.Code == http.StatusServiceUnavailable {
				continue
			}
			var answer scoreapi.ScoreAnswer
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if answer.Models.Helpfulness.ID == id {
				return *answer.Results[0].Helpfulness
			}
		}
		t.Fatalf("%s does not serve", id)
		return 0
	}
	first := serves("h1")
	for range 4 {
		running.Go(func() {
			for ctx.Err() == nil {
				if w := s.post(context.WithoutCancel(ctx), "/v1/score", map[string]any{"items": []scoreItem{item, item}}); w.Code != http.StatusOK {
					t.Errorf("a request failed while models changed: %d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	store.promote(tandem.HelpfulnessModel, "h2", second, 1)
	if now := serves("h2"); now != 2*first {
		t.Errorf("twice the head scores %g, and the head itself %g", now, first)
	}
	store.promote(tandem.HelpfulnessModel, "h3", third, 0)
	if now := serves("h3"); math.Abs(now-2*first) > 1e-6*math.Abs(first) {
		t.Errorf("one head and three heads score %g together, and one head %g", now, first)
	}
}
