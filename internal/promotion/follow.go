package promotion

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"tandem"
)

// Source tells which models are promoted; a store does. Errors: NotFound where none is.
type Source interface {
	Promoted(ctx context.Context, kind tandem.ModelKind) (tandem.Model, error)
}

// Follower says which promotions are followed, and what becomes of them. T is an opened model.
type Follower[T any] struct {
	Source Source
	Kinds  []tandem.ModelKind
	// Open opens a promoted model.
	Open func(ctx context.Context, kind tandem.ModelKind, m tandem.Model) (T, error)
	// Serve lets models, one of each kind and in their order, take over.
	Serve func(ctx context.Context, opened []T) error
	// Without hears why nothing serves, as long as nothing does.
	Without func(why string)
	// Reloaded hears of every time that models took over, and of every new reason why they could not.
	Reloaded func(done bool)
	Every    time.Duration // between two looks. Defaults to 2 s
	Log      *slog.Logger
}

// Follow serves the promoted models until ctx ends: whenever another one is promoted, or one is calibrated anew, it is
// opened beside the old one and takes over. A model that cannot be opened leaves the old ones serving, and is tried
// again.
func (f Follower[T]) Follow(ctx context.Context) {
	if f.Every <= 0 {
		f.Every = 2 * time.Second
	}
	w := watcher[T]{Follower: f, places: make([]place[T], len(f.Kinds))}
	ticker := time.NewTicker(f.Every)
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
type watcher[T any] struct {
	Follower[T]
	places []place[T] // of each kind
	fresh  bool       // something was opened since the last time that models took over
	said   string     // the last complaint, which is not repeated
}

// place is a promoted model as it was when it was opened.
type place[T any] struct {
	row    tandem.Model
	opened T
	there  bool
}

// look opens what has changed since it was opened, and serves what is opened and does not serve yet.
func (w *watcher[T]) look(ctx context.Context) {
	for i, kind := range w.Kinds {
		row, err := w.Source.Promoted(ctx, kind)
		if err == nil && w.places[i].there && same(w.places[i].row, row) {
			continue
		}
		var opened T
		if err == nil {
			opened, err = w.Open(ctx, kind, row)
		}
		if err != nil {
			w.complain(ctx, kind, row.ID, err)
			return
		}
		w.places[i], w.fresh = place[T]{row, opened, true}, true
	}
	if w.fresh {
		all := make([]T, len(w.places))
		for i, p := range w.places {
			all[i] = p.opened
		}
		if err := w.Serve(ctx, all); err != nil {
			last := len(w.Kinds) - 1
			w.complain(ctx, w.Kinds[last], w.places[last].row.ID, err)
			return
		}
		w.fresh = false
		w.Reloaded(true)
	}
	w.said = ""
}

// same reports whether a promoted model is still what was opened.
func same(opened, now tandem.Model) bool {
	return opened.ID == now.ID && opened.URL == now.URL && reflect.DeepEqual(opened.Calibration, now.Calibration)
}

// complain says once why nothing, or nothing new, serves.
func (w *watcher[T]) complain(ctx context.Context, kind tandem.ModelKind, id string, err error) {
	if ctx.Err() != nil {
		return
	}
	if tandem.CodeOf(err) == tandem.NotFound && id == "" {
		w.Without("no " + string(kind) + " model is promoted (tandem model promote)")
		return
	}
	w.Without("the promoted " + string(kind) + " model cannot be opened")
	if text := err.Error(); text != w.said {
		w.said = text
		w.Reloaded(false)
		w.Log.ErrorContext(ctx, "a promoted model cannot be opened; what served goes on serving", "kind", kind, "model", id, "error", err)
	}
}
