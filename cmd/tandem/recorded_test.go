package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/pipeline"
	"tandem/rejection"
	"tandem/store"
)

// TestUnitsAreRecorded does the units of a round that make no model: each leaves a run with what it cost, and the answers
// that were evaluated or sampled can be read with their scores.
func TestUnitsAreRecorded(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	ctx := t.Context()
	s, err := store.Open(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var ids []string
	for _, folder := range []string{f.policy, f.helpfulness, f.safety} {
		m, err := checkpoint.ReadLineage(ctx, folder)
		if err != nil {
			t.Fatal(err)
		}
		m.URL = folder
		if err := s.AddModel(ctx, *m); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	round, err := s.CreateRound(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	library, err := blas.Load(blas.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	studio := &pipeline.Studio{Device: nn.NewCPU(library, kernels, parallel.New(2)), Kernels: kernels, Workers: 2, Kernel: "test", Log: slog.New(slog.DiscardHandler), Store: s}
	do := func(stage tandem.Stage, spec any) error {
		t.Helper()
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		result, err := studio.Handlers()[stage](ctx, tandem.Unit{Round: round.Number, Stage: stage}, text)
		if err == nil {
			err = result.Write(ctx, s)
		}
		return err
	}
	evaluation := pipeline.Answer{PolicyID: ids[0], HelpfulnessID: ids[1], SafetyID: ids[2], Policy: f.policy, Reference: f.policy, Helpfulness: f.helpfulness,
		Safety: f.safety, Prompts: f.prompts, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: 6}, Seed: 3, Repeat: 2}
	sampling := pipeline.Sample{PolicyID: ids[0], HelpfulnessID: ids[1], SafetyID: ids[2], Policy: f.policy, Helpfulness: f.helpfulness,
		Safety: f.safety, Prompts: f.prompts, To: 5, Config: rejection.Config{K: 3, Temperature: rejection.Temperatures{1}, MaxTokens: 6, Seed: 4}}
	for stage, spec := range map[tandem.Stage]any{tandem.StageEvaluate: evaluation, tandem.StageReject: sampling} {
		if err := do(stage, spec); err != nil {
			t.Fatalf("%s: %v", stage, err)
		}
		runs, err := s.Runs(ctx, store.RunQuery{Round: round.Number, Stage: stage})
		if err != nil || len(runs) != 1 || runs[0].Status != tandem.RoundDone || runs[0].Kernel != "test" || !strings.Contains(string(runs[0].Config), ids[0]) {
			t.Fatalf("%s left the runs %+v, %v", stage, runs, err)
		}
		spent, err := s.Spent(ctx, runs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := spent[runs[0].ID]; got.Tokens == nil || *got.Tokens < 5 || got.Flops == nil || *got.Flops < 1e5 || got.CPUSeconds == nil || *got.CPUSeconds <= 0 {
			t.Errorf("%s spent %+v", stage, got)
		}
	}
	pairs, err := s.AnswerPairs(ctx, ids[0], "", store.Judges{Helpfulness: ids[1], Safety: ids[2]})
	if err != nil {
		t.Fatal(err)
	}
	if len(pairs) != 24 || slices.ContainsFunc(pairs, func(p store.AnswerPair) bool { return p.OurScore == nil }) {
		t.Errorf("%d answers are kept, some without a score: %+v", len(pairs), pairs)
	}
	if pairs[0].Answers != 4 {
		t.Errorf("%d answers to the first prompt, want one evaluated and three sampled", pairs[0].Answers)
	}

	sampling.Policy = "/nowhere"
	if err := do(tandem.StageReject, sampling); err == nil {
		t.Fatal("a policy that is nowhere answers")
	}
	failed, err := s.Runs(ctx, store.RunQuery{Status: tandem.RoundFailed})
	if err != nil || len(failed) != 1 || !strings.Contains(failed[0].Error, "/nowhere") {
		t.Errorf("what failed left %+v, %v", failed, err)
	}
}
