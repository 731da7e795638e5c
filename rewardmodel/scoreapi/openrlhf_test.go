package scoreapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"tandem/rewardmodel/scoreapi"
)

// openRLHFRewards are what testdata/openrlhf.py's rollouts are worth: golden dialogues, which come rendered.
func (s *server) openRLHFRewards() map[string]float64 {
	want := make(map[string]float64)
	all := goldens(s.t)
	for _, g := range []golden{all[0], all[1], all[2], all[4]} {
		want[strings.TrimSuffix(g.Text, "</s>")] = *s.scores(itemOf(g.Messages, nil)).Results[0].Combined
	}
	return want
}

// What OpenRLHF's own clients send, headers and bodies as testdata/openrlhf.py recorded them, gets rewards.
func TestOpenRLHF(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, nil)
	text, err := os.ReadFile("testdata/openrlhf.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		Client, Path, Body string
		Headers            [][2]string
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	want, texts := s.openRLHFRewards(), make(map[string]int)
	for _, r := range recorded {
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, h[0], h[1])
		}
		w := s.post(t.Context(), r.Path, r.Body, headers...)
		var answer scoreapi.RewardAnswer
		var body scoreapi.RewardRequest
		if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil || answer.ExtraLogs == nil {
			t.Errorf("%s: %d %s", r.Client, w.Code, w.Body)
			continue
		}
		if err := json.Unmarshal([]byte(r.Body), &body); err != nil || len(answer.Rewards) != len(body.Query) || len(answer.Scores) != len(body.Query) {
			t.Errorf("%s: %v to %s, %v", r.Client, answer, r.Body, err)
			continue
		}
		for i, query := range body.Query {
			if reward, ok := want[strings.TrimSuffix(query, "</s>")]; !ok || answer.Rewards[i] != reward {
				t.Errorf("%s: %q is rewarded %g, want %g", r.Client, query, answer.Rewards[i], reward)
			}
			texts[r.Client]++
		}
	}
	if texts["0.11.2"] != 4 || texts["0.8.11"] != 4 {
		t.Errorf("rewarded %v, want four texts of either client", texts)
	}
}

// What they might send beside.
func TestOpenRLHFVariants(t *testing.T) {
	s := newServer(t, goldenPair(t), nil, nil)
	query := `["<s><|user|>hello<|assistant|>hi there!</s>"]`
	want := *s.scores(itemOf(goldens(t)[0].Messages, nil)).Results[0].Combined
	for _, test := range []struct {
		name, body string
		rewards    []float64
	}{
		{"more servers than texts", `{"query": [], "prompts": [], "labels": []}`, []float64{}},
		{"no prompts", `{"query": ` + query + `, "prompts": null, "something": {"new": [1]}}`, []float64{want}},
	} {
		w := s.post(t.Context(), "/get_reward", test.body, "Authorization", basic)
		var answer scoreapi.RewardAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil || answer.Rewards == nil || answer.Scores == nil || answer.ExtraLogs == nil || !slices.Equal(answer.Rewards, test.rewards) {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
		}
	}
	if w := s.post(t.Context(), "/get_reward", `{"query":["a"]}`, "Authorization", "Basic dGFuZGVtOndyb25n"); w.Code != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", w.Code)
	}
}

// OpenRLHF's own code asks a server that listens, where TEST_OPENRLHF names a Python that has aiohttp and requests, and
// wheels of OpenRLHF: see testdata/openrlhf.py.
func TestOpenRLHFItself(t *testing.T) {
	words := strings.Fields(os.Getenv("TEST_OPENRLHF"))
	if len(words) < 2 {
		t.Skip("TEST_OPENRLHF does not say PYTHON WHEEL…; what the clients send is recorded in testdata/openrlhf.json")
	}
	s := newServer(t, goldenPair(t), nil, nil)
	listening := httptest.NewServer(s.handler)
	defer listening.Close()
	url := strings.Replace(listening.URL, "http://", "http://tandem:good@", 1) + "/get_reward"
	command := exec.CommandContext(t.Context(), words[0], append([]string{"testdata/openrlhf.py", "ask", url}, words[1:]...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string][]scoreapi.RewardAnswer // by the client's version
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(words)-1 {
		t.Fatalf("%s, %v", out, err)
	}
	want := slices.Sorted(maps.Values(s.openRLHFRewards()))
	for version, parts := range answers {
		var got []float64
		for _, part := range parts {
			got = append(got, part.Rewards...)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s got %v, want %v", version, got, want)
		}
	}
}
