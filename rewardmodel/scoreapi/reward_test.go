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
