package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/pipeline"
)

// bothAspects is a file of 20 comparisons of helpfulness and 30 of safety.
func bothAspects(t *testing.T) string {
	var lines []any
	for i := range 50 {
		aspect := tandem.Helpfulness
		if i%5 > 1 {
			aspect = tandem.Safety
		}
		lines = append(lines, tandem.Comparison{
			Aspect: aspect, Prompt: tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("hello %d", i)}}},
			Chosen: tandem.Response{Content: "good day"}, Rejected: tandem.Response{Content: "no"},
		})
	}
	return writeTemp(t, "both.jsonl", jsonLines(t, lines...))
}

// What a reward model learns from is drawn by a mixture that stands in its lineage: the paper's by default, or a
// file's with sources of its own.
func TestRewardMixes(t *testing.T) {
	policy, data := smallModel(t, tandem.PolicyModel, 1, nil), bothAspects(t)
	var open []any
	for i := range 12 {
		open = append(open, map[string]any{"chosen": fmt.Sprintf("\n\nHuman: open %d\n\nAssistant: fine", i), "rejected": fmt.Sprintf("\n\nHuman: open %d\n\nAssistant: no", i)})
	}
	hh := writeTemp(t, "hh.jsonl", jsonLines(t, open...))
	mixture := writeTemp(t, "mixture.yaml", fmt.Sprintf("parts:\n  - {weight: 50, sources: [helpfulness]}\n  - {weight: 25, sources: [safety, open]}\nsources:\n  open: {data: %s, format: hh}\nseed: 3\n", hh))
	plan := func(aspect string, more ...string) pipeline.Plan {
		args := append([]string{"reward", aspect, "--model", policy, "--data", data, "--preset", "practice", "--held-out-share", "0", "--seed", "7", "--dry-run", "--json",
			"--out", filepath.Join(t.TempDir(), "rm")}, more...)
		return object[pipeline.Plan](t, tandemRun(t, "", args...).ok(t))
	}
	for _, c := range []struct {
		aspect, mixture            string
		pairs, helpfulness, safety int
		seed                       string
	}{
		{"helpfulness", "llama2", 40, 20, 20, `"seed":7`},
		{"safety", "llama2", 33, 3, 30, `"seed":7`},
		{"helpfulness", "own", 20, 20, 0, `"seed":7`},
		{"safety", "all", 50, 0, 0, `"mixture":{"parts":null`},
		{"helpfulness", mixture, 30, 20, -1, `"seed":3,"sources":{"open"`},
	} {
		p := plan(c.aspect, "--mixture", c.mixture)
		if p.Data["pairs"] != c.pairs || p.Data["pairs/helpfulness"] != c.helpfulness || c.safety >= 0 && p.Data["pairs/safety"] != c.safety {
			t.Errorf("%s, %s: %v", c.aspect, c.mixture, p.Data)
		}
		if c.safety < 0 && (p.Data["pairs/open"] == 0 || p.Data["pairs/open"]+p.Data["pairs/safety"] != 10) {
			t.Errorf("%s draws %v from safety and open data", c.mixture, p.Data)
		}
		if !strings.Contains(string(p.Config), c.seed) {
			t.Errorf("%s, %s: the lineage lacks %s: %s", c.aspect, c.mixture, c.seed, p.Config)
		}
	}
	for text, want := range map[string]string{
		"parts: [{weight: 1, sources: [open]}]": "nothing says where it lies", "seed: 3": "no parts", "part: []": "unknown field",
		"parts: [{weight: 0, sources: [safety]}]": "weight 0",
	} {
		r := tandemRun(t, "", "reward", "safety", "--model", policy, "--data", data, "--mixture", writeTemp(t, "wrong.yaml", text), "--dry-run", "--out", filepath.Join(t.TempDir(), "rm"))
		if r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, %s", text, r.code, r.stderr)
		}
	}
}

// A mixture's further sources are data like any other: a model made of other ones is another model.
func TestRewardHashesItsSources(t *testing.T) {
	policy, data := smallModel(t, tandem.PolicyModel, 1, nil), bothAspects(t)
	line := func(answer string) string {
		text, err := json.Marshal(map[string]string{"prompt": "open", "chosen": answer, "rejected": "no"})
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	open := writeTemp(t, "open.jsonl", line("fine"))
	mixture := writeTemp(t, "mixture.yaml", "parts: [{weight: 1, sources: [helpfulness]}, {weight: 1, sources: [open]}]\nsources: {open: {data: "+open+", format: trl}}\n")
	out := filepath.Join(t.TempDir(), "rm")
	args := []string{"reward", "helpfulness", "--model", policy, "--data", data, "--mixture", mixture, "--preset", "practice", "--held-out-share", "0", "--steps", "1", "--out", out, "--json"}
	m := object[tandem.Model](t, tandemRun(t, "", args...).ok(t))
	if m.Metrics["pairs/open"] != 1 || m.Metrics["cut"] != 0 {
		t.Errorf("figures %v", m.Metrics)
	}
	if err := os.WriteFile(open, []byte(line("good day")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := tandemRun(t, "", args...)
	if r.code != exitFailed || !strings.Contains(r.stderr, "data") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

// Answers that were ranked are learnt from by all their pairs, as one verdict, and held out together.
func TestRewardFromRankings(t *testing.T) {
	f := makeStageFiles(t)
	var in []any
	held := 0
	for i := range 20 {
		instruction := fmt.Sprintf("hello %d", i)
		if tandem.HeldOut(tandem.Dialogue{{Role: tandem.User, Content: instruction}}.Opening(), tandem.HeldOutShare) {
			held++
		}
		in = append(in, map[string]any{"instruction": instruction, "completions": []map[string]any{
			{"response": "good day", "overall_score": 9}, {"response": "and you", "overall_score": 6}, {"response": "cat", "overall_score": 6}, {"response": "no", "overall_score": 1},
		}})
	}
	if held == 0 {
		t.Fatal("nothing is held out, which tells nothing")
	}
	args := []string{"--json", "reward", "helpfulness", "--model", f.policy, "--data", writeTemp(t, "ultra.jsonl", jsonLines(t, in...)), "--format", "ultrafeedback",
		"--preset", "practice", "--batch", "4", "--graph-tokens", "64", "--evaluate-every", "2", "--out", filepath.Join(t.TempDir(), "rm")}
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t))
	// Five pairs each, since two answers are tied.
	if plan.Data["rankings"] != 20-held || plan.Data["pairs"] != 5*(20-held) || plan.Data["held_out"] != 5*held || plan.Steps != (20-held+3)/4 {
		t.Errorf("plan %+v with %d held out", plan, held)
	}
	m := object[tandem.Model](t, tandemRun(t, "", args...).ok(t))
	if m.Metrics["rankings"] != float64(20-held) || m.Metrics["eval_accuracy"] < 0 || m.Metrics["eval_loss"] <= 0 {
		t.Errorf("%+v", m.Metrics)
	}
}

// A safety model that learns from labels may be measured on comparisons without any.
func TestRewardMeasuresOnUnlabelledComparisons(t *testing.T) {
	f := makeStageFiles(t)
	heldOut := writeTemp(t, "held.jsonl", jsonLines(t, tandem.Comparison{
		Prompt: tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: "hello"}}}, Chosen: tandem.Response{Content: "good day"}, Rejected: tandem.Response{Content: "no"},
	}))
	m := object[tandem.Model](t, tandemRun(t, "", append(f.command("reward", 6), "--json", "--held-out", heldOut, "--out", filepath.Join(t.TempDir(), "rm"))...).ok(t))
	if m.Metrics["held_out"] != 1 || m.Metrics["labelled"] == 0 || m.Metrics["eval_loss"] <= 0 {
		t.Errorf("%+v", m.Metrics)
	}
}
