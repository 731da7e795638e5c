package promotion_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/promotion"
)

// source is promoted models by their kind.
type source struct {
	sync.Mutex
	rows map[tandem.ModelKind]tandem.Model
}

func (s *source) Promoted(_ context.Context, kind tandem.ModelKind) (tandem.Model, error) {
	s.Lock()
	defer s.Unlock()
	row, ok := s.rows[kind]
	if !ok {
		return row, tandem.Errorf(tandem.NotFound, "source", "there is none")
	}
	return row, nil
}

func (s *source) promote(kind tandem.ModelKind, id string) {
	s.Lock()
	defer s.Unlock()
	s.rows[kind] = tandem.Model{ID: id}
}

// A model takes over when another of its kind is promoted, only what changed is opened, and one that cannot be opened is
// complained of once and leaves the others serving.
func TestFollow(t *testing.T) {
	models := &source{rows: make(map[tandem.ModelKind]tandem.Model)}
	said := make(chan string)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	say := func(format string, args ...any) {
		select {
		case said <- fmt.Sprintf(format, args...):
		case <-ctx.Done():
		}
	}
	var served promotion.Served[[]string]
	running.Go(func() {
		promotion.Follower[string]{
			Source: models, Kinds: []tandem.ModelKind{tandem.HelpfulnessModel, tandem.SafetyModel},
			Open: func(_ context.Context, kind tandem.ModelKind, m tandem.Model) (string, error) {
				if m.ID == "broken" {
					return "", errors.New("it is broken")
				}
				say("open %s", m.ID)
				return string(kind) + " " + m.ID, nil
			},
			Serve: func(_ context.Context, opened []string) error {
				served.Use(&opened)
				say("serve %s", strings.Join(opened, ", "))
				return nil
			},
			Without:  served.Without,
			Reloaded: func(done bool) { say("reloaded %v", done) },
			Every:    time.Millisecond, Log: slog.New(slog.DiscardHandler),
		}.Follow(ctx)
	})
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-said:
				if got != w {
					t.Fatalf("%q, want %q", got, w)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("nothing, want %q", w)
			}
		}
	}
	without := func(want string) {
		t.Helper()
		for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			v, why := served.Get()
			if v == nil && why == want {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%v serves, %q, want %q", v, why, want)
			}
		}
	}
	without("no helpfulness model is promoted (tandem model promote)")
	models.promote(tandem.HelpfulnessModel, "h1")
	expect("open h1")
	without("no safety model is promoted (tandem model promote)")
	models.promote(tandem.SafetyModel, "broken")
	expect("reloaded false")
	without("the promoted safety model cannot be opened")
	models.promote(tandem.SafetyModel, "s1")
	expect("open s1", "serve helpfulness h1, safety s1", "reloaded true")
	models.promote(tandem.HelpfulnessModel, "broken")
	expect("reloaded false")
	models.promote(tandem.SafetyModel, "s2") // waits for the helpfulness model before it
	models.promote(tandem.HelpfulnessModel, "h2")
	expect("open h2", "open s2", "serve helpfulness h2, safety s2", "reloaded true")
	if now, _ := served.Get(); now == nil || !slices.Equal(*now, []string{"helpfulness h2", "safety s2"}) {
		t.Errorf("%v serves", now)
	}
	select {
	case got := <-said:
		t.Errorf("nothing has changed, and %q", got)
	case <-time.After(20 * time.Millisecond):
	}
}
