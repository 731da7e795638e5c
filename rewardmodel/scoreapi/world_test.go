package scoreapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/web"
	"tandem/internal/web/webtest"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel/scoreapi"
	"tandem/site"
	"tandem/store"
)

// golden is what transformers says of a dialogue; see testdata/golden.py.
type golden struct {
	Messages    tandem.Dialogue `json:"messages"`
	Text        string          `json:"text"`
	Tokens      []int32         `json:"tokens"`
	Helpfulness float64         `json:"helpfulness"`
	Safety      float64         `json:"safety"`
}

func goldens(t testing.TB) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Dialogues []golden }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Dialogues) < 6 {
		t.Fatalf("%d golden dialogues, %v", len(file.Dialogues), err)
	}
	return file.Dialogues
}

// The calibrations of the golden pair: the gate divides its dialogues, and the scales differ.
var (
	helpfulnessCalibration = tandem.Calibration{Mean: -.25, Deviation: .5, Samples: 10}
	safetyCalibration      = tandem.Calibration{Calibrated: true, Gate: .5, Mean: 1, Deviation: 2, Samples: 10}
)

// judge writes the model of one kind as golden.py scores it, with a tandem.json, and returns its folder. scale changes its
// scores by that factor.
func judge(t testing.TB, kind tandem.ModelKind, id string, scale float32) string {
	t.Helper()
	from, calibration := "classifier", helpfulnessCalibration
	if kind == tandem.SafetyModel {
		from, calibration = "classifier_bf16", safetyCalibration
	}
	m, err := checkpoint.Load(t.Context(), "../../llama/testdata/"+from)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Weights.Score {
		m.Weights.Score[i] *= scale
	}
	m.Files = map[string][]byte{}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		if m.Files[name], err = os.ReadFile("testdata/tokenizer/" + name); err != nil {
			t.Fatal(err)
		}
	}
	m.Lineage = &tandem.Model{ID: id, Name: "the " + id, Kind: kind, Stage: tandem.StageImport, Calibration: &calibration}
	folder := filepath.Join(t.TempDir(), "model")
	if err := checkpoint.Save(t.Context(), folder, m, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return folder
}

// goldenPair opens the pair that golden.py scores with.
func goldenPair(t testing.TB) *scoreapi.Pair {
	t.Helper()
	p, err := scoreapi.Open(t.Context(), judge(t, tandem.HelpfulnessModel, "golden-h", 1), judge(t, tandem.SafetyModel, "golden-s", 1), chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keys are one with the API's scope, and one with another.
func keys() webtest.Keys { return webtest.Keys{"good": store.ScopeScore, "other": store.ScopeRead} }

// server is a site with nothing but the score API.
type server struct {
	t       testing.TB
	handler http.Handler
	serving *scoreapi.Serving
	batcher *scoreapi.Batcher
	log     bytes.Buffer
}

// newServer changes the defaults before it registers.
func newServer(t testing.TB, p *scoreapi.Pair, batch func(*scoreapi.BatchConfig), change func(*scoreapi.Config)) *server {
	t.Helper()
	b := scoreapi.DefaultBatchConfig()
	if batch != nil {
		batch(&b)
	}
	c := scoreapi.Config{Serving: scoreapi.NewServing(nil)}
	if change != nil {
		change(&c)
	}
	var err error
	if c.Batcher, err = scoreapi.NewBatcher(b, c.Metrics); err != nil {
		t.Fatal(err)
	}
	if p != nil {
		c.Serving.Use(p)
	}
	s := &server{t: t, serving: c.Serving, batcher: c.Batcher}
	// A site has a bound on requests that tests of load would meet.
	if s.handler, err = site.Handler(site.Config{Keys: keys(), Rates: site.Rates{Callers: 1 << 30, Strangers: 1 << 30}, Log: slog.New(slog.NewTextHandler(&s.log, nil))},
		func(api web.API) error { return scoreapi.Register(api, c) }); err != nil {
		t.Fatal(err)
	}
	return s
}

// post sends a JSON value, or a string as it is, and headers in pairs.
func (s *server) post(ctx context.Context, path string, body any, headers ...string) *httptest.ResponseRecorder {
	text, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			s.t.Error(err)
		}
		text = string(encoded)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer good")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// message is a message as the API takes it.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// scoreItem is an item of /v1/score; SafetyPrompt nil leaves it out.
type scoreItem struct {
	Messages     []message `json:"messages"`
	SafetyPrompt *bool     `json:"safety_prompt,omitempty"`
}

func itemOf(d tandem.Dialogue, safety *bool) scoreItem {
	i := scoreItem{SafetyPrompt: safety}
	for _, m := range d {
		i.Messages = append(i.Messages, message{string(m.Role), m.Content})
	}
	return i
}

// scores asks for the scores of items, which must be there.
func (s *server) scores(items ...scoreItem) scoreapi.ScoreAnswer {
	s.t.Helper()
	w := s.post(s.t.Context(), "/v1/score", map[string]any{"items": items})
	var answer scoreapi.ScoreAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil || len(answer.Results) != len(items) {
		s.t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	return answer
}

func problem(t testing.TB, w *httptest.ResponseRecorder) web.Problem {
	t.Helper()
	var p web.Problem
	text, _ := io.ReadAll(w.Result().Body)
	if err := json.Unmarshal(text, &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s is no problem: %v", w.Code, text, err)
	}
	return p
}

// known are prompts by their one message, and whether they probe safety.
type known map[string]bool

func (k known) SafetyPrompts(_ context.Context, prompts []tandem.Dialogue) (map[int]bool, error) {
	out := make(map[int]bool)
	for i, p := range prompts {
		if safety, ok := k[p[len(p)-1].Content]; ok && len(p) == 1 {
			out[i] = safety
		}
	}
	return out, nil
}
