// Package openai asks models behind OpenAI's chat completions protocol
// (https://platform.openai.com/docs/api-reference/chat): OpenAI's own, and the many servers that speak it, such as
// vLLM, llama.cpp, Ollama and tandem. An [Endpoint] is a tandem.Generator, so that whoever samples need not know
// where a model lives.
package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"tandem"
)

// Endpoint is a model behind OpenAI's protocol. It is safe for concurrent use.
type Endpoint struct {
	// URL is the endpoint's address up to /v1.
	URL string
	// Model is what the endpoint calls the model.
	Model string
	// Key is sent as a Bearer token where it is not empty. It is in no error.
	Key string
	// Silence is how long the endpoint may say nothing, before its answer or between two pieces of it. Defaults
	// to 30 seconds.
	Silence time.Duration
	// Transport sends the requests. Defaults to http.DefaultTransport.
	Transport http.RoundTripper
}

var _ tandem.Generator = Endpoint{}

// Limits on what an endpoint can make its caller read.
const (
	answerLimit = 8 << 20 // bytes of one answer, as it comes over the wire
	problemSize = 64 << 10
)

// Generate implements tandem.Generator; requests are answered one after the other. A chunk has neither token ids
// nor log-probabilities, since the protocol has none that mean anything here. The sample key's numbers are folded
// into the request's seed, which endpoints honour as far as they do.
//
// Errors: Unauthorized when the key is refused, NotFound for an unknown model or address, Invalid for a request that
// the endpoint will never answer, Unsupported for what the protocol does not have, Unavailable for whatever may pass:
// no connection, no sign of life, too many requests, an answer that breaks off.
func (e Endpoint) Generate(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			err := e.answer(ctx, r, func(c tandem.Chunk) bool {
				c.Request = i
				return yield(c, nil)
			})
			if errors.Is(err, errEnough) {
				return
			}
			if err != nil {
				yield(tandem.Chunk{Request: i}, err)
				return
			}
		}
	}
}

// errEnough ends an answer that its reader wants no more of.
var errEnough = errors.New("enough")

const op = "openai.Generate"

// completionRequest is the protocol's request.
type completionRequest struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Stream      bool      `json:"stream"`
	Temperature float64   `json:"temperature"`
	TopP        float64   `json:"top_p,omitempty"`
	MaxTokens   int       `json:"max_tokens,omitempty"`
	Stop        []string  `json:"stop,omitempty"`
	Seed        int64     `json:"seed"`
}

type message struct {
	Role    tandem.Role `json:"role"`
	Content string      `json:"content"`
}

// requestOf is a request in the protocol's form.
func (e Endpoint) requestOf(r tandem.GenerateRequest) (completionRequest, error) {
	if r.Text != nil || len(r.Messages) == 0 {
		return completionRequest{}, tandem.Errorf(tandem.Unsupported, op, "an endpoint answers dialogues alone, not raw text")
	}
	if r.Sampling.TopK != 0 {
		return completionRequest{}, tandem.Errorf(tandem.Unsupported, op, "OpenAI's protocol has no top_k")
	}
	out := completionRequest{Model: e.Model, Stream: true, Temperature: r.Sampling.Temperature, TopP: r.Sampling.TopP,
		MaxTokens: r.Sampling.MaxTokens, Stop: r.Sampling.Stop, Seed: seedOf(r.Key)}
	for _, m := range r.Messages {
		out.Messages = append(out.Messages, message{m.Role, m.Content})
	}
	return out, nil
}

// seedOf folds seed and sample into the positive 31 bits that every server takes. The prompt is in the request.
func seedOf(k tandem.SampleKey) int64 {
	return int64((k.Seed*0x9e3779b97f4a7c15 + k.Sample*0xbf58476d1ce4e5b9) >> 33)
}

// answer asks for one answer and yields its pieces. It ends with a chunk that says why the answer ended.
func (e Endpoint) answer(ctx context.Context, r tandem.GenerateRequest, yield func(tandem.Chunk) bool) error {
	request, err := e.requestOf(r)
	if err != nil {
		return err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "%w", err)
	}
	silence := e.Silence
	if silence <= 0 {
		silence = 30 * time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() {
		cancel(tandem.Errorf(tandem.Unavailable, op, "the endpoint says nothing for %v", silence))
	})
	defer quiet.Stop()

	post, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(e.URL, "/")+"/chat/completions", strings.NewReader(string(body)))
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "the endpoint's address: %w", err)
	}
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Accept", "text/event-stream, application/json")
	if e.Key != "" {
		post.Header.Set("Authorization", "Bearer "+e.Key)
	}
	client := http.Client{Transport: e.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(post)
	if err != nil {
		return e.lost(ctx, "the endpoint does not answer", err)
	}
	defer response.Body.Close()
	alive := func() { quiet.Reset(silence) }
	alive()
	if response.StatusCode != http.StatusOK {
		return e.refused(response)
	}
	in := io.LimitReader(response.Body, answerLimit)
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind == "application/json" { // it does not stream
		err = e.whole(in, yield)
	} else {
		err = e.stream(in, alive, yield)
	}
	var ours *tandem.Error
	if err == nil || errors.Is(err, errEnough) || errors.As(err, &ours) && context.Cause(ctx) == nil {
		return err
	}
	return e.lost(ctx, "the endpoint's answer breaks off", err)
}

// lost is what became of a connection: given up by the caller, silent for too long, or broken.
func (e Endpoint) lost(ctx context.Context, what string, err error) error {
	var ours *tandem.Error
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &ours):
		return ours
	case cause != nil:
		return cause
	}
	var dial *net.OpError
	if errors.As(err, &dial) { // its words are of addresses and sockets; those of url.Error repeat the request
		err = dial
	}
	return tandem.Errorf(tandem.Unavailable, op, "%s: %s", what, e.clean(err.Error()))
}

// problem is an error as the protocol sends it: {"error":{"message":…}}, or with a bare text.
type problem struct {
	Error json.RawMessage `json:"error"`
}

// words are what an error says, shortened, and without the key should it repeat that.
func (e Endpoint) words(raw json.RawMessage) string {
	var full struct {
		Message string `json:"message"`
	}
	var text string
	if json.Unmarshal(raw, &full) == nil && full.Message != "" {
		text = full.Message
	} else if json.Unmarshal(raw, &text) != nil {
		text = ""
	}
	return e.clean(text)
}

// clean makes what an endpoint said fit for a log.
func (e Endpoint) clean(text string) string {
	if e.Key != "" {
		text = strings.ReplaceAll(text, e.Key, "…")
	}
	text = strings.Join(strings.Fields(text), " ")
	const most = 300
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}

// refused is the error of an answer that is not 200.
func (e Endpoint) refused(response *http.Response) error {
	status := response.StatusCode
	fail := func(code tandem.Code, format string, args ...any) error {
		return tandem.Errorf(code, op, "%s (HTTP %d)", fmt.Sprintf(format, args...), status)
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		// Its words are left out: some endpoints repeat parts of the key.
		if e.Key == "" {
			return fail(tandem.Unauthorized, "the endpoint wants a key, and none is set")
		}
		return fail(tandem.Unauthorized, "the endpoint refuses the key")
	}
	said := ""
	if body, err := io.ReadAll(io.LimitReader(response.Body, problemSize)); err == nil {
		var p problem
		if json.Unmarshal(body, &p) == nil {
			said = e.words(p.Error)
		}
	}
	if said != "" {
		said = ": " + said
	}
	switch {
	case status >= 300 && status < 400:
		return fail(tandem.Invalid, "the endpoint is somewhere else now; give its own address, since a key is not sent on")
	case status == http.StatusNotFound:
		return fail(tandem.NotFound, "the endpoint does not know the model %q, or is not at this address%s", e.Model, said)
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500:
		return fail(tandem.Unavailable, "the endpoint cannot answer now%s", said)
	}
	return fail(tandem.Invalid, "the endpoint refuses the request%s", said)
}
