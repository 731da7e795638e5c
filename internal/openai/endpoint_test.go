package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/openai"
)

const secret = "sk-very-secret"

// serve runs an endpoint for a test.
func serve(t *testing.T, answer http.HandlerFunc) openai.Endpoint {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return openai.Endpoint{URL: server.URL + "/v1", Model: "m", Key: secret, Silence: 5 * time.Second}
}

func ask(t *testing.T, e openai.Endpoint) ([]tandem.Completion, error) {
	t.Helper()
	return tandem.Collect(t.Context(), e, []tandem.GenerateRequest{{
		Messages: tandem.Dialogue{{Role: tandem.User, Content: "Hello?"}}, Sampling: tandem.Sampling{Temperature: 0.7, MaxTokens: 9},
		Key: tandem.SampleKey{Seed: 1 << 63, Sample: 2},
	}})
}

// piece is an event of a stream.
func piece(text string) string {
	content, _ := json.Marshal(text)
	return fmt.Sprintf(`data: {"choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}`+"\n\n", content)
}

const stop = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"

func events(w http.ResponseWriter, parts ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, part := range parts {
		_, _ = io.WriteString(w, part)
		w.(http.Flusher).Flush()
	}
}

func TestEndpoint(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		seed, _ := body["seed"].(float64)
		if r.Method+" "+r.URL.Path != "POST /v1/chat/completions" || r.Header.Get("Authorization") != "Bearer "+secret || body["model"] != "m" || body["stream"] != true ||
			body["temperature"] != 0.7 || body["max_tokens"] != 9.0 || seed <= 0 || seed >= 1<<31 || fmt.Sprint(body["messages"]) != "[map[content:Hello? role:user]]" {
			t.Errorf("asked %s %s %v", r.Method, r.URL.Path, body)
		}
		events(w, ": a comment\n\n", `data: {"choices":[{"delta":{"role":"assistant","content":null}}]}`+"\n\n", piece("Hi, "), piece("thère\x00"), stop,
			`data: {"choices":[],"usage":{"total_tokens":3}}`+"\n\n", "data: [DONE]\n\n")
	})
	got, err := ask(t, e)
	if err != nil || got[0].Text != "Hi, thère\uFFFD" || got[0].Finish != tandem.FinishStop {
		t.Errorf("answer %+v, %v", got, err)
	}
}

func TestEndpointThatDoesNotStream(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"role":"assistant","content":"whole"},"finish_reason":"length"}]}`)
	})
	got, err := ask(t, e)
	if err != nil || got[0].Text != "whole" || got[0].Finish != tandem.FinishLength {
		t.Errorf("answer %+v, %v", got, err)
	}
}

func TestEndpointThatFails(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	stream := func(parts ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { events(w, parts...) }
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   tandem.Code
		words  string
	}{
		"wrong key":         {status(401, `{"error":{"message":"Incorrect API key: `+secret+`"}}`), tandem.Unauthorized, "refuses the key"},
		"no such model":     {status(404, `{"error":{"message":"no m here"}}`), tandem.NotFound, `"m", or is not at this address: no m here`},
		"too long":          {status(400, `{"error":{"message":"context length, `+secret+`"}}`), tandem.Invalid, "context length, …"},
		"a bare text":       {status(422, `{"error":"no such field"}`), tandem.Invalid, "no such field"},
		"no JSON":           {status(500, `<html>`), tandem.Unavailable, "HTTP 500"},
		"too many requests": {status(429, `{}`), tandem.Unavailable, "cannot answer now"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, tandem.Invalid, "somewhere else"},
		"breaks off":         {stream(piece("Hi")), tandem.Unavailable, "breaks off"},
		"done without a end": {stream(piece("Hi"), "data: [DONE]\n\n"), tandem.Unavailable, "breaks off"},
		"fails midway":       {stream(piece("Hi"), `data: {"error":{"message":"out of memory"}}`+"\n\n"), tandem.Unavailable, "out of memory"},
		"not the protocol":   {stream("data: hello\n\n"), tandem.Unsupported, "not of OpenAI's protocol"},
		"held back":          {stream(piece("Hi"), `data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}`+"\n\n"), tandem.Invalid, "content filter"},
		"calls a tool":       {stream(`data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n\n"), tandem.Unsupported, "tool_calls"},
		"endless":            {stream(strings.Repeat(piece(strings.Repeat("x", 1000)), 9000)), tandem.Unavailable, "breaks off"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			events(w, piece("Hi"))
			panic(http.ErrAbortHandler)
		}, tandem.Unavailable, "breaks off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, serve(t, c.answer))
			if tandem.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.words) || strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("error %v, want %s with %q and without the key", err, c.code, c.words)
			}
		})
	}
	gone := serve(t, nil)
	gone.URL = "http://127.0.0.1:1/v1"
	if _, err := ask(t, gone); tandem.CodeOf(err) != tandem.Unavailable || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("no server: %v", err)
	}
	gone.Key = ""
	keyless := serve(t, status(401, ``))
	keyless.Key = ""
	if _, err := ask(t, keyless); !strings.Contains(fmt.Sprint(err), "wants a key") {
		t.Errorf("no key: %v", err)
	}
}

func TestEndpointThatHangs(t *testing.T) {
	for name, first := range map[string][]string{"before": nil, "in the middle of": {piece("Hi")}} {
		hung := make(chan struct{})
		e := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if first != nil {
				events(w, first...)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-hung:
			}
		})
		e.Silence = 50 * time.Millisecond
		if _, err := ask(t, e); tandem.CodeOf(err) != tandem.Unavailable || !strings.Contains(err.Error(), "says nothing for 50ms") {
			t.Errorf("%s its answer: %v", name, err)
		}
		close(hung)
	}
}

func TestEndpointThatIsWantedNoMore(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		events(w, piece("one"), piece("two"))
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request := []tandem.GenerateRequest{{Messages: tandem.Dialogue{{Role: tandem.User, Content: "Hello?"}}}}
	for chunk, err := range e.Generate(ctx, request) {
		if err != nil || chunk.Text != "one" {
			t.Fatalf("%+v, %v", chunk, err)
		}
		break
	}
	var last error
	for _, err := range e.Generate(ctx, request) {
		cancel()
		last = err
	}
	if last != context.Canceled {
		t.Errorf("cancelled: %v", last)
	}
	text := "raw"
	for _, r := range []tandem.GenerateRequest{{Text: &text}, {Messages: request[0].Messages, Sampling: tandem.Sampling{TopK: 3}}} {
		if _, err := tandem.Collect(t.Context(), e, []tandem.GenerateRequest{r}); tandem.CodeOf(err) != tandem.Unsupported {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
