package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/evaluation"
)

func TestEvaluateTemperature(t *testing.T) {
	f := makeStageFiles(t)
	factual := writeTemp(t, "factual.jsonl", `{"prompt":"hello"}`+"\n"+`{"prompt":"good day"}`+"\n"+`{"prompt":"the cat"}`+"\n")
	out := filepath.Join(t.TempDir(), "measured")
	run := func(out string) evaluateTemperatureReport {
		t.Helper()
		return object[evaluateTemperatureReport](t, tandemRun(t, "", "--json", "evaluate", "temperature", "--models", f.policy, "--factual", factual, "--creative", f.prompts,
			"--temperatures", "0,0.5,2", "-k", "4", "--max-tokens", "5", "--shard", "10", "--out", out).ok(t))
	}
	got := run(out)
	if len(got.Policies) != 1 || len(got.Policies[0].Sets) != 2 || got.Policies[0].Sets[0].Prompts != 3 || got.Policies[0].Sets[1].Prompts != 24 {
		t.Fatalf("%+v", got.Policies)
	}
	for _, set := range got.Policies[0].Sets {
		c := set.Curve
		if len(c) != 3 || c[0].Distinct.Value != 0.25 || c[2].Distinct.Value < .9 || c[0].SelfBLEU.Value <= c[2].SelfBLEU.Value ||
			set.Fall.Value < c[0].SelfBLEU.Value-c[2].SelfBLEU.Value-1e-9 || set.Fall.Value > c[0].SelfBLEU.Value-c[2].SelfBLEU.Value+1e-9 {
			t.Errorf("%+v", set)
		}
	}
	// What generate says, four times over, has the same Self-BLEU.
	var sum float64
	for _, text := range []string{"hello", "good day", "the cat"} {
		in := strings.Repeat(`{"messages":[{"role":"user","content":"`+text+`"}]}`+"\n", 4)
		var texts []string
		for _, r := range lines[generateReply](t, tandemRun(t, in, "generate", "--model", f.policy, "--max-tokens", "5").ok(t)) {
			texts = append(texts, r.Text)
		}
		bleu, err := evaluation.SelfBLEU(texts)
		if err != nil {
			t.Fatal(err)
		}
		sum += bleu / 3
	}
	if at := got.Policies[0].Sets[0].Curve[0].SelfBLEU.Value; at < sum-1e-9 || at > sum+1e-9 {
		t.Errorf("Self-BLEU at temperature 0 is %g, and of what generate says %g", at, sum)
	}
	if page, err := os.ReadFile(got.Report); err != nil || !strings.Contains(string(page), "All policies, creative prompts") {
		t.Errorf("the report: %v", err)
	}
	for _, args := range [][]string{{"-k", "1"}, {"--temperatures", "1"}, {"--temperatures", "1,0.5"}} {
		if r := tandemRun(t, "", append([]string{"evaluate", "temperature", "--models", f.policy, "--factual", factual, "--creative", factual, "--out", out}, args...)...); r.code != exitFailed {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}
