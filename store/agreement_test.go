package store_test

import (
	"fmt"
	"slices"
	"testing"

	"tandem"
	"tandem/store"
)

// choose judges an assignment by where the answers' ids stand: position 0 … 7 from the smaller one's side.
func (w *world) choose(a store.Assignment, position int, labels ...tandem.SafetyLabel) store.Submission {
	sub := w.submission(a)
	first, second := a.Responses[0].ID, a.Responses[1].ID
	if len(first) > len(second) || len(first) == len(second) && first > second {
		first, second = second, first
	}
	sub.Verdict = store.Verdict{Chosen: first, Rejected: second, Degree: tandem.Degree(4 - position)}
	if position > 3 {
		sub.Verdict = store.Verdict{Chosen: second, Rejected: first, Degree: tandem.Degree(position - 3)}
	}
	if len(labels) == 2 {
		sub.Verdict.Labels = map[string]tandem.SafetyLabel{first: labels[0], second: labels[1]}
	}
	return sub
}

// TestStatisticsOfJudgments goes through what counts and what does not: three people, three pairs, one of them gold.
func TestStatisticsOfJudgments(t *testing.T) {
	ctx := t.Context()
	s := postgres.Store(t)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "safe", Aspect: tandem.Safety, Overlap: 3}, tasks: 3})
	other := newWorld(t, s, worldConfig{project: store.Project{Name: "other", Aspect: tandem.Helpfulness}, tasks: 1})
	people := []string{w.annotator(), w.annotator(), w.annotator()}
	held := make(map[string]store.Assignment) // by person and task
	for _, person := range people {
		for range w.tasks {
			a := w.claim(person)
			held[person+a.TaskID] = a
			w.submit(w.choose(a, 0, tandem.Safe, tandem.Unsafe)) // what it is revised to comes below
		}
	}
	revise := func(person, task int, position int, labels ...tandem.SafetyLabel) {
		t.Helper()
		sub := w.choose(held[people[person]+w.tasks[task]], position, labels...)
		if _, err := s.Revise(ctx, sub, 1); err != nil {
			t.Fatal(err)
		}
	}
	// The first pair: 0, 0 and 5, the last excluded. The second: 1, 2 and 3, all on one side. The third is gold.
	revise(2, 0, 5, tandem.Unsafe, tandem.Unsafe)
	revise(0, 1, 1, tandem.Safe, tandem.Safe)
	revise(1, 1, 2, tandem.Safe, tandem.Safe)
	revise(2, 1, 3, tandem.Safe, tandem.Safe)
	revise(0, 2, 7, tandem.Safe, tandem.Safe)
	gold := held[people[0]+w.tasks[2]]
	if err := s.AddGold(ctx, w.project.ID, []store.Gold{{TaskID: w.tasks[2], Chosen: min(gold.Responses[0].ID, gold.Responses[1].ID)}}, "test"); err != nil {
		t.Fatal(err)
	}
	alone := other.annotator()
	other.submit(other.submission(other.claim(alone)))

	choices := func(project string) []string {
		t.Helper()
		found, err := s.Choices(ctx, project)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range found {
			out = append(out, fmt.Sprintf("%d:%d %s/%s", slices.Index(w.tasks, fmt.Sprint(c.Task)), c.Position, c.First, c.Second))
		}
		slices.Sort(out)
		return out
	}
	want := []string{"0:0 safe/unsafe", "0:0 safe/unsafe", "0:5 unsafe/unsafe", "1:1 safe/safe", "1:2 safe/safe", "1:3 safe/safe"}
	if got := choices(w.project.ID); !slices.Equal(got, want) {
		t.Errorf("choices %q, want %q", got, want)
	}
	disagreements := func() []store.Disagreement {
		t.Helper()
		found, err := s.Disagreements(ctx, w.project.ID, store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	found := disagreements()
	if len(found) != 2 || found[0].Task != w.tasks[1] || found[0].Side || found[0].Spread != 2 || found[0].Labels ||
		found[1].Task != w.tasks[0] || !found[1].Side || found[1].Spread != 5 || !found[1].Labels {
		t.Fatalf("disagreements %+v", found)
	}
	d := found[1]
	if len(d.Prompt) != 1 || len(d.Responses) != 2 || d.Responses[0].Content == "" || d.Responses[0].Model != "" || len(d.Judgments) != 3 ||
		d.Judgments[2].Annotator != people[2] || d.Judgments[2].Position != 5 || d.Judgments[2].Degree != tandem.SlightlyBetter || d.Judgments[2].Version != 2 ||
		d.Judgments[2].Chosen != d.Responses[1].ID || d.Judgments[2].Labels[d.Responses[1].ID] != tandem.Unsafe || d.Judgments[2].Returned != "" {
		t.Errorf("disagreement %+v", d)
	}
	if page, err := s.Disagreements(ctx, "", store.Page{After: found[0].Task, Limit: 1}); err != nil || len(page) != 1 || page[0].Task != w.tasks[0] {
		t.Errorf("the next page of all is %+v, error %v", page, err)
	}
	if _, err := s.SendBack(ctx, store.ReviewQuery{Project: w.project.ID, Judgments: []string{d.Judgments[2].Judgment}}, "look again", "test"); err != nil {
		t.Fatal(err)
	}
	if got := disagreements()[1].Judgments[2].Returned; got != "look again" {
		t.Errorf("a judgment that was sent back says %q", got)
	}
	if err := s.Exclude(ctx, d.Judgments[2].Assignment, true, "mistaken", "test"); err != nil {
		t.Fatal(err)
	}
	if found := disagreements(); len(found) != 1 || found[0].Task != w.tasks[1] {
		t.Errorf("after the exclusion there are %+v", found)
	}
	if got := choices(w.project.ID); len(got) != 5 {
		t.Errorf("after the exclusion there are %q", got)
	}
	if got := choices(""); len(got) != 6 {
		t.Errorf("all projects have %q", got)
	}

	counts, err := s.ChoiceCounts(ctx, w.project.ID)
	if err != nil {
		t.Fatal(err)
	}
	judged, golds, left := 0, 0, 0
	for _, c := range counts {
		judged += c.Judgments
		if c.Gold {
			golds += c.Judgments
		}
		if c.Left {
			left += c.Judgments
		}
		if c.Batch != 1 || c.Aspect != tandem.Safety || c.Project != w.project.ID || c.Degree == tandem.Unrated || c.Chosen == "" {
			t.Errorf("count %+v", c)
		}
	}
	lefts := 0
	for j, err := range s.Judgments(ctx, store.JudgmentQuery{Project: w.project.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		if j.Shown[0] == j.Verdict.Chosen {
			lefts++
		}
	}
	if judged != 8 || golds != 3 || left != lefts {
		t.Errorf("%d judgments, %d gold, %d left; want 8, 3, %d", judged, golds, left, lefts)
	}
	for _, bad := range []string{"x", ""} {
		_, err := s.Disagreements(ctx, bad, store.Page{After: "y"})
		wantCode(t, "a project and a task that there are not", err, tandem.NotFound)
	}
	_, err = s.Choices(ctx, "x")
	wantCode(t, "no such project", err, tandem.NotFound)
}
