package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tandem"
	"tandem/evaluation"
	"tandem/llama/checkpoint"
)

// fakeJudge speaks OpenAI's protocol and replies to what is first and second.
func fakeJudge(t *testing.T, reply func(w http.ResponseWriter, first, second string) string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Model    string
			Messages tandem.Dialogue
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Model != "sage" || r.Header.Get("Authorization") != "Bearer sesame" || len(asked.Messages) != 2 {
			t.Errorf("asked %+v of %s, %v", asked, r.Header.Get("Authorization"), err)
		}
		part := func(name string) string {
			_, rest, _ := strings.Cut(asked.Messages[1].Content, "[Answer "+name+" begins]\n")
			text, _, _ := strings.Cut(rest, "\n[Answer "+name+" ends]")
			return text
		}
		text := reply(w, part("A"), part("B"))
		if text == "" {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": map[string]any{"role": "assistant", "content": text}, "finish_reason": "stop"}}})
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// longer prefers the longer answer.
func longer(_ http.ResponseWriter, first, second string) string {
	switch {
	case len(first) > len(second):
		return "It says more.\n\nVerdict: A"
	case len(first) < len(second):
		return "It says more.\nVerdict: B"
	}
	return "Verdict: tie"
}

func TestEvaluateJudge(t *testing.T) {
	f := makeStageFiles(t)
	t.Setenv("JUDGE_KEY", "sesame")
	ours, theirs, prompts := make([]any, 20), make([]any, 20), make([]any, 20)
	for i := range ours { // 9 are longer, 6 shorter, 3 as long, 2 the same
		prompts[i] = map[string]any{"prompt": fmt.Sprintf("question %d", i)}
		a, b := fmt.Sprintf("long enough %02d", i), fmt.Sprintf("short %02d", i)
		switch {
		case i >= 18:
			b = a
		case i >= 15:
			b = strings.ToUpper(a)
		case i >= 9:
			a, b = b, a
		}
		ours[i], theirs[i] = map[string]any{"text": a, "tokens": []int{1}, "finish_reason": "stop"}, map[string]any{"text": b}
	}
	answers := writeTemp(t, "ours.jsonl", jsonLines(t, ours...)) + "," + writeTemp(t, "theirs.jsonl", jsonLines(t, theirs...))
	args := func(url, out string) []string {
		return []string{"--json", "evaluate", "judge", "--answers", answers, "--prompts", writeTemp(t, "prompts.jsonl", jsonLines(t, prompts...)), "--judge-url", url, "--judge-model", "sage",
			"--judge-key-env", "JUDGE_KEY", "--pause", "1ms", "--at-once", "2", "--out", out}
	}
	ask := func(url string) evaluateJudgeReport {
		t.Helper()
		return object[evaluateJudgeReport](t, tandemRun(t, "", args(url, t.TempDir())...).ok(t))
	}
	out := t.TempDir()
	good := object[evaluateJudgeReport](t, tandemRun(t, "", args(fakeJudge(t, longer), out)...).ok(t))
	if fmt.Sprint(good.Outcomes) != "{9 5 6}" || good.Alike != 2 || good.Unjudged != 0 || good.Changed.Value != 0 || good.WinRate.Value != 11.5/20 || good.Names != [2]string{"ours.jsonl", "theirs.jsonl"} {
		t.Errorf("a good judge: %+v", good)
	}
	if page, err := os.ReadFile(good.Report); err != nil || !strings.Contains(string(page), "It says more.") || strings.Contains(string(page), "sesame") {
		t.Errorf("the report lacks the judge's words, or tells its key: %v", err)
	}
	text, err := os.ReadFile(good.Verdicts)
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Split(strings.TrimSpace(string(text)), "\n")
	var first struct {
		Verdict evaluation.Side
		Sides   [2]evaluation.Side
	}
	if err := json.Unmarshal([]byte(kept[0]), &first); err != nil || len(kept) != 20 || first.Verdict != evaluation.SideA || first.Sides != [2]evaluation.Side{"A", "A"} {
		t.Errorf("%d verdicts, first %+v, %v", len(kept), first, err)
	}
	biased := ask(fakeJudge(t, func(http.ResponseWriter, string, string) string { return "Verdict: A" }))
	if fmt.Sprint(biased.Outcomes) != "{0 20 0}" || biased.Changed.Value != 1 || biased.First.Value != 1 {
		t.Errorf("a judge for the first: %+v", biased)
	}
	rambling := ask(fakeJudge(t, func(http.ResponseWriter, string, string) string { return "I like both A and B." }))
	if rambling.Outcomes.N() != 2 || rambling.Unjudged != 18 || rambling.Unparsable != 36 || rambling.Changed != nil {
		t.Errorf("a judge who rambles: %+v", rambling)
	}
	// Each question fails twice, in another way.
	var mutex sync.Mutex
	tries := make(map[string]int)
	busy := ask(fakeJudge(t, func(w http.ResponseWriter, first, second string) string {
		mutex.Lock()
		defer mutex.Unlock()
		switch tries[first+second]++; tries[first+second] {
		case 1:
			w.WriteHeader(http.StatusTooManyRequests)
			return ""
		case 2:
			panic(http.ErrAbortHandler) // the connection breaks
		}
		return longer(w, first, second)
	}))
	for question, n := range tries {
		if n != 3 {
			t.Errorf("%q is asked %d times", question, n)
		}
	}
	if busy.Outcomes != good.Outcomes || len(tries) != 36 {
		t.Errorf("a judge who is busy: %+v, asked %d questions", busy, len(tries))
	}

	// One that is gone for good ends the command; what was asked before is not asked again.
	var gone atomic.Bool
	asked := make(map[string]bool)
	url := fakeJudge(t, func(w http.ResponseWriter, first, second string) string {
		mutex.Lock()
		defer mutex.Unlock()
		if len(asked) >= 20 && gone.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return ""
		}
		asked[first+second] = true
		return longer(w, first, second)
	})
	gone.Store(true)
	again := args(url, t.TempDir())
	if r := tandemRun(t, "", append(again, "--tries", "2")...); r.code != exitFailed || !strings.Contains(r.stderr, "asked 2 times") {
		t.Errorf("a judge that is gone: exit code %d, %s", r.code, r.stderr)
	}
	gone.Store(false)
	mutex.Lock()
	clear(asked)
	mutex.Unlock()
	resumed := object[evaluateJudgeReport](t, tandemRun(t, "", again...).ok(t))
	mutex.Lock()
	defer mutex.Unlock()
	if resumed.Outcomes != good.Outcomes || len(asked) != 20 { // 16 questions are the first eight pairs'
		t.Errorf("resumed: %+v, asked %d questions of 36", resumed, len(asked))
	}

	for name, more := range map[string][]string{
		"exactly two": {"--answers", strings.Split(answers, ",")[0]}, "without a password": {"--answers", answers, "--judge-url", "http://me:secret@127.0.0.1/v1"},
	} {
		r := tandemRun(t, "", append([]string{"evaluate", "judge", "--prompts", f.prompts, "--judge-url", "http://127.0.0.1/v1", "--judge-model", "x", "--out", out}, more...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, name) {
			t.Errorf("%s: exit code %d, %s", name, r.code, r.stderr)
		}
	}
}

// Tandem's own server may judge. A model that has learnt nothing gives no verdicts, and they are counted as such.
func TestEvaluateJudgeByTandem(t *testing.T) {
	f := makeStageFiles(t)
	judge := smallModel(t, tandem.PolicyModel, 7, func(m *checkpoint.Model) { m.Weights.Config.MaxPositionEmbeddings = 8192 })
	s := startServing(t, "--policy", judge, "--chat-tokens", "8192")
	t.Setenv("TANDEM_JUDGE_KEY", s.secret)
	other := smallModel(t, tandem.PolicyModel, 9, nil)
	run := func(out string, more ...string) evaluateJudgeReport {
		t.Helper()
		return object[evaluateJudgeReport](t, tandemRun(t, "", append([]string{"--json", "evaluate", "judge", "--models", f.policy + "," + other, "--prompts", f.prompts, "--judge-url", s.url + "/v1",
			"--judge-model", "policy", "--judge-tokens", "4", "--max-tokens", "6", "--shard", "10", "--out", out}, more...)...).ok(t))
	}
	out := filepath.Join(t.TempDir(), "alone")
	got := run(out)
	if got.Pairs != 24 || got.Unjudged+got.Alike != 24 || got.Unparsable != got.Replies || got.Replies == 0 {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(filepath.Join(out, "units")); err == nil {
		t.Error("the units of a finished command are still there")
	}
	shared := run(filepath.Join(t.TempDir(), "shared"), "--share", "--database-url", os.Getenv("DATABASE_URL"))
	want, _ := os.ReadFile(got.Verdicts)
	if text, err := os.ReadFile(shared.Verdicts); err != nil || string(text) != string(want) {
		t.Errorf("shared:\n%s\nalone:\n%s\n%v", text, want, err)
	}
}
