package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
	"tandem/rejection"
	"tandem/store"
)

// readTargetLines reads a file of best answers.
func readTargetLines(t *testing.T, path string) (targets []rejection.Target) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		targets = append(targets, object[rejection.Target](t, result{out: line}))
	}
	return targets
}

// rejectWith is the command line of a small rejection without --out.
func (f stageFiles) rejectWith(prompts, seed string, more ...string) []string {
	return append([]string{"--json", "reject", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", prompts, "--held-out-share", "0",
		"-k", "4", "--max-tokens", "8", "--seed", seed}, more...)
}

// scoredBy has targets scored by the command that everyone uses.
func (f stageFiles) scoredBy(t *testing.T, targets []rejection.Target) []tandem.Score {
	t.Helper()
	var lines []any
	for _, x := range targets {
		lines = append(lines, x)
	}
	r := tandemRun(t, jsonLines(t, lines...), "score", "--helpfulness", f.helpfulness, "--safety", f.safety).ok(t)
	var scores []tandem.Score
	for line := range strings.Lines(r.out) {
		scores = append(scores, object[tandem.Score](t, result{out: line}))
	}
	return scores
}

// TestRejectArchive fine-tunes on the best answers of three samplings, of which the first had other reward models and
// other prompts too.
func TestRejectArchive(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	var prompts []any
	for i := range 10 {
		prompts = append(prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("the old %d", i)}}, Safety: i%2 == 0})
	}
	old, err := os.ReadFile(f.prompts)
	if err != nil {
		t.Fatal(err)
	}
	others := f
	others.helpfulness = smallModel(t, tandem.HelpfulnessModel, 7, calibrated(tandem.Calibration{Gate: -1, Mean: .3, Deviation: 2, Samples: 10}))
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	tandemRun(t, "", others.rejectWith(writeTemp(t, "more.jsonl", string(old)+jsonLines(t, prompts...)), "1", "--out", first)...).ok(t)
	tandemRun(t, "", f.rejectWith(f.prompts, "2", "--out", second)...).ok(t)
	tuned := []string{"--base", f.policy, "--demonstrations", f.dialogues, "--preset", "practice", "--steps", "12", "--batch", "4", "--checkpoint-every", "3"}
	run := func(out, policy string) []string {
		return f.rejectWith(f.prompts, "3", append(tuned, "--archive", first+","+filepath.Join(second, "targets.jsonl"), "--archive-policy", policy, "--archive-share", "0.3", "--out", out)...)
	}
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(run(filepath.Join(t.TempDir(), "none"), "best"), "--dry-run")...).ok(t))
	earlier := [][]rejection.Target{readTargetLines(t, filepath.Join(first, "targets.jsonl")), readTargetLines(t, filepath.Join(second, "targets.jsonl"))}
	if plan.Data["archive"] != len(earlier[0])+len(earlier[1]) {
		t.Errorf("plan %+v", plan)
	}
	made := make(map[string]string)
	for _, policy := range []string{"all", "newest", "best", "share"} {
		out := filepath.Join(t.TempDir(), policy)
		made[policy] = out
		done := object[rejectReport](t, tandemRun(t, "", run(out, policy)...).ok(t))
		newest := readTargetLines(t, filepath.Join(out, "targets.jsonl"))
		got := readTargetLines(t, filepath.Join(out, "archive.jsonl"))
		rounds := append(slices.Clone(earlier), newest)
		var want []rejection.Target
		switch policy {
		case "all":
			want = slices.Concat(rounds...)
		case "newest":
			want = newest
		default: // the rule itself has a test of its own: here the scores must be these models'
			var scored [][]rejection.Scored
			for _, round := range rounds {
				var s []rejection.Scored
				for i, score := range f.scoredBy(t, round) {
					s = append(s, rejection.Scored{Target: round[i], Score: score})
				}
				scored = append(scored, s)
			}
			archive := rejection.Archive{Policy: rejection.ArchivePolicy(policy), Share: 0.3}
			if want, _, err = archive.Select(scored); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s keeps %d answers\n%v\nwant %d\n%v", policy, len(got), got, len(want), want)
		}
		if a := done.Rejection.Archive; a == nil || a.Targets != len(want) || len(a.Rounds) != 3 || a.Rounds[0].Targets != len(earlier[0]) || a.Rounds[0].Kept+a.Rounds[1].Kept+a.Rounds[2].Kept != len(want) {
			t.Errorf("%s reports %+v", policy, a)
		}
		demonstrations := 24 // nothing is held out
		if n := done.Model.Metrics["dialogues"]; n != float64(demonstrations+len(want)) {
			t.Errorf("%s: the model was fitted to %g dialogues, want %d", policy, n, demonstrations+len(want))
		}
	}

	// Interrupted in its fine-tuning, it goes on to the same model.
	torn := filepath.Join(t.TempDir(), "torn")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if text, err := os.ReadFile(filepath.Join(torn, "metrics.jsonl")); err == nil && bytes.Count(text, []byte("\n")) >= 2 {
				cancel()
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	if r := tandemRunContext(t, ctx, "", run(torn, "best")...); r.code != exitInterrupted {
		t.Fatalf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", append(run(torn, "newest"), "--resume")...); r.code != exitFailed || !strings.Contains(r.stderr, "fine-tuned on other answers") {
		t.Errorf("resumed with another archive: exit code %d, %s", r.code, r.stderr)
	}
	tandemRun(t, "", append(run(torn, "best"), "--resume")...).ok(t)
	for _, name := range []string{"archive.jsonl", "model.safetensors"} {
		want, err := os.ReadFile(filepath.Join(made["best"], name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(torn, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from an undisturbed run's (%v)", name, err)
		}
	}
	if r := tandemRun(t, "", f.rejectWith(f.prompts, "3", "--archive", writeTemp(t, "bad.jsonl", `{"messages":[{"role":"user","content":"a"}]}`), "--out", filepath.Join(t.TempDir(), "bad"))...); r.code != exitFailed || !strings.Contains(r.stderr, "does not end with an answer") {
		t.Errorf("an archive without answers: exit code %d, %s", r.code, r.stderr)
	}
}

// TestRejectDistills fine-tunes a smaller model of another shape and vocabulary on a larger one's samples.
func TestRejectDistills(t *testing.T) {
	f := makeStageFiles(t).taught(t, "1")
	smaller := filepath.Join(t.TempDir(), "smaller")
	tandemRun(t, "", append(f.command("pretrain", 3), "--out", smaller)...).ok(t)
	out := filepath.Join(t.TempDir(), "student")
	args := []string{"--base", smaller, "--demonstrations", f.dialogues, "--preset", "practice", "--steps", "4", "--batch", "4", "--out", out}
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(f.rejectWith(f.prompts, "3", args...), "--dry-run")...).ok(t))
	if plan.Data["demonstrations"] != 24 {
		t.Errorf("plan %+v", plan)
	}
	done := object[rejectReport](t, tandemRun(t, "", f.rejectWith(f.prompts, "3", args...)...).ok(t))
	shape := func(folder string) (c llama.Config) {
		m, err := checkpoint.Load(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		return m.Weights.Config
	}
	student, base, teacher := shape(out), shape(smaller), shape(f.policy)
	if fmt.Sprint(student) != fmt.Sprint(base) || student.NumHiddenLayers >= teacher.NumHiddenLayers || student.VocabSize == teacher.VocabSize {
		t.Errorf("the student %+v of the base %+v and the teacher %+v", student, base, teacher)
	}
	var made struct {
		PolicyID string `json:"policy_id"`
	}
	lineage, err := checkpoint.ReadLineage(t.Context(), f.policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(done.Rejection.Made, &made); err != nil || made.PolicyID != lineage.ID {
		t.Errorf("the teacher is told as %q (%v), want %s", made.PolicyID, err, lineage.ID)
	}
	if n := done.Model.Metrics["dialogues"]; n != float64(24+done.Rejection.Targets) {
		t.Errorf("the student was fitted to %g dialogues of 24 and %d", n, done.Rejection.Targets)
	}
	tandemRun(t, `{"messages":[{"role":"user","content":"hello"}]}`+"\n", "generate", "--model", out, "--max-tokens", "3").ok(t)
}

// TestRoundArchive keeps the best answers of an earlier round beside the newest ones: scored again by a worker, none that
// the database holds out, and the same after an interruption.
func TestRoundArchive(t *testing.T) {
	args := slices.DeleteFunc(roundCommandLine(t), func(a string) bool { return a == "--ppo" })
	first, whole, torn := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "torn")
	tandemRun(t, "", append(args, "--out", first)...).ok(t)
	var held []string
	for i := range 30 {
		if opening := fmt.Sprintf("hello %d", i); tandem.HeldOut(opening, tandem.HeldOutShare) {
			held = append(held, fmt.Sprintf(`{"messages":[{"role":"user","content":%q},{"role":"assistant","content":"held out"}]}`, opening))
		}
	}
	file := writeTemp(t, "earlier.jsonl", strings.Join(append(held, `{"messages":[{"role":"user","content":"old"},{"role":"assistant","content":"good day"}],"safety_prompt":true}`), "\n"))
	args = append(args, "--archive", file+","+first, "--archive-policy", "best", "--seed", "5")
	done := object[roundReport](t, tandemRun(t, "", append(args, "--out", whole)...).ok(t))
	kept := readTargetLines(t, filepath.Join(whole, "archive.jsonl"))
	if a := done.Archive; a == nil || a.Policy != rejection.BestOfRounds || a.Targets != len(kept) || len(a.Rounds) != 3 || a.Rounds[0].Targets != 1 || a.Rounds[0].Kept != 1 || a.Rounds[2].Kept == 0 {
		t.Errorf("the archive is %+v", a)
	}
	judges := stageFiles{helpfulness: done.Helpfulness.URL, safety: done.Safety.URL}
	var scored [][]rejection.Scored
	for _, path := range []string{first, whole} {
		targets := readTargetLines(t, filepath.Join(path, "targets.jsonl"))
		var round []rejection.Scored
		for i, s := range judges.scoredBy(t, targets) {
			round = append(round, rejection.Scored{Target: targets[i], Score: s})
		}
		scored = append(scored, round)
	}
	want, _, err := rejection.Archive{Policy: rejection.BestOfRounds}.Select(scored)
	if err != nil {
		t.Fatal(err)
	}
	if len(held) == 0 || kept[0].Messages[0].Content != "old" || !kept[0].Safety || fmt.Sprint(kept[1:]) != fmt.Sprint(want) {
		t.Errorf("kept %v\nwant the old one and %v", kept, want)
	}
	// What the new reward models say of the first round's answers is kept beside what the old ones said.
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	said := make(map[string]float64)
	for r, err := range s.ScoredResponses(t.Context(), "model-policy", done.Helpfulness.ID, done.Safety.ID) {
		if err != nil {
			t.Fatal(err)
		}
		said[fmt.Sprint(r.Prompt.Messages, r.Content)] = r.Score.Combined
	}
	for _, old := range scored[0] {
		last := len(old.Messages) - 1
		if got, ok := said[fmt.Sprint(old.Messages[:last], old.Messages[last].Content)]; !ok || got != old.Score.Combined {
			t.Errorf("of %v the database says %g (%t), want %g", old.Messages, got, ok, old.Score.Combined)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(torn, "archive.jsonl")); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if r := tandemRunContext(t, ctx, "", append(args, "--out", torn)...); r.code != exitInterrupted {
		t.Fatalf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", append(args, "--out", torn, "--resume", "--archive-policy", "newest")...); r.code != exitFailed || !strings.Contains(r.stderr, "recipe.archive.policy") {
		t.Errorf("resumed with another archive: exit code %d, %s", r.code, r.stderr)
	}
	tandemRun(t, "", append(args, "--out", torn, "--resume")...).ok(t)
	for _, name := range []string{"archive.jsonl", "policy/model.safetensors"} {
		want, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(torn, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from an undisturbed round's (%v)", name, err)
		}
	}
}
