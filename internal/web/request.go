package web

import (
	"context"
	"errors"
	"log/slog"
)

// ErrStopping is why the context of a request ends that the server cuts off to stop.
var ErrStopping = errors.New("the server stops")

// contextKey keys what this package keeps in contexts.
type contextKey int

const (
	requestIDKey contextKey = iota
	callerKey
	stopKey
)

// WithRequestID returns a context that knows its request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey, id)
}

// RequestID is the id of the request that ctx belongs to; empty outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// WithStop returns a context of requests that are to come to their end once stop is closed.
func WithStop(ctx context.Context, stop <-chan struct{}) context.Context {
	return context.WithValue(ctx, stopKey, stop)
}

// Stopping is closed when the server stops, which lets requests under way finish: what would go on for long ends then.
// It is nil where nobody says so.
func Stopping(ctx context.Context) <-chan struct{} {
	stop, _ := ctx.Value(stopKey).(<-chan struct{})
	return stop
}

// logFailure logs what a caller is not told.
func logFailure(ctx context.Context, log *slog.Logger, operation string, err error) {
	log.ErrorContext(ctx, "request failed", "operation", operation, "request_id", RequestID(ctx), "error", err)
}
