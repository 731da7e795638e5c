package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The whole loop once, small: pretrain, SFT, annotators over HTTP, both reward models, rejection
// sampling, PPO, controls, evaluation, report. What it reaches is acceptance's to measure.
func TestDemoMiniature(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole loop takes half a minute")
	}
	home := t.TempDir()
	if err := os.Chmod(filepath.Dir(home), 0o755); err != nil { // the server's own user must reach it
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"demo", "--miniature", "--json", "--folder", home}, world{in: strings.NewReader(""), out: &out, err: &log})
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, log.String())
	}
	var reply struct{ Demos []demoResult }
	if err := json.Unmarshal(out.Bytes(), &reply); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if len(reply.Demos) != 1 {
		t.Fatalf("%d demos", len(reply.Demos))
	}
	d := reply.Demos[0]
	var names []string
	for _, v := range d.Versions {
		names = append(names, v.Name)
		if v.Gold.Helpfulness.N != 60 || v.Gold.Safety.N != 30 {
			t.Errorf("%s was judged on %d helpful and %d unsafe prompts", v.Name, v.Gold.Helpfulness.N, v.Gold.Safety.N)
		}
	}
	if got := strings.Join(names, ", "); got != "SFT, RLHF-V1, RLHF-V1 (PPO)" {
		t.Errorf("versions %s", got)
	}
	if len(d.Controls) != 2 {
		t.Errorf("controls %v", d.Controls)
	}
	for _, name := range []string{"report.html", "report.json"} {
		if info, err := os.Stat(filepath.Join(filepath.Dir(d.Report), name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A finished demo is not gone on with; the next one begins anew.
	log.Reset()
	if code := run(t.Context(), []string{"demo", "--resume", "--folder", home}, world{in: strings.NewReader(""), out: &out, err: &log}); code != exitFailed || !strings.Contains(log.String(), "finished") {
		t.Errorf("resuming a finished demo: exit %d, %s", code, log.String())
	}
}

func TestDemoRefusesHalfOfTheRealPairs(t *testing.T) {
	for _, args := range [][]string{
		{"demo", "--helpful", "a"},
		{"demo", "--safety", "b"},
		{"demo", "--base", "c"},
		{"demo", "--helpful", "a", "--safety", "b", "--miniature"},
		{"demo", "--seeds", "0"},
	} {
		var out, log bytes.Buffer
		if code := run(t.Context(), args, world{in: strings.NewReader(""), out: &out, err: &log}); code != exitUsage {
			t.Errorf("%v: exit %d, want %d: %s", args, code, exitUsage, log.String())
		}
	}
}
