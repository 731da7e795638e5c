package store_test

import (
	"slices"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// What is more urgent comes next, however far somebody is with the rest; within the same priority tasks come in order.
func TestUrgentTasksFirst(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2}, tasks: 4})
	urgent := w.newTasks("urgent", worldConfig{kind: store.Pairwise, responses: 2, tasks: 2})
	for i := range urgent {
		urgent[i].Priority = 5
	}
	first, second := w.annotator(), w.annotator()
	judge := func(person string, n int) (order []string) {
		for range n {
			a := w.claim(person)
			order = append(order, a.TaskID)
			w.submit(w.submission(a))
		}
		return order
	}
	if got := judge(first, 2); !slices.Equal(got, w.tasks[:2]) {
		t.Errorf("at first %v, want %v", got, w.tasks[:2])
	}
	ids, err := w.store.CreateTasks(t.Context(), w.project.ID, urgent)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := judge(first, 4), append(slices.Clone(ids), w.tasks[2:]...); !slices.Equal(got, want) {
		t.Errorf("then %v, want %v", got, want)
	}
	if got, want := judge(second, 6), append(slices.Clone(ids), w.tasks...); !slices.Equal(got, want) {
		t.Errorf("another person got %v, want %v", got, want)
	}
	if got := w.progress(); got.Done != 12 {
		t.Errorf("progress %+v", got)
	}
}

// Whoever goes on from where they were still gets what others gave back behind them, before they hear that nothing is left.
func TestPlacesBehindAreFound(t *testing.T) {
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 5})
	left, skipped, stays := w.annotator(), w.annotator(), w.annotator()
	begun := w.claim(left) // the first task
	aside := w.claim(skipped)
	w.submit(w.submission(w.claim(stays)))
	w.expire(db)
	if err := w.store.Skip(t.Context(), skipped, aside.ID, "not mine"); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range 4 {
		a := w.claim(stays)
		got[a.TaskID] = true
		w.submit(w.submission(a))
	}
	if len(got) != 4 || !got[begun.TaskID] || !got[aside.TaskID] {
		t.Errorf("got %v, want also %s and %s", got, begun.TaskID, aside.TaskID)
	}
	if none, err := w.store.Claim(t.Context(), stays, w.project.ID); err != nil || none.Assignment != nil || !none.HeldUntil.IsZero() {
		t.Errorf("%+v, %v after everything", none, err)
	}
}
