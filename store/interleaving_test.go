package store_test

import (
	"testing"

	"tandem"
	"tandem/store"
)

// Somebody takes a judgment back in one tab and sends a new version of it in another: that is judging it again. It has its
// place, and it counts.
func TestRevisingWhatWasUndone(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	annotator := w.annotator()
	a := w.claim(annotator)
	w.submit(w.submission(a))
	if err := w.store.Undo(ctx, annotator, a.ID, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if n := must(w.store.CountComparisons(ctx, store.ComparisonQuery{}))(t); n != 0 {
		t.Errorf("%d undone judgments count", n)
	}
	j, err := w.store.Revise(ctx, w.submission(a), 1)
	if err != nil || j.Version != 2 || j.Surplus {
		t.Errorf("revised %+v, %v", j, err)
	}
	if n := must(w.store.CountComparisons(ctx, store.ComparisonQuery{}))(t); n != 1 {
		t.Errorf("%d judgments count", n)
	}
	if got, want := w.progress(), (store.Progress{Tasks: 1, Slots: 1, Done: 1, Judgments: 1}); got != want {
		t.Errorf("progress %+v, want %+v", got, want)
	}
	if draft, err := w.store.Draft(ctx, annotator, a.ID); err != nil || !draft.Closed {
		t.Errorf("the undone judgment's draft is %+v, %v", draft, err)
	}
}

// A reviewer's exclusion outlasts its annotator: taking the judgment back and judging again would put it back in.
func TestUndoingWhatAReviewerExcluded(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	annotator := w.annotator()
	a := w.claim(annotator)
	w.submit(w.submission(a))
	q := store.ReviewQuery{Project: w.project.ID}
	must(w.store.ExcludeAll(ctx, q, true, "careless", "reviewer"))(t)
	wantCode(t, "undoing it", w.store.Undo(ctx, annotator, a.ID, []byte(`{}`)), tandem.Conflict)
	if _, err := w.store.Revise(ctx, w.submission(a), 1); err != nil {
		t.Fatal(err)
	}
	if v := must(w.store.Review(ctx, q))(t)[0]; !v.Excluded || v.ExcludedWhy != "careless" || v.Version != 2 {
		t.Errorf("the new version is %+v", v)
	}
	// Let back in, it is the annotator's to take back again.
	must(w.store.ExcludeAll(ctx, q, false, "better now", "reviewer"))(t)
	if err := w.store.Undo(ctx, annotator, a.ID, []byte(`{}`)); err != nil {
		t.Error(err)
	}
}
