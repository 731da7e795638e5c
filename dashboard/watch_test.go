package dashboard_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem/store"
)

// read opens a page, with spaces that are only spaces.
func (b *browser) read(path string) {
	b.t.Helper()
	b.get(path)
	b.page = strings.ReplaceAll(b.page, "\u00a0", " ")
}

// TestWatchWithoutJavaScript reads every page of the loop as the server writes it.
func TestWatchWithoutJavaScript(t *testing.T) {
	w := newWorld(t)
	l := newLoop(t, w.store)
	b, _ := w.join("Erin", store.RoleEngineer)

	b.read("/rounds")
	b.wants(http.StatusOK, "RLHF-V1", "RLHF-V2", "7 of 14", `class="tag status running"`, `href="/models/e000000000000000"`, "reject")
	b.read(fmt.Sprint("/rounds/", l.running))
	b.wants(http.StatusOK, `<progress max="12" value="5"`, "5 of 12", "1 being done", "1 failure", "the disk is full", "hx-get", "240 k", "36 TFLOP",
		"11 min", "≈ 1.83 Wh") // 60 iterations of 4,000 tokens, 6e11 FLOPs and 11 seconds, and those at 10 W
	b.read(fmt.Sprint("/rounds/", l.done))
	b.wants(http.StatusOK, "2 of 2", "RLHF-V1 safety", "did not measure")
	if strings.Contains(b.page, "hx-get") {
		t.Error("a round that is done is looked at again and again")
	}

	b.read("/runs")
	b.wants(http.StatusOK, "Run "+l.sft, "Run "+l.ppo, "reward safety", "the loss is NaN")
	b.read("/runs?stage=ppo&status=running&round=" + fmt.Sprint(l.running))
	b.wants(http.StatusOK, "Run "+l.ppo, `<option value="ppo" selected>`)
	if strings.Contains(b.page, "Run "+l.sft) {
		t.Error("the list is not filtered")
	}

	b.read("/runs/" + l.sft)
	b.wants(http.StatusOK, "<svg", "loss", "eval_loss", "On held-out data", "at step 500", "2.05 M", "12.5 TFLOP", "12 min 30 s", "≈ 2.08 Wh", "learning_rate", "openblas 0.3.29 haswell", "/models/b000000000000000")
	b.read("/runs/" + l.failed)
	b.wants(http.StatusOK, "the loss is NaN", "not finite near step 2", "not finite near step 1", "did not measure")
	b.read("/runs/" + l.ppo)
	b.wants(http.StatusOK, "What is optimised", "objective/kl", "resuming (folder /models/ppo, step 40)", `class="tag alarm">warning`, "answers get longer", "KL of an answer, in nats")

	b.read("/models")
	b.wants(http.StatusOK, "<svg", "RLHF-V1 (PPO)", "serves", `class="tree"`)
	b.read("/models/f000000000000000")
	b.wants(http.StatusOK, "This model serves as policy", "wins 64 % of blind pairs", "lets <a href=\"/models/b000000000000000\">SFT</a> serve again", "base",
		`<span class="tag status done">promoted</span>`, "Held-out prompts on which it wins against SFT", "64.0 % [59.2 %, 68.6 %]", "reaches 45.0 %")
	b.read("/models/e000000000000000")
	b.wants(http.StatusOK, "It does not serve", `<span class="tag status failed">not promoted</span>`, "RLHF-V1 may lose to RLHF-V1 (PPO)", "46.7 % [38.9 %, 54.6 %]", "<td>no</td>")
	b.read("/models/d000000000000000")
	b.wants(http.StatusOK, "eval_accuracy", "0.71", "−1.7346", "σ(r / 1.1) is the probability", "It does not serve")
	for _, path := range []string{"/rounds/99", "/rounds/x", "/runs/99", "/runs/x", "/models/none", "/models/none/answers", "/runs/99/events"} {
		if b.read(path); b.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, b.status)
		}
	}
	b.read("/models/f000000000000000")
	b.wants(http.StatusOK, "Evaluations", `href="/runs/`+l.evaluation+`"`, "held-out.jsonl", "temperature 0.7", "<td class=\"number\">1.25</td>", "12.5 %", "61.0 %", `href="/models/d000000000000000">safety`)
	b.read("/models/e000000000000000")
	if strings.Contains(b.page, "held-out.jsonl") {
		t.Error("an evaluation of another policy is shown")
	}
	b.read("/runs/" + l.evaluation)
	b.wants(http.StatusOK, "What the evaluation found", `<dt>Evaluated</dt><dd><a href="/models/f000000000000000#evaluations">RLHF-V1 (PPO)</a>`)

	// The command of the round under way is killed.
	if _, err := w.store.Pool().Exec(t.Context(), `UPDATE rounds SET alive_until = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	b.read("/rounds")
	b.wants(http.StatusOK, `class="tag status interrupted"`)
	b.read(fmt.Sprint("/rounds/", l.running))
	b.wants(http.StatusOK, `class="tag status interrupted"`, "Its command ended without a word", "hx-get")
	b.read(fmt.Sprint("/api/v1/rounds/", l.running))
	b.wants(http.StatusOK, `"status":"interrupted"`)

	reviewer, _ := w.join("Rita", store.RoleReviewer)
	for _, path := range []string{"/rounds", "/runs/" + l.ppo, "/runs/" + l.ppo + "/events", "/models", "/models/f000000000000000/answers"} {
		if reviewer.get(path); reviewer.status != http.StatusForbidden {
			t.Errorf("%s for a reviewer: %d", path, reviewer.status)
		}
	}
}

// TestAnswersBesideOthers: a policy's answers stand beside its reference's, drawn alike and scored by the same judges.
func TestAnswersBesideOthers(t *testing.T) {
	w := newWorld(t)
	l := newLoop(t, w.store)
	b, _ := w.join("Erin", store.RoleEngineer)

	b.read("/models/f000000000000000/answers") // beside what PPO started from, which answered them too
	b.wants(http.StatusOK, "<h1>RLHF-V1 (PPO) beside RLHF-V1</h1>", "12 of 12 pairs were drawn under the same randomness", "Prompts 1 to 12 of 12",
		"What should I plant in week 0?", "Answer 0 of model 2", "Answer 0 of model 1", "safety, illicit and criminal", "RLHF-V1 helpfulness and RLHF-V1 safety", "cut off")
	// By 0.8 − 0.6·(i mod 3) of each of the first twelve prompts it gains 0.8, 0.2 or loses 0.4.
	b.wants(http.StatusOK, "8, 0, 4", "<dd class=\"small\">0.20 [")

	b.read("/models/e000000000000000/answers") // what it was made from answered nothing, so that the oldest that did is its reference
	b.wants(http.StatusOK, "<h1>RLHF-V1 beside SFT</h1>", "24 of 24 pairs", "Prompts 1 to 20 of 24", "gated", "0 to 6", "Next", "What they differ in", "config.config.learning_rate", "0.0002", "All 4 answers")
	if strings.Contains(b.page, "config.config.epochs") {
		t.Error("a setting that is the same is among the differences")
	}
	b.read("/models/e000000000000000/answers?beside=b000000000000000&from=20&order=worst")
	b.wants(http.StatusOK, "Prompts 21 to 24 of 24", "Before")

	b.read("/models/e000000000000000/answers?beside=b000000000000000&prompt=" + l.prompts[0].ID)
	b.wants(http.StatusOK, "RLHF-V1: 4 answers", "SFT: 1 answer", "Answer 3 of model 1")

	b.read("/models/b000000000000000/answers?beside=f000000000000000")
	b.wants(http.StatusOK, "12 of 12 pairs", "RLHF-V1 (PPO) did not answer this prompt, or its answer was not kept.", "3, 0, 9") // a win is lost to the gate
	b.read("/models/b000000000000000/answers?beside=&order=best")
	b.wants(http.StatusOK, "<h1>SFT</h1>", "Prompts 1 to 20 of 24")
	if strings.Contains(b.page, "Over all prompts") {
		t.Error("a policy by itself is compared")
	}
	b.read("/models/a000000000000000/answers")
	b.wants(http.StatusOK, "No answers of base are kept here.")
	b.read("/models/d000000000000000/answers?beside=c000000000000000")
	b.wants(http.StatusOK, "A reward model answers nothing", "metric eval_accuracy")
	b.read("/models/d000000000000000/answers?beside=none")
	b.wants(http.StatusNotFound)
}

// event is one of a stream.
type event struct {
	name string
	data json.RawMessage
}

// listen follows a run's stream.
func (b *browser) listen(path string) <-chan event {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		b.t.Fatalf("%s comes as %q", path, kind)
	}
	events := make(chan event, 100)
	go func() {
		defer close(events)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		name := ""
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = text
			} else if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				events <- event{name, json.RawMessage(text)}
			}
		}
	}()
	return events
}

// await is the next event of a name.
func await(t *testing.T, events <-chan event, name string) json.RawMessage {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the stream ended before a %s", name)
			}
			if e.name == name {
				return e.data
			}
		case <-limit:
			t.Fatalf("no %s came", name)
		}
	}
}

// TestRunIsStreamed: whoever watches a run gets its curves, then what is new and only that, and its end.
func TestRunIsStreamed(t *testing.T) {
	w := newWorld(t)
	l := newLoop(t, w.store)
	ctx := t.Context()
	b, _ := w.join("Erin", store.RoleEngineer)
	happened, err := w.store.Events(ctx, l.ppo, "")
	l.no(err)
	type series struct {
		Name   string
		Steps  []int64
		Values []*float64
	}
	of := func(data json.RawMessage, name string) series {
		t.Helper()
		var all []series
		l.no(json.Unmarshal(data, &all))
		for _, s := range all {
			if s.Name == name {
				return s
			}
		}
		t.Fatalf("there is no %s in %s", name, data)
		return series{}
	}
	events := b.listen("/runs/" + l.ppo + "/events?after=" + happened[0].ID)
	if kl := of(await(t, events, "curves"), "objective/kl"); len(kl.Steps) != 60 || *kl.Values[59] != 3 {
		t.Errorf("the curve is %+v", kl)
	}
	if text := string(await(t, events, "event")); !strings.Contains(text, "answers get longer") {
		t.Errorf("the first event after that of the page is %s", text)
	}
	if text := string(await(t, events, "state")); !strings.Contains(text, "running") {
		t.Errorf("the state is %s", text)
	}
	l.iterate(61)
	l.no(w.store.AddMetrics(ctx, l.ppo, []store.Metric{{Name: "new", Step: 0, Value: math.NaN()}}))
	l.no(w.store.AddEvent(ctx, l.ppo, "warning", "<b>the critic is dead</b>"))
	news := await(t, events, "points")
	if kl := of(news, "objective/kl"); len(kl.Steps) != 1 || kl.Steps[0] != 61 || *kl.Values[0] != 3.05 {
		t.Errorf("the news are %+v", kl)
	}
	if strings.Contains(string(news), `"new"`) {
		if s := of(news, "new"); s.Values[0] != nil || s.Steps[0] != 0 {
			t.Errorf("what is not finite is %+v", s)
		}
	} else if s := of(await(t, events, "points"), "new"); s.Values[0] != nil {
		t.Errorf("what is not finite is %+v", s)
	}
	if text := string(await(t, events, "event")); !strings.Contains(text, `\u0026lt;b\u0026gt;the critic is dead`) {
		t.Errorf("the event is %s", text)
	}
	l.no(w.store.FinishRun(ctx, l.ppo, "", errors.New("the power went")))
	if text := string(await(t, events, "state")); !strings.Contains(text, "the power went") {
		t.Errorf("the last state is %s", text)
	}
	await(t, events, "end")
	if _, more := <-events; more {
		t.Error("the stream goes on after its end")
	}
	// A run that has ended says all at once.
	events = b.listen("/runs/" + l.sft + "/events?after=")
	if loss := of(await(t, events, "curves"), "loss"); len(loss.Steps) != 500 {
		t.Errorf("%d steps", len(loss.Steps))
	}
	await(t, events, "end")
}
