package scoreapi_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"testing"

	"tandem"
	"tandem/rewardmodel/scoreapi"
)

// rewards asks as OpenRLHF does; it must be answered.
func (s *server) rewards(query, prompts []string) scoreapi.RewardAnswer {
	s.t.Helper()
	w := s.post(s.t.Context(), "/get_reward", map[string]any{"query": query, "prompts": prompts, "labels": prompts}, "Authorization", basic)
	var answer scoreapi.RewardAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil || len(answer.Rewards) != len(query) || len(answer.Scores) != len(query) {
		s.t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	return answer
}

// basic is the header that "http://tandem:good@host" makes of a URL.
const basic = "Basic dGFuZGVtOmdvb2Q="

// A text is read as it stands: special tokens count, BOS and EOS are there once, and a NUL that a poor model said harms nobody.
func TestRewardsOfRenderedTexts(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, nil)
	g := goldens(t)
	texts := []string{
		"<s><|user|>hello<|assistant|>hi there!</s>", "<|user|>hello<|assistant|>hi there!", "<s><|user|>hello<|assistant|>hi there!", "<s><|user|>hello<|assistant|>hi there!</s></s>",
		"<s><|user|>hello<|assistant|>hi\u0000there!",
	}
	got := s.rewards(texts, nil)
	want := *s.scores(itemOf(g[0].Messages, nil)).Results[0].Combined
	for i, text := range texts[:4] {
		if got.Rewards[i] != want {
			t.Errorf("%q is rewarded %g, the dialogue scores %g", text, got.Rewards[i], want)
		}
	}
	for i, r := range got.Rewards {
		if score := got.Scores[i]; score <= 0 || score >= 1 || math.Abs(math.Log(score/(1-score))-r) > 1e-9 {
			t.Errorf("a reward of %g is a score of %g", r, score)
		}
	}
}

// The prompt's category is found whether the prompt comes as its message or rendered by the template.
func TestRewardsBySafetyPrompts(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, func(c *scoreapi.Config) { c.Stored = known{"hello": true} })
	text := "<s><|user|>hello<|assistant|>hi there!</s>"
	yes, no := true, false
	d := goldens(t)[0].Messages
	results := s.scores(itemOf(d, &yes), itemOf(d, &no)).Results
	asSafety, asOther := *results[0].Combined, *results[1].Combined
	if asSafety == asOther {
		t.Fatal("the dialogue does not tell the branches apart")
	}
	prompts := []string{"hello", "<s><|user|>hello<|assistant|>", "<|user|>hello<|assistant|>", "hello!", "<s><|user|>hello<|user|>", ""}
	got := s.rewards(slices.Repeat([]string{text}, len(prompts)), prompts)
	want := []float64{asSafety, asSafety, asSafety, asOther, asOther, asOther}
	if !slices.Equal(got.Rewards, want) {
		t.Errorf("rewards %v, want %v", got.Rewards, want)
	}
}

// stored are prompts as a database knows them.
type stored map[uint64]bool

func (s stored) SafetyPrompts(_ context.Context, prompts []tandem.Dialogue) (map[int]bool, error) {
	out := make(map[int]bool)
	for i, p := range prompts {
		if safety, ok := s[p.Key()]; ok {
			out[i] = safety
		}
	}
	return out, nil
}

// So is that of a prompt of several turns, or with a system message; two prompts that end alike are two.
func TestRewardsByPromptsOfSeveralTurns(t *testing.T) {
	turns := tandem.Dialogue{{Role: tandem.User, Content: "tell me a joke"}, {Role: tandem.Assistant, Content: "no"}, {Role: tandem.User, Content: "why?"}}
	system := tandem.Dialogue{{Role: tandem.System, Content: "be brief"}, {Role: tandem.User, Content: "hello"}}
	s := newServer(t, goldenPair(t), nil, func(c *scoreapi.Config) {
		c.Stored = stored{turns.Key(): true, system.Key(): true, tandem.Dialogue{{Role: tandem.User, Content: "never"}}.Key(): true}
	})
	text := "<s><|user|>hello<|assistant|>hi there!</s>"
	yes, no := true, false
	d := goldens(t)[0].Messages
	results := s.scores(itemOf(d, &yes), itemOf(d, &no)).Results
	asSafety, asOther := *results[0].Combined, *results[1].Combined
	prompts := map[string]float64{
		"<s><|user|>tell me a joke<|assistant|>no</s><|user|>why?<|assistant|>":  asSafety,
		"<|user|>tell me a joke<|assistant|>no</s><|user|>why?<|assistant|>":     asSafety,
		"<s><|user|>tell me a joke<|assistant|>yes</s><|user|>why?<|assistant|>": asOther,
		"<s><|user|>why?<|assistant|>":                                           asOther,
		"<s><|system|>be brief<|user|>hello<|assistant|>":                        asSafety,
		"<s><|system|>be kind<|user|>hello<|assistant|>":                         asOther,
		"<s><|user|>never<|assistant|>":                                          asSafety,
		"never":                                                                  asSafety,
	}
	for prompt, want := range prompts {
		if got := s.rewards([]string{text, text}, []string{prompt, "x"}).Rewards; got[0] != want || got[1] != asOther {
			t.Errorf("%q: %v, want %g", prompt, got, want)
		}
	}
}

// These are bodies and headers as OpenRLHF's own clients send them: 0.11.2 by aiohttp, openrlhf/utils/agent.py, and 0.8.11
// by requests, openrlhf/utils/remote_rm_utils.py.
func TestOpenRLHF(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, nil)
	query := `["<s><|user|>hello<|assistant|>hi there!</s>"]`
	for _, test := range []struct {
		name, body string
		headers    []string
	}{
		{"0.11.2", `{"query": ` + query + `, "prompts": ["<s><|user|>hello<|assistant|>"], "labels": [null]}`,
			[]string{"Authorization", basic, "Accept", "*/*", "Accept-Encoding", "gzip, deflate", "User-Agent", "Python/3.11 aiohttp/3.14.1", "Content-Type", "application/json"}},
		{"0.11.2 with a label", `{"query": ` + query + `, "prompts": ["hello"], "labels": ["\u00fc \ud83d\ude00"]}`,
			[]string{"Authorization", basic, "Content-Type", "application/json"}},
		{"0.8.11", `{"query": ` + query + `, "prompts": ["hello"], "labels": [""]}`,
			[]string{"Authorization", basic, "Accept", "*/*", "Accept-Encoding", "gzip, deflate", "User-Agent", "python-requests/2.32.5", "Content-Type", "application/json", "Connection", "keep-alive"}},
		{"more servers than texts", `{"query": [], "prompts": [], "labels": []}`, []string{"Authorization", basic}},
		{"no prompts", `{"query": ` + query + `, "prompts": null, "something": {"new": [1]}}`, []string{"Authorization", basic}},
	} {
		w := s.post(t.Context(), "/get_reward", test.body, test.headers...)
		var answer struct {
			Rewards   []float64      `json:"rewards"`
			Scores    []float64      `json:"scores"`
			ExtraLogs map[string]any `json:"extra_logs"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil || answer.Rewards == nil || answer.Scores == nil || answer.ExtraLogs == nil {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
			continue
		}
		if test.name == "more servers than texts" {
			continue
		}
		want := *s.scores(itemOf(tandem.Dialogue{{Role: tandem.User, Content: "hello"}, {Role: tandem.Assistant, Content: "hi there!"}}, nil)).Results[0].Combined
		if len(answer.Rewards) != 1 || answer.Rewards[0] != want {
			t.Errorf("%s: %v, want %v", test.name, answer.Rewards, want)
		}
	}
	if w := s.post(t.Context(), "/get_reward", `{"query":["a"]}`, "Authorization", "Basic dGFuZGVtOndyb25n"); w.Code != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", w.Code)
	}
}
