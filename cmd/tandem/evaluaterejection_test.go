package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/rejection"
)

func TestEvaluateRejection(t *testing.T) {
	untaught := makeStageFiles(t)
	f, tuned := untaught.taught(t, "1"), untaught.taught(t, "2")
	folder := t.TempDir()
	sft, rlhf, again := filepath.Join(folder, "sft"), filepath.Join(folder, "rlhf"), filepath.Join(folder, "again")
	tandemRun(t, "", f.rejectWith(f.prompts, "1", "--temperature", "0.5,1,1.5", "--out", sft)...).ok(t)
	tandemRun(t, "", tuned.rejectWith(f.prompts, "1", "--temperature", "1,1.5", "--out", rlhf)...).ok(t)
	tandemRun(t, "", f.rejectWith(f.prompts, "2", "--out", again)...).ok(t)
	out := filepath.Join(folder, "report")
	got := object[evaluateRejectionReport](t, tandemRun(t, "", "--json", "evaluate", "rejection", "--samples", sft+","+rlhf, "--out", out).ok(t))
	if len(got.Policies) != 2 || got.Policies[0].Name != "policy-1" || got.Policies[1].Name != "policy-2" || len(got.Policies[0].Sweep) != 3 || len(got.Policies[1].Sweep) != 2 ||
		got.Prompts != 21 || got.Helpfulness != "model-helpfulness" {
		t.Fatalf("%+v", got)
	}
	kept := func(folder string, temperature float64) map[string]float64 {
		scores := make(map[string]float64)
		for _, s := range rejection.At(readSets(t, folder), temperature) {
			if best, ok := s.Best(); ok {
				scores[s.Prompt.Messages.Opening()] = best.Score.Combined
			}
		}
		return scores
	}
	a, b := kept(sft, got.Policies[0].Best().Temperature), kept(rlhf, got.Policies[1].Best().Temperature)
	sum, n := 0.0, 0
	for prompt, score := range b {
		if first, ok := a[prompt]; ok {
			sum, n = sum+score-first, n+1
		}
	}
	if ahead := got.Policies[1].Ahead; n < 2 || ahead == nil || ahead.N != n || math.Abs(ahead.Value-sum/float64(n)) > 1e-9 {
		t.Errorf("the tuned policy is ahead by %+v, want %g over %d prompts", ahead, sum/float64(n), n)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	// One chart by number and one for each policy by temperature.
	if n := strings.Count(string(page), "<svg "); n != 3 {
		t.Errorf("the report has %d charts, want 3", n)
	}
	table := tandemRun(t, "", "evaluate", "rejection", "--samples", sft+","+again).ok(t).out
	if !strings.Contains(table, "policy-1 (sft)") || !strings.Contains(table, "policy-1 (again)") || strings.Count(table, "\n") != 5 {
		t.Errorf("two samplings of one policy are told as\n%s", table)
	}
	others := f
	others.helpfulness = smallModel(t, tandem.HelpfulnessModel, 7, func(m *checkpoint.Model) {
		m.Lineage.ID, m.Lineage.Calibration = "others", &tandem.Calibration{Gate: -1, Deviation: 1, Samples: 10}
	})
	foreign := filepath.Join(folder, "foreign")
	tandemRun(t, "", others.rejectWith(f.prompts, "1", "--out", foreign)...).ok(t)
	if r := tandemRun(t, "", "evaluate", "rejection", "--samples", sft+","+foreign); r.code != exitFailed || !strings.Contains(r.stderr, "judges.helpfulness.id") {
		t.Errorf("of other reward models: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "evaluate", "rejection", "--samples", folder); r.code != exitFailed || !strings.Contains(r.stderr, "no finished rejection sampling") {
		t.Errorf("of nothing: exit code %d, %s", r.code, r.stderr)
	}
}
