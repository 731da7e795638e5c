package scoreapi_test

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tandem/internal/web"
	"tandem/rewardmodel/scoreapi"
)

// FuzzScore sends bodies to /v1/score. Each is refused with a problem, or every item has a score or the reason why it has
// none, and the same when it is sent again.
func FuzzScore(f *testing.F) {
	for _, seed := range []string{
		`{"items":[{"messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"hi there!"}]}]}`,
		`{"items":[{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"a"},{"role":"assistant","content":""}],"safety_prompt":true},{"messages":[{"role":"user","content":"ä <s></s><|user|>"},{"role":"assistant","content":"` + strings.Repeat("long ", 20) + `"}],"safety_prompt":null}]}`,
		`{"items":[{"messages":[{"role":"assistant","content":"a"}]}]}`, `{"items":[{"messages":[],"x":1}]}`, `{"items":[]}`, `{"items":null}`, `{}`, `[]`, `null`, ``, `{"items":[{"messages":[{"role":"user","content":"\u0000\ud800"}]}]}`,
		`{"items":[{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"safety_prompt":"yes"}]}`,
	} {
		f.Add([]byte(seed))
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := fuzzPost[scoreapi.ScoreAnswer](t, s, "/v1/score", body)
		if answer == nil {
			return
		}
		var sent struct{ Items []json.RawMessage }
		if err := json.Unmarshal(body, &sent); err != nil || len(sent.Items) != len(answer.Results) || len(sent.Items) == 0 {
			t.Errorf("%d results for %q", len(answer.Results), body)
		}
		for _, r := range answer.Results {
			if scored := r.Helpfulness != nil && r.Safety != nil && r.Combined != nil && r.Gated != nil && r.Explanation != nil; scored == (r.Error != nil) {
				t.Errorf("%+v", r)
			}
			if r.Error == nil && (!finite(*r.Helpfulness) || !finite(*r.Safety) || !finite(*r.Combined)) {
				t.Errorf("%+v", r)
			}
		}
	})
}

// FuzzGetReward does the same with /get_reward, which knows numbers alone.
func FuzzGetReward(f *testing.F) {
	for _, seed := range []string{
		`{"query": ["<s><|user|>hello<|assistant|>hi there!</s>"], "prompts": ["<s><|user|>hello<|assistant|>"], "labels": [null]}`,
		`{"query":["a","",""],"prompts":["a","<s><|user|>a<|assistant|>b</s><|user|>c<|assistant|>","<|system|>s<|user|>"],"more":{"x":[1]}}`,
		`{"query":["\u0000\ud800"],"prompts":null}`, `{"query":[]}`, `{"query":null}`, `{"query":[null]}`, `{"query":[1]}`, `{"prompts":["a"]}`, `{}`, `[]`, `null`, ``,
		`{"query":["` + strings.Repeat("long ", 20) + `"]}`,
	} {
		f.Add([]byte(seed))
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := fuzzPost[scoreapi.RewardAnswer](t, s, "/get_reward", body)
		if answer == nil {
			return
		}
		var sent struct{ Query []any }
		if err := json.Unmarshal(body, &sent); err != nil || len(sent.Query) != len(answer.Rewards) || len(sent.Query) != len(answer.Scores) {
			t.Errorf("%v for %q", answer, body)
		}
		for i, r := range answer.Rewards {
			if !finite(r) || !(answer.Scores[i] >= 0 && answer.Scores[i] <= 1) {
				t.Errorf("%v", answer)
			}
		}
	})
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func fuzzServer(f *testing.F) *server {
	return newServer(f, goldenPair(f), nil, func(c *scoreapi.Config) { c.MaxItems, c.Stored = 8, known{"hello": true} })
}

// fuzzPost sends a body twice. nil is a refusal.
func fuzzPost[T any](t *testing.T, s *server, path string, body []byte) *T {
	w := s.post(t.Context(), path, string(body), "Authorization", "Bearer good")
	s.log.Reset()
	if w.Code == http.StatusOK {
		again := s.post(t.Context(), path, string(body), "Authorization", "Bearer good")
		answer := new(T)
		if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil || again.Body.String() != w.Body.String() {
			t.Errorf("%q: %s, then %s, %v", body, w.Body, again.Body, err)
		}
		return answer
	}
	var p web.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Code == "" || p.Detail == "" {
		t.Errorf("%q: %d %s", body, w.Code, w.Body)
	}
	if !slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}, w.Code) {
		t.Errorf("%q is refused with %d %s", body, w.Code, w.Body)
	}
	return nil
}
