package chatapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// Config is what the operations need. A field that is 0 has its default.
type Config struct {
	// Serving holds the policy that answers. Required.
	Serving *Serving
	// Metrics count. Nil does not.
	Metrics *Metrics
	// MaxTokens of an answer, whatever its request allows. Defaults to 4,096.
	MaxTokens int
	// MaxChoices of a request. Defaults to 16.
	MaxChoices int
	// Timeout of a request, from its arrival to the end of its answer. Defaults to 5 minutes.
	Timeout time.Duration
	// Patience is how long a client may take nothing of what is written to it. Defaults to 30 s.
	Patience time.Duration
	// Beat is how long a stream is silent at most: a comment tells that it is alive. Defaults to 10 s.
	Beat time.Duration
	// Log takes what callers are not told. Defaults to discarding it.
	Log *slog.Logger
}

// DefaultConfig returns the defaults; Serving is left to the caller.
func DefaultConfig() Config {
	return Config{MaxTokens: 4096, MaxChoices: 16, Timeout: 5 * time.Minute, Patience: 30 * time.Second, Beat: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
}

// orDefaults fills in what is 0.
func (c Config) orDefaults() Config {
	d := DefaultConfig()
	if c.MaxTokens == 0 {
		c.MaxTokens = d.MaxTokens
	}
	if c.MaxChoices == 0 {
		c.MaxChoices = d.MaxChoices
	}
	for _, field := range []struct{ given, otherwise *time.Duration }{{&c.Timeout, &d.Timeout}, {&c.Patience, &d.Patience}, {&c.Beat, &d.Beat}} {
		if *field.given == 0 {
			*field.given = *field.otherwise
		}
	}
	if c.Log == nil {
		c.Log = d.Log
	}
	return c
}

// Validate reports the first field that nothing could be answered with.
func (c Config) Validate() error {
	const op = "chatapi.Config"
	switch {
	case c.Serving == nil:
		return tandem.Errorf(tandem.Invalid, op, "Serving is missing")
	case c.MaxTokens < 1 || c.MaxChoices < 1:
		return tandem.Errorf(tandem.Invalid, op, "at most %d tokens and %d choices: both are at least 1", c.MaxTokens, c.MaxChoices)
	case c.Timeout <= 0 || c.Patience <= 0 || c.Beat <= 0:
		return tandem.Errorf(tandem.Invalid, op, "a timeout of %v, patience of %v, beat of %v: all are more than 0", c.Timeout, c.Patience, c.Beat)
	}
	return nil
}

// mostBody bounds a request's body, in bytes.
const mostBody = 4 << 20

// api answers requests.
type api struct{ Config }

var scopes = web.Scopes{store.ScopeChat}

// Register adds the operations.
func Register(to web.API, c Config) error {
	c = c.orDefaults()
	if err := c.Validate(); err != nil {
		return err
	}
	a := api{c}
	add := func(id, method, path, summary, description string, input, output reflect.Type, handler http.HandlerFunc) {
		to.RegisterForeign(scopes, web.Foreign{
			Operation: huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Description: description, Tags: []string{"chat"}},
			Input:     input, Output: output, Failure: reflect.TypeFor[ErrorAnswer](), Refuse: refuse, Handler: handler,
		})
	}
	add("create-chat-completion", http.MethodPost, "/v1/chat/completions", "Ask the policy, in OpenAI's protocol",
		"With stream the answer is text/event-stream: a chat.completion.chunk an event, and at the end [DONE]; an error after the stream's beginning is an event too. "+
			"What a request with a seed is answered depends on it and the model alone, to the bit. Parameters of OpenAI's that are not described are refused by name, unless their value asks for nothing. "+
			"429 says in Retry-After when to come again.",
		reflect.TypeFor[Request](), reflect.TypeFor[Completion](), a.complete)
	add("list-chat-models", http.MethodGet, "/v1/models", "List what the policy that serves is called", "", nil, reflect.TypeFor[ModelList](), a.models)
	add("get-chat-model", http.MethodGet, "/v1/models/{model}", "Find the policy that serves by what it is called", "", nil, reflect.TypeFor[Model](), a.model)
	return nil
}

// complete answers POST /v1/chat/completions.
func (a api) complete(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	ctx, cancel := context.WithDeadline(r.Context(), start.Add(a.Timeout))
	defer cancel()
	out := &writer{events: events{w: w, control: http.NewResponseController(w), patience: a.Patience}}
	f := a.answer(ctx, r, out, start)
	status := http.StatusOK
	if f != nil {
		status = f.status
		a.Metrics.refuse(f.reason)
		if f.cause != nil {
			a.Log.ErrorContext(r.Context(), "request failed", "operation", "create-chat-completion", "request_id", web.RequestID(r.Context()), "error", f.cause)
		}
		if f.status != statusGone {
			out.fail(f)
		}
	}
	a.Metrics.request(status, out.stream, time.Since(start))
}

// statusGone is nginx's, for a client that went away: nobody sees it but the metrics.
const statusGone = 499

// answer reads a request and writes its answer, or says why it has none, or no more.
func (a api) answer(ctx context.Context, r *http.Request, out *writer, start time.Time) *failure {
	body, f := readBody(out.w, r)
	if f != nil {
		return f
	}
	// The server's own limits are for reading a request; from here on the answer's count.
	_ = out.control.SetReadDeadline(start.Add(a.Timeout + a.Patience))
	request, dialogue, f := parse(body)
	if f != nil {
		return f
	}
	p, f := a.prepare(ctx, &request, dialogue)
	if f != nil {
		return f
	}
	out.prepared, out.stream, out.id, out.created = p, request.Stream, "chatcmpl-"+rand.Text(), start.Unix()
	c := newCall(request.LogProbs, start)
	if err := p.policy.batch.start(c, p.requests); err != nil {
		if full, ok := errors.AsType[*fullError](err); ok {
			return &failure{status: http.StatusTooManyRequests, code: queueFull, reason: refusedFull, after: full.after,
				message: full.Error() + " already, and more would be too many; try again."}
		}
		return broken(err)
	}
	defer c.leave()
	a.Metrics.prompt(len(p.requests[0].Prompt))
	return a.follow(ctx, c, out)
}

// follow hands what comes of a call to a writer until all its choices have ended.
func (a api) follow(ctx context.Context, c *call, out *writer) *failure {
	beat := time.NewTicker(a.Beat)
	defer beat.Stop()
	for {
		select {
		case <-c.news:
		case <-beat.C:
			if out.stream && out.alive() != nil {
				return gone()
			}
			continue
		case <-ctx.Done():
			return a.ended(ctx)
		}
		pieces, err := c.take()
		if err != nil {
			return broken(err)
		}
		whole, err := out.add(pieces)
		if err != nil {
			return gone()
		}
		if whole {
			return nil
		}
		beat.Reset(a.Beat)
	}
}

func gone() *failure { return &failure{status: statusGone, reason: refusedEnded} }

// ended is why a request is over before its answer is.
func (a api) ended(ctx context.Context) *failure {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &failure{status: http.StatusServiceUnavailable, code: timedOut, reason: refusedEnded,
			message: "The answer was not whole within " + a.Timeout.String() + ": the server has much to do, or the request asks for too much of it."}
	}
	if errors.Is(context.Cause(ctx), web.ErrStopping) {
		return &failure{status: http.StatusServiceUnavailable, code: stopping, reason: refusedEnded, message: "The server stops; try again."}
	}
	return gone()
}

// readBody reads a request's body, which must be JSON.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *failure) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, &failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", reason: refusedInvalid, message: "JSON is expected: set Content-Type: application/json."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &failure{status: http.StatusRequestEntityTooLarge, code: tooLarge, reason: refusedInvalid, message: "The request is larger than 4 MiB."}
	}
	if err != nil {
		return nil, gone()
	}
	return body, nil
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(text, '\n'))
	return err
}

// Model is a name that a model is asked by.
type Model struct {
	ID      string `json:"id"`
	Object  string `json:"object" enum:"model"`
	Created int64  `json:"created" doc:"When the model was made, in seconds since 1970; 0 where nobody knows."`
	Owner   string `json:"owned_by" enum:"tandem"`
}

// ModelList lists them.
type ModelList struct {
	Object string  `json:"object" enum:"list"`
	Data   []Model `json:"data" nullable:"false"`
}

// names lists what the policy that serves is called: policy first, which goes on when another one takes over.
func (a api) names() []Model {
	list := []Model{}
	p, _ := a.Serving.served.Get()
	if p == nil {
		return list
	}
	created := int64(0)
	if !p.Created.IsZero() {
		created = p.Created.Unix()
	}
	for i, id := range []string{Alias, p.ID, p.Name} {
		if id == "" || i > 0 && id == Alias || i > 1 && id == p.ID {
			continue
		}
		list = append(list, Model{id, "model", created, "tandem"})
	}
	return list
}

func (a api) models(w http.ResponseWriter, _ *http.Request) {
	_ = writeJSON(w, ModelList{"list", a.names()}) // a client that is gone needs no answer
}

func (a api) model(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "model")
	for _, m := range a.names() {
		if m.ID == id {
			_ = writeJSON(w, m)
			return
		}
	}
	unknownModel("", id).write(w)
}

func unknownModel(param, id string) *failure {
	return &failure{status: http.StatusNotFound, code: modelNotFound, param: param, reason: refusedInvalid, message: "There is no model " + id + " here; GET /v1/models lists what there is."}
}
