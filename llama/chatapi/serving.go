package chatapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem"
	"tandem/internal/promotion"
	"tandem/llama/chat"
	"tandem/llama/nn/kernel"
)

// Alias names whichever policy serves.
const Alias = "policy"

// Policy is a policy that answers.
type Policy struct {
	chat  *chat.Policy
	batch *batch
	// ID and Name are what it is known by, Created when it was made.
	ID, Name string
	Created  time.Time
	// Fingerprint changes with whatever may change an answer's bits: the model, and the arithmetic.
	Fingerprint string
}

// is reports whether a request's model means p.
func (p *Policy) is(model string) bool {
	return model == "" || slices.Contains([]string{Alias, p.ID, p.Name}, model)
}

// context is how many tokens a dialogue may have, its answer included.
func (p *Policy) context() int { return p.chat.Weights.Config.MaxPositionEmbeddings }

// ServingConfig says how policies run.
type ServingConfig struct {
	Batch BatchConfig
	// Open is how a policy's folder is opened. Its sampler's Slots are Batch's.
	Open chat.Config
	// Metrics count. Nil does not.
	Metrics *Metrics
}

// Serving holds the policy that answers, and changes it between requests. It is safe for concurrent use.
type Serving struct {
	config  ServingConfig
	served  promotion.Served[Policy]
	running sync.WaitGroup // of what is sampled
}

// NewServing holds no policy yet.
func NewServing(c ServingConfig) (*Serving, error) {
	if err := c.Batch.Validate(); err != nil {
		return nil, err
	}
	s := &Serving{config: c}
	s.served.Without("no policy was given or promoted")
	return s, nil
}

// Open makes a policy of a model's folder, which does not serve yet. Errors: Invalid for a model that is none.
func (s *Serving) Open(ctx context.Context, path string) (*Policy, error) {
	opened, err := chat.Open(ctx, path, s.config.Open)
	if err != nil {
		return nil, err
	}
	p := &Policy{chat: opened, ID: strings.TrimSuffix(filepath.Base(opened.Model.Path), ".bin")}
	if l := opened.Model.Lineage; l != nil {
		if l.Kind != "" && l.Kind != tandem.PolicyModel {
			return nil, tandem.Errorf(tandem.Invalid, "chatapi.Open", "%s is a %s model, not a policy", path, l.Kind)
		}
		if l.ID != "" {
			p.ID = l.ID
		}
		p.Name, p.Created = l.Name, l.CreatedAt
	}
	arithmetic := s.config.Open.Sampler.Kernel
	if arithmetic == nil {
		if arithmetic, err = kernel.Select(""); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256([]byte(p.ID + "\n" + arithmetic.Name()))
	p.Fingerprint = "fp_" + hex.EncodeToString(sum[:5])
	p.batch, err = newBatch(opened, s.config.Batch, s.config.Open.Sampler, &s.running, s.config.Metrics)
	return p, err
}

// Use lets a policy answer from now on. Requests under way end with the one that they began with.
func (s *Serving) Use(p *Policy) {
	s.served.Use(p)
	s.config.Metrics.serve(p.ID)
}

// Wait returns when nothing is sampled any more: whoever served requests calls it when the last of them has returned.
func (s *Serving) Wait() { s.running.Wait() }

// WatchConfig says which policy serves.
type WatchConfig struct {
	Promotions promotion.Source
	Every      time.Duration // between two looks. Defaults to 2 s
	Log        *slog.Logger
}

// Watch serves the promoted policy until ctx ends: whenever another one is promoted, it is opened beside the old one and
// takes over. One that cannot be opened leaves the old one serving, and is tried again.
func (s *Serving) Watch(ctx context.Context, c WatchConfig) {
	promotion.Follower[*Policy]{
		Source: c.Promotions,
		Kinds:  []tandem.ModelKind{tandem.PolicyModel},
		Open: func(ctx context.Context, _ tandem.ModelKind, m tandem.Model) (*Policy, error) {
			p, err := s.Open(ctx, m.URL)
			if err == nil {
				p.ID = m.ID
			}
			return p, err
		},
		Serve: func(ctx context.Context, opened []*Policy) error {
			s.Use(opened[0])
			c.Log.InfoContext(ctx, "a policy serves", "policy", opened[0].ID, "name", opened[0].Name)
			return nil
		},
		Without:  s.served.Without,
		Reloaded: s.config.Metrics.reload,
		Every:    c.Every,
		Log:      c.Log,
	}.Follow(ctx)
}
