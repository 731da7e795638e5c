package store_test

import (
	"testing"
	"time"

	"tandem"
	"tandem/store"
)

// TestComparisonsSayHowTheyWereJudged: everything that is kept of a judgment comes with its comparison when it is
// asked for, and what does not count as well.
func TestComparisonsSayHowTheyWereJudged(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Guideline: "Be kind."}, tasks: 3})
	ann := w.annotator()
	a := w.claim(ann)
	for _, why := range []string{"odd", "very odd"} {
		if err := s.Flag(ctx, ann, a.ID, why); err != nil {
			t.Fatal(err)
		}
	}
	w.submit(w.submission(a))
	sub := w.submission(a)
	sub.Verdict.Chosen, sub.Verdict.Rejected = sub.Verdict.Rejected, sub.Verdict.Chosen
	sub.Verdict.Comment, sub.Guideline, sub.Duration = "on second thoughts", 1, 2500*time.Millisecond
	revised := must(s.Revise(ctx, sub, 1))(t)
	hasty := w.judge(w.claim(ann), true)
	if err := s.Exclude(ctx, hasty.Assignment, true, "haste", "reviewer"); err != nil {
		t.Fatal(err)
	}
	known := w.judge(w.claim(ann), true)
	if err := s.AddGold(ctx, w.project.ID, []store.Gold{{TaskID: known.TaskID, Chosen: known.Verdict.Chosen}}, "test"); err != nil {
		t.Fatal(err)
	}
	read := func(q store.ComparisonQuery) map[string]tandem.Comparison {
		t.Helper()
		found := make(map[string]tandem.Comparison)
		for c, err := range s.Comparisons(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			found[c.ID] = c
		}
		return found
	}

	counting := read(store.ComparisonQuery{Judgments: true})
	c := counting["j"+revised.ID]
	if len(counting) != 1 || c.Judgment == nil {
		t.Fatalf("what counts: %+v", counting)
	}
	want := tandem.Judgment{ID: revised.ID, Version: 2, Task: a.TaskID, Project: w.project.ID, Annotator: ann, Simulated: true,
		Left: a.Responses[0].ID, Right: a.Responses[1].ID, Comment: "on second thoughts", Flag: "odd\nvery odd", GuidelineVersion: 1,
		ActiveSeconds: 2.5, CreatedAt: c.Judgment.CreatedAt}
	if *c.Judgment != want || c.Chosen.ID != want.Right || !c.Judgment.CreatedAt.Equal(revised.CreatedAt) {
		t.Errorf("judged at %v:\n%+v, want\n%+v", revised.CreatedAt, *c.Judgment, want)
	}
	all := read(store.ComparisonQuery{Judgments: true, All: true})
	if len(all) != 3 {
		t.Fatalf("with what does not count: %+v", all)
	}
	if j := all["j"+hasty.ID].Judgment; !j.Excluded || j.ExcludedBecause != "haste" || j.Gold {
		t.Errorf("the excluded one: %+v", j)
	}
	if j := all["j"+known.ID].Judgment; !j.Gold || j.Excluded {
		t.Errorf("the gold one: %+v", j)
	}
	other := newWorld(t, s, worldConfig{project: store.Project{Name: "another", Aspect: tandem.Helpfulness}, tasks: 1})
	other.keys = 100
	theirs := other.judge(other.claim(ann), true)
	if all := read(store.ComparisonQuery{}); len(all) != 2 {
		t.Errorf("of both projects: %+v", all)
	}
	if found := read(store.ComparisonQuery{Project: other.project.ID}); len(found) != 1 || found["j"+theirs.ID].Source != "another" {
		t.Errorf("of the other project: %+v", found)
	}
	for id, c := range read(store.ComparisonQuery{All: true}) {
		if c.Judgment != nil {
			t.Errorf("%s says how it was judged, and nobody asked", id)
		}
	}
}
