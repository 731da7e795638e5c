package chatapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem"
	"tandem/internal/web"
	"tandem/internal/web/webtest"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/chatapi"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
	"tandem/site"
	"tandem/store"
)

// modelContext is a model's context, in tokens.
const modelContext = 1 << 17

// policy writes a policy of random weights and returns its folder. Its greedy answers do not end.
func policy(t testing.TB, id string, seed uint64, change func(*llama.Weights)) string {
	t.Helper()
	tok, err := tokenizer.Open("../tokenizer/testdata/tiny")
	if err != nil {
		t.Fatal(err)
	}
	w := llama.NewWeights(llama.Config{
		VocabSize: tok.VocabSize(), HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 8, MaxPositionEmbeddings: modelContext, RMSNormEps: 1e-5, RopeTheta: 10000,
		BOS: int(tok.Special().BOS), EOS: []int{int(tok.Special().EOS)}, PAD: int(tok.Special().PAD),
	}, false)
	w.Init(rand.New(rand.NewPCG(seed, 0)))
	for _, p := range w.Params() { // large enough that tokens differ clearly
		if p.Decay {
			for i := range p.Data {
				p.Data[i] *= 8
			}
		}
	}
	end := int(tok.Special().EOS) * w.Config.HiddenSize
	clear(w.Output[end : end+w.Config.HiddenSize]) // never the likeliest
	if change != nil {
		change(w)
	}
	folder := filepath.Join(t.TempDir(), "model")
	m := &checkpoint.Model{Weights: w, Files: tok.Files(), Lineage: &tandem.Model{ID: id, Name: "the " + id, Kind: tandem.PolicyModel, Stage: tandem.StageSFT,
		CreatedAt: time.Unix(1_700_000_000, 0)}}
	if err := checkpoint.Save(t.Context(), folder, m, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return folder
}

// keys are one with the API's scope, and one with another.
func keys() webtest.Keys { return webtest.Keys{"good": store.ScopeChat, "other": store.ScopeScore} }

// server is a site with nothing but the chat API.
type server struct {
	t        testing.TB
	handler  http.Handler
	serving  *chatapi.Serving
	registry *prometheus.Registry
	url      string
	log      bytes.Buffer
}

// newServer serves a policy's folder, unless that is empty. The configurations can be changed before.
func newServer(t testing.TB, folder string, change func(*chatapi.ServingConfig, *chatapi.Config)) *server {
	t.Helper()
	s := &server{t: t, registry: prometheus.NewRegistry()}
	metrics, err := chatapi.NewMetrics(s.registry)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	serving, c := chatapi.ServingConfig{Batch: chatapi.DefaultBatchConfig(), Metrics: metrics}, chatapi.Config{Metrics: metrics, Log: log}
	if change != nil {
		change(&serving, &c)
	}
	if s.serving, err = chatapi.NewServing(serving); err != nil {
		t.Fatal(err)
	}
	c.Serving = s.serving
	if folder != "" {
		p, err := s.serving.Open(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		s.serving.Use(p)
	}
	// A site has a bound on requests that tests of load would meet.
	if s.handler, err = site.Handler(site.Config{Keys: keys(), Rates: site.Rates{Callers: 1 << 30, Strangers: 1 << 30}, Log: log},
		func(api web.API) error { return chatapi.Register(api, c) }); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(s.handler)
	t.Cleanup(func() {
		listening.Close()
		s.serving.Wait()
	})
	s.url = listening.URL
	return s
}

// client is OpenAI's.
func (s *server) client(options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(s.url + "/v1"), option.WithAPIKey("good"), option.WithMaxRetries(0)}, options...)...)
}

// post sends a JSON value, or a string as it is, and headers in pairs, without a connection.
func (s *server) post(ctx context.Context, body any, headers ...string) *httptest.ResponseRecorder {
	text, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(encoded)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer good")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// failureOf is an answer's error, which must be in OpenAI's form.
func failureOf(t testing.TB, w *httptest.ResponseRecorder) chatapi.ErrorDetail {
	t.Helper()
	var f chatapi.ErrorAnswer
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.Error.Message == "" || f.Error.Type == "" || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %s is no error: %v", w.Code, w.Header().Get("Content-Type"), w.Body, err)
	}
	return f.Error
}

// said is a text that may be null.
func said(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// metrics are the lines of /metrics.
func (s *server) metrics() map[string]string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	lines := make(map[string]string)
	for scanner := bufio.NewScanner(w.Body); scanner.Scan(); {
		if name, value, ok := strings.Cut(scanner.Text(), "} "); ok {
			lines[name+"}"] = value
		} else if name, value, ok := strings.Cut(scanner.Text(), " "); ok && name != "#" {
			lines[name] = value
		}
	}
	return lines
}

// eventually waits for a metric to have a value.
func (s *server) eventually(name, value string) {
	s.t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		got := s.metrics()[name]
		if got == value {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%s is %s, want %s", name, got, value)
		}
	}
}

// ask is a request that asks for what `tandem generate` is asked by the same words.
type ask struct {
	dialogue tandem.Dialogue
	sampling tandem.Sampling
	seed     uint64
	choices  int
}

// expected is what a policy answers in one process: each choice's completion.
func expected(t testing.TB, p *chat.Policy, a ask) []tandem.Completion {
	t.Helper()
	requests := make([]tandem.GenerateRequest, a.choices)
	for i := range requests {
		requests[i] = tandem.GenerateRequest{Messages: a.dialogue, Sampling: a.sampling, Key: tandem.SampleKey{Seed: a.seed, Prompt: a.dialogue.Key(), Sample: uint64(i)}}
	}
	out := make([]tandem.Completion, a.choices)
	for chunk, err := range p.Generate(t.Context(), requests) {
		if err != nil {
			t.Fatal(err)
		}
		c := &out[chunk.Request]
		c.Text += chunk.Text
		c.Tokens, c.LogProbs, c.Finish = append(c.Tokens, chunk.Tokens...), append(c.LogProbs, chunk.LogProbs...), chunk.Finish
	}
	return out
}

// params are a's in the form of OpenAI's client.
func (a ask) params() openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model: chatapi.Alias, N: openai.Int(int64(a.choices)), Seed: openai.Int(int64(a.seed)), Temperature: openai.Float(a.sampling.Temperature),
		MaxCompletionTokens: openai.Int(int64(a.sampling.MaxTokens)),
	}
	if a.sampling.TopP != 0 {
		p.TopP = openai.Float(a.sampling.TopP)
	}
	if len(a.sampling.Stop) > 0 {
		p.Stop.OfStringArray = a.sampling.Stop
	}
	for _, m := range a.dialogue {
		switch m.Role {
		case tandem.System:
			p.Messages = append(p.Messages, openai.SystemMessage(m.Content))
		case tandem.User:
			p.Messages = append(p.Messages, openai.UserMessage(m.Content))
		case tandem.Assistant:
			p.Messages = append(p.Messages, openai.AssistantMessage(m.Content))
		}
	}
	return p
}

// asks are requests of every kind.
func asks(n int, seed uint64) []ask {
	rng := rand.New(rand.NewPCG(seed, 0))
	word := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(30) {
			b.WriteByte("abcdefghijklmnopqrstuvwxyz .,?"[rng.IntN(30)])
		}
		return b.String()
	}
	all := make([]ask, n)
	for i := range all {
		a := ask{seed: rng.Uint64N(1000), choices: 1 + rng.IntN(3), sampling: tandem.Sampling{Temperature: float64(rng.IntN(3)) * .6, MaxTokens: 1 + rng.IntN(60)}}
		if rng.IntN(3) == 0 {
			a.dialogue = append(a.dialogue, tandem.Message{Role: tandem.System, Content: word()})
		}
		for range rng.IntN(2) {
			a.dialogue = append(a.dialogue, tandem.Message{Role: tandem.User, Content: word()}, tandem.Message{Role: tandem.Assistant, Content: word()})
		}
		a.dialogue = append(a.dialogue, tandem.Message{Role: tandem.User, Content: word()})
		if rng.IntN(3) == 0 {
			a.sampling.TopP = .5 + rng.Float64()/2
		}
		if rng.IntN(3) == 0 {
			a.sampling.Stop = []string{"e", "th"}
		}
		all[i] = a
	}
	return all
}

// streamed is a streamed answer, put together.
type streamed struct {
	texts    []string
	finishes []string
	usage    openai.CompletionUsage
	chunks   int
	logprobs [][]openai.ChatCompletionTokenLogprob
}

// stream reads an answer by OpenAI's client.
func (s *server) stream(ctx context.Context, client openai.Client, params openai.ChatCompletionNewParams) (streamed, error) {
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	n := int(params.N.Value)
	out := streamed{texts: make([]string, n), finishes: make([]string, n), logprobs: make([][]openai.ChatCompletionTokenLogprob, n)}
	stream := client.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	for stream.Next() {
		chunk := stream.Current()
		out.chunks++
		if chunk.JSON.Usage.Valid() {
			out.usage = chunk.Usage
		}
		for _, c := range chunk.Choices {
			if out.finishes[c.Index] != "" {
				s.t.Errorf("choice %d goes on after it has ended", c.Index)
			}
			out.texts[c.Index] += c.Delta.Content
			out.finishes[c.Index] = c.FinishReason
			out.logprobs[c.Index] = append(out.logprobs[c.Index], c.Logprobs.Content...)
		}
	}
	return out, stream.Err()
}

// readAll reads an answer, which must end by itself.
func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
