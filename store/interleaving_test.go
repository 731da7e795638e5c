package store_test

import (
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// A claim does not wait for a place that somebody else looks at while there are others.
func TestClaimPassesOverWhatOthersLookAt(t *testing.T) {
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 2})
	annotator := w.annotator()
	release := lockSlots(t, db, w.tasks[0])
	defer release()
	claimed := make(chan store.Assignment, 1)
	go func() {
		c, err := w.store.Claim(t.Context(), annotator, w.project.ID)
		if err != nil || c.Assignment == nil {
			t.Errorf("claimed %+v, %v", c, err)
			c.Assignment = &store.Assignment{}
		}
		claimed <- *c.Assignment
	}()
	select {
	case a := <-claimed:
		if a.TaskID != w.tasks[1] {
			t.Errorf("task %s, want %s", a.TaskID, w.tasks[1])
		}
	case <-time.After(10 * time.Second):
		t.Error("the claim waits")
	}
}

// Before a claim says that nothing is left, or that others hold it, it waits for whoever looks at the last place, and who may
// not take it.
func TestClaimWaitsBeforeItSaysNone(t *testing.T) {
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	annotator := w.annotator()
	release := lockSlots(t, db, w.tasks[0])
	claimed := make(chan store.Claimed, 1)
	go func() {
		c, err := w.store.Claim(t.Context(), annotator, w.project.ID)
		if err != nil {
			t.Error(err)
		}
		claimed <- c
	}()
	select {
	case c := <-claimed:
		t.Errorf("was told %+v", c)
		release()
		return
	case <-time.After(300 * time.Millisecond):
	}
	release()
	if c := <-claimed; c.Assignment == nil {
		t.Errorf("the place was not taken, and still: %+v", c)
	}
}

// lockSlots looks at a task's places, as a claim does, until release is called.
func lockSlots(t *testing.T, db pgtest.Database, task string) (release func()) {
	t.Helper()
	tx := must(connect(t, db.OwnerURL).Begin(t.Context()))(t)
	if _, err := tx.Exec(t.Context(), `SELECT FROM slots WHERE task_id = $1::text::bigint FOR UPDATE`, task); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(t.Context()) }
}

// The first save of a draft, under way while its task is judged, comes too late as well.
func TestFirstDraftAfterTheSubmit(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 2})
	annotator := w.annotator()
	judged := w.claim(annotator)
	w.submit(w.submission(judged))
	skipped := w.claim(annotator)
	if err := w.store.Skip(t.Context(), annotator, skipped.ID, "cannot tell"); err != nil {
		t.Fatal(err)
	}
	for what, id := range map[string]string{"judged": judged.ID, "skipped": skipped.ID} {
		_, err := w.store.SaveDraft(t.Context(), annotator, id, 0, []byte(`{"comment": "late"}`))
		wantCode(t, "a draft of a "+what+" task", err, tandem.Stale)
		_, err = w.store.Draft(t.Context(), annotator, id)
		wantCode(t, "the draft of a "+what+" task", err, tandem.NotFound)
	}
}

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

// A reviewer's action waits for a revision of the same judgment that is under way, and then sees it.
func TestReviewWaitsForRevisions(t *testing.T) {
	ctx := t.Context()
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	annotator := w.annotator()
	a := w.claim(annotator)
	j := w.submit(w.submission(a))
	q := store.ReviewQuery{Project: w.project.ID, Judgments: []string{j.ID}}
	must(w.store.SendBack(ctx, q, "look again", "reviewer"))(t)
	back := must(w.store.Review(ctx, q))(t)[0].Returned.ID
	for what, act := range map[string]func() error{
		"excluding":   func() error { _, err := w.store.ExcludeAll(ctx, q, true, "careless", "reviewer"); return err },
		"taking back": func() error { return w.store.TakeBack(ctx, back, "never mind", "reviewer") },
	} {
		tx := must(connect(t, db.OwnerURL).Begin(ctx))(t)
		if _, err := tx.Exec(ctx, `SELECT FROM assignments FOR UPDATE`); err != nil { // as a revision does
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- act() }()
		select {
		case err := <-done:
			t.Errorf("%s does not wait: %v", what, err)
			done <- err
		case <-time.After(300 * time.Millisecond):
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
