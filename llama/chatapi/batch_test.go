package chatapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/packages/ssestream"

	"tandem"
	"tandem/internal/web"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/chatapi"
)

// endless asks for an answer that goes on for as long as a test does.
func endless() openai.ChatCompletionNewParams {
	return ask{dialogue: tandem.Dialogue{{Role: tandem.User, Content: "go on"}}, sampling: tandem.Sampling{MaxTokens: modelContext / 2}, choices: 1}.params()
}

// short asks for a short one.
func short() openai.ChatCompletionNewParams {
	return ask{dialogue: tandem.Dialogue{{Role: tandem.User, Content: "hello"}}, sampling: tandem.Sampling{MaxTokens: 5}, choices: 1}.params()
}

// slots makes a batch small, and answers of any length.
func slots(slots, waiting int) func(*chatapi.ServingConfig, *chatapi.Config) {
	return func(s *chatapi.ServingConfig, c *chatapi.Config) {
		s.Batch = chatapi.BatchConfig{Slots: slots, Waiting: waiting}
		c.MaxTokens = modelContext
	}
}

// begin starts an endless answer and returns once it has begun, with what ends it.
func (s *server) begin(ctx context.Context) (stream *ssestream.Stream[openai.ChatCompletionChunk], giveUp func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	client := s.client()
	stream = client.Chat.Completions.NewStreaming(ctx, endless())
	for range 3 {
		if !stream.Next() {
			s.t.Fatalf("the answer does not begin: %v", stream.Err())
		}
	}
	return stream, func() {
		cancel()
		stream.Close()
	}
}

// A client that goes away frees its slot at once, whether it streams or waits, and also where it still waits for a slot.
func TestDisconnect(t *testing.T) {
	s := newServer(t, policy(t, "p1", 8, nil), slots(1, 10))
	client := s.client()
	_, giveUp := s.begin(t.Context())
	// One waits for the slot, and gives up before it has it.
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, _, _, err := whole(ctx, client, short())
		gone <- err
	}()
	s.eventually("tandem_chat_queue_answers", "1")
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	s.eventually("tandem_chat_queue_answers", "0")
	// The next one gets the slot when the first leaves it.
	answered := make(chan error)
	go func() {
		_, _, _, err := whole(t.Context(), client, short())
		answered <- err
	}()
	s.eventually("tandem_chat_queue_answers", "1")
	giveUp()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	s.eventually("tandem_chat_slots_busy", "0")
	// So does one that does not stream.
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_, _, _, err := whole(ctx, client, endless())
		gone <- err
	}()
	s.eventually("tandem_chat_slots_busy", "1")
	cancel()
	<-gone
	s.eventually("tandem_chat_slots_busy", "0")
	s.eventually(`tandem_chat_answers_total{finish="given_up"}`, "3")
	s.eventually(`tandem_chat_refused_total{reason="ended"}`, "3")
}

// Beyond what may wait, requests are refused and told when to come again; OpenAI's client then does.
func TestQueueIsBounded(t *testing.T) {
	s := newServer(t, policy(t, "p1", 9, nil), slots(1, 1))
	client := s.client()
	_, giveUp := s.begin(t.Context())
	answered := make(chan error)
	go func() {
		_, _, _, err := whole(t.Context(), client, short())
		answered <- err
	}()
	s.eventually("tandem_chat_queue_answers", "1")
	w := s.post(t.Context(), `{`+hello+`}`)
	after, err := strconv.Atoi(w.Header().Get("Retry-After"))
	if f := failureOf(t, w); w.Code != http.StatusTooManyRequests || said(f.Code) != "queue_full" || f.Type != "rate_limit_error" || err != nil || after < 1 || after > 60 {
		t.Errorf("%d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
	}
	giveUp()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	// More choices than there is room for are taken where nothing is at work: they would never be otherwise.
	s.eventually("tandem_chat_slots_busy", "0")
	many := short()
	many.N = openai.Int(10)
	if texts, _, _, err := whole(t.Context(), client, many); err != nil || len(texts) != 10 {
		t.Errorf("%d choices, %v", len(texts), err)
	}
	if got := s.metrics()[`tandem_chat_refused_total{reason="queue_full"}`]; got != "1" {
		t.Errorf("%s were refused", got)
	}
}

// A long answer keeps nobody waiting who finds a free slot.
func TestAnswersJoin(t *testing.T) {
	s := newServer(t, policy(t, "p1", 10, nil), slots(2, 10))
	client := s.client()
	stream, giveUp := s.begin(t.Context())
	defer giveUp()
	for range 5 {
		if _, _, _, err := whole(t.Context(), client, short()); err != nil {
			t.Fatal(err)
		}
	}
	if !stream.Next() {
		t.Errorf("the long answer has ended: %v", stream.Err())
	}
}

// A request ends when its time does: with a status, or where it has begun to stream, with an event.
func TestDeadline(t *testing.T) {
	s := newServer(t, policy(t, "p1", 11, nil), func(serving *chatapi.ServingConfig, c *chatapi.Config) {
		slots(4, 4)(serving, c)
		c.Timeout = 400 * time.Millisecond
	})
	client := s.client()
	_, _, _, err := whole(t.Context(), client, endless())
	if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != http.StatusServiceUnavailable || e.Code != "timeout" || !strings.Contains(e.Message, "400ms") {
		t.Errorf("whole: %v", err)
	}
	got, err := s.stream(t.Context(), client, endless())
	if err == nil || !strings.Contains(err.Error(), "400ms") || got.texts[0] == "" || got.finishes[0] != "" {
		t.Errorf("streamed: %v after %d chunks, %v", err, got.chunks, got.finishes)
	}
	s.eventually("tandem_chat_slots_busy", "0")
}

// A server that stops says so in the streams that it cuts off.
func TestStop(t *testing.T) {
	s := newServer(t, policy(t, "p1", 12, nil), slots(4, 4))
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(400*time.Millisecond, func() { stop(web.ErrStopping) })
	w := s.post(ctx, `{`+hello+`,"temperature":0,"stream":true}`)
	if text := w.Body.String(); w.Code != http.StatusOK || !strings.HasPrefix(text, `data: {"id":"chatcmpl-`) || !strings.Contains(text, `data: {"error":{"message":"The server stops`) || strings.Contains(text, "[DONE]") {
		t.Errorf("%d …%s", w.Code, text[max(0, len(text)-500):])
	}
}

// While an answer waits, its stream shows that it is alive.
func TestBeat(t *testing.T) {
	s := newServer(t, policy(t, "p1", 13, nil), func(serving *chatapi.ServingConfig, c *chatapi.Config) {
		slots(1, 4)(serving, c)
		c.Beat = 20 * time.Millisecond
	})
	_, giveUp := s.begin(t.Context())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(`{`+hello+`,"stream":true,"max_tokens":3}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer good")
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for range 3 {
		if line, err := lines.ReadString('\n'); err != nil || line != ": waiting\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	// OpenAI's client, which takes any empty line for an event, waits as well.
	client := s.client()
	patient := client.Chat.Completions.NewStreaming(t.Context(), short())
	time.AfterFunc(100*time.Millisecond, giveUp)
	said := 0
	for patient.Next() {
		said++
	}
	if err := patient.Err(); err != nil || said == 0 {
		t.Errorf("OpenAI's client reads %d chunks: %v", said, err)
	}
	if rest := readAll(t, lines); !strings.HasSuffix(rest, "data: [DONE]\n\n") || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("it ends with %q", rest)
	}
}

// pipes are a listener whose connections hold nothing: what is written is read at the same moment, or waits.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A reader that takes nothing holds nobody up, frees its slot when its answer is sampled, and is cut off in the end.
func TestSlowReader(t *testing.T) {
	s := newServer(t, policy(t, "p1", 14, nil), func(serving *chatapi.ServingConfig, c *chatapi.Config) {
		slots(1, 4)(serving, c)
		c.Patience = 2 * time.Second
	})
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	listening := &http.Server{Handler: s.handler}
	go func() { _ = listening.Serve(p) }()
	defer listening.Close()
	ours, theirs := net.Pipe()
	p.connections <- theirs
	body := `{` + hello + `,"temperature":0,"stream":true,"max_tokens":300}`
	if _, err := fmt.Fprintf(ours, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReaderSize(ours, 16).ReadString('\n') // and nothing more
	if err != nil || !strings.Contains(line, "200 OK") {
		t.Fatalf("%q, %v", line, err)
	}
	start := time.Now()
	if _, _, _, err := whole(t.Context(), s.client(), short()); err != nil {
		t.Error(err)
	}
	s.eventually(`tandem_chat_answers_total{finish="length"}`, "2")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("others wait for %v", took)
	}
	s.eventually(`tandem_chat_refused_total{reason="ended"}`, "1")
	_ = ours.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, ours); err != nil {
		t.Errorf("the connection is still open: %v", err)
	}
}

// promotions are models as a store names them.
type promotions struct {
	sync.Mutex
	model tandem.Model
}

func (p *promotions) Promoted(context.Context, tandem.ModelKind) (tandem.Model, error) {
	p.Lock()
	defer p.Unlock()
	if p.model.ID == "" {
		return p.model, tandem.Errorf(tandem.NotFound, "promotions", "there is none")
	}
	return p.model, nil
}

func (p *promotions) promote(id, folder string) {
	p.Lock()
	defer p.Unlock()
	p.model = tandem.Model{ID: id, URL: folder}
}

// A policy that is promoted takes over between requests, none of which fails; those under way end with the old one.
func TestPromotedPolicyTakesOver(t *testing.T) {
	one, two := policy(t, "one", 15, nil), policy(t, "two", 16, nil)
	s := newServer(t, "", slots(8, 100))
	client := s.client()
	if w := s.post(t.Context(), `{`+hello+`}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a := ask{dialogue: tandem.Dialogue{{Role: tandem.User, Content: "hello"}}, sampling: tandem.Sampling{Temperature: 1, MaxTokens: 40}, choices: 1}
	says := make(map[string][]tandem.Completion)
	for id, folder := range map[string]string{"one": one, "two": two} {
		p, err := chat.Open(t.Context(), folder, chat.Config{})
		if err != nil {
			t.Fatal(err)
		}
		says[id] = expected(t, p, a)
	}
	models := &promotions{}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() {
		s.serving.Watch(ctx, chatapi.WatchConfig{Promotions: models, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	})
	models.promote("one", one)
	s.eventually(`tandem_chat_model{id="one"}`, "1")
	stream, giveUp := s.begin(t.Context())
	defer giveUp()
	for range 4 {
		running.Go(func() {
			for ctx.Err() == nil {
				answer, err := client.Chat.Completions.New(context.WithoutCancel(ctx), a.params())
				if err != nil {
					t.Errorf("a request failed while policies changed: %v", err)
					return
				}
				if got := answer.Choices[0].Message.Content; got != says[answer.Model][0].Text {
					t.Errorf("%s says %q, want %q", answer.Model, got, says[answer.Model][0].Text)
				}
			}
		})
	}
	models.promote("two", two)
	s.eventually(`tandem_chat_model{id="two"}`, "1")
	if answer, err := client.Chat.Completions.New(t.Context(), a.params()); err != nil || answer.Model != "two" {
		t.Errorf("%+v, %v", answer, err)
	}
	for range 3 {
		if !stream.Next() || stream.Current().Model != "one" {
			t.Fatalf("the stream that was under way: %+v, %v", stream.Current(), stream.Err())
		}
	}
	models.promote("three", t.TempDir())
	s.eventually(`tandem_chat_reloads_total{outcome="failed"}`, "1")
	if answer, err := client.Chat.Completions.New(t.Context(), a.params()); err != nil || answer.Model != "two" {
		t.Errorf("after a model that cannot be opened: %+v, %v", answer, err)
	}
}

// A model that breaks fails those whom it was to answer, and the next are answered.
func TestBrokenModel(t *testing.T) {
	var weights *llama.Weights
	s := newServer(t, policy(t, "p1", 17, nil), nil)
	weights = chatapi.WeightsOf(s.serving)
	client := s.client()
	if _, _, _, err := whole(t.Context(), client, short()); err != nil {
		t.Fatal(err)
	}
	first := weights.Norm[0]
	down := weights.Layers[0].Down
	for name, breaking := range map[string][2]func(){
		"not finite": {func() { weights.Norm[0] = float32(math.NaN()) }, func() { weights.Norm[0] = first }},
		"panic":      {func() { weights.Layers[0].Down = nil }, func() { weights.Layers[0].Down = down }},
	} {
		breaking[0]()
		two := short()
		two.N = openai.Int(2)
		_, _, _, err := whole(t.Context(), client, two)
		if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != http.StatusInternalServerError || e.Type != "server_error" || strings.Contains(e.Message, "panic") {
			t.Errorf("%s: %v", name, err)
		}
		s.eventually("tandem_chat_slots_busy", "0")
		breaking[1]()
		if _, _, _, err := whole(t.Context(), client, short()); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	if log := s.log.String(); !strings.Contains(log, "not finite") || !strings.Contains(log, "panic: ") {
		t.Errorf("the log does not say why: %s", log)
	}
}

// A model of another kind is no policy.
func TestOpenRefuses(t *testing.T) {
	s := newServer(t, "", nil)
	for name, folder := range map[string]string{"nothing": t.TempDir(), "a classifier": "../testdata/classifier"} {
		if _, err := s.serving.Open(t.Context(), folder); err == nil {
			t.Errorf("%s is opened", name)
		}
	}
}

// A stream goes on for longer than the server gives a request to arrive and an ordinary answer to be written.
func TestStreamOutlivesTheServersLimits(t *testing.T) {
	s := newServer(t, policy(t, "p1", 18, nil), slots(1, 1))
	const limit = 150 * time.Millisecond
	listening := httptest.NewUnstartedServer(s.handler)
	listening.Config.ReadTimeout, listening.Config.WriteTimeout = limit, limit
	listening.Start()
	defer listening.Close()
	s.url = listening.URL
	stream, giveUp := s.begin(t.Context())
	defer giveUp()
	for start := time.Now(); time.Since(start) < 4*limit; {
		if !stream.Next() {
			t.Fatalf("the stream ends after %v: %v", time.Since(start), stream.Err())
		}
	}
}
