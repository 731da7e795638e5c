package scoreapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem"
	"tandem/llama/chat"
	"tandem/rewardmodel"
	"tandem/rewardmodel/scoreapi"
)

// slowJudge is a model that takes a tenth of a second for each token, panics at one, and remembers what it was given
// together. A text has a token for each byte of its last message.
type slowJudge struct {
	mutex  sync.Mutex
	passes [][]int // the lengths of what passed together
}

const (
	tokenTakes = 100 * time.Millisecond
	panicsAt   = '!'
)

func (j *slowJudge) Render(_ context.Context, d tandem.Dialogue) (chat.Example, error) {
	return j.RenderText(d[len(d)-1].Content)
}

func (j *slowJudge) RenderText(text string) (e chat.Example, err error) {
	for _, b := range []byte(text) {
		e.Tokens = append(e.Tokens, int32(b))
	}
	return e, nil
}

func (j *slowJudge) Context() int { return 1000 }

func (j *slowJudge) TokenScalars(ctx context.Context, sequences [][]int32) ([]rewardmodel.Scalar, error) {
	pass, scores := make([]int, len(sequences)), make([]rewardmodel.Scalar, len(sequences))
	sum := 0
	for i, s := range sequences {
		pass[i], scores[i].R = len(s), float64(len(s))
		sum += len(s)
	}
	j.mutex.Lock()
	j.passes = append(j.passes, pass)
	j.mutex.Unlock()
	select {
	case <-time.After(time.Duration(sum) * tokenTakes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, s := range sequences {
		if slices.Contains(s, panicsAt) {
			panic("the model is broken")
		}
	}
	return scores, nil
}

// quickJudge takes no time.
type quickJudge struct{ slowJudge }

func (j *quickJudge) TokenScalars(_ context.Context, sequences [][]int32) ([]rewardmodel.Scalar, error) {
	return make([]rewardmodel.Scalar, len(sequences)), nil
}

// slow is a server of a slowJudge, with its metrics, in a bubble of its own time.
type slow struct {
	*server
	judge   *slowJudge
	metrics http.Handler
	clients sync.WaitGroup
}

func newSlow(t *testing.T, batch scoreapi.BatchConfig) *slow {
	registry := prometheus.NewRegistry()
	metrics, err := scoreapi.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	judge := &slowJudge{}
	pair := &scoreapi.Pair{Helpfulness: judge, Safety: &quickJudge{}, Alike: true, Models: scoreapi.Models{Helpfulness: scoreapi.ModelName{ID: "h"}, Safety: scoreapi.ModelName{ID: "s"}}}
	s := newServer(t, nil, func(c *scoreapi.BatchConfig) { *c = batch }, func(c *scoreapi.Config) { c.Metrics, c.Serving = metrics, scoreapi.NewServing(metrics) })
	s.serving.Use(pair)
	return &slow{server: s, judge: judge, metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}
}

// reply is what became of a request.
type reply struct {
	*httptest.ResponseRecorder
	took time.Duration
}

// ask sends a request with an answer of each text and waits until it is computed or waits; the reply is there when
// clients have ended.
func (s *slow) ask(ctx context.Context, texts ...string) *reply {
	items := make([]scoreItem, len(texts))
	for i, text := range texts {
		items[i] = itemOf(tandem.Dialogue{{Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: text}}, nil)
	}
	r := &reply{}
	s.clients.Go(func() {
		start := time.Now()
		r.ResponseRecorder = s.post(ctx, "/v1/score", map[string]any{"items": items})
		r.took = time.Since(start)
	})
	synctest.Wait()
	return r
}

// scrape is the text of /metrics.
func (s *slow) scrape() string {
	w := httptest.NewRecorder()
	s.metrics.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// measures checks lines of /metrics.
func (s *slow) measures(t *testing.T, when string, lines ...string) {
	t.Helper()
	text := s.scrape()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s: /metrics has no line %q in\n%s", when, line, text)
		}
	}
}

func (r *reply) is(t *testing.T, name string, status int, took time.Duration) {
	t.Helper()
	if r.ResponseRecorder == nil {
		t.Fatalf("%s: no answer", name)
	}
	if r.Code != status || r.took != took {
		t.Errorf("%s: %d after %v, want %d after %v: %s", name, r.Code, r.took, status, took, r.Body)
	}
}

func text(n int) string { return strings.Repeat("x", n) }

// Who finds the queue full gets 429 and when to come again, and takes nothing from those that wait.
func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 10, Waiting: 3})
		s.ask(t.Context(), text(10)) // tells the pace: a tenth of a second for a token
		s.clients.Wait()
		s.measures(t, "before", "tandem_score_queue_items 0", `tandem_score_refused_total{reason="queue_full"} 0`)

		computed := s.ask(t.Context(), text(10))
		var waiting []*reply
		for range 3 {
			waiting = append(waiting, s.ask(t.Context(), text(10)))
		}
		s.measures(t, "while three wait", "tandem_score_queue_items 3", "tandem_score_queue_tokens 30")
		refused := s.ask(t.Context(), text(10))
		refused.is(t, "beyond them", http.StatusTooManyRequests, 0)
		if p := problem(t, refused.ResponseRecorder); p.Code != "too_many" || !strings.Contains(p.Detail, "3 texts wait") || refused.Header().Get("Retry-After") != "3" {
			t.Errorf("Retry-After %q, %+v", refused.Header().Get("Retry-After"), p)
		}
		if w := s.post(t.Context(), "/get_reward", `{"query":["x"]}`); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("get_reward: %d %s", w.Code, w.Body)
		}
		s.measures(t, "after the refusals", "tandem_score_queue_items 3", `tandem_score_refused_total{reason="queue_full"} 2`)

		s.clients.Wait()
		computed.is(t, "the one that was computed", http.StatusOK, time.Second)
		for i, r := range waiting {
			r.is(t, "one that waited", http.StatusOK, time.Duration(i+2)*time.Second)
		}
		// A request that is larger than the queue is taken where nothing waits.
		large := s.ask(t.Context(), text(1), text(1), text(1), text(1), text(1))
		s.clients.Wait()
		large.is(t, "five texts, of which three may wait", http.StatusOK, 500*time.Millisecond)
		s.measures(t, "in the end", "tandem_score_queue_items 0", "tandem_score_queue_tokens 0")
	})
}

// Who served scores can wait until the last pass is over.
func TestBatcherIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 10, Waiting: 3})
		for _, n := range []int{0, 10, 0} { // an idle one at once
			start := time.Now()
			if n > 0 {
				s.ask(t.Context(), text(n))
			}
			s.batcher.Wait()
			if took := time.Since(start); took != time.Duration(n)*tokenTakes {
				t.Errorf("waited %v for %d tokens", took, n)
			}
		}
		s.clients.Wait()
	})
}

// A request whose client went away is answered at once, and nothing is computed for it.
func TestClientsThatGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 50, Waiting: 10})
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		computed := s.ask(first, text(50))
		waited := s.ask(second, text(20), text(21))
		stays := s.ask(t.Context(), text(10))
		s.measures(t, "while two wait", "tandem_score_queue_items 3", "tandem_score_queue_tokens 51")
		time.Sleep(time.Second)
		leaveSecond()
		synctest.Wait()
		s.measures(t, "when one has left", "tandem_score_queue_items 1", "tandem_score_queue_tokens 10")
		time.Sleep(time.Second)
		leaveFirst() // nobody else is in its batch, which need not be ended
		s.clients.Wait()
		if computed.Code == http.StatusOK || computed.took != 2*time.Second {
			t.Errorf("computed, gone after 2 s: %d after %v", computed.Code, computed.took)
		}
		if waited.Code == http.StatusOK || waited.took != time.Second {
			t.Errorf("waiting, gone after 1 s: %d after %v", waited.Code, waited.took)
		}
		stays.is(t, "the one that stays", http.StatusOK, 3*time.Second)
		if want := [][]int{{50}, {10}}; !slices.EqualFunc(s.judge.passes, want, slices.Equal) {
			t.Errorf("computed %v, want %v", s.judge.passes, want)
		}
		s.measures(t, "in the end", `tandem_score_refused_total{reason="ended"} 2`, `tandem_score_request_seconds_count{route="/v1/score",status="499"} 2`,
			"tandem_score_items_total 1", "tandem_score_queue_items 0")
	})
}

// A batch that others share is ended, whoever leaves.
func TestLeavesABatchToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 50, Waiting: 10})
		s.ask(t.Context(), text(10))
		ctx, leave := context.WithCancel(t.Context())
		s.ask(ctx, text(20))
		stays := s.ask(t.Context(), text(21))
		time.Sleep(2 * time.Second) // both are computed now
		leave()
		s.clients.Wait()
		stays.is(t, "the one that stays", http.StatusOK, 5100*time.Millisecond)
	})
}

// A request has half a minute, whether it is computed or waits, and what comes behind it is computed as soon as it ends.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 5, Waiting: 10})
		long := s.ask(t.Context(), text(400))
		short := s.ask(t.Context(), text(301), text(5))
		time.Sleep(time.Second)
		later := s.ask(t.Context(), text(5))
		s.clients.Wait()
		long.is(t, "40 seconds of work", http.StatusServiceUnavailable, 30*time.Second)
		short.is(t, "what waited for it", http.StatusServiceUnavailable, 30*time.Second)
		later.is(t, "what came later", http.StatusOK, 29500*time.Millisecond)
		if p := problem(t, long.ResponseRecorder); p.Code != "unavailable" || !strings.Contains(p.Detail, "fewer texts") || long.Header().Get("Retry-After") == "" {
			t.Errorf("%+v", p)
		}
		s.measures(t, "in the end", `tandem_score_refused_total{reason="ended"} 2`, `tandem_score_request_seconds_count{route="/v1/score",status="503"} 2`)
	})
}

// A request that finds nothing at work is computed at once; one that came meanwhile waits for others no longer than the
// delay, and not at all when a batch is full.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 30, Waiting: 10, Delay: 10 * time.Second})
		for range 2 {
			alone := s.ask(t.Context(), text(10))
			s.clients.Wait()
			alone.is(t, "alone", http.StatusOK, time.Second)
		}
		first := s.ask(t.Context(), text(10))
		time.Sleep(200 * time.Millisecond)
		meanwhile := s.ask(t.Context(), text(10))
		time.Sleep(4 * time.Second)
		joins := s.ask(t.Context(), text(5))
		s.clients.Wait()
		first.is(t, "what finds nothing at work", http.StatusOK, time.Second)
		meanwhile.is(t, "what came meanwhile", http.StatusOK, 11500*time.Millisecond)
		joins.is(t, "what was waited for", http.StatusOK, 7500*time.Millisecond)

		s.ask(t.Context(), text(10))
		meanwhile = s.ask(t.Context(), text(10))
		time.Sleep(4 * time.Second)
		joins = s.ask(t.Context(), text(20))
		s.clients.Wait()
		meanwhile.is(t, "what makes a batch full", http.StatusOK, 7*time.Second)
		joins.is(t, "what it waited for", http.StatusOK, 3*time.Second)
	})
}

// A batch holds the oldest text and those nearest to it in length, and no more than its tokens.
func TestBatchesByLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 30, Waiting: 100})
		s.ask(t.Context(), text(1))
		for _, n := range []int{5, 40, 7, 4, 29, 8, 5, 30} {
			s.ask(t.Context(), text(n))
		}
		s.clients.Wait()
		passes := s.judge.passes
		for _, pass := range passes {
			slices.Sort(pass)
		}
		if want := [][]int{{1}, {4, 5, 5, 7, 8}, {40}, {29}, {30}}; !slices.EqualFunc(passes, want, slices.Equal) {
			t.Errorf("computed %v, want %v", passes, want)
		}
		s.measures(t, "in the end", "tandem_score_batch_items_sum 9", "tandem_score_batch_items_count 5", `tandem_score_batch_items_bucket{le="4"} 4`,
			"tandem_score_batch_tokens_sum 258", "tandem_score_items_total 9", "tandem_score_tokens_total 258")
	})
}

// A model that panics at one text fails that text's request alone, without a word of it to the caller.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 100, Waiting: 100})
		s.ask(t.Context(), text(10))
		before, broken, behind := s.ask(t.Context(), text(5)), s.ask(t.Context(), "xx!xx"), s.ask(t.Context(), text(5))
		s.clients.Wait()
		if p := problem(t, broken.ResponseRecorder); broken.Code != http.StatusInternalServerError || p.Code != "internal" || strings.Contains(broken.Body.String(), "broken") {
			t.Errorf("what panics: %d %s", broken.Code, broken.Body)
		}
		if before.Code != http.StatusOK || behind.Code != http.StatusOK {
			t.Errorf("beside it: %d %s, %d %s", before.Code, before.Body, behind.Code, behind.Body)
		}
		if log := s.log.String(); !strings.Contains(log, "the model is broken") || !strings.Contains(log, "batcher_test.go") {
			t.Errorf("the log does not say where: %s", log)
		}
		alone := s.ask(t.Context(), "!")
		s.clients.Wait()
		after := s.ask(t.Context(), text(5))
		s.clients.Wait()
		alone.is(t, "what panics, alone", http.StatusInternalServerError, 100*time.Millisecond)
		after.is(t, "the next", http.StatusOK, 500*time.Millisecond)
		s.measures(t, "in the end", "tandem_score_queue_items 0", `tandem_score_request_seconds_count{route="/v1/score",status="500"} 2`)
	})
}

// The latency of requests is told by route and status, in buckets, and models that answer by name.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(t, scoreapi.BatchConfig{Tokens: 100, Waiting: 100})
		s.ask(t.Context(), text(1)) // 0.1 s
		s.clients.Wait()
		s.ask(t.Context(), text(30)) // 3 s
		s.clients.Wait()
		s.ask(t.Context(), text(1000), text(1001)) // too long, the second
		s.clients.Wait()
		if w := s.post(t.Context(), "/get_reward", `{"query":["x"]}`); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		s.post(t.Context(), "/get_reward", `{"query":["x"],"prompts":["x","y"]}`)
		s.measures(t, "in the end",
			"# TYPE tandem_score_request_seconds histogram",
			`tandem_score_request_seconds_bucket{route="/v1/score",status="200",le="0.064"} 0`, `tandem_score_request_seconds_bucket{route="/v1/score",status="200",le="0.128"} 1`,
			`tandem_score_request_seconds_bucket{route="/v1/score",status="200",le="4.096"} 2`, `tandem_score_request_seconds_sum{route="/v1/score",status="200"} 3.1`,
			`tandem_score_request_seconds_count{route="/v1/score",status="503"} 1`,
			`tandem_score_request_seconds_count{route="/get_reward",status="200"} 1`, `tandem_score_request_seconds_count{route="/get_reward",status="422"} 1`,
			`tandem_score_refused_total{reason="too_long"} 1`, `tandem_score_refused_total{reason="invalid"} 1`,
			`tandem_score_model{id="h",kind="helpfulness"} 1`, `tandem_score_model{id="s",kind="safety"} 1`)
	})
}
