package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvaluateTime asks probes of a file, and runs the study on the practice world in small.
func TestEvaluateTime(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	out := t.TempDir()
	probes := writeTemp(t, "probes.jsonl", `{"question":"a?","event_date":"1990-01-01","before":"x","after":"."}`+"\n"+`{"question":"b?","event_date":"2001-05-07","before":"[a-m]","after":"[n-z]"}`+"\n")
	args := []string{"--json", "evaluate", "time", "--models", f.policy, "--data", probes, "--days=-40,-1,0,400", "--max-tokens", "5", "--out", filepath.Join(out, "probed")}
	m := object[evaluateTimeReport](t, tandemRun(t, "", args...).ok(t))
	if m.Probes != 2 || len(m.Policies) != 1 || len(m.Policies[0].Right) != 4 || len(m.Policies[0].Examples) != 2 {
		t.Errorf("%+v", m)
	}
	for name, args := range map[string][]string{
		"days are": {"evaluate", "time", "--models", f.policy, "--data", probes, "--days", "1,2", "--out", out},
		"record 1": {"evaluate", "time", "--models", f.policy, "--data", writeTemp(t, "broken.jsonl", `{"question":"a?"}`), "--out", out},
	} {
		if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, name) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
	if r := tandemRun(t, "", "evaluate", "time", "--out", out); r.code != exitUsage || !strings.Contains(r.stderr, "--practice") {
		t.Errorf("without anything: exit code %d, %s", r.code, r.stderr)
	}
	if testing.Short() {
		return // three small models take seconds
	}
	study := object[evaluateTimeReport](t, tandemRun(t, "", "--json", "evaluate", "time", "--practice", "--miniature", "--out", filepath.Join(out, "study")).ok(t))
	if len(study.Policies) != 2 || study.Probes != 48 {
		t.Errorf("%d policies and %d probes", len(study.Policies), study.Probes)
	}
	if page, err := os.ReadFile(study.Report); err != nil || !bytes.Contains(page, []byte("Right answers by the day")) {
		t.Errorf("the report: %v", err)
	}
}
