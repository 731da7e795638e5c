package store_test

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"tandem"
	"tandem/store"
)

func TestSubmitIsSafeToRepeat(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 3})
	annotator := w.annotator()
	a := w.claim(annotator)
	sub := w.submission(a)

	// The same press of the button, many times at once, as a browser that retries.
	var wg sync.WaitGroup
	judgments := make([]store.Judgment, 8)
	for i := range judgments {
		wg.Go(func() {
			var err error
			if judgments[i], err = w.store.Submit(t.Context(), sub); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := 0
	for _, j := range judgments {
		if j.ID != judgments[0].ID {
			t.Errorf("judgments %s and %s of one submission", j.ID, judgments[0].ID)
		}
		if !j.Replayed {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of the submissions were not replays", fresh)
	}

	sub.Duration *= 2
	if j, err := w.store.Submit(t.Context(), sub); err != nil || !j.Replayed {
		t.Errorf("a repeat that took longer: %+v, %v", j, err)
	}
	other := sub
	other.Verdict.Degree = tandem.SignificantlyBetter
	_, err := w.store.Submit(t.Context(), other)
	wantCode(t, "the same key with another verdict", err, tandem.Conflict)
	other.Key = "fresh"
	_, err = w.store.Submit(t.Context(), other)
	wantCode(t, "a second judgment of the same assignment", err, tandem.Conflict)

	// A key belongs to its person alone.
	b := w.claim(w.annotator())
	theirs := w.submission(b)
	theirs.Key = sub.Key
	w.submit(theirs)

	// A key is of one judgment alone, whichever assignments there are.
	second := w.submission(w.claim(sub.Annotator))
	second.Key = sub.Key
	_, err = w.store.Submit(t.Context(), second)
	if wantCode(t, "a key of another assignment's judgment", err, tandem.Conflict); err != nil && !strings.Contains(err.Error(), sub.Key) {
		t.Errorf("the error does not name the key: %v", err)
	}
	second.Key = "its own"
	w.submit(second)
}

func TestReviseAddsAVersion(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	annotator := w.annotator()
	sub := w.submission(w.claim(annotator))
	first := w.submit(sub)
	sub.Key = "undo"
	sub.Verdict.Chosen, sub.Verdict.Rejected = sub.Verdict.Rejected, sub.Verdict.Chosen
	second, err := w.store.Revise(t.Context(), sub, 1)
	if err != nil {
		t.Fatal(err)
	}
	if second.Version != 2 || second.Replaces != first.ID || second.Verdict.Chosen != first.Verdict.Rejected {
		t.Errorf("revised to %+v", second)
	}
	if again, err := w.store.Revise(t.Context(), sub, 1); err != nil || again.ID != second.ID || !again.Replayed {
		t.Errorf("a repeated revision: %+v, %v", again, err)
	}
	sub.Key = "another page"
	_, err = w.store.Revise(t.Context(), sub, 1)
	wantCode(t, "a revision of an older version", err, tandem.Stale)

	count := func(q store.JudgmentQuery) (ids []string) {
		for j, err := range w.store.Judgments(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, j.ID)
		}
		return ids
	}
	if got := count(store.JudgmentQuery{}); !slices.Equal(got, []string{second.ID}) {
		t.Errorf("judgments %v", got)
	}
	if got := count(store.JudgmentQuery{Versions: true}); !slices.Equal(got, []string{first.ID, second.ID}) {
		t.Errorf("all versions %v", got)
	}
	comparisons := collect(t, w.store.Comparisons(t.Context(), store.ComparisonQuery{}))
	if len(comparisons) != 1 || comparisons[0].ID != "j"+second.ID || comparisons[0].Chosen.ID != second.Verdict.Chosen {
		t.Errorf("comparisons %+v", comparisons)
	}

	// Excluded with a reason, and taken back.
	wantCode(t, "an exclusion without a reason", w.store.Exclude(t.Context(), first.Assignment, true, "", "cli"), tandem.Invalid)
	for _, excluded := range []bool{true, false} {
		if err := w.store.Exclude(t.Context(), first.Assignment, excluded, "clicked through", "cli"); err != nil {
			t.Fatal(err)
		}
		want := 1
		if excluded {
			want = 0
		}
		if n := len(count(store.JudgmentQuery{})); n != want {
			t.Errorf("excluded %v: %d judgments", excluded, n)
		}
		if n := len(count(store.JudgmentQuery{Excluded: true})); n != 1 {
			t.Errorf("excluded %v: %d judgments with the excluded", excluded, n)
		}
		if n, err := w.store.CountComparisons(t.Context(), store.ComparisonQuery{}); err != nil || n != want {
			t.Errorf("excluded %v: %d comparisons, %v", excluded, n, err)
		}
	}
	entries, err := w.store.Audit(t.Context(), "assignment:"+first.Assignment)
	if err != nil || len(entries) != 2 || entries[0].Action != "judgment.include" || entries[1].Action != "judgment.exclude" {
		t.Errorf("audit %+v, %v", entries, err)
	}
}

func TestVerdictMustFit(t *testing.T) {
	s := postgres.Store(t)
	pair := newWorld(t, s, worldConfig{project: store.Project{Name: "pairs", Aspect: tandem.Safety}, tasks: 1})
	rank := newWorld(t, s, worldConfig{project: store.Project{Name: "ranks", Aspect: tandem.Helpfulness}, tasks: 1, kind: store.Ranking, responses: 4})
	rate := newWorld(t, s, worldConfig{project: store.Project{Name: "rates", Aspect: tandem.Helpfulness}, tasks: 1, kind: store.Rating, responses: 1})
	beside := newWorld(t, s, worldConfig{project: store.Project{Name: "side by side", Aspect: tandem.Helpfulness}, tasks: 1, kind: store.SideBySide})
	p, k, r, b := pair.claim(pair.annotator()), rank.claim(rank.annotator()), rate.claim(rate.annotator()), beside.claim(beside.annotator())
	id := func(a store.Assignment, i int) string { return a.Responses[i].ID }
	labels := map[string]tandem.SafetyLabel{id(p, 0): tandem.Safe, id(p, 1): tandem.Unsafe}
	good := map[string]struct {
		assignment store.Assignment
		verdict    store.Verdict
	}{
		"pair":    {p, store.Verdict{Chosen: id(p, 0), Rejected: id(p, 1), Degree: tandem.Better, Labels: labels, Comment: "clear"}},
		"ranking": {k, store.Verdict{Ranking: [][]string{{id(k, 2)}, {id(k, 0), id(k, 1)}, {id(k, 3)}}}},
		"rating":  {r, store.Verdict{Rating: 7}},
		"middle":  {b, store.Verdict{Rating: 4}},
	}
	bad := map[string]struct {
		assignment store.Assignment
		verdict    store.Verdict
	}{
		"empty":                 {p, store.Verdict{Labels: labels}},
		"no degree":             {p, store.Verdict{Chosen: id(p, 0), Rejected: id(p, 1), Labels: labels}},
		"both chosen":           {p, store.Verdict{Chosen: id(p, 0), Rejected: id(p, 0), Degree: tandem.Better, Labels: labels}},
		"another's response":    {p, store.Verdict{Chosen: id(p, 0), Rejected: id(k, 0), Degree: tandem.Better, Labels: labels}},
		"a label is missing":    {p, store.Verdict{Chosen: id(p, 0), Rejected: id(p, 1), Degree: tandem.Better, Labels: map[string]tandem.SafetyLabel{id(p, 0): tandem.Safe}}},
		"an unknown label":      {p, store.Verdict{Chosen: id(p, 0), Rejected: id(p, 1), Degree: tandem.Better, Labels: map[string]tandem.SafetyLabel{id(p, 0): "fine", id(p, 1): tandem.Safe}}},
		"a rating of a pair":    {p, store.Verdict{Rating: 3, Labels: labels}},
		"a response ranked not": {k, store.Verdict{Ranking: [][]string{{id(k, 0)}, {id(k, 1)}}}},
		"a response twice":      {k, store.Verdict{Ranking: [][]string{{id(k, 0), id(k, 0)}, {id(k, 1)}, {id(k, 2)}, {id(k, 3)}}}},
		"an empty place":        {k, store.Verdict{Ranking: [][]string{{}, {id(k, 0), id(k, 1), id(k, 2), id(k, 3)}}}},
		"a rating of 8":         {r, store.Verdict{Rating: 8}},
		"no point":              {b, store.Verdict{}},
		"a choice, no point":    {b, store.Verdict{Chosen: id(b, 0), Rejected: id(b, 1), Degree: tandem.Better}},
		"an eighth point":       {b, store.Verdict{Rating: 8}},
		"a NUL":                 {r, store.Verdict{Rating: 3, Comment: "\x00"}},
	}
	for name, c := range bad {
		_, err := s.Submit(t.Context(), store.Submission{Annotator: c.assignment.Annotator, Assignment: c.assignment.ID, Key: name, Verdict: c.verdict})
		wantCode(t, name, err, tandem.Invalid)
	}
	for name, c := range good {
		j, err := s.Submit(t.Context(), store.Submission{Annotator: c.assignment.Annotator, Assignment: c.assignment.ID, Key: name, Verdict: c.verdict})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, place := range c.verdict.Ranking {
			slices.Sort(place) // ties have no order
		}
		if !reflect.DeepEqual(j.Verdict, c.verdict) {
			t.Errorf("%s: kept %+v, want %+v", name, j.Verdict, c.verdict)
		}
	}
	_, err := s.Submit(t.Context(), store.Submission{Annotator: pair.annotator(), Assignment: p.ID, Key: "k", Verdict: good["pair"].verdict})
	wantCode(t, "another's assignment", err, tandem.NotFound)
	_, err = s.Submit(t.Context(), store.Submission{Annotator: p.Annotator, Assignment: p.ID, Verdict: good["pair"].verdict})
	wantCode(t, "no key", err, tandem.Invalid)

	// The pair reaches the reward models with its labels.
	comparisons := collect(t, s.Comparisons(t.Context(), store.ComparisonQuery{Aspect: tandem.Safety}))
	if len(comparisons) != 1 || comparisons[0].Bin() != tandem.ChosenSafe || comparisons[0].Degree != tandem.Better || comparisons[0].Batch != 1 || comparisons[0].Source != "pairs" {
		t.Errorf("comparisons %+v", comparisons)
	}
}
