package main

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/store"
)

// TestFoldersAnswerLive has a real model's folder answer a prompt twice, at two temperatures, and follows the
// comparison to where comparisons are read.
func TestFoldersAnswerLive(t *testing.T) {
	folder, err := filepath.Abs(sharedData(t, "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	s, ctx := postgres.Store(t), t.Context()
	if err := s.AddModel(ctx, tandem.Model{ID: "stories", Name: "stories", Kind: tandem.PolicyModel, URL: folder, Stage: tandem.StageImport}); err != nil {
		t.Fatal(err)
	}
	v, err := s.AddVariant(ctx, store.Variant{Name: "stories", Kind: store.FolderVariant, URL: folder}, "test")
	if err != nil {
		t.Fatal(err)
	}
	project, err := s.CreateProject(ctx, store.Project{Name: "p", Aspect: tandem.Helpfulness, Source: store.Live}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetDrawing(ctx, project.ID, []string{v.ID}, []float64{0.5, 1}, 16, "test"); err != nil {
		t.Fatal(err)
	}
	ada, err := s.AddAnnotator(ctx, store.Annotator{Name: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	live, err := annotation.NewLive(s, annotation.LiveConfig{Open: openVariant, Look: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	sampling, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer func() {
		stop()
		group.Wait()
	}()
	group.Go(func() { live.Run(sampling) })

	answer := func(key, text string) store.LiveTurn {
		t.Helper()
		turn, err := s.BeginTurn(ctx, store.NewTurn{Annotator: ada.ID, Project: project.ID, Key: key, Text: text, Seed: 7})
		for deadline := time.Now().Add(30 * time.Second); err == nil && turn.Assignment == "" && !turn.Failed(); time.Sleep(10 * time.Millisecond) {
			if turn, err = s.LiveTurn(ctx, ada.ID, turn.ID); time.Now().After(deadline) {
				t.Fatalf("it is still at %+v", turn)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return turn
	}
	turn := answer("1", "Tell me of a girl named Lily.")
	a, err := s.Assignment(ctx, ada.ID, turn.Assignment)
	if err != nil || a.Responses[0].Content == "" || a.Responses[0].Content == a.Responses[1].Content {
		t.Fatalf("the comparison is %+v, %v", a, err)
	}
	if _, err := s.Submit(ctx, store.Submission{Annotator: ada.ID, Assignment: a.ID, Key: "j",
		Verdict: store.Verdict{Chosen: a.Responses[0].ID, Rejected: a.Responses[1].ID, Degree: tandem.Better}}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for c, err := range s.Comparisons(ctx, store.ComparisonQuery{}) {
		if n++; err != nil || c.Chosen.Model != "stories" || c.Rejected.Model != "stories" {
			t.Errorf("collected is %+v, %v", c, err)
		}
	}
	if n != 1 {
		t.Errorf("%d comparisons are collected", n)
	}
	turn = answer("2", strings.Repeat("Once upon a time, ", 200))
	if !turn.Failed() || !strings.Contains(turn.Answers[0].Error+turn.Answers[1].Error, "too long for the model's context of 512") {
		t.Errorf("a dialogue that the model cannot read: %+v", turn.Answers)
	}
}

func TestEndpointsWithoutTheirKey(t *testing.T) {
	t.Setenv("SOME_API_KEY", "")
	_, err := openVariant(t.Context(), store.Variant{Kind: store.EndpointVariant, URL: "http://127.0.0.1:1/v1", ModelName: "m", KeyEnv: "SOME_API_KEY"})
	if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "no SOME_API_KEY") {
		t.Errorf("without the key: %v", err)
	}
}
