package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/pipeline"
	"tandem/sft/distill"
)

// TestDistill makes dialogues by this process alone and by the queue: they are the same, and every answer that is kept
// scores above the original.
func TestDistill(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	folder := t.TempDir()
	preprompts := filepath.Join(folder, "preprompts.json")
	if err := os.WriteFile(preprompts, []byte(`{"generic": "a.", "templates": {"hateful_and_harmful": "b."}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	var prompts []any
	for i := range 24 {
		p := tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: stageWords[i%len(stageWords)] + strings.Repeat(".", i)}}, Safety: i%4 != 3}
		if i%2 == 0 {
			p.Risk = tandem.HatefulHarmful
		}
		prompts = append(prompts, p)
	}
	data := writeTemp(t, "unsafe.jsonl", jsonLines(t, prompts...))
	run := func(out string, more ...string) []string {
		return append([]string{"--json", "distill", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", data, "--held-out-share", "0",
			"--preprompts", preprompts, "--max-tokens", "8", "--shard", "7", "--out", out}, more...)
	}
	alone := filepath.Join(folder, "alone")
	made := object[distillReport](t, tandemRun(t, "", run(alone)...).ok(t))
	if made.Prompts != 18 || made.Others != 6 {
		t.Errorf("%d prompts and %d others", made.Prompts, made.Others)
	}
	kept := 0
	for _, line := range linesOf(t, filepath.Join(alone, "sampled.jsonl")) {
		var s distill.Sampled
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		if _, templated := s.Answers[distill.Template]; templated != (s.Prompt.Risk == tandem.HatefulHarmful) {
			t.Errorf("the answers to %v: %v", s.Prompt, s.Answers)
		}
		if _, best, ok := s.Best(); ok {
			kept++
			if best.Score.Safety <= s.Answers[distill.None].Score.Safety {
				t.Errorf("%+v is kept", best)
			}
		}
	}
	trained := linesOf(t, filepath.Join(alone, "distilled.jsonl"))
	if kept == 0 || kept == 18 || len(trained) != kept || made.Kept[distill.Generic]+made.Kept[distill.Template] != kept {
		t.Errorf("%d are kept, %d written, %v counted", kept, len(trained), made.Kept)
	}
	for _, line := range trained {
		if bytes.Contains(line, []byte("system")) || !bytes.Contains(line, []byte(`"train":true`)) {
			t.Errorf("to train on: %s", line)
		}
	}
	if page, err := os.ReadFile(made.Report); err != nil || !bytes.Contains(page, []byte("Gain by the original")) {
		t.Errorf("the report: %v", err)
	}
	url, _ := chaosStore(t)
	shared := filepath.Join(folder, "shared")
	tandemRun(t, "", run(shared, "--share", "--database-url", url)...).ok(t)
	for _, name := range []string{"distilled.jsonl", "sampled.jsonl"} {
		a, b := linesOf(t, filepath.Join(alone, name)), linesOf(t, filepath.Join(shared, name))
		if !bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) {
			t.Errorf("%s differs when it is shared", name)
		}
	}
	if all := object[pipeline.Distilled](t, tandemRun(t, "", run(filepath.Join(folder, "all"), "--all")...).ok(t)); all.Prompts != 24 || all.Others != 0 {
		t.Errorf("of all: %d prompts and %d others", all.Prompts, all.Others)
	}
	for want, args := range map[string][]string{
		"--safety":   {"distill", "--model", f.policy, "--out", folder},
		"--practice": {"distill", "--practice", "--data", data, "--out", folder},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

// linesOf reads a file's lines.
func linesOf(t *testing.T, path string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

// Both studies on the practice world, in small, on one ground: all their parts are there.
func TestSafetyStudies(t *testing.T) {
	if testing.Short() {
		t.Skip("a dozen small models take half a minute")
	}
	out := filepath.Join(t.TempDir(), "studies")
	distilled := object[distillPractice](t, tandemRun(t, "", "--json", "distill", "--practice", "--miniature", "--out", out).ok(t))
	if len(distilled.Gold) != 3 || distilled.Made.Prompts == 0 {
		t.Errorf("%+v", distilled)
	}
	scaled := object[evaluateSafetyDataReport](t, tandemRun(t, "", "--json", "evaluate", "safety-data", "--practice", "--miniature", "--shares", "0,50,100", "--out", out).ok(t))
	if len(scaled.Gold) != 3 || len(scaled.Shares) != 3 || scaled.Shares[0].Dialogues != 0 || scaled.Shares[1].Dialogues != 30 || scaled.Shares[2].RefusedBorderline == nil {
		t.Errorf("%+v", scaled.Shares)
	}
	page, err := os.ReadFile(scaled.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"The frontier", "In truth", "Refusals by share"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the report lacks %q", part)
		}
	}
}
