package store_test

import (
	"fmt"
	"testing"

	"tandem"
	"tandem/store"
)

// Answers of two policies are paired by their draw where they share one, else the first of each.
func TestAnswerPairs(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	for _, m := range []tandem.Model{{ID: "p", Kind: tandem.PolicyModel}, {ID: "q", Kind: tandem.PolicyModel}, {ID: "h", Kind: tandem.HelpfulnessModel}, {ID: "s", Kind: tandem.SafetyModel}} {
		m.Name, m.URL, m.Stage = m.ID, "/"+m.ID, tandem.StageSFT
		if err := s.AddModel(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	var asked []tandem.Prompt
	for i := range 4 {
		asked = append(asked, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprint("question ", i)}}})
	}
	prompts := must(s.AddPrompts(ctx, asked))(t)
	warm, cold := tandem.Sampling{Temperature: 1}, tandem.Sampling{Temperature: 0.1}
	answer := func(prompt int, model string, sampling tandem.Sampling, seed, sample uint64) string {
		t.Helper()
		return must(s.AddResponses(ctx, []store.Response{{PromptID: prompts[prompt].ID, Model: model, Content: fmt.Sprint(prompt, model, seed, sample),
			Sampling: sampling, Seed: seed, Sample: sample, Finish: tandem.FinishStop, Tokens: 3}}))(t)[0]
	}
	p0 := []string{answer(0, "p", warm, 1, 0), answer(0, "p", warm, 1, 1)}
	q0 := answer(0, "q", warm, 1, 1) // drawn as p's second
	p1, q1 := answer(1, "p", warm, 1, 0), answer(1, "q", cold, 1, 0)
	p2 := answer(2, "p", warm, 1, 0)
	answer(3, "q", warm, 1, 0) // p did not answer it
	judges := store.Judges{Helpfulness: "h", Safety: "s"}
	score := func(id string, combined float64) store.ResponseScore {
		return store.ResponseScore{ResponseID: id, Score: tandem.Score{Combined: combined, Branch: tandem.HelpfulnessBranch}}
	}
	if err := s.AddScores(ctx, "h", "s", []store.ResponseScore{score(p0[1], 2), score(q0, 1), score(p1, 3)}); err != nil {
		t.Fatal(err)
	}
	pairs := must(s.AnswerPairs(ctx, "p", "q", judges))(t)
	if len(pairs) != 3 {
		t.Fatalf("%d pairs: %+v", len(pairs), pairs)
	}
	if a := pairs[0]; a.Ours != p0[1] || a.Theirs != q0 || !a.SameDraw || a.Answers != 2 || a.OurScore.Combined != 2 || a.TheirScore.Combined != 1 {
		t.Errorf("of one draw: %+v", a)
	}
	if a := pairs[1]; a.Ours != p1 || a.Theirs != q1 || a.SameDraw || a.OurScore == nil || a.TheirScore != nil {
		t.Errorf("of two draws: %+v", a)
	}
	if a := pairs[2]; a.Ours != p2 || a.Theirs != "" || a.SameDraw || a.OurScore != nil {
		t.Errorf("of one policy: %+v", a)
	}
	if alone := must(s.AnswerPairs(ctx, "p", "", judges))(t); len(alone) != 3 || alone[0].Theirs != "" || alone[0].Ours != p0[0] {
		t.Errorf("by itself: %+v", alone)
	}
	if other := must(s.AnswersTo(ctx, prompts[0].ID, "p", judges))(t); len(other) != 2 || other[0].ID != p0[1] || other[0].Score.Combined != 2 || other[1].Score != nil || other[0].Prompt.Messages[0].Content != "question 0" {
		t.Errorf("answers to one prompt: %+v", other)
	}
	if found := must(s.AnswersByID(ctx, judges, q0, p2))(t); len(found) != 2 || found[q0].Score.Combined != 1 || found[p2].Tokens != 3 {
		t.Errorf("by id: %+v", found)
	}
	if with := must(s.AnsweredWith(ctx, "p"))(t); len(with) != 1 || with[0] != (store.Answered{Model: "q", Prompts: 2}) {
		t.Errorf("answered with: %+v", with)
	}
	if by := must(s.JudgesOf(ctx, "p", "q"))(t); len(by) != 1 || by[0] != (store.Judges{Helpfulness: "h", Safety: "s", Scores: 3}) {
		t.Errorf("judges: %+v", by)
	}
}

func TestFamily(t *testing.T) {
	s := postgres.Store(t)
	parents := map[string]string{"base": "", "sft": "base", "v1": "base", "ppo": "v1", "other": ""}
	for _, id := range []string{"base", "sft", "v1", "ppo", "other"} {
		if err := s.AddModel(t.Context(), tandem.Model{ID: id, Name: id, Kind: tandem.PolicyModel, URL: "/" + id, Stage: tandem.StageSFT, Parent: parents[id]}); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{"v1": "base v1 ppo", "base": "base sft v1 ppo", "other": "other"} {
		got := ""
		for _, m := range must(s.Family(t.Context(), id, 10))(t) {
			got += " " + m.ID
		}
		if got != " "+want {
			t.Errorf("the family of %s is%s, want %s", id, got, want)
		}
	}
	_, err := s.Family(t.Context(), "none", 10)
	wantCode(t, "no model", err, tandem.NotFound)
}
