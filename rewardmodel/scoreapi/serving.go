package scoreapi

import (
	"context"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"tandem"
	"tandem/llama/chat"
)

// Serving holds the pair that answers, and changes it between requests. It is safe for concurrent use.
type Serving struct {
	current atomic.Pointer[Pair]
	why     atomic.Pointer[string] // there is none
	metrics *Metrics
}

// NewServing holds no pair yet. metrics may be nil.
func NewServing(metrics *Metrics) *Serving {
	s := &Serving{metrics: metrics}
	s.without("no reward models were given or promoted")
	return s
}

// Use lets a pair answer from now on. Requests under way end with the one that they began with.
func (s *Serving) Use(p *Pair) {
	s.current.Store(p)
	s.metrics.serve(p.Models)
}

// without says why there is no pair, as long as there is none.
func (s *Serving) without(why string) { s.why.Store(&why) }

// pair is the one that answers. Errors: Unavailable, with the reason, where there is none.
func (s *Serving) pair() (*Pair, error) {
	if p := s.current.Load(); p != nil {
		return p, nil
	}
	return nil, tandem.Errorf(tandem.Unavailable, "scoreapi.Serving", "there is nothing to score with: %s", *s.why.Load())
}

// Promotions tells which models serve; a store does.
type Promotions interface {
	Promoted(ctx context.Context, kind tandem.ModelKind) (tandem.Model, error)
}

// WatchConfig says which models serve, and how they run.
type WatchConfig struct {
	Promotions Promotions
	Open       chat.Config
	Every      time.Duration // between two looks. Defaults to 2 s
	Log        *slog.Logger
}

// Watch serves the promoted models until ctx ends: whenever another one is promoted, or one is calibrated anew, it is
// opened beside the old one and takes over. A model that cannot be opened leaves the old pair serving, and is tried
// again.
func (s *Serving) Watch(ctx context.Context, c WatchConfig) {
	if c.Every <= 0 {
		c.Every = 2 * time.Second
	}
	w := watcher{serving: s, config: c}
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// watcher remembers what it has opened.
type watcher struct {
	serving             *Serving
	config              WatchConfig
	helpfulness, safety opened
	served              [2]*classifier // of the pair that was made last
	said                string         // the last complaint, which is not repeated
}

// opened is a promoted model as it was when it was opened.
type opened struct {
	row        tandem.Model
	classifier *classifier
}

// look opens what has changed since it was opened, and serves what is opened and does not serve yet.
func (w *watcher) look(ctx context.Context) {
	for _, kind := range []tandem.ModelKind{tandem.HelpfulnessModel, tandem.SafetyModel} {
		place := &w.helpfulness
		if kind == tandem.SafetyModel {
			place = &w.safety
		}
		row, err := w.config.Promotions.Promoted(ctx, kind)
		if err == nil && place.classifier != nil && place.row.ID == row.ID && place.row.URL == row.URL && reflect.DeepEqual(place.row.Calibration, row.Calibration) {
			continue
		}
		var c *classifier
		if err == nil {
			c, err = openJudge(ctx, row.URL, kind, w.config.Open)
		}
		if err != nil {
			w.complain(ctx, kind, row.ID, err)
			return
		}
		*place = opened{row, c}
	}
	if now := [2]*classifier{w.helpfulness.classifier, w.safety.classifier}; now != w.served {
		p, err := newPair(ctx, now[0], now[1])
		if err != nil {
			w.complain(ctx, tandem.SafetyModel, w.safety.row.ID, err)
			return
		}
		w.serving.Use(p)
		w.served = now
		w.serving.metrics.reload("done")
		w.config.Log.InfoContext(ctx, "reward models serve", "helpfulness", p.Models.Helpfulness.ID, "safety", p.Models.Safety.ID)
	}
	w.said = ""
}

// complain says once why nothing, or nothing new, serves.
func (w *watcher) complain(ctx context.Context, kind tandem.ModelKind, id string, err error) {
	if ctx.Err() != nil {
		return
	}
	if tandem.CodeOf(err) == tandem.NotFound && id == "" {
		w.serving.without("no " + string(kind) + " model is promoted (tandem model promote)")
		return
	}
	w.serving.without("the promoted " + string(kind) + " model cannot be opened")
	if text := err.Error(); text != w.said {
		w.said = text
		w.serving.metrics.reload("failed")
		w.config.Log.ErrorContext(ctx, "a promoted reward model cannot be opened; what served goes on serving", "kind", kind, "model", id, "error", err)
	}
}
