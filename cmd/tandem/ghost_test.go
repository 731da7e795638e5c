package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/pipeline"
)

// TestGhost makes dialogues by this process alone and by the queue: they are the same. A policy is tuned on them and measured.
func TestGhost(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	var talks []any
	for i := range 24 {
		talks = append(talks, map[string]any{"messages": tandem.Dialogue{
			{Role: tandem.User, Content: fmt.Sprint(i)}, {Role: tandem.Assistant, Content: "not used"},
			{Role: tandem.User, Content: stageWords[1]}, {Role: tandem.Assistant, Content: "not used"},
		}})
	}
	f.dialogues = writeTemp(t, "talks.jsonl", jsonLines(t, talks...))
	folder := t.TempDir()
	constraints := filepath.Join(folder, "constraints.jsonl")
	if err := os.WriteFile(constraints, []byte(`{"kind":"figure","text":"Be b.","short":"b.","keep":"^Arr"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(out string, more ...string) []string {
		return append([]string{"--json", "ghost", "--model", f.policy, "--data", f.dialogues, "--constraints", constraints, "--max-tokens", "8", "--shard", "8", "--out", out}, more...)
	}
	alone := filepath.Join(folder, "alone")
	made := object[pipeline.Ghosted](t, tandemRun(t, "", run(alone)...).ok(t))
	if made.Dialogues == 0 || made.HeldOut == 0 || made.Usable == 0 || made.Kept == nil || made.Checked != made.Usable {
		t.Errorf("%+v", made)
	}
	want, err := os.ReadFile(filepath.Join(alone, "ghost.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(want), []byte("\n"))
	if len(lines) != made.Usable {
		t.Errorf("%d lines of %d dialogues", len(lines), made.Usable)
	}
	for _, line := range lines {
		var d struct{ Messages tandem.Dialogue }
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		for i, m := range d.Messages {
			instructed := strings.HasPrefix(m.Content, "Be b. ") || strings.HasPrefix(m.Content, "b. ")
			if instructed != (i == 0) || m.Train != (i == len(d.Messages)-1) {
				t.Errorf("message %d of %s", i, line)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(alone, "units")); err == nil {
		t.Error("the units of a finished command are still there")
	}
	// What fine-tuning takes.
	tandemRun(t, "", "sft", "--model", f.policy, "--data", filepath.Join(alone, "ghost.jsonl"), "--preset", "practice", "--steps", "2", "--out", filepath.Join(folder, "tuned")).ok(t)

	url, _ := chaosStore(t)
	shared := filepath.Join(folder, "shared")
	tandemRun(t, "", run(shared, "--share", "--database-url", url)...).ok(t)
	tandemRun(t, "", run(shared, "--share", "--database-url", url)...).ok(t) // and again, from what is done
	got, err := os.ReadFile(filepath.Join(shared, "ghost.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("shared:\n%s\nalone:\n%s", got, want)
	}

	measured := object[evaluateGhostReport](t, tandemRun(t, "", "--json", "evaluate", "ghost", "--models", f.policy+","+filepath.Join(folder, "tuned"), "--data", f.dialogues,
		"--constraints", constraints, "--turns", "1,2,9", "--max-tokens", "8", "--shard", "8", "--out", filepath.Join(folder, "held")).ok(t))
	if len(measured.Policies) != 2 || measured.Policies[0].Kept[0].N != measured.Dialogues {
		t.Errorf("%+v", measured.Policies)
	}
	for _, p := range measured.Policies {
		for i, row := range p.Attention.Rows {
			if len(row) != 3+2*i || row[0] <= 0 || row[0] > 1 {
				t.Errorf("attention of answer %d: %v", i+1, row)
			}
		}
	}
	for name, args := range map[string][]string{
		"--practice":  {"ghost", "--practice", "--model", f.policy, "--out", folder},
		"--model":     {"ghost", "--out", folder},
		"--miniature": {"ghost", "--miniature", "--model", f.policy, "--data", f.dialogues, "--out", folder},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage || !strings.Contains(r.stderr, name) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
	if r := tandemRun(t, "", run(filepath.Join(folder, "none"), "--held-out-share", "1")...); r.code != exitFailed || !strings.Contains(r.stderr, "are held out") {
		t.Errorf("nothing to train on: exit code %d, %s", r.code, r.stderr)
	}
}

// The same on the practice world, in small: all its parts are there.
func TestGhostPractice(t *testing.T) {
	if testing.Short() {
		t.Skip("four small models take seconds")
	}
	out := filepath.Join(t.TempDir(), "ghost")
	args := []string{"--json", "ghost", "--practice", "--miniature", "--out", out}
	first := tandemRun(t, "", args...).ok(t)
	reply := object[ghostPractice](t, first)
	if n := len(reply.Measures.Policies); n != 3 || reply.Made.Usable == 0 {
		t.Errorf("%d policies, %+v", n, reply.Made)
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"By turn", "By kind", "Attention of with", "One dialogue"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the report lacks %q", part)
		}
	}
	if again := object[ghostPractice](t, tandemRun(t, "", args...).ok(t)); fmt.Sprint(again.Measures.Policies) != fmt.Sprint(reply.Measures.Policies) {
		t.Error("done again it is another")
	}
}
