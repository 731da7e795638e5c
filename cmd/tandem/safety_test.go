package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/evaluation/safety"
)

// safetySets are small sets in the published forms, of words that the small models can read.
func safetySets(t *testing.T) (flags []string, words []string) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"bold/political_ideology_prompt.json": `{"left-wing": {"A": ["secretleft a", "no b"], "B": ["a b"]}, "right-wing": {"C": ["b a"], "D": ["no"]}, "tiny": {"E": ["a"]}}`,
		"toxigen.jsonl":                       `{"label":"hate","group":"g","prompt":"- secrethate\\n-"}` + "\n" + `{"label":"neutral","group":"g","prompt":"- a\\n-"}` + "\n" + `{"label":"hate","group":"h","prompt":"- b\\n-"}` + "\n",
		"advbench.csv":                        "goal,target\nsecretgoal a,Sure\nno b,Sure\n",
		"xstest.csv":                          "id,prompt,type,label,focus,note\n1,secrettest?,homonyms,safe,,\n2,a b?,definitions,safe,,\n3,no?,contrast_homonyms,unsafe,,\n",
		"prompts.jsonl":                       `{"prompt":"secretprompt"}` + "\n" + `{"prompt":"a","safety_prompt":true,"risk_category":"illicit_and_criminal"}` + "\n",
		"borderline.jsonl":                    `{"prompt":"b"}` + "\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, set := range []string{"bold", "toxigen.jsonl", "advbench.csv", "xstest.csv", "prompts.jsonl", "borderline.jsonl"} {
		flags = append(flags, "--"+strings.SplitN(set, ".", 2)[0], filepath.Join(folder, set))
	}
	return flags, []string{"secretleft", "secrethate", "secretgoal", "secrettest", "secretprompt"}
}

// TestEvaluateSafety asks small sets of two policies, by this process alone and by the queue: the figures are the same.
func TestEvaluateSafety(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	sets, words := safetySets(t)
	folder := t.TempDir()
	run := func(out string, more ...string) []string {
		args := []string{"--json", "evaluate", "safety", "--models", f.policy + "," + f.policy, "--safety", f.safety, "--min-group", "2", "--max-tokens", "6", "--temperature", "1", "--top-p", "1", "--shard", "2", "--out", out}
		return append(append(args, sets...), more...)
	}
	alone := filepath.Join(folder, "alone")
	reply := object[evaluateSafetyReport](t, tandemRun(t, "", run(alone)...).ok(t))
	if len(reply.Policies) != 2 {
		t.Fatalf("%d policies", len(reply.Policies))
	}
	want := map[safety.Set]int{safety.BOLD: 6, safety.ToxiGen: 3, safety.AdvBench: 2, safety.XSTest: 3, safety.Ordinary: 2, safety.Borderline: 1}
	for set, n := range want {
		if reply.Asked[set] != n || reply.Of[set] != n {
			t.Errorf("%s: %d of %d, want %d", set, reply.Asked[set], reply.Of[set], n)
		}
	}
	p := reply.Policies[0]
	if len(p.BOLD.Groups) != 2 || p.BOLD.Political == nil || len(p.BOLD.Dropped) != 1 || len(p.ToxiGen.Groups) != 2 || len(p.Refusals) != 4 {
		t.Errorf("%+v", p)
	}
	if reply.Bound == nil || *reply.Bound != -1 { // the gate of a model that is not calibrated
		t.Errorf("toxic below %v", reply.Bound)
	}
	same := func(a, b any) bool {
		x, err := json.Marshal(a)
		y, err2 := json.Marshal(b)
		return err == nil && err2 == nil && bytes.Equal(x, y)
	}
	if !same(p.Measures, reply.Policies[1].Measures) {
		t.Error("the same policy has other figures")
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := os.ReadFile(filepath.Join(alone, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := os.ReadFile(reply.Answers)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if bytes.Contains(page, []byte(word)) || bytes.Contains(twin, []byte(word)) {
			t.Errorf("the report shows a prompt: %s", word)
		}
		if !bytes.Contains(answers, []byte(word)) {
			t.Errorf("the file of answers lacks %s", word)
		}
	}
	for _, part := range []string{"Refusals and violations", "By type of prompt", "Toxicity", "Left wing and right wing", "Sentiment by group", "tiny (1 prompts)"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the report lacks %q", part)
		}
	}
	if _, err := os.Stat(filepath.Join(alone, "units")); err == nil {
		t.Error("the units of a finished command are still there")
	}

	url, _ := chaosStore(t)
	shared := object[evaluateSafetyReport](t, tandemRun(t, "", run(filepath.Join(folder, "shared"), "--share", "--database-url", url)...).ok(t))
	if !same(shared.Policies, reply.Policies) {
		t.Error("shared it has other figures")
	}
	limited := object[evaluateSafetyReport](t, tandemRun(t, "", run(filepath.Join(folder, "limited"), "--limit", "2", "--bold-as", "chat", "--toxigen-as", "chat")...).ok(t))
	if limited.Asked[safety.BOLD] != 2 || limited.Of[safety.BOLD] != 6 {
		t.Errorf("%v of %v", limited.Asked, limited.Of)
	}
}

// TestEvaluateSafetyJudges tries what may judge.
func TestEvaluateSafetyJudges(t *testing.T) {
	f := makeStageFiles(t)
	sets, _ := safetySets(t)
	bold, toxigen, rest := sets[:2:2], sets[2:4:4], sets[4:len(sets):len(sets)]
	run := func(more ...string) result {
		return tandemRun(t, "", append([]string{"--json", "evaluate", "safety", "--models", f.policy, "--max-tokens", "4", "--out", filepath.Join(t.TempDir(), "out")}, more...)...)
	}
	alone := object[evaluateSafetyReport](t, run(bold...).ok(t)) // sentiment wants no model
	if alone.Policies[0].BOLD == nil || alone.Policies[0].ToxiGen != nil {
		t.Errorf("%+v", alone.Policies[0])
	}
	// A classifier that tandem has not made: the same weights without their lineage.
	foreign := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
		text, err := os.ReadFile(filepath.Join(f.helpfulness, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(foreign, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	classified := object[evaluateSafetyReport](t, run(append(toxigen, "--toxicity-classifier", foreign)...).ok(t))
	if classified.Policies[0].ToxiGen == nil || classified.Bound != nil {
		t.Errorf("%+v", classified)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "at least one of"},
		{toxigen, exitUsage, "--safety"},
		{rest, exitUsage, "--safety"},
		{append(rest, "--safety", f.helpfulness), exitFailed, "not a safety model"},
		{append(toxigen, "--toxicity-classifier", f.safety), exitFailed, "high where an answer is good"},
		{append(rest, "--safety", smallModel(t, tandem.SafetyModel, 4, nil)), exitFailed, "no calibration"},
		{[]string{"--bold", t.TempDir()}, exitFailed, "_prompt.json"},
	} {
		if r := run(c.args...); r.code != c.code || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%v: exit code %d, %s", c.args, r.code, r.stderr)
		}
	}
}
