package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// Fifty people at one task at the same moment: as many get a place as there are, the others are told until when.
func TestFiftyClaimOneTask(t *testing.T) {
	const people, overlap = 50, 7
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL+"&pool_max_conns=20")
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: overlap}, tasks: 1})
	claims := make([]store.Claimed, people)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range people {
		annotator := w.annotator()
		wait.Go(func() {
			<-start
			var err error
			if claims[i], err = s.Claim(t.Context(), annotator, w.project.ID); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wait.Wait()
	got := map[string]bool{}
	for i, c := range claims {
		switch {
		case c.Assignment != nil:
			got[c.Assignment.ID] = true
		case c.HeldUntil.IsZero():
			t.Errorf("person %d was told that nothing is left", i)
		}
	}
	if p := w.progress(); len(got) != overlap || p.Held != overlap {
		t.Errorf("%d people got a place and %d are held, of %d", len(got), p.Held, overlap)
	}
}

// One submit that arrives ten times at once is one judgment, and every one is answered with it.
func TestTenSubmitsOfOneKey(t *testing.T) {
	const times = 10
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Safety}, tasks: 1})
	a := w.claim(w.annotator())
	sub := w.submission(a)
	sub.Verdict.Labels = map[string]tandem.SafetyLabel{a.Responses[0].ID: tandem.Safe, a.Responses[1].ID: tandem.Unsafe}
	judgments := make([]store.Judgment, times)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range times {
		wait.Go(func() {
			<-start
			var err error
			if judgments[i], err = w.store.Submit(t.Context(), sub); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wait.Wait()
	first := 0
	for _, j := range judgments {
		if !j.Replayed {
			first++
		}
		if j.ID != judgments[0].ID || j.Verdict.Chosen != sub.Verdict.Chosen || len(j.Verdict.Labels) != 2 || j.Duration != sub.Duration || j.CreatedAt != judgments[0].CreatedAt {
			t.Errorf("answered with %+v and %+v", judgments[0], j)
		}
	}
	if p := w.progress(); first != 1 || p.Judgments != 1 || p.Done != 1 {
		t.Errorf("%d judgments were new; progress %+v", first, p)
	}
}

// A lease that runs out while the submit is under way loses nothing: the submit waits, here for a lock on the person, and
// comes after whatever happened to its place.
func TestLeaseRunsOutDuringSubmit(t *testing.T) {
	for _, test := range []struct {
		name    string
		happens func(w *world, other string) // in between
		surplus bool
		want    store.Progress
	}{
		{"nobody comes", func(*world, string) {}, false, store.Progress{Tasks: 1, Slots: 1, Done: 1, Judgments: 1}},
		{"another takes the place", func(w *world, other string) { w.claim(other) }, true, store.Progress{Tasks: 1, Slots: 1, Held: 1, Judgments: 1, Surplus: 1}},
		{"another fills the place", func(w *world, other string) { w.submit(w.submission(w.claim(other))) }, true,
			store.Progress{Tasks: 1, Slots: 1, Done: 1, Judgments: 2, Surplus: 1}},
		{"another takes it and gives it back", func(w *world, other string) {
			if err := w.store.Skip(w.Context(), other, w.claim(other).ID, "not mine"); err != nil {
				w.Error(err)
			}
		}, false, store.Progress{Tasks: 1, Slots: 1, Done: 1, Judgments: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := postgres.Database(t)
			w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
			slow, other := w.annotator(), w.annotator()
			a := w.claim(slow)
			release := lockPerson(t, db, slow)
			done := make(chan store.Judgment, 1)
			go func() {
				j, err := w.store.Submit(context.WithoutCancel(t.Context()), w.submission(a))
				if err != nil {
					t.Error(err)
				}
				done <- j
			}()
			waitForLock(t, db)
			w.expire(db)
			test.happens(w, other)
			release()
			if j := <-done; j.Surplus != test.surplus || j.ID == "" {
				t.Errorf("judgment %+v, want surplus %v", j, test.surplus)
			}
			if got := w.progress(); got != test.want {
				t.Errorf("progress %+v, want %+v", got, test.want)
			}
		})
	}
}

// lockPerson makes a person's operations wait until release is called.
func lockPerson(t *testing.T, db pgtest.Database, person string) (release func()) {
	t.Helper()
	tx := must(connect(t, db.OwnerURL).Begin(t.Context()))(t)
	if _, err := tx.Exec(t.Context(), `SELECT FROM tandem.annotators WHERE id = $1 FOR UPDATE`, person); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// waitForLock returns once somebody waits for a lock in the database.
func waitForLock(t *testing.T, db pgtest.Database) {
	t.Helper()
	conn := connect(t, db.AdminURL)
	for waiting := false; !waiting; time.Sleep(time.Millisecond) {
		if err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
}

// One person in two tabs: both show the same task in the same order, one judgment is kept, and the other tab is told.
func TestTwoTabs(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2}, tasks: 2})
	annotator := w.annotator()
	first, second := w.claim(annotator), w.claim(annotator)
	if first.ID != second.ID || first.Responses[0].ID != second.Responses[0].ID {
		t.Fatalf("the tabs show %+v and %+v", first, second)
	}
	w.submit(w.submission(first))
	_, err := w.store.Submit(t.Context(), w.submission(second)) // with a key of its own
	wantCode(t, "the other tab's submit", err, tandem.Conflict)
	wantCode(t, "the other tab's skip", w.store.Skip(t.Context(), annotator, second.ID, "why not"), tandem.Conflict)
	if got := w.progress(); got.Judgments != 1 || got.Done != 1 {
		t.Errorf("progress %+v", got)
	}
	if next := w.claim(annotator); next.TaskID == first.TaskID {
		t.Error("a judged task came again")
	}
}

// Places that were given back are found again, though claims begin where a person was last.
func TestPlacesGivenBackAreFound(t *testing.T) {
	const tasks = 5
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: tasks})
	first, second := w.annotator(), w.annotator()
	skipped := w.claim(first)
	if err := w.store.Skip(t.Context(), first, skipped.ID, "not mine"); err != nil {
		t.Fatal(err)
	}
	for n := range tasks {
		claimed, err := w.store.Claim(t.Context(), first, w.project.ID)
		if err != nil {
			t.Fatal(err)
		}
		if a := claimed.Assignment; a != nil {
			w.submit(w.submission(*a))
		} else if n != tasks-1 || !claimed.HeldUntil.IsZero() {
			t.Errorf("after %d tasks: %+v", n, claimed)
		}
	}
	if a := w.claim(second); a.TaskID != skipped.TaskID {
		t.Errorf("the other got task %s, not the one that was given back", a.TaskID)
	}
}
