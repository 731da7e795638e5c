package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/dashboard"
	"tandem/internal/pgtest"
	"tandem/store"
)

// attacked fills a database with a stretch of attacks on a policy, one for each rating.
func attacked(t *testing.T, s *store.Store, policy string, ratings ...int) store.Project {
	t.Helper()
	ctx := t.Context()
	project, err := s.CreateProject(ctx, store.Project{Name: "Red", Aspect: tandem.Safety, Source: store.RedTeam}, "test")
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.AddVariant(ctx, store.Variant{Name: "old", Kind: store.FolderVariant, URL: policy}, "test")
	if err == nil {
		err = s.SetDrawing(ctx, project.ID, []string{v.ID}, []float64{1}, 8, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	ada, err := s.AddAnnotator(ctx, store.Annotator{Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginStretch(ctx, store.NewStretch{Annotator: ada.ID, Project: project.ID, Key: "s"}); err != nil {
		t.Fatal(err)
	}
	for i, rating := range ratings {
		turn, err := s.BeginTurn(ctx, store.NewTurn{Annotator: ada.ID, Project: project.ID, Key: fmt.Sprint(i), Text: fmt.Sprintf("a hidden attack %d", i), Risk: tandem.RiskCategories()[i%3],
			Vector: tandem.Logic})
		if err != nil {
			t.Fatal(err)
		}
		job, err := s.TakeAnswer(ctx, time.Minute)
		if err == nil {
			err = s.FinishAnswer(ctx, job, tandem.Completion{Text: "b"})
		}
		if err == nil {
			turn, err = s.LiveTurn(ctx, ada.ID, turn.ID)
		}
		if err == nil {
			_, err = s.Submit(ctx, store.Submission{Annotator: ada.ID, Assignment: turn.Assignment, Key: "j" + turn.ID, Verdict: store.Verdict{Rating: rating}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return project
}

// TestEvaluateRedteam replays attacks by this process alone and by the queue, to the same counts; the page shows no attack
// unless it is asked to, and the database keeps one replay.
func TestEvaluateRedteam(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	s := pgtest.OpenStore(t, os.Getenv("DATABASE_URL"))
	run := func(out string, more ...string) []string {
		return append([]string{"--json", "evaluate", "redteam", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--max-tokens", "6", "--shard", "2",
			"--out", out}, more...)
	}
	alone, shared := filepath.Join(t.TempDir(), "alone"), filepath.Join(t.TempDir(), "shared")
	if r := tandemRun(t, "", run(alone)...); r.code == 0 || !strings.Contains(r.stderr, "nothing to replay") {
		t.Errorf("without attacks: %d, %s", r.code, r.stderr)
	}
	project := attacked(t, s, f.policy, 1, 2, 5, 2, 1, 1)
	reply := object[evaluateRedteamReport](t, tandemRun(t, "", run(alone)...).ok(t))
	if reply.All.Attacks != 5 || len(reply.ByRisk) != 3 || len(reply.ByVector) != 1 || len(reply.ByAgainst) != 1 || reply.Gate != -1 {
		t.Errorf("%+v", reply.Replayed)
	}
	texts := func(folder string) string {
		t.Helper()
		var all strings.Builder
		for _, name := range []string{"report.html", "report.json"} {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		return all.String()
	}
	if strings.Contains(texts(alone), "hidden attack") {
		t.Error("the report shows attacks")
	}
	for _, name := range []string{"attacks.jsonl", "units"} {
		if _, err := os.Stat(filepath.Join(alone, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	again := object[evaluateRedteamReport](t, tandemRun(t, "", run(shared, "--share", "--show-texts")...).ok(t))
	if again.All != reply.All {
		t.Errorf("shared: %+v, alone: %+v", again.All, reply.All)
	}
	if !strings.Contains(texts(shared), "a hidden attack 1") || strings.Contains(texts(shared), "a hidden attack 2") {
		t.Error("the report does not show the violating attacks, and them alone")
	}
	kept, err := s.Replays(t.Context(), lineageOf(t, f.policy).ID, store.Page{})
	if err != nil || len(kept) != 1 || len(kept[0].Attacks) != 5 {
		t.Fatalf("kept are %+v, %v", kept, err)
	}
	fixed := 0
	for _, a := range kept[0].Attacks {
		if a.Fixed != (a.Safety >= -1) || a.Response == "" {
			t.Errorf("kept is %+v", a)
		}
		if a.Fixed {
			fixed++
		}
	}
	if fixed != reply.All.Fixed {
		t.Errorf("%d are fixed in the database, %d in the reply", fixed, reply.All.Fixed)
	}

	gamma := object[dashboard.RedTeaming](t, tandemRun(t, "", "--json", "evaluate", "gamma", "--project", project.ID).ok(t))
	if gamma.All.Violations != 5 || gamma.All.Severe != 3 || gamma.All.Attacks != 6 || gamma.All.Gamma.Low == nil {
		t.Errorf("%+v", gamma.All)
	}
	if r := tandemRun(t, "", "evaluate", "gamma"); !strings.Contains(r.ok(t).out, "VIOLATIONS") {
		t.Errorf("the table is %s", r.out)
	}
	if r := tandemRun(t, "", "evaluate", "gamma", "--project", "99"); r.code == 0 {
		t.Error("a project that is not there has a γ")
	}
}
