package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
	"tandem/rejection"
	"tandem/store"
)

// TestReject samples in shards, is interrupted by a context, goes on to the same samples, and fine-tunes.
func TestReject(t *testing.T) {
	f := makeStageFiles(t)
	prompts := 24 - f.heldOutPrompts
	run := func(out string, more ...string) []string {
		return append([]string{"--json", "reject", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", f.prompts,
			"-k", "3", "--max-tokens", "5", "--shard-prompts", "4", "--out", out}, more...)
	}
	tuned := []string{"--base", f.policy, "--demonstrations", f.dialogues, "--preset", "practice", "--steps", "3", "--batch", "4"}
	whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	plan := tandemRun(t, "", run(whole, append(tuned, "--dry-run")...)...).ok(t)
	if _, err := os.Stat(whole); err == nil || !strings.Contains(plan.out, fmt.Sprintf(`"samples":%d`, 3*prompts)) {
		t.Errorf("dry run: %s", plan.out)
	}
	both := object[pipeline.Plan](t, plan).Expected
	sampling := object[pipeline.Plan](t, tandemRun(t, "", run(whole, "--dry-run")...).ok(t)).Expected
	if both == nil || sampling == nil || !both.AtMost || sampling.Flops == 0 || both.Flops <= sampling.Flops || both.Seconds <= 0 {
		t.Errorf("expected of sampling %+v, and of fine-tuning too %+v", sampling, both)
	}
	if plan := object[pipeline.Plan](t, tandemRun(t, "", run(whole, append(tuned, "--dry-run", "--held-out-share", "1")...)...).ok(t)); plan.Data["prompts"] != 0 || plan.Data["held_out"] != 24 || plan.Data["demonstrations"] != 0 {
		t.Errorf("with all held out: %v", plan.Data)
	}
	a := object[rejectReport](t, tandemRun(t, "", run(whole)...).ok(t))
	if a.Model != nil || a.Rejection.Prompts != prompts || a.Rejection.Samples != 3*prompts || a.Rejection.HeldOut != f.heldOutPrompts || a.Rejection.Targets == 0 || len(a.Rejection.Curve.Best) != 3 {
		t.Errorf("%+v", a)
	}
	if sets := readSets(t, whole); a.Rejection.Duplicates != rejection.Duplicates(sets) || a.Rejection.Duplicates == a.Rejection.Samples {
		t.Errorf("%d duplicates are reported, and %d there", a.Rejection.Duplicates, rejection.Duplicates(sets))
	}
	// Interrupted behind its second shard, it goes on to the same samples.
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(parts, "sampling", "shard-00001.jsonl")); err == nil {
				cancel()
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	if r := tandemRunContext(t, ctx, "", run(parts)...); r.code != exitInterrupted {
		t.Errorf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", run(parts)...); r.code != exitFailed || !strings.Contains(r.stderr, "resume") {
		t.Errorf("begun anew: exit code %d, %s", r.code, r.stderr)
	}
	tandemRun(t, "", run(parts, "--resume")...).ok(t)
	for _, name := range []string{"samples.jsonl", "targets.jsonl"} {
		want, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(parts, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from an undisturbed run's (%v)", name, err)
		}
	}
	b := object[rejectReport](t, tandemRun(t, "", run(whole, tuned...)...).ok(t))
	if b.Model == nil || b.Model.Stage != tandem.StageReject || b.Rejection.ID != a.Rejection.ID {
		t.Errorf("%+v", b)
	}
	for _, name := range []string{"samples.jsonl", "targets.jsonl", "model.safetensors", "metrics.jsonl"} {
		if info, err := os.Stat(filepath.Join(whole, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := tandemRun(t, "", run(filepath.Join(t.TempDir(), "none"), "--held-out-share", "1")...); r.code != exitFailed || !strings.Contains(r.stderr, "all 24 prompts are held out") {
		t.Errorf("with all held out: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", run(whole, "-k", "5")...); r.code != exitFailed || !strings.Contains(r.stderr, "different: config.k") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

// TestRejectSweep samples at several temperatures; what one of them has alone is the same.
func TestRejectSweep(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	run := func(temperature string, more ...string) (string, result) {
		out := filepath.Join(t.TempDir(), "out")
		return out, tandemRun(t, "", append([]string{"reject", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", f.prompts,
			"-k", "6", "--max-tokens", "8", "--temperature", temperature, "--out", out}, more...)...).ok(t)
	}
	_, plan := run("0.8,1.4", "--json", "--dry-run")
	if n := object[pipeline.Plan](t, plan).Data["samples"]; n != 2*6*(24-f.heldOutPrompts) {
		t.Errorf("%d samples are planned", n)
	}
	swept, r := run("0.8,1.4", "--json")
	done := object[rejectReport](t, r).Rejection
	if len(done.Sweep) != 2 || done.Sweep[1].Temperature != 1.4 || len(done.Sweep[1].Curve.Median) != 6 || len(done.Curve.Best) != 12 || done.Samples != 12*done.Prompts || done.Next == nil || !done.Next.Edge {
		t.Errorf("%+v, next %+v", done.Sweep, done.Next)
	}
	alone, _ := run("1.4")
	want := readSets(t, alone)
	for i, set := range readSets(t, swept) {
		if part := set.Candidates[6:]; !reflect.DeepEqual(part, want[i].Candidates) {
			t.Errorf("prompt %d: %+v in the sweep, %+v alone", i, part, want[i].Candidates)
		}
	}
	if _, r := run("0.8,1.4"); !strings.Contains(r.out, "next temperature: ") || !strings.Contains(r.out, "temperature 0.8: best of 6") {
		t.Errorf("a sweep is told as %q", r.out)
	}
}

// TestRejectIsRecorded keeps every sample and score with its models, once, however often the command is interrupted and
// done again.
func TestRejectIsRecorded(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"reject", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", f.prompts,
		"-k", "3", "--max-tokens", "5", "--temperature", "0.8,1.4", "--seed", "9", "--shard-prompts", "4", "--out", out}
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	responses := func() (all []store.ScoredResponse) {
		for r, err := range s.ScoredResponses(t.Context(), "model-policy", "model-helpfulness", "model-safety") {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(out, "sampling", "shard-00001.jsonl")); err == nil {
				cancel()
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	if r := tandemRunContext(t, ctx, "", args...); r.code != exitInterrupted {
		t.Fatalf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
	if n := len(responses()); n < 4*6 {
		t.Errorf("%d samples are kept when the second shard is there", n)
	}
	tandemRun(t, "", append(args, "--resume")...).ok(t)
	want := make(map[string]rejection.Candidate)
	for _, set := range readSets(t, out) {
		for _, c := range set.Candidates {
			want[fmt.Sprint(set.Prompt.Messages.Key(), set.Prompt.Safety, c.Temperature, c.Sample)] = c
		}
	}
	check := func(when string) {
		t.Helper()
		got := responses()
		if len(got) != len(want) {
			t.Errorf("%s: %d samples are kept, want %d", when, len(got), len(want))
		}
		for _, r := range got {
			c := want[fmt.Sprint(r.Prompt.Messages.Key(), r.Prompt.Safety, r.Sampling.Temperature, r.Sample)]
			if r.Content != c.Text || r.Score != c.Score || r.Finish != c.Finish || r.Tokens != c.Tokens || r.Seed != 9 || r.Sampling.MaxTokens != 5 {
				t.Fatalf("%s: kept %+v, sampled %+v", when, r, c)
			}
		}
	}
	check("resumed")
	tandemRun(t, "", args...).ok(t)
	check("done again")
	// What the database has lost comes back.
	useDatabase(t)
	s.Close()
	if s, err = store.Open(t.Context(), os.Getenv("DATABASE_URL")); err != nil {
		t.Fatal(err)
	}
	tandemRun(t, "", args...).ok(t)
	check("with another database")
	for id, kind := range map[string]tandem.ModelKind{"model-policy": tandem.PolicyModel, "model-helpfulness": tandem.HelpfulnessModel, "model-safety": tandem.SafetyModel} {
		if m, err := s.Model(t.Context(), id); err != nil || m.Kind != kind {
			t.Errorf("the row of %s: %+v, %v", id, m, err)
		}
	}
}

// readSets reads the samples in a folder of rejection sampling.
func readSets(t *testing.T, out string) (sets []rejection.Set) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "samples.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		sets = append(sets, object[rejection.Set](t, result{out: line}))
	}
	return sets
}

// TestOtherJudgesAreTold: reward models are known by what they are and how they are read, not by their folders.
func TestOtherJudgesAreTold(t *testing.T) {
	f := makeStageFiles(t)
	judges := func(command ...string) []string {
		return append(command, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", f.prompts)
	}
	reject := append(judges("reject", "--model", f.policy), "-k", "2", "--max-tokens", "5", "--out", filepath.Join(t.TempDir(), "reject"))
	ppo := append(f.command("ppo", 2), "--out", filepath.Join(t.TempDir(), "ppo"))
	for _, args := range [][]string{reject, ppo} {
		tandemRun(t, "", args...).ok(t)
		tandemRun(t, "", args...).ok(t) // finds it finished
	}
	lineage, err := checkpoint.ReadLineage(t.Context(), f.safety)
	if err != nil {
		t.Fatal(err)
	}
	lineage.Calibration.Gate += 0.5
	if err := checkpoint.WriteLineage(t.Context(), f.safety, *lineage); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{reject, ppo} {
		if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "judges.safety.calibration.gate") {
			t.Errorf("%s with another gate: exit code %d, %s", args[0], r.code, r.stderr)
		}
	}
}
