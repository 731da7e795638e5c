package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"tandem"
	"tandem/store"
)

// Answers keep what requests were answered with; a store is one.
type Answers interface {
	Once(ctx context.Context, caller, key string, hash [32]byte, do func(ctx context.Context) (store.Answer, error)) (store.Answer, error)
}

// Create is Register for an operation that makes something. A caller may send an Idempotency-Key of their own
// choice with it: the same request with the same key does nothing the second time and is given the first
// answer, with Idempotency-Replayed: true; another request with that key is the problem conflict.
func Create[I, O any](api API, scopes Scopes, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	create(api, scopes, op, handler, false)
}

// CreateSecret is Create for an operation whose answer holds a secret. Answers of it are not kept: a replay
// is the problem conflict, which says so.
func CreateSecret[I, O any](api API, scopes Scopes, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	create(api, scopes, op, handler, true)
}

func create[I, O any](api API, scopes Scopes, op huma.Operation, handler func(context.Context, *I) (*O, error), secret bool) {
	what := "What was done with the same key before is not done again, and answered as it was, with Idempotency-Replayed: true. Another request with that key is a conflict."
	if secret {
		what = "What was done with the same key before is not done again: it is a conflict, since the answer held a secret, which is shown once."
	}
	longest := longestKey
	op.Parameters = append(op.Parameters, &huma.Param{Name: idempotencyHeader, In: "header", Description: what,
		Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest}})
	// It comes after the caller is known, which Register sees to by its order.
	register(api, scopes, op, handler, api.once(secret))
}

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	longestKey        = 200
)

// once is a huma middleware that does what a request with a key asks for once.
func (api API) once(secret bool) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		key := ctx.Header(idempotencyHeader)
		if key == "" {
			next(ctx)
			return
		}
		r, w := humachi.Unwrap(ctx)
		answer, err := api.doOnce(ctx, r, key, secret, next)
		if err != nil {
			api.refuse(w, r, ctx.Operation().OperationID, err)
			return
		}
		if answer.Replayed {
			w.Header().Set(replayedHeader, "true")
			if len(answer.Body) > 0 {
				w.Header().Set("Content-Type", "application/json")
			}
		}
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body) // a client that is gone needs no answer
	}
}

func (api API) doOnce(ctx huma.Context, r *http.Request, key string, secret bool, next func(huma.Context)) (store.Answer, error) {
	const op = "web.Create"
	if api.answers == nil {
		return store.Answer{}, tandem.Errorf(tandem.Unsupported, op, "this server keeps no answers: send the request without %s", idempotencyHeader)
	}
	if len(key) > longestKey {
		return store.Answer{}, tandem.Errorf(tandem.Invalid, op, "the %s has more than %d characters", idempotencyHeader, longestKey)
	}
	body, err := readBody(ctx)
	if err != nil {
		return store.Answer{}, err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s\n", r.Method, r.URL.RequestURI())
	hash.Write(body)
	limit, cancel := context.WithTimeout(ctx.Context(), limitOf(ctx.Operation()))
	defer cancel()
	var made []byte
	answer, err := api.answers.Once(limit, Caller(ctx.Context()).Actor(), key, [32]byte(hash.Sum(nil)), func(inner context.Context) (store.Answer, error) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		record := &recording{humaContext: huma.WithContext(ctx, inner)}
		next(record)
		if made = record.body.Bytes(); secret && record.status < http.StatusBadRequest {
			return store.Answer{Status: record.status}, nil
		}
		return store.Answer{Status: record.status, Body: made}, nil
	})
	if err == nil && answer.Replayed && secret {
		return store.Answer{}, tandem.Errorf(tandem.Conflict, op,
			"this was done before under the %s %q, and its answer held a secret, which is shown once and kept nowhere; if it was lost, end what was made and make another", idempotencyHeader, key)
	}
	if err == nil && !answer.Replayed {
		answer.Body = made
	}
	return answer, err
}

// readBody reads the request's body up to one byte more than the operation allows: huma refuses what is larger.
func readBody(ctx huma.Context) ([]byte, error) {
	most, patience := ctx.Operation().MaxBodyBytes, ctx.Operation().BodyReadTimeout
	if most <= 0 {
		most = 1 << 20 // huma's own
	}
	if patience <= 0 {
		patience = 5 * time.Second // huma's own
	}
	_ = ctx.SetReadDeadline(time.Now().Add(patience)) // what has no deadlines is a test's
	if ctx.BodyReader() == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), most+1))
	if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, "web.Create", "the request's body breaks off: %w", err)
	}
	return body, nil
}

// recording holds an answer back until what it says is committed.
type recording struct {
	humaContext
	status int
	body   bytes.Buffer
}

// humaContext gives the embedded field another name than its method Context.
type humaContext huma.Context

func (r *recording) Unwrap() huma.Context  { return r.humaContext }
func (r *recording) SetStatus(code int)    { r.status = code }
func (r *recording) Status() int           { return r.status }
func (r *recording) BodyWriter() io.Writer { return &r.body }
