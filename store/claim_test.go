package store_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// Fifty people at once: every slot is judged by one person, and nobody sits twice on a task.
func TestClaimAndSubmitAtOnce(t *testing.T) {
	const people, tasks, overlap = 50, 20, 3
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL+"&pool_max_conns=20")
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "crowd", Aspect: tandem.Helpfulness, Overlap: overlap}, tasks: tasks})
	annotators := make([]string, people)
	for i := range annotators {
		annotators[i] = w.annotator()
	}
	var wg sync.WaitGroup
	for _, annotator := range annotators {
		wg.Go(func() {
			for n := 0; ; n++ {
				claimed, err := s.Claim(t.Context(), annotator, w.project.ID)
				if err != nil {
					t.Error(err)
					return
				}
				if claimed.Assignment == nil {
					if claimed.HeldUntil.IsZero() {
						return
					}
					time.Sleep(50 * time.Millisecond)
					continue
				}
				a := *claimed.Assignment
				if a.Annotator != annotator {
					t.Errorf("%s was given %s's assignment", annotator, a.Annotator)
				}
				if _, err := s.Submit(t.Context(), store.Submission{Annotator: annotator, Assignment: a.ID, Key: a.ID,
					Verdict: store.Verdict{Chosen: a.Responses[1].ID, Rejected: a.Responses[0].ID, Degree: tandem.SlightlyBetter}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()

	want := store.Progress{Tasks: tasks, Slots: tasks * overlap, Done: tasks * overlap, Judgments: tasks * overlap}
	if got := w.progress(); got != want {
		t.Errorf("progress %+v, want %+v", got, want)
	}
	perTask := map[string]map[string]bool{}
	for j, err := range s.Judgments(t.Context(), store.JudgmentQuery{Project: w.project.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		if perTask[j.TaskID] == nil {
			perTask[j.TaskID] = map[string]bool{}
		}
		if perTask[j.TaskID][j.Annotator] {
			t.Errorf("%s judged task %s twice", j.Annotator, j.TaskID)
		}
		perTask[j.TaskID][j.Annotator] = true
	}
	for task, by := range perTask {
		if len(by) != overlap {
			t.Errorf("task %s was judged by %d people", task, len(by))
		}
	}
}

func TestClaimTellsHeldFromNone(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	first, second := w.annotator(), w.annotator()
	a := w.claim(first)

	// A refresh gives the same lease and the same order.
	again := w.claim(first)
	if fmt.Sprint(again) != fmt.Sprint(a) {
		t.Errorf("a refresh gave\n%+v, want\n%+v", again, a)
	}
	held, err := w.store.Claim(t.Context(), second, w.project.ID)
	if err != nil || held.Assignment != nil || !held.HeldUntil.Equal(a.Until) {
		t.Errorf("while another holds it: %+v, %v; want held until %v", held, err, a.Until)
	}
	w.submit(w.submission(a))
	for _, person := range []string{first, second} {
		if none, err := w.store.Claim(t.Context(), person, w.project.ID); err != nil || none.Assignment != nil || !none.HeldUntil.IsZero() {
			t.Errorf("after the last judgment: %+v, %v", none, err)
		}
	}
	if err := w.store.CloseProject(t.Context(), w.project.ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.store.Claim(t.Context(), first, w.project.ID)
	wantCode(t, "a closed project", err, tandem.Conflict)
	_, err = w.store.Claim(t.Context(), "nobody", w.project.ID)
	wantCode(t, "an unknown person", err, tandem.NotFound)
	_, err = w.store.Claim(t.Context(), first, "999")
	wantCode(t, "an unknown project", err, tandem.NotFound)
	if err := w.store.DisableAnnotator(t.Context(), second, "cli"); err != nil {
		t.Fatal(err)
	}
	_, err = w.store.Claim(t.Context(), second, w.project.ID)
	wantCode(t, "a disabled person", err, tandem.Forbidden)
}

// One person's double click claims once.
func TestClaimOfOnePersonAtOnce(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 3}, tasks: 3})
	annotator := w.annotator()
	ids := make(chan string)
	const clicks = 8
	for range clicks {
		go func() {
			claimed, err := w.store.Claim(t.Context(), annotator, w.project.ID)
			if err != nil || claimed.Assignment == nil {
				ids <- fmt.Sprint("failed: ", err)
				return
			}
			ids <- claimed.Assignment.ID
		}()
	}
	first := <-ids
	for range clicks - 1 {
		if id := <-ids; id != first {
			t.Errorf("claimed %s and %s", first, id)
		}
	}
	if got := w.progress(); got.Held != 1 {
		t.Errorf("%d slots are held", got.Held)
	}
}

// Left and right are drawn for each person and stored.
func TestOrderIsDrawnAndStored(t *testing.T) {
	const people = 40
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: people}, tasks: 1})
	left := map[string]int{}
	for range people {
		a := w.claim(w.annotator())
		left[a.Responses[0].ID]++
		j := w.submit(w.submission(a))
		if len(j.Shown) != 2 || j.Shown[0] != a.Responses[0].ID || j.Shown[1] != a.Responses[1].ID {
			t.Errorf("shown %v, stored %v", a.Responses, j.Shown)
		}
	}
	if len(left) != 2 { // by chance once in 2³⁹
		t.Errorf("the same answer stood left for all %d people", people)
	}
}

func TestLeaseRunsOut(t *testing.T) {
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	slow, quick, third := w.annotator(), w.annotator(), w.annotator()
	late := w.claim(slow)
	w.expire(db)

	// Nobody else came: the same person gets the same order back.
	if back := w.claim(slow); back.ID != late.ID || back.Responses[0].ID != late.Responses[0].ID {
		t.Errorf("got %+v back, want %+v", back, late)
	}
	w.expire(db)
	taken := w.claim(quick)
	if taken.TaskID != late.TaskID {
		t.Fatal("the lease did not run out")
	}
	_, err := w.store.Renew(t.Context(), slow, late.ID)
	wantCode(t, "renewing a place that was taken over", err, tandem.Stale)
	if until, err := w.store.Renew(t.Context(), quick, taken.ID); err != nil || !until.After(taken.Until) {
		t.Errorf("renewed until %v, %v", until, err)
	}
	_, err = w.store.Renew(t.Context(), third, taken.ID)
	wantCode(t, "renewing another's place", err, tandem.NotFound)

	// The late judgment is kept, as surplus; the one in time fills the place.
	if j := w.submit(w.submission(late)); !j.Surplus {
		t.Error("the late judgment took the place of the one who holds it")
	}
	if j := w.submit(w.submission(taken)); j.Surplus {
		t.Error("the judgment in time is surplus")
	}
	if got := w.progress(); got.Done != 1 || got.Judgments != 2 || got.Surplus != 1 {
		t.Errorf("progress %+v", got)
	}
}

// A late judgment whose place nobody took fills it.
func TestLateSubmitInTime(t *testing.T) {
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2}, tasks: 1})
	first, second := w.annotator(), w.annotator()
	a := w.claim(first)
	w.expire(db)
	b := w.claim(second) // takes the first's place, and leaves the other free
	if j := w.submit(w.submission(a)); j.Surplus {
		t.Error("surplus, though a place on the task was free")
	}
	if j := w.submit(w.submission(b)); j.Surplus {
		t.Error("surplus, though the place was held")
	}
	if got := w.progress(); got.Done != 2 {
		t.Errorf("progress %+v", got)
	}
}

func TestSkip(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	first, second := w.annotator(), w.annotator()
	a := w.claim(first)
	wantCode(t, "a skip without a reason", w.store.Skip(t.Context(), first, a.ID, " "), tandem.Invalid)
	wantCode(t, "another's skip", w.store.Skip(t.Context(), second, a.ID, "mine"), tandem.NotFound)
	if err := w.store.Flag(t.Context(), first, a.ID, "both answers are cut off"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a repeated skip is the same skip
		if err := w.store.Skip(t.Context(), first, a.ID, "I know neither"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.store.Submit(t.Context(), w.submission(a))
	wantCode(t, "a submit after the skip", err, tandem.Conflict)
	if again, err := w.store.Claim(t.Context(), first, w.project.ID); err != nil || again.Assignment != nil || !again.HeldUntil.IsZero() {
		t.Errorf("the skipped task came back: %+v, %v", again, err)
	}
	b := w.claim(second)
	if b.TaskID != a.TaskID {
		t.Fatal("the skip did not free the place")
	}
	w.submit(w.submission(b))
	wantCode(t, "a skip after the submit", w.store.Skip(t.Context(), second, b.ID, "too late"), tandem.Conflict)
}

func TestDraft(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	annotator := w.annotator()
	a := w.claim(annotator)
	save := func(revision int, body string) (int, error) {
		return w.store.SaveDraft(t.Context(), annotator, a.ID, revision, json.RawMessage(body))
	}
	_, err := w.store.Draft(t.Context(), annotator, a.ID)
	wantCode(t, "no draft yet", err, tandem.NotFound)
	for want := 1; want <= 2; want++ {
		if revision, err := save(want-1, `{"comment": "hm"}`); err != nil || revision != want {
			t.Fatalf("revision %d, %v", revision, err)
		}
	}
	_, err = save(1, `{"comment": "from an older page"}`)
	wantCode(t, "a stale revision", err, tandem.Stale)
	_, err = save(0, `{"comment": "from a second page"}`)
	wantCode(t, "a first save beside one", err, tandem.Stale)
	w.submit(w.submission(a))
	_, err = save(2, `{"comment": "late"}`)
	wantCode(t, "a save after the submit", err, tandem.Stale)
	if d, err := w.store.Draft(t.Context(), annotator, a.ID); err != nil || !d.Closed || d.Revision != 2 || string(d.Body) != `{"comment": "hm"}` {
		t.Errorf("draft %+v, %v", d, err)
	}
}
