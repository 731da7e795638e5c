package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
)

// TestPretrainOnMixture makes a mixture's text, fits a model to it, and reports both.
func TestPretrainOnMixture(t *testing.T) {
	folder := t.TempDir()
	var facts, chat strings.Builder
	for i := range 40 {
		fmt.Fprintf(&facts, "{\"text\":\"fact %d is that %d and %d make %d, as everybody knows here\"}\n", i, i, i, 2*i)
		fmt.Fprintf(&chat, "{\"text\":\"somebody said %d words to somebody else today, and laughed\"}\n", i%30) // ten stand there twice
	}
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("facts.jsonl", facts.String())
	write("chat.jsonl", chat.String())
	mixture := write("mixture.json", `{"sources": [
		{"name": "facts", "files": ["facts.jsonl"], "format": "jsonl", "repeat": 2},
		{"name": "chat", "files": ["chat.jsonl"], "format": "jsonl"}], "clean": {"min_characters": 10}, "seed": 1}`)
	out := filepath.Join(folder, "base")
	fit := []string{"pretrain", "--mixture", mixture, "--out", out, "--hidden-size", "16", "--intermediate-size", "32", "--layers", "1", "--heads", "2", "--key-value-heads", "2",
		"--positions", "64", "--context", "32", "--vocab-size", "300", "--steps", "5"}
	tandemRun(t, "", append(fit, "--dry-run")...).ok(t)
	if _, err := os.Stat(out); err == nil {
		t.Error("a dry run has written something")
	}
	only := object[corpusReport](t, tandemRun(t, "", "--json", "pretrain", "--mixture", mixture, "--corpus-only", "--out", filepath.Join(folder, "only")).ok(t))
	if a := only.Sources; len(a) != 2 || a[0].Mixed != 80 || a[1].Kept != 30 || a[1].Out["exact duplicate"] != 10 {
		t.Errorf("%+v", a)
	}
	m := object[tandem.Model](t, tandemRun(t, "", append([]string{"--json"}, fit...)...).ok(t))
	if m.Stage != tandem.StagePretrain {
		t.Errorf("%+v", m)
	}
	page, err := os.ReadFile(filepath.Join(out, "corpus", "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"exact duplicate", "tokens seen", "CO₂e"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the report lacks %q", part)
		}
	}
	for name, args := range map[string][]string{
		"--mixture":     {"pretrain", "--out", out},
		"--corpus-only": {"pretrain", "--data", mixture, "--corpus-only", "--out", out},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage || !strings.Contains(r.stderr, name) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
	write("mixture.json", `{"sources": [{"name": "facts", "files": ["facts.jsonl"], "format": "jsonl", "repeat": 3}]}`)
	if r := tandemRun(t, "", append(fit, "--resume")...); r.code != exitFailed || !strings.Contains(r.stderr, "another mixture") {
		t.Errorf("another mixture: exit code %d, %s", r.code, r.stderr)
	}
}
