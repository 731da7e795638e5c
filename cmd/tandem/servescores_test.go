package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
)

// serving is tandem serve, started by a test.
type serving struct {
	t                    *testing.T
	url, metrics, secret string
	stop                 context.CancelFunc // for who does not wait for the test's end
}

// startServing starts it with a key for scores and chats, and stops it with the test.
func startServing(t *testing.T, args ...string) serving {
	t.Helper()
	useDatabase(t)
	s := serving{t: t, secret: strings.TrimSpace(tandemRun(t, "", "key", "create", "test", "--scope", "score", "--scope", "chat").ok(t).out)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	var stderr sharedBuffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}, args...), world{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &stderr})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-done; code != exitInterrupted {
			t.Errorf("stopped with exit code %d: %s", code, stderr.String())
		}
	})
	addresses := map[*string]*regexp.Regexp{&s.url: regexp.MustCompile(`msg=listening url=(http://[0-9.:]+)`), &s.metrics: regexp.MustCompile(`msg=metrics url=(http://[0-9.:]+/metrics)`)}
	for deadline := time.Now().Add(20 * time.Second); s.url == "" || s.metrics == ""; time.Sleep(10 * time.Millisecond) {
		for address, form := range addresses {
			if found := form.FindStringSubmatch(stderr.String()); found != nil {
				*address = found[1]
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not listen: %s", stderr.String())
		}
	}
	return s
}

// send asks for what must be answered, and returns the answer's text.
func (s serving) send(method, url string, body any) string {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.secret)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s, %v", url, response.StatusCode, answer, err)
	}
	return string(answer)
}

// numbers is a score as its digits stand in JSON.
type numbers struct {
	Helpfulness json.Number `json:"helpfulness"`
	Safety      json.Number `json:"safety"`
	Combined    json.Number `json:"combined"`
	Gated       bool        `json:"gated"`
}

// What `tandem serve` says of a dialogue is, to the last digit, what `tandem score` says; and it counts what it does.
func TestServedScoresAreThoseOfTheCommand(t *testing.T) {
	helpfulness := smallModel(t, tandem.HelpfulnessModel, 1, calibrated(tandem.Calibration{Mean: .25, Deviation: 2, Samples: 10}))
	safety := smallModel(t, tandem.SafetyModel, 2, calibrated(tandem.Calibration{Calibrated: true, Gate: 2, Mean: -.5, Deviation: .7, Samples: 10}))
	s := startServing(t, "--helpfulness", helpfulness, "--safety", safety)
	var asked []any
	for _, d := range dialogues {
		for _, safetyPrompt := range []bool{false, true} {
			asked = append(asked, map[string]any{"messages": d, "safety_prompt": safetyPrompt})
		}
		asked = append(asked, map[string]any{"messages": d})
	}
	command := func(in []any) []numbers {
		return lines[numbers](t, tandemRun(t, jsonLines(t, in...), "score", "--helpfulness", helpfulness, "--safety", safety).ok(t))
	}
	want := command(asked)
	if gated := func(n numbers) bool { return n.Gated }; !slices.ContainsFunc(want, gated) || !slices.ContainsFunc(want, func(n numbers) bool { return !n.Gated }) {
		t.Errorf("the gate divides nothing: %v", want)
	}
	var together struct{ Results []numbers }
	if err := json.Unmarshal([]byte(s.send("POST", s.url+"/v1/score", map[string]any{"items": asked})), &together); err != nil || !slices.Equal(together.Results, want) {
		t.Errorf("together %v, want %v, %v", together.Results, want, err)
	}
	for i, item := range asked {
		var alone struct{ Results []numbers }
		if err := json.Unmarshal([]byte(s.send("POST", s.url+"/v1/score", map[string]any{"items": []any{item}})), &alone); err != nil || !slices.Equal(alone.Results, want[i:i+1]) {
			t.Errorf("alone %v, want %v, %v", alone.Results, want[i], err)
		}
	}
	var texts []any
	var query []string
	for _, text := range []string{"<s>hello", "a longer text", "x"} {
		texts, query = append(texts, map[string]any{"text": text}), append(query, text)
	}
	var rewards struct{ Rewards []json.Number }
	if err := json.Unmarshal([]byte(s.send("POST", s.url+"/get_reward", map[string]any{"query": query})), &rewards); err != nil || len(rewards.Rewards) != len(query) {
		t.Fatalf("%v, %v", rewards, err)
	}
	for i, n := range command(texts) {
		if rewards.Rewards[i] != n.Combined {
			t.Errorf("%q is rewarded %s, the command says %s", query[i], rewards.Rewards[i], n.Combined)
		}
	}
	metrics := s.send("GET", s.metrics, nil)
	for _, line := range []string{`tandem_score_request_seconds_count{route="/v1/score",status="200"} 10`, `tandem_score_request_seconds_count{route="/get_reward",status="200"} 1`,
		"tandem_score_items_total 21", "tandem_score_queue_items 0", `tandem_score_model{id="model-safety",kind="safety"} 1`, "tandem_score_batch_items_count 11"} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("/metrics has no line %q in\n%s", line, metrics)
		}
	}
}
