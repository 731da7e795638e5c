package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"tandem/store"
)

// Kinds of events that a run's log leaves with it.
const (
	noteEvent    = "note"
	warningEvent = "warning"
	errorEvent   = "error"
)

// eventLog passes a stage's log on and keeps it with the run as events, so that the dashboard tells what the terminal
// told. What comes before the run has begun waits for it.
type eventLog struct {
	slog.Handler
	attributes []slog.Attr // of all records
	group      string      // in front of the names of a record's own
	kept       *keptEvents
}

type keptEvents struct {
	mu       sync.Mutex
	recorder *recorder // nil until the run has begun
	waiting  []store.Event
}

// noted is a studio whose log is kept with the run that to names, once it has begun.
func (s *Studio) noted() (_ *Studio, kept *keptEvents) {
	if s.Store == nil {
		return s, nil
	}
	kept = &keptEvents{}
	part := *s
	part.Log = slog.New(&eventLog{Handler: s.Log.Handler(), kept: kept})
	return &part, kept
}

// to keeps what was said, and what will be, with a run. Nil is nobody's.
func (k *keptEvents) to(r *recorder) {
	if k == nil || r == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.recorder = r
	for _, e := range k.waiting {
		r.event(e)
	}
	k.waiting = nil
}

func (k *keptEvents) add(e store.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.recorder == nil {
		k.waiting = append(k.waiting, e)
		return
	}
	k.recorder.event(e)
}

// Enabled takes what is to be kept, whatever the log itself shows.
func (l *eventLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || l.Handler.Enabled(ctx, level)
}

func (l *eventLog) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelInfo {
		l.kept.add(store.Event{Kind: kindOf(record.Level), Message: l.text(record)})
	}
	if !l.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, record)
}

func kindOf(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return errorEvent
	case level >= slog.LevelWarn:
		return warningEvent
	}
	return noteEvent
}

// text is a record in a line: what it says, and its values in brackets.
func (l *eventLog) text(record slog.Record) string {
	var values []string
	for _, a := range l.attributes {
		values = append(values, fmt.Sprintf("%s %v", a.Key, a.Value))
	}
	record.Attrs(func(a slog.Attr) bool {
		values = append(values, fmt.Sprintf("%s%s %v", l.group, a.Key, a.Value))
		return true
	})
	if len(values) == 0 {
		return record.Message
	}
	return record.Message + " (" + strings.Join(values, ", ") + ")"
}

func (l *eventLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	part := *l
	part.Handler = l.Handler.WithAttrs(attributes)
	part.attributes = append(append([]slog.Attr(nil), l.attributes...), named(l.group, attributes)...)
	return &part
}

func (l *eventLog) WithGroup(name string) slog.Handler {
	part := *l
	part.Handler = l.Handler.WithGroup(name)
	part.group += name + "."
	return &part
}

// named puts a group in front of attributes' names.
func named(group string, attributes []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attributes))
	for i, a := range attributes {
		out[i] = slog.Attr{Key: group + a.Key, Value: a.Value}
	}
	return out
}
