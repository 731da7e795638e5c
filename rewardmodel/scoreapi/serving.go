package scoreapi

import (
	"context"
	"log/slog"
	"time"

	"tandem"
	"tandem/internal/promotion"
	"tandem/llama/chat"
)

// Serving holds the pair that answers, and changes it between requests. It is safe for concurrent use.
type Serving struct {
	served  promotion.Served[Pair]
	metrics *Metrics
}

// NewServing holds no pair yet. metrics may be nil.
func NewServing(metrics *Metrics) *Serving {
	s := &Serving{metrics: metrics}
	s.served.Without("no reward models were given or promoted")
	return s
}

// Use lets a pair answer from now on. Requests under way end with the one that they began with.
func (s *Serving) Use(p *Pair) {
	s.served.Use(p)
	s.metrics.serve(p.Models)
}

// pair is the one that answers. Errors: Unavailable, with the reason, where there is none.
func (s *Serving) pair() (*Pair, error) {
	p, why := s.served.Get()
	if p == nil {
		return nil, tandem.Errorf(tandem.Unavailable, "scoreapi.Serving", "there is nothing to score with: %s", why)
	}
	return p, nil
}

// WatchConfig says which models serve, and how they run.
type WatchConfig struct {
	Promotions promotion.Source
	Open       chat.Config
	Every      time.Duration // between two looks. Defaults to 2 s
	Log        *slog.Logger
}

// Watch serves the promoted models until ctx ends: whenever another one is promoted, or one is calibrated anew, it is
// opened beside the old one and takes over. A model that cannot be opened leaves the old pair serving, and is tried
// again.
func (s *Serving) Watch(ctx context.Context, c WatchConfig) {
	promotion.Follower[*classifier]{
		Source: c.Promotions,
		Kinds:  []tandem.ModelKind{tandem.HelpfulnessModel, tandem.SafetyModel},
		Open: func(ctx context.Context, kind tandem.ModelKind, m tandem.Model) (*classifier, error) {
			return openJudge(ctx, m.URL, kind, c.Open)
		},
		Serve: func(ctx context.Context, judges []*classifier) error {
			p, err := newPair(ctx, judges[0], judges[1])
			if err == nil {
				s.Use(p)
				c.Log.InfoContext(ctx, "reward models serve", "helpfulness", p.Models.Helpfulness.ID, "safety", p.Models.Safety.ID)
			}
			return err
		},
		Without:  s.served.Without,
		Reloaded: s.metrics.reload,
		Every:    c.Every,
		Log:      c.Log,
	}.Follow(ctx)
}
