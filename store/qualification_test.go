package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// standing checks how a person stands, and that their claim fares as it says.
func (w *world) standing(annotator string, want store.Standing) {
	w.Helper()
	got := must(w.store.Standing(w.Context(), annotator, w.project.ID))(w.T)
	if got != want {
		w.Errorf("standing %+v, want %+v", got, want)
	}
	for _, place := range must(w.store.Workplaces(w.Context(), annotator))(w.T) {
		if place.ID == w.project.ID && place.Standing != want {
			w.Errorf("workplace %+v, want %+v", place.Standing, want)
		}
	}
	free := !got.Declined && !got.LimitReached && (got.QualificationState == store.QualificationNone || got.QualificationState == store.QualificationPassed)
	claimed, err := w.store.Claim(w.Context(), annotator, w.project.ID)
	if free != (err == nil) || err != nil && tandem.CodeOf(err) != tandem.Forbidden {
		w.Errorf("%+v, but the claim gives %v", got, err)
	}
	if err == nil && !want.Begun && claimed.Assignment != nil { // as it was
		if err := w.store.Skip(w.Context(), annotator, claimed.Assignment.ID, "test"); err != nil {
			w.Fatal(err)
		}
	}
}

func TestQualification(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	exam := newWorld(t, s, worldConfig{project: store.Project{Name: "exam", Aspect: tandem.Helpfulness}, tasks: 5})
	work := newWorld(t, s, worldConfig{project: store.Project{Name: "work", Aspect: tandem.Helpfulness,
		Settings: store.Settings{Qualification: exam.project.ID, PassShare: 0.8}}, tasks: 3})
	good, bad, lazy := work.annotator(), work.annotator(), work.annotator()
	work.standing(good, store.Standing{QualificationState: store.QualificationNeeded}) // without gold nobody passes
	exam.gold(5)
	work.standing(good, store.Standing{QualificationState: store.QualificationNeeded})
	_, err := s.Claim(ctx, good, work.project.ID)
	if err == nil || !strings.Contains(err.Error(), "the project "+exam.project.ID+" first") || !strings.Contains(err.Error(), "80 %") {
		t.Errorf("the refusal is %v", err)
	}
	for _, place := range must(s.Workplaces(ctx, good))(t) {
		if place.ID == exam.project.ID && place.Open != 5 {
			t.Errorf("%d of 5 are open in the qualification", place.Open)
		}
	}
	for n := range 5 {
		for person, right := range map[string]bool{good: n > 0, bad: n > 1} {
			a := exam.claim(person)
			j := exam.judge(a, right)
			told := must(s.GoldAnswer(ctx, person, a.ID))(t)
			if told.Right != right || right != (told.Reason == "") {
				t.Errorf("told %+v of an answer that is right: %v", told, right)
			}
			_, err := s.GoldAnswer(ctx, lazy, a.ID)
			wantCode(t, "another's answer", err, tandem.NotFound)
			// What they were told helps them no more.
			if !right {
				sub := exam.submission(a)
				sub.Verdict.Chosen, sub.Verdict.Rejected = j.Verdict.Rejected, j.Verdict.Chosen
				if _, err := s.Revise(ctx, sub, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if claimed := must(s.Claim(ctx, good, exam.project.ID))(t); claimed.Assignment != nil || !claimed.HeldUntil.IsZero() {
		t.Errorf("after all of it: %+v", claimed)
	}
	work.standing(good, store.Standing{QualificationState: store.QualificationPassed})
	work.standing(bad, store.Standing{QualificationState: store.QualificationFailed})
	work.standing(lazy, store.Standing{QualificationState: store.QualificationNeeded})
	// Skipping is no way through.
	for range 5 {
		if err := s.Skip(ctx, lazy, exam.claim(lazy).ID, "hard"); err != nil {
			t.Fatal(err)
		}
	}
	work.standing(lazy, store.Standing{QualificationState: store.QualificationFailed})
	if _, err := s.Configure(ctx, work.project.ID, store.Settings{}, "test"); err != nil {
		t.Fatal(err)
	}
	work.standing(lazy, store.Standing{QualificationState: store.QualificationNone})
}

// The day's limit holds against ten tabs at once, and ends with the person's own day.
func TestDailyLimit(t *testing.T) {
	const limit = 3
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Settings: store.Settings{DailyLimit: limit}}, tasks: 40})
	ann := w.annotator()
	var wg sync.WaitGroup
	var lock sync.Mutex
	judged := 0
	for range 10 {
		wg.Go(func() {
			for {
				claimed, err := s.Claim(ctx, ann, w.project.ID)
				if tandem.CodeOf(err) == tandem.Forbidden {
					return
				}
				if err != nil || claimed.Assignment == nil {
					t.Errorf("%+v, %v", claimed, err)
					return
				}
				a := *claimed.Assignment
				j, err := s.Submit(ctx, store.Submission{Annotator: ann, Assignment: a.ID, Key: "tab " + a.ID,
					Verdict: store.Verdict{Chosen: a.Responses[1].ID, Rejected: a.Responses[0].ID, Degree: tandem.Better}})
				if err != nil {
					t.Error(err)
					return
				}
				if !j.Replayed {
					lock.Lock()
					judged++
					lock.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if judged != limit {
		t.Errorf("%d judgments at a limit of %d", judged, limit)
	}
	w.standing(ann, store.Standing{LimitReached: true, QualificationState: store.QualificationNone, Begun: true})
	w.standing(w.annotator(), store.Standing{QualificationState: store.QualificationNone})
	// What was undone counts until it is judged again: it is the same judgment.
	last := must(s.History(ctx, ann, store.Page{Limit: 1}))(t)[0]
	if err := s.Undo(ctx, ann, last.Assignment, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if again := w.claim(ann); again.ID != last.Assignment {
		t.Errorf("got %s, and hold %s", again.ID, last.Assignment)
	}
	w.judge(w.claim(ann), true)
	_, err := s.Claim(ctx, ann, w.project.ID)
	wantCode(t, "past the limit", err, tandem.Forbidden)

	// The same moment may be another day elsewhere: it is 40 minutes past midnight in a zone made for it.
	var minutes int
	if err := owner.QueryRow(ctx, `SELECT extract(hour FROM now() AT TIME ZONE 'UTC') * 60 + extract(minute FROM now() AT TIME ZONE 'UTC')`).Scan(&minutes); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `ALTER TABLE judgments DISABLE TRIGGER only_added_to; UPDATE judgments SET created_at = created_at - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	west := minutes - 40 // minutes behind UTC, as POSIX's zones count: as many as have passed of its day, but for 40
	if west > 12*60 {
		west -= 24 * 60
	}
	sign := "+"
	if west < 0 {
		sign, west = "-", -west
	}
	zone := fmt.Sprintf("ZONE%s%02d:%02d", sign, west/60, west%60)
	if _, err := owner.Exec(ctx, `UPDATE annotators SET time_zone = $1 WHERE id = $2`, zone, ann); err != nil {
		t.Fatal(err)
	}
	w.standing(ann, store.Standing{QualificationState: store.QualificationNone, Begun: true})
}

// Declining gives back what one holds, is no end, and touches nobody else.
func TestDecline(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Safety}, tasks: 1})
	ann, bob := w.annotator(), w.annotator()
	a := w.claim(ann)
	for range 2 { // again is the same
		if err := s.Decline(ctx, ann, w.project.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	w.standing(ann, store.Standing{Declined: true, QualificationState: store.QualificationNone})
	if b := w.claim(bob); b.TaskID != a.TaskID {
		t.Error("the place was not given back")
	}
	if err := s.Skip(ctx, bob, w.claim(bob).ID, "no"); err != nil {
		t.Fatal(err)
	}
	if err := s.Decline(ctx, ann, w.project.ID, false); err != nil {
		t.Fatal(err)
	}
	if again := w.claim(ann); again.ID != a.ID {
		t.Errorf("back in, %s is held, not %s", again.ID, a.ID)
	}
	wantCode(t, "declining nothing", s.Decline(ctx, ann, "999", true), tandem.NotFound)
	wantCode(t, "nobody's declining", s.Decline(ctx, "nobody", w.project.ID, true), tandem.NotFound)
}
