package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
	"tandem/store"
	"tandem/store/local"
)

// Rounds on the practice world are tried against what serves, also when they are interrupted: each collects comparisons of
// the newest answers, and what was decided stays.
func TestRoundsOnThePracticeWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("two rounds take a minute")
	}
	home := t.TempDir()
	if err := os.Chmod(filepath.Dir(home), 0o755); err != nil { // the server's own user must reach it
		t.Fatal(err)
	}
	out := filepath.Join(home, "rounds")
	recipe := writeTemp(t, "recipe.yaml", "rejection: {k: 3}\nppo: {iterations: 2, critic_warmup: 1}\n")
	args := []string{"--json", "round", "--practice", "--miniature", "--rounds", "2", "--seed", "3", "--out", out, "--recipe"}
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, recipe, "--dry-run")...).ok(t))
	if _, err := os.Stat(out); err == nil {
		t.Error("a dry run wrote")
	}
	if plan.Data["samples"] != 2*3*plan.Data["prompts"] || plan.Data["prompts"] != 100 || plan.Data["prompts_watched"] != 18 || plan.Data["held_out_prompts_safety"] != 30 ||
		!slices.Contains(plan.Writes, filepath.Join(out, "loop", "v2", "ppo")) || !strings.Contains(string(plan.Config), `"k":3`) {
		t.Errorf("plan %+v", plan)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // in the midst of the second round
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(out, "loop", "v2", "comparisons.jsonl")); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if r := tandemRunContext(t, ctx, "", append(args, recipe)...); r.code != exitInterrupted {
		t.Fatalf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
	for says, more := range map[string][]string{
		"--resume": {recipe}, "different: Rounds)": {recipe, "--resume", "--rounds", "3"},
		"different: Recipe.rejection.k)": {writeTemp(t, "other.yaml", "rejection: {k: 4}\nppo: {iterations: 2, critic_warmup: 1}\n"), "--resume"},
	} {
		if r := tandemRun(t, "", append(args, more...)...); r.code != exitFailed || !strings.Contains(r.stderr, says) {
			t.Errorf("%v: exit code %d, %s", more, r.code, r.stderr)
		}
	}
	result := object[demoResult](t, tandemRun(t, "", append(args, recipe, "--resume")...).ok(t))
	var names []string
	for i, v := range result.Versions {
		names = append(names, v.Name)
		if tried := v.Name == "RLHF-V1" || v.Name == "RLHF-V2 (PPO)"; tried != (v.Decision != nil) {
			t.Errorf("the decision on %s is %+v", v.Name, v.Decision)
		} else if tried && len(v.Decision.Contests) < 2 {
			t.Errorf("%s: %+v", v.Name, v.Decision)
		}
		if i == 0 {
			continue
		}
		for _, judge := range []pipeline.Judge{pipeline.NewestJudge, pipeline.HeldOutJudge, pipeline.BlindPeople} {
			for aspect, n := range map[tandem.Aspect]int{tandem.Helpfulness: 60, tandem.Safety: 30} {
				if o := v.Wins[judge][aspect]; o.N() != n {
					t.Errorf("%s by %s on %s: %+v, not of %d", v.Name, judge, aspect, o, n)
				}
			}
		}
	}
	if !slices.Equal(names, []string{"SFT", "RLHF-V1", "RLHF-V2", "RLHF-V2 (PPO)"}) {
		t.Errorf("versions %v", names)
	}
	page, err := os.ReadFile(result.Report)
	if err != nil || !strings.Contains(string(page), "figure 11") || !strings.Contains(string(page), "figure 20") || !strings.Contains(string(page), "kept the best of 3 answers") {
		t.Errorf("the report lacks a figure, or is another recipe's: %v", err)
	}
	// The second pair of reward models watched PPO.
	folder := filepath.Join(out, "loop", "v2", "ppo")
	if tuned, err := checkpoint.ReadLineage(t.Context(), folder); err != nil || tuned.Metrics["eval/objective/second_scores"] == 0 {
		t.Errorf("PPO: %+v, %v", tuned, err)
	} else if lines, err := os.ReadFile(filepath.Join(folder, "metrics.jsonl")); err != nil || strings.Count(string(lines), `"eval/objective/second_scores"`) != 3 { // at the start and after both iterations
		t.Errorf("PPO was watched otherwise: %s, %v", lines, err)
	}

	server, err := local.Start(t.Context(), local.Config{Home: out})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s, err := store.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	flops := 0.0
	runs, err := s.Runs(t.Context(), store.RunQuery{Page: store.Page{Limit: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		spent, err := s.Spent(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if f := spent[r.ID].Flops; f != nil {
			flops += *f
		}
	}
	// Answers are shorter than they may be; those that are compared and evaluated are not in what was expected.
	if e := plan.Expected; e == nil || e.Flops < flops/2 || e.Flops > 3*flops || !e.AtMost || e.Seconds <= 0 {
		t.Errorf("%g floating point operations were made of the expected %+v", flops, e)
	} else {
		t.Logf("expected %.3g floating point operations, made %.3g", e.Flops, flops)
	}
	models := make(map[int]map[string]bool) // whose answers were compared to be learnt from, by the round's row
	for c, err := range s.Comparisons(t.Context(), store.ComparisonQuery{Split: store.TrainData}) {
		if err != nil {
			t.Fatal(err)
		}
		if models[c.Batch] == nil {
			models[c.Batch] = make(map[string]bool)
		}
		models[c.Batch][c.Chosen.Model] = true
		if strings.Contains(c.Source, "side by side") {
			t.Fatalf("what decides on promotions is learnt from: %+v", c)
		}
	}
	first := result.Versions[1].Decision
	if len(models) != 2 || models[2][first.Model] || !models[3][first.Model] {
		t.Errorf("RLHF-V1 is %s, and the answers compared were of %v", first.Model, models)
	}
}

func TestRoundRefusesFlagsThatDoNotGoTogether(t *testing.T) {
	for _, args := range [][]string{
		{"round", "--out", "x"},
		{"round", "--out", "x", "--practice", "--base", "y"},
		{"round", "--out", "x", "--practice", "--promote", "--collect"},
		{"round", "--out", "x", "--practice", "--rounds", "0"},
		{"round", "--out", "x", "--practice", "--preset", "practice"},
		{"round", "--out", "x", "--practice", "--archive", "y"},
		{"round", "--out", "x", "--model", "m", "--base", "b", "--demonstrations", "d", "--prompts", "p", "--miniature"},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}
