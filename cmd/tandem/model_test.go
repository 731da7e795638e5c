package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/report"
	"tandem/store"
)

// TestModelImportOfLlama2c converts llama2.c's file and generates the same text from the folder.
func TestModelImportOfLlama2c(t *testing.T) {
	source := sharedData(t, "stories260K/stories260K.bin")
	home := t.TempDir()
	r := object[savedReport](t, tandemRun(t, "", "--json", "model", "import", source, "--home", home).ok(t))
	if r.Path != filepath.Join(home, "models", "stories260K") || len(r.ID) != 16 {
		t.Errorf("%+v", r)
	}
	in := jsonLines(t, map[string]any{"prompt": ""}, map[string]any{"prompt": "Lily's mom"})
	want := tandemRun(t, in, "generate", "--model", source, "--max-tokens", "40").ok(t)
	got := tandemRun(t, in, "generate", "--model", r.Path, "--max-tokens", "40").ok(t)
	if got.out != want.out {
		t.Errorf("from the folder %s\nfrom the file %s", got.out, want.out)
	}
	texts := jsonLines(t, map[string]any{"text": "Once upon a time"}, map[string]any{"text": " é 漢\n"}, map[string]any{"text": ""})
	if a, b := tandemRun(t, texts, "tokenize", "--model", source).ok(t), tandemRun(t, texts, "tokenize", "--model", r.Path).ok(t); a.out != b.out {
		t.Errorf("tokens of the file %s, of the folder %s", a.out, b.out)
	}
	if _, err := os.Stat(filepath.Join(r.Path, "tokenizer.json")); err != nil {
		t.Error("the folder has no tokenizer that others read:", err)
	}
	again := object[savedReport](t, tandemRun(t, "", "--json", "model", "import", source, "--home", home).ok(t))
	if again != r {
		t.Errorf("imported again: %+v, first %+v", again, r)
	}
}

func TestModelImportOfHuggingFace(t *testing.T) {
	source := sharedData(t, "tinystories-656k")
	out := filepath.Join(t.TempDir(), "copy")
	tandemRun(t, "", "model", "import", source, "--out", out).ok(t)
	in := jsonLines(t, map[string]any{"text": "Once upon a time"})
	if a, b := tandemRun(t, in, "logprobs", "--model", source).ok(t), tandemRun(t, in, "logprobs", "--model", out).ok(t); a.out != b.out {
		t.Errorf("the copy says %s, the source %s", b.out, a.out)
	}
	if r := tandemRun(t, "", "model", "import", golden("classifier"), "--out", filepath.Join(t.TempDir(), "x")); r.code != exitFailed || !strings.Contains(r.stderr, "--kind") {
		t.Errorf("a reward model of unknown kind: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "model", "import", golden("untied"), "--kind", "safety", "--out", filepath.Join(t.TempDir(), "x")); r.code != exitFailed || !strings.Contains(r.stderr, "policy") {
		t.Errorf("a policy as a reward model: exit code %d, %s", r.code, r.stderr)
	}
}

func TestModelExport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	tandemRun(t, "", "model", "export", golden("untied"), "--output", out, "--dtype", "bf16", "--max-shard-bytes", "4096").ok(t)
	shards, err := filepath.Glob(filepath.Join(out, "model-*-of-*.safetensors"))
	if err != nil || len(shards) < 2 {
		t.Errorf("shards %v, %v", shards, err)
	}
	m, err := checkpoint.Load(t.Context(), out)
	if err != nil || m.DType != checkpoint.BF16 {
		t.Fatalf("dtype %v, %v", m.DType, err)
	}
	in := jsonLines(t, map[string]any{"tokens": []int{1, 5, 7}})
	a := lines[logprobsReply](t, tandemRun(t, in, "logprobs", "--model", golden("untied")).ok(t))[0]
	b := lines[logprobsReply](t, tandemRun(t, in, "logprobs", "--model", out).ok(t))[0]
	if d := *a.LogProbs[1] - *b.LogProbs[1]; d > .1 || d < -.1 {
		t.Errorf("rounded to bf16: %v, before %v", *b.LogProbs[1], *a.LogProbs[1])
	}
	theirs := t.TempDir()
	if err := os.CopyFS(theirs, os.DirFS(golden("untied"))); err != nil {
		t.Fatal(err)
	}
	if r := tandemRun(t, "", "model", "export", out, "--output", theirs); r.code != exitFailed || !strings.Contains(r.stderr, "will not be overwritten") {
		t.Errorf("over a model of somebody's: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "model", "export", out, "--output", theirs, "--dtype", "int8"); r.code != exitUsage {
		t.Errorf("an unknown dtype: exit code %d", r.code)
	}
}

// family saves a base and a model made from it beside each other, and returns the folder of the second.
func family(t *testing.T) string {
	t.Helper()
	base := smallModel(t, tandem.PolicyModel, 1, func(m *checkpoint.Model) { m.Lineage.ID, m.Lineage.Name = "base-id", "base" })
	child := smallModel(t, tandem.SafetyModel, 2, func(m *checkpoint.Model) {
		m.Lineage.ID, m.Lineage.Name, m.Lineage.Parent, m.Lineage.Stage = "child-id", "sa|fety", "base-id", tandem.StageRewardSafety
		m.Lineage.Metrics = map[string]float64{"eval_accuracy": .64}
		m.Lineage.Config = json.RawMessage(`{"margin":"large"}`)
		m.Lineage.Calibration = &tandem.Calibration{Gate: -1.5, Mean: .25, Deviation: 2, Samples: 64}
	})
	both := t.TempDir()
	for name, dir := range map[string]string{"base": base, "child": child} {
		if err := os.CopyFS(filepath.Join(both, name), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(both, "child")
}

func TestModelShowLineageAndCard(t *testing.T) {
	dir := family(t)
	shown := object[modelReport](t, tandemRun(t, "", "--json", "model", "show", dir).ok(t))
	weights, err := checkpoint.Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	parameters := 0
	for _, p := range weights.Weights.Params() {
		parameters += len(p.Data)
	}
	if shown.Lineage.ID != "child-id" || shown.Architecture.Parameters != int64(parameters) || shown.Architecture.Class != "LlamaForSequenceClassification" || len(shown.Files) == 0 {
		t.Errorf("%+v, %d parameters", shown, parameters)
	}
	line := object[struct{ Lineage []tandem.Model }](t, tandemRun(t, "", "--json", "model", "lineage", dir).ok(t)).Lineage
	if len(line) != 2 || line[0].ID != "child-id" || line[1].ID != "base-id" {
		t.Errorf("lineage %+v", line)
	}
	card := tandemRun(t, "", "model", "card", dir).ok(t).out
	for _, want := range []string{`# sa\|fety`, "| base-id |", "uncalibrated", "r &lt; -1.5000", `eval\_accuracy | 0.64`, `margin | "large"`, "## Limits", "No evaluation was given"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card does not say %q:\n%s", want, card)
		}
	}
	// With what was measured of it, as a page.
	measured := filepath.Join(t.TempDir(), "held")
	if err := os.MkdirAll(measured, 0o755); err != nil {
		t.Fatal(err)
	}
	r := report.Report{Title: "How it held", Sections: []report.Section{{Heading: "By turn", Tables: []report.Table{{
		Caption: "Shares", Columns: []string{"policy", "turn 6"}, Rows: [][]report.Cell{{report.Text("child"), report.Interval(report.Between(96, 93, 98), 0).In(" %")}}}}}}}
	if err := r.WriteFiles(measured); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "card.html")
	tandemRun(t, "", "model", "card", dir, "--format", "html", "--evaluations", measured, "-o", page).ok(t)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<html", "Evaluation: How it held", "96 % [93, 98]", "Limits"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(string(text), "No evaluation was given") {
		t.Error("the page misses the evaluation that it was given")
	}
	if r := tandemRun(t, "", "model", "card", dir, "--evaluations", t.TempDir()); r.code != exitFailed || !strings.Contains(r.stderr, "no report") {
		t.Errorf("of an empty evaluation: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "model", "card", golden("untied")); r.code != exitFailed || !strings.Contains(r.stderr, "tandem.json") {
		t.Errorf("of a stranger: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "model", "show", t.TempDir()); r.code != exitFailed || !strings.Contains(r.stderr, "config.json") {
		t.Errorf("of an empty folder: exit code %d, %s", r.code, r.stderr)
	}
	for _, kind := range []string{"gqa_tied", "untied", "classifier_bf16", "head_dim"} {
		shown := object[modelReport](t, tandemRun(t, "", "--json", "model", "show", golden(kind)).ok(t))
		m, err := checkpoint.Load(t.Context(), golden(kind))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range m.Weights.Params() {
			n += len(p.Data)
		}
		if shown.Architecture.Parameters != int64(n) || shown.Lineage != nil {
			t.Errorf("%s: %d parameters, has %d", kind, shown.Architecture.Parameters, n)
		}
	}
}

func TestPromoteAndRollBack(t *testing.T) {
	useDatabase(t)
	ids := make([]string, 3)
	for i := range ids {
		dir := smallModel(t, tandem.PolicyModel, uint64(i), func(m *checkpoint.Model) { m.Lineage = nil })
		ids[i] = object[savedReport](t, tandemRun(t, "", "--json", "model", "import", dir, "--register", "--out", filepath.Join(t.TempDir(), "m")).ok(t)).ID
	}
	if r := tandemRun(t, "", "model", "rollback", "policy", "--reason", "r"); r.code != exitFailed || !strings.Contains(r.stderr, "no policy model was promoted before") {
		t.Errorf("before any: exit code %d, %s", r.code, r.stderr)
	}
	for _, id := range ids {
		tandemRun(t, "", "model", "promote", id, "--reason", "newer").ok(t)
	}
	for _, want := range []string{ids[1], ids[0]} { // twice back is two models back
		if r := object[servingReport](t, tandemRun(t, "", "--json", "model", "rollback", "policy", "--reason", "worse").ok(t)); r.ID != want {
			t.Errorf("rolled back to %s, want %s", r.ID, want)
		}
	}
	if r := tandemRun(t, "", "model", "rollback", "policy", "--reason", "r"); r.code != exitFailed {
		t.Errorf("behind the first: exit code %d", r.code)
	}
	list := tandemRun(t, "", "model", "list", "--kind", "policy").ok(t)
	for line := range strings.Lines(list.out) {
		if strings.Contains(line, "serves") != strings.HasPrefix(line, ids[0]) {
			t.Errorf("who serves: %s", list.out)
		}
	}
	if r := tandemRun(t, "", "model", "promote", "nobody", "--reason", "r"); r.code != exitFailed || !strings.Contains(r.stderr, "nobody") {
		t.Errorf("an unknown model: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "model", "lineage", ids[2]).ok(t); !strings.Contains(r.out, ids[2]) {
		t.Errorf("lineage from the database: %s", r.out)
	}
}

func TestBeforeInHistory(t *testing.T) {
	for _, test := range []struct{ promoted, want string }{
		{"", ""}, {"a", ""}, {"ab", "a"}, {"abc", "b"}, {"abcb", "a"}, {"abcba", ""}, {"abcbd", "b"}, {"aab", "a"},
	} {
		var history []store.Promotion
		for i := len(test.promoted) - 1; i >= 0; i-- {
			history = append(history, store.Promotion{Model: test.promoted[i : i+1]})
		}
		if got := store.ServedBefore(history); got != test.want {
			t.Errorf("%q: back to %q, want %q", test.promoted, got, test.want)
		}
	}
}
