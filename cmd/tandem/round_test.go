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
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
	"tandem/store"
)

// roundCommandLine keeps comparisons in a fresh database and returns a round's command line without --out.
func roundCommandLine(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("a round takes seconds")
	}
	useDatabase(t)
	f := makeStageFiles(t)
	for _, aspect := range []string{"helpfulness", "safety"} {
		var pairs strings.Builder
		for i := range 30 {
			fmt.Fprintf(&pairs, `{"prompt":"hello %d","chosen":"good day","rejected":"no %s"}`+"\n", i, aspect)
		}
		tandemRun(t, "", "import", "trl", writeTemp(t, aspect+".jsonl", pairs.String()), "--as", aspect).ok(t)
	}
	recipe := writeTemp(t, "recipe.json", `{"helpfulness":{"fit":{"steps":8,"batch":4,"checkpoint_every":2}},"safety":{"fit":{"steps":8,"batch":4}},
		"rejection":{"k":6,"max_tokens":12},"shard_prompts":5,"fine_tune":{"steps":8,"batch":4,"checkpoint_every":2},
		"ppo":{"iterations":2,"batch_size":4,"minibatch_size":4,"critic_warmup":1,"max_tokens":5,"evaluate_every":1}}`)
	return []string{"--json", "round", "--model", f.policy, "--base", f.policy, "--demonstrations", f.dialogues, "--prompts", f.prompts,
		"--preset", "practice", "--recipe", recipe, "--seed", "3", "--ppo"}
}

// openingsOf lists the openings of a file of comparisons.
func openingsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	openings := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		var c tandem.Comparison
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		openings[c.Prompt.Messages.Opening()] = true
	}
	return openings
}

func TestRoundIsInterruptedAndGoesOn(t *testing.T) {
	args := roundCommandLine(t)
	whole, torn := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "torn")
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--out", whole, "--dry-run")...).ok(t))
	if plan.Steps != 5 || plan.Data["helpfulness_comparisons"] == 0 || plan.Data["helpfulness_comparisons"]+plan.Data["helpfulness_comparisons_held_out"] != 30 || plan.Data["samples"] != 6*plan.Data["prompts"] || plan.Data["prompts_held_out"] == 0 {
		t.Errorf("plan %+v", plan)
	}
	if _, err := os.Stat(whole); err == nil {
		t.Error("a dry run wrote")
	}
	first := object[roundReport](t, tandemRun(t, "", append(args, "--out", whole)...).ok(t))
	if first.Number != 1 || first.Model.Name != "RLHF-V1 (PPO)" || first.Round != 1 || first.Stage != tandem.StagePPO || first.Safety.Calibration == nil || first.Compared == 0 {
		t.Errorf("%+v", first)
	}
	if first.Second == nil || first.Second.Safety.Calibration == nil || first.Second.Helpfulness.ID == first.Helpfulness.ID {
		t.Errorf("the second pair of reward models is %+v", first.Second)
	}
	if !strings.Contains(string(first.Config), "held_out_judges") || first.Metrics["eval/objective/second_scores"] == 0 {
		t.Errorf("the second pair did not watch PPO: %s, %v", first.Config, first.Metrics)
	}
	kept := openingsOf(t, filepath.Join(whole, "second", "comparisons.jsonl"))
	for opening := range openingsOf(t, filepath.Join(whole, "comparisons.jsonl")) {
		if kept[opening] || tandem.ForSecondJudges(opening, pipeline.DefaultSecondShare) {
			t.Errorf("both pairs of reward models, or the wrong one, learnt from comparisons that begin with %q", opening)
		}
	}
	for opening := range kept {
		if tandem.HeldOut(opening, tandem.HeldOutShare) || !tandem.ForSecondJudges(opening, pipeline.DefaultSecondShare) {
			t.Errorf("the second pair learnt from comparisons that begin with %q", opening)
		}
	}
	if len(kept) == 0 {
		t.Error("the second pair learnt from nothing")
	}
	if r := tandemRun(t, "", append(args, "--out", whole)...); r.code != exitFailed || !strings.Contains(r.stderr, "--resume") {
		t.Errorf("over another round: exit code %d, %s", r.code, r.stderr)
	}
	for flag, want := range map[string][]string{
		"recipe.seed, recipe.safety.fit.seed": {"--seed", "4"},
		"archive":                             {"--archive", writeTemp(t, "archive.jsonl", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`)},
		"demonstrations":                      {"--demonstrations", writeTemp(t, "others.jsonl", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`)},
	} {
		r := tandemRun(t, "", slices.Concat(args, []string{"--out", whole, "--resume"}, want)...)
		for name := range strings.SplitSeq(flag, ", ") {
			if r.code != exitFailed || !strings.Contains(r.stderr, name) || !strings.Contains(r.stderr, "different") {
				t.Errorf("resumed with %q: exit code %d, %q does not name %s", want, r.code, r.stderr, name)
			}
		}
	}
	again := object[roundReport](t, tandemRun(t, "", append(args, "--out", whole, "--resume")...).ok(t))
	if again.ID != first.ID || again.Number != 1 {
		t.Errorf("done again: %+v", again.Model)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(torn, "policy", "metrics.jsonl")); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if r := tandemRunContext(t, ctx, "", append(args, "--out", torn)...); r.code != exitInterrupted {
		t.Fatalf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
	// What people judge meanwhile is the next round's.
	tandemRun(t, "", "import", "trl", writeTemp(t, "late.jsonl", trlPairs), "--as", "helpfulness").ok(t)
	second := object[roundReport](t, tandemRun(t, "", append(args, "--out", torn, "--resume")...).ok(t))
	if second.Number != 2 || second.Compared != first.Compared {
		t.Errorf("%+v", second)
	}
	for _, name := range []string{"helpfulness", "safety", "second/helpfulness", "second/safety", "policy", "ppo"} {
		want, err := os.ReadFile(filepath.Join(whole, name, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(torn, name, "model.safetensors")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from an undisturbed round's (%v)", name, err)
		}
	}

	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	runs, err := s.Runs(t.Context(), store.RunQuery{Round: 1})
	made := 0 // the others sampled and answered
	for _, r := range runs {
		if m, err := s.Metrics(t.Context(), r.ID, 0); err != nil || len(m) == 0 || r.Status != tandem.RoundDone {
			t.Errorf("run %+v: %d metrics, %v", r, len(m), err)
		}
		if r.Model != "" {
			made++
		}
	}
	flops := 0.0
	for _, r := range runs {
		metrics, err := s.Metrics(t.Context(), r.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range metrics {
			if m.Name == store.FlopsMetric {
				flops += float64(m.Value)
			}
		}
	}
	// Answers are shorter than they may be; calibrating and evaluating is not in what was expected.
	if e := plan.Expected; e == nil || e.Flops < flops/2 || e.Flops > 4*flops || !e.AtMost {
		t.Errorf("%g floating point operations were made of the expected %+v", flops, e)
	}
	if err != nil || made != 6 {
		t.Fatalf("%d of %d runs made a model, %v", made, len(runs), err)
	}
	if m, err := s.Model(t.Context(), first.Helpfulness.ID); err != nil || m.Calibration == nil {
		t.Errorf("the helpfulness model's row: %+v, %v", m.Calibration, err)
	}
}

// TestRoundIsCancelled stops a round and its worker by another command, and goes on with it.
func TestRoundIsCancelled(t *testing.T) {
	args := append(roundCommandLine(t), "--out", filepath.Join(t.TempDir(), "round"))
	if r := tandemRun(t, "", "round", "cancel", "1"); r.code != exitFailed || !strings.Contains(r.stderr, "such round") {
		t.Errorf("no such round: exit code %d, %s", r.code, r.stderr)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var worker, round result
	running.Go(func() { worker = tandemRunContext(t, ctx, "", "worker", "--lease", "1s") })
	ended := make(chan struct{})
	go func() {
		round = tandemRunContext(t, ctx, "", append(slices.Clone(args), "--no-worker")...)
		close(ended)
	}()
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for begun := false; !begun; time.Sleep(10 * time.Millisecond) {
		runs, err := s.Runs(t.Context(), store.RunQuery{})
		if err != nil {
			t.Fatal(err)
		}
		begun = len(runs) > 0
	}
	if r := object[tandem.Round](t, tandemRun(t, "", "--json", "round", "cancel", "1").ok(t)); r.Number != 1 || r.Status != tandem.RoundCancelled {
		t.Errorf("%+v", r)
	}
	<-ended
	if round.code != exitFailed || !strings.Contains(round.stderr, "round 1: the round was cancelled") || !strings.Contains(round.stderr, "--resume") {
		t.Errorf("the round's command: exit code %d, %s", round.code, round.stderr)
	}
	for held := true; held; time.Sleep(10 * time.Millisecond) { // the worker, within seconds
		held = false
		for _, stage := range []tandem.Stage{tandem.StageRewardHelpfulness, tandem.StageRewardSafety} {
			units, err := s.Units(t.Context(), 1, stage)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range units {
				held = held || u.Holder != ""
			}
		}
	}
	stop()
	running.Wait()
	if runs, err := s.Runs(t.Context(), store.RunQuery{Status: tandem.RoundRunning}); err != nil || len(runs) > 0 {
		t.Errorf("still running: %+v, %v", runs, err)
	}
	object[roundReport](t, tandemRun(t, "", append(args, "--resume")...).ok(t))
	if r, err := s.Round(t.Context(), 1); err != nil || r.Status != tandem.RoundDone {
		t.Errorf("%+v, %v", r, err)
	}
	if r := tandemRun(t, "", "round", "cancel", "1"); r.code != exitFailed || !strings.Contains(r.stderr, "is done") || worker.code != exitDone {
		t.Errorf("a round that is done: exit code %d, %s", r.code, r.stderr)
	}
}

// TestWorker leaves a round's work to a worker of another command, and holds that the round trains nothing on
// what its comparisons' openings hold out.
func TestWorker(t *testing.T) {
	args := roundCommandLine(t)
	var prompts, demonstrations strings.Builder
	held := 0
	for i := range 30 { // the comparisons' prompts
		opening := fmt.Sprintf("hello %d", i)
		fmt.Fprintf(&prompts, `{"prompt":%q,"safety_prompt":%t}`+"\n", opening, i%2 == 0)
		fmt.Fprintf(&demonstrations, `{"messages":[{"role":"user","content":%q},{"role":"assistant","content":"good day"}]}`+"\n", opening)
		if tandem.HeldOut(opening, tandem.HeldOutShare) {
			held++
		}
	}
	folder := filepath.Join(t.TempDir(), "round")
	args = append(args, "--prompts", writeTemp(t, "p.jsonl", prompts.String()), "--demonstrations", writeTemp(t, "d.jsonl", demonstrations.String()), "--out", folder,
		"--archive", writeTemp(t, "archive.jsonl", strings.Repeat(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`+"\n", 3)))
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t))
	if held == 0 || plan.Data["prompts"] != 30-held || plan.Data["prompts_held_out"] != held || plan.Data["demonstrations"] != 30-held || plan.Data["demonstrations_held_out"] != held {
		t.Errorf("%d of 30 openings are held out, and the plan has %v", held, plan.Data)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var worker result
	running.Go(func() { worker = tandemRunContext(t, ctx, "", "worker") })
	r := tandemRun(t, "", append(args, "--no-worker")...)
	cancel()
	running.Wait()
	object[roundReport](t, r.ok(t))
	if worker.code != exitDone || !strings.Contains(worker.stderr, "given back") || !strings.Contains(worker.stderr, "reward_helpfulness") {
		t.Errorf("worker: exit code %d, %s", worker.code, worker.stderr)
	}
	lines := make(map[string]int)
	for name, want := range map[string]int{"prompts.jsonl": 30 - held, "demonstrations.jsonl": 30 - held, "targets.jsonl": -1} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		lines[name] = strings.Count(string(text), "\n")
		if want >= 0 && lines[name] != want {
			t.Errorf("%s has %d lines, want %d", name, lines[name], want)
		}
		for i := range 30 {
			if opening := fmt.Sprintf("hello %d", i); tandem.HeldOut(opening, tandem.HeldOutShare) && strings.Contains(string(text), `"`+opening+`"`) {
				t.Errorf("%s trains on %q, which is held out", name, opening)
			}
		}
	}
	// The base is fitted to the demonstrations, the best answers of earlier rounds and this round's.
	policy, err := checkpoint.ReadLineage(t.Context(), filepath.Join(folder, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	if want := lines["demonstrations.jsonl"] + 3 + lines["targets.jsonl"]; policy.Metrics["dialogues"] != float64(want) {
		t.Errorf("rejection sampling's policy was fitted to %g dialogues, want %d", policy.Metrics["dialogues"], want)
	}
}

// TestStagesAreRecorded keeps a stage's run, figures and model, with the model that it came from.
func TestStagesAreRecorded(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	m := object[tandem.Model](t, tandemRun(t, "", append(f.command("sft", 5), "--out", filepath.Join(t.TempDir(), "m"), "--json")...).ok(t))
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lineage, err := s.Lineage(t.Context(), m.ID)
	if err != nil || len(lineage) != 2 {
		t.Errorf("lineage %+v, %v", lineage, err)
	}
	runs, err := s.Runs(t.Context(), store.RunQuery{})
	if err != nil || len(runs) != 1 || runs[0].Model != m.ID {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	losses, err := s.Metrics(t.Context(), runs[0].ID, 0, "loss")
	if err != nil || len(losses) != 5 {
		t.Errorf("losses %+v, %v", losses, err)
	}
	spent, err := s.Spent(t.Context(), runs[0].ID)
	if got := spent[runs[0].ID]; err != nil || got.Tokens == nil || got.Flops == nil || got.CPUSeconds == nil || *got.Flops < 1000**got.Tokens {
		t.Errorf("spent %+v, %v", spent, err)
	}
	events, err := s.Events(t.Context(), runs[0].ID, "")
	if err != nil || len(events) == 0 || events[0].Kind != "note" || !strings.Contains(events[0].Message, "the train / held-out split (of dialogues") {
		t.Errorf("events %+v, %v", events, err)
	}
	made := object[snapshotReport](t, func() result {
		tandemRun(t, "", "import", "trl", writeTemp(t, "a.jsonl", trlPairs), "--as", "helpfulness").ok(t)
		return tandemRun(t, "", "--json", "snapshot", "create", "s").ok(t)
	}())
	rm := object[tandem.Model](t, tandemRun(t, "", "reward", "helpfulness", "--model", f.policy, "--data", "snapshot:"+made.ID, "--held-out-share", "0",
		"--preset", "practice", "--steps", "2", "--out", filepath.Join(t.TempDir(), "rm"), "--json").ok(t))
	if rm.Snapshot != made.Hash || rm.Metrics["pairs"] != 2 {
		t.Errorf("fitted to a snapshot: %+v", rm)
	}
}
