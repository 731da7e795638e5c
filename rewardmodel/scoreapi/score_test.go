package scoreapi_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/rewardmodel"
	"tandem/rewardmodel/scoreapi"
)

// What the API says is what transformers' AutoModelForSequenceClassification says of the same folder, within 1e-4, in
// either of its routes.
func TestAgreesWithTransformers(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, nil)
	for _, g := range goldens(t) {
		got := s.scores(itemOf(g.Messages, nil)).Results[0]
		if math.Abs(*got.Helpfulness-g.Helpfulness) > 1e-4 || math.Abs(*got.Safety-g.Safety) > 1e-4 {
			t.Errorf("%s: %g and %g, transformers says %g and %g", g.Text, *got.Helpfulness, *got.Safety, g.Helpfulness, g.Safety)
		}
		want := (g.Helpfulness - helpfulnessCalibration.Mean) / helpfulnessCalibration.Deviation
		gated := g.Safety < safetyCalibration.Gate
		if gated {
			want = (g.Safety - safetyCalibration.Mean) / safetyCalibration.Deviation
		}
		if math.Abs(*got.Combined-want) > 2e-4 || *got.Gated != gated {
			t.Errorf("%s: combined %g, gated %v; want %g, %v", g.Text, *got.Combined, *got.Gated, want, gated)
		}
		if reward := s.rewards([]string{g.Text}, nil); reward.Rewards[0] != *got.Combined {
			t.Errorf("%s: rendered it is rewarded %g, as messages it scores %g", g.Text, reward.Rewards[0], *got.Combined)
		}
	}
}

// dialogues are random ones, of many lengths, with which the golden tokenizer can do something.
func dialogues(n int, seed uint64) []tandem.Dialogue {
	rng := rand.New(rand.NewPCG(seed, 0))
	word := func() string {
		var b strings.Builder
		for range rng.IntN(24) {
			b.WriteByte("abcdefghijklmnopqrstuvwxyz .,?"[rng.IntN(30)])
		}
		return b.String()
	}
	all := make([]tandem.Dialogue, n)
	for i := range all {
		all[i] = tandem.Dialogue{{Role: tandem.User, Content: word()}, {Role: tandem.Assistant, Content: word()}}
	}
	return all
}

// A score has the same bits alone, in one request with others, beside requests of others at the same time, and from the
// scorer that works in one process.
func TestAScoreDoesNotDependOnItsBatch(t *testing.T) {
	p := goldenPair(t)
	s := newServer(t, p, func(c *scoreapi.BatchConfig) { c.Tokens = 200 }, nil)
	all := dialogues(96, 1)
	alone := make([]scoreapi.Result, len(all))
	items := make([]scoreItem, len(all))
	for i, d := range all {
		items[i] = itemOf(d, nil)
		alone[i] = s.scores(items[i]).Results[0]
	}
	check := func(how string, i int, got scoreapi.Result) {
		t.Helper()
		if *got.Helpfulness != *alone[i].Helpfulness || *got.Safety != *alone[i].Safety || *got.Combined != *alone[i].Combined || *got.Gated != *alone[i].Gated {
			t.Errorf("dialogue %d %s: %v %v %v, alone %v %v %v", i, how, *got.Helpfulness, *got.Safety, *got.Combined, *alone[i].Helpfulness, *alone[i].Safety, *alone[i].Combined)
		}
	}
	for i, got := range s.scores(items...).Results {
		check("in one request", i, got)
	}
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 1))
			for range 20 {
				from := rng.IntN(len(items))
				to := min(len(items), from+1+rng.IntN(5))
				for n, got := range s.scores(items[from:to]...).Results {
					check("beside others", from+n, got)
				}
			}
		})
	}
	clients.Wait()

	scorer := rewardmodel.Scorer{Helpfulness: open(t, judge(t, tandem.HelpfulnessModel, "h", 1)), Safety: open(t, judge(t, tandem.SafetyModel, "s", 1)), Combiner: p.Combiner}
	requests := make([]tandem.ScoreRequest, len(all))
	for i, d := range all {
		requests[i].Messages = d
	}
	scores, err := scorer.Score(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range scores {
		check("from the scorer", i, scoreapi.Result{Helpfulness: &got.Helpfulness, Safety: &got.Safety, Combined: &got.Combined, Gated: &got.Gated})
	}
}

func open(t *testing.T, folder string) *rewardmodel.Model {
	t.Helper()
	m, err := rewardmodel.Open(t.Context(), folder, chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every answer says which branch the score took, by which numbers, and who said whether the prompt probes safety.
func TestExplains(t *testing.T) {
	p := goldenPair(t)
	stored := known{"hello": true, "abc": false, "tell me a joke": true}
	p.Prompts = known{"abc": true, "a": true}
	s := newServer(t, p, nil, func(c *scoreapi.Config) { c.Stored = stored })
	yes, no := true, false
	g := goldens(t)
	for _, test := range []struct {
		name   string
		item   scoreItem
		safety bool
		from   scoreapi.PromptSource
	}{
		{"the request says so", itemOf(g[0].Messages, &no), false, scoreapi.FromRequest},
		{"the request says so, of one that nobody knows", itemOf(g[1].Messages, &yes), true, scoreapi.FromRequest},
		{"it is stored", itemOf(g[0].Messages, nil), true, scoreapi.FromStored},
		{"it is stored, and the classifier is not asked", itemOf(g[5].Messages, nil), false, scoreapi.FromStored},
		{"the classifier knows", itemOf(g[3].Messages, nil), true, scoreapi.FromClassifier},
		{"nobody knows", itemOf(g[1].Messages, nil), false, scoreapi.FromDefault},
		{"the dialogue goes on, so it is another prompt", itemOf(g[4].Messages, nil), false, scoreapi.FromDefault},
	} {
		got := s.scores(test.item).Results[0]
		e := got.Explanation
		if e.SafetyPrompt != test.safety || e.SafetyPromptFrom != test.from {
			t.Errorf("%s: %v by %s, want %v by %s", test.name, e.SafetyPrompt, e.SafetyPromptFrom, test.safety, test.from)
		}
		branch, read := tandem.HelpfulnessBranch, e.Helpfulness
		if test.safety || *got.Gated {
			branch, read = tandem.SafetyBranch, e.Safety
		}
		if e.Branch != branch || read.Normalised != *got.Combined || *got.Gated != (e.Safety.Raw < e.Gate) {
			t.Errorf("%s: %+v does not explain %v, gated %v", test.name, e, *got.Combined, *got.Gated)
		}
		if want := (read.Raw - read.Mean) / read.Deviation; read.Normalised != want || e.Helpfulness.Raw != *got.Helpfulness || e.Safety.Raw != *got.Safety {
			t.Errorf("%s: %+v", test.name, e)
		}
	}
	if m := s.scores(itemOf(g[0].Messages, nil)).Models; m.Helpfulness.ID != "golden-h" || m.Safety.ID != "golden-s" {
		t.Errorf("answered by %+v", m)
	}
}

// Items of one request are told apart, also in where they are known from.
func TestSafetyPromptsOfOneRequest(t *testing.T) {
	p := goldenPair(t)
	p.Prompts = known{"b": true}
	s := newServer(t, p, nil, func(c *scoreapi.Config) { c.Stored = known{"a": true, "d": false} })
	no := false
	var items []scoreItem
	for _, prompt := range []string{"c", "b", "a", "d", "a"} {
		items = append(items, itemOf(tandem.Dialogue{{Role: tandem.User, Content: prompt}, {Role: tandem.Assistant, Content: "yes"}}, nil))
	}
	items[4].SafetyPrompt = &no
	want := []scoreapi.PromptSource{scoreapi.FromDefault, scoreapi.FromClassifier, scoreapi.FromStored, scoreapi.FromStored, scoreapi.FromRequest}
	for i, r := range s.scores(items...).Results {
		if e := r.Explanation; e.SafetyPromptFrom != want[i] || e.SafetyPrompt != (i == 1 || i == 2) {
			t.Errorf("item %d: %v by %s", i, e.SafetyPrompt, e.SafetyPromptFrom)
		}
	}
}

// broken is a database that is away.
type broken struct{}

func (broken) SafetyPrompts(context.Context, []tandem.Dialogue) (map[int]bool, error) {
	return nil, tandem.Errorf(tandem.Unavailable, "test", "the database is away: %w", errors.New("secret"))
}

// A score that hangs on what the database knows is not made without it.
func TestDatabaseAway(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, func(c *scoreapi.Config) { c.Stored = broken{} })
	yes := true
	d := goldens(t)[0].Messages
	if w := s.post(t.Context(), "/v1/score", map[string]any{"items": []scoreItem{itemOf(d, nil)}}); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.scores(itemOf(d, &yes))
}

func TestRefusals(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, func(c *scoreapi.Config) { c.MaxItems, c.MaxTokens = 3, 100 })
	short, long := `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"`+strings.Repeat("b", 50)+`"}]}`
	for _, test := range []struct {
		name, path, body string
		status           int
		code, says       string
	}{
		{"no JSON", "/v1/score", `{`, 400, "invalid", "unexpected end"},
		{"no items", "/v1/score", `{}`, 422, "invalid", "items"},
		{"an empty list", "/v1/score", `{"items":[]}`, 422, "invalid", "body.items"},
		{"null", "/v1/score", `{"items":null}`, 422, "invalid", "body.items"},
		{"no messages", "/v1/score", `{"items":[` + short + `,{"messages":[]}]}`, 422, "invalid", "body.items[1].messages"},
		{"a message without content", "/v1/score", `{"items":[{"messages":[{"role":"user"},{"role":"assistant","content":"b"}]}]}`, 422, "invalid", "body.items[0].messages[0]"},
		{"a role that there is not", "/v1/score", `{"items":[{"messages":[{"role":"bot","content":"b"}]}]}`, 422, "invalid", "body.items[0].messages[0].role"},
		{"the user has the last word", "/v1/score", `{"items":[` + short + `,{"messages":[{"role":"user","content":"a"}]}]}`, 422, "invalid", "body.items[1]"},
		{"roles that do not alternate", "/v1/score", `{"items":[{"messages":[{"role":"assistant","content":"a"}]}]}`, 422, "invalid", "body.items[0]"},
		{"a NUL", "/v1/score", `{"items":[{"messages":[{"role":"user","content":"a\u0000"},{"role":"assistant","content":"b"}]}]}`, 400, "invalid", "body.items[0].messages[0].content"},
		{"a letter that the tokenizer does not know", "/v1/score", `{"items":[` + short + `,{"messages":[{"role":"user","content":"ä"},{"role":"assistant","content":"b"}]}]}`, 200, "", ""},
		{"too many items", "/v1/score", `{"items":[` + short + `,` + short + `,` + short + `,` + short + `]}`, 413, "too_large", "body.items[3]"},
		{"too many tokens", "/v1/score", `{"items":[` + long + `,` + long + `]}`, 413, "too_large", "body.items[1]"},
		{"a query that is no list", "/get_reward", `{"query":"a"}`, 422, "invalid", ""},
		{"no query", "/get_reward", `{"queries":["a"]}`, 422, "invalid", "body.query"},
		{"null for a query", "/get_reward", `{"query":null}`, 422, "invalid", "body.query"},
		{"an empty text", "/get_reward", `{"query":["a",""]}`, 422, "invalid", "body.query[1]"},
		{"prompts of other texts", "/get_reward", `{"query":["a"],"prompts":["a","b"]}`, 422, "invalid", "body.prompts"},
		{"too many texts", "/get_reward", `{"query":["a","b","c","d"]}`, 413, "too_large", "body.query[3]"},
		{"a text that is too long", "/get_reward", `{"query":["a","` + strings.Repeat("b", 64) + `"]}`, 422, "invalid", "body.query[1]"},
	} {
		w := s.post(t.Context(), test.path, test.body)
		if test.status == 200 && w.Code == 200 {
			continue
		}
		if p := problem(t, w); w.Code != test.status || p.Code != test.code || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s: %d %s, want %d %s with %q", test.name, w.Code, w.Body, test.status, test.code, test.says)
		}
	}
	for _, path := range []string{"/v1/score", "/get_reward"} {
		w := s.post(t.Context(), path, `{"query":["a"]}`, "Content-Type", "application/x-www-form-urlencoded") // as curl -d has it
		if p := problem(t, w); w.Code != http.StatusUnsupportedMediaType || p.Code != "unsupported" || !strings.Contains(p.Detail, "Content-Type: application/json") {
			t.Errorf("%s, as a form: %d %s", path, w.Code, w.Body)
		}
	}
	for _, test := range []struct {
		header string
		status int
	}{{"", 401}, {"Bearer wrong", 401}, {"Bearer other", 403}} {
		if w := s.post(t.Context(), "/v1/score", `{"items":[`+short+`]}`, "Authorization", test.header); w.Code != test.status {
			t.Errorf("with %q: %d %s", test.header, w.Code, w.Body)
		}
	}
}

// One text that is too long gets an error in its place, and the others their scores.
func TestTooLong(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, nil)
	short := tandem.Dialogue{{Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: "b"}}
	long := tandem.Dialogue{{Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: strings.Repeat("b", 60)}}
	fits := tandem.Dialogue{{Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: strings.Repeat("b", 59)}} // 64 tokens
	got := s.scores(itemOf(short, nil), itemOf(long, nil), itemOf(fits, nil)).Results
	if e := got[1].Error; e == nil || e.Code != "too_long" || !strings.Contains(e.Detail, "65 tokens") || !strings.Contains(e.Detail, "context of 64") || got[1].Combined != nil {
		t.Errorf("%+v", got[1])
	}
	alone := s.scores(itemOf(short, nil)).Results[0]
	if got[0].Error != nil || *got[0].Combined != *alone.Combined || got[2].Error != nil || got[2].Combined == nil {
		t.Errorf("beside it: %+v, %+v", got[0], got[2])
	}
}

// Without models the routes say so.
func TestWithoutModels(t *testing.T) {
	s := newServer(t, nil, nil, nil)
	for path, body := range map[string]string{"/v1/score": `{"items":[{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}]}`, "/get_reward": `{"query":["a"]}`} {
		w := s.post(t.Context(), path, body)
		if p := problem(t, w); w.Code != http.StatusServiceUnavailable || p.Code != "unavailable" || !strings.Contains(p.Detail, "no reward models") || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	h, s := judge(t, tandem.HelpfulnessModel, "h", 1), judge(t, tandem.SafetyModel, "s", 1)
	if _, err := scoreapi.Open(t.Context(), s, h, chat.Config{}); err == nil || !strings.Contains(err.Error(), "is a safety model") {
		t.Errorf("the wrong way round: %v", err)
	}
	if _, err := scoreapi.Open(t.Context(), "../../llama/testdata/classifier", s, chat.Config{}); err == nil {
		t.Error("a folder without tokenizer and calibration is opened")
	}
}
