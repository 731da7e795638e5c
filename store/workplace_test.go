package store_test

import (
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

func TestUndo(t *testing.T) {
	s := postgres.Store(t)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 2})
	ctx := t.Context()
	ann := w.annotator()
	first := w.claim(ann)
	w.submit(w.submission(first))
	second := w.claim(ann)
	w.submit(w.submission(second))
	wantCode(t, "undoing what is not the last", s.Undo(ctx, ann, first.ID, []byte(`{}`)), tandem.Conflict)
	wantCode(t, "undoing another's", s.Undo(ctx, w.annotator(), second.ID, []byte(`{}`)), tandem.NotFound)
	if err := s.Undo(ctx, ann, second.ID, []byte(`{"position":3}`)); err != nil {
		t.Fatal(err)
	}
	if counted := must(s.ProjectJudgments(ctx, w.project.ID, store.Page{}))(t); len(counted) != 1 {
		t.Errorf("%d judgments count after one of two was undone", len(counted))
	}
	if again := w.claim(ann); again.ID != second.ID || again.Until.IsZero() {
		t.Errorf("after the undo %+v is held", again)
	}
	if d := must(s.Draft(ctx, ann, second.ID))(t); d.Closed || string(d.Body) != `{"position": 3}` {
		t.Errorf("draft %+v", d)
	}
	wantCode(t, "undoing twice", s.Undo(ctx, ann, second.ID, []byte(`{}`)), tandem.Conflict)
	sub := w.submission(second)
	sub.Verdict.Degree = tandem.SlightlyBetter
	if j := w.submit(sub); j.Version != 2 || j.Surplus {
		t.Errorf("judged again: %+v", j)
	}
	if counted := must(s.ProjectJudgments(ctx, w.project.ID, store.Page{}))(t); len(counted) != 2 || counted[1].Verdict.Degree != tandem.SlightlyBetter {
		t.Errorf("after judging again %+v count", counted)
	}
	if progress := w.progress(); progress.Done != 2 || progress.Surplus != 0 {
		t.Errorf("progress %+v", progress)
	}
}

func TestWorkplacesAndDay(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Safety, Guideline: "Be kind."}, tasks: 4})
	ctx := t.Context()
	ann := w.annotator()
	for range 2 {
		a := w.claim(ann)
		sub := w.submission(a)
		sub.Verdict.Labels = map[string]tandem.SafetyLabel{a.Responses[0].ID: tandem.Safe, a.Responses[1].ID: tandem.Unsafe}
		sub.Guideline = 1
		if j := w.submit(sub); j.Guideline != 1 {
			t.Errorf("the judgment names guideline %d", j.Guideline)
		}
	}
	held := w.claim(ann)
	places := must(s.Workplaces(ctx, ann))(t)
	if len(places) != 1 {
		t.Fatalf("%d places", len(places))
	}
	if p := places[0]; p.Open != 2 || p.Wanted != 4 || p.Done != 2 || p.Mine != 2 || p.Today != 2 || p.Held != held.ID || p.Guideline != "Be kind." {
		t.Errorf("%+v", p)
	}
	if other := must(s.Workplaces(ctx, w.annotator()))(t)[0]; other.Mine != 0 || other.Held != "" || other.Open != 2 {
		t.Errorf("another sees %+v", other)
	}
	if day := must(s.Day(ctx, ann))(t); day != (store.Day{Judgments: 2, Streak: 1}) {
		t.Errorf("day %+v", day)
	}
	// Yesterday and the day before, by the person's own days.
	if _, err := owner.Exec(ctx, `ALTER TABLE judgments DISABLE TRIGGER only_added_to; UPDATE judgments SET created_at = created_at - interval '1 day' * (2 - id)`); err != nil {
		t.Fatal(err)
	}
	if day := must(s.Day(ctx, ann))(t); day != (store.Day{Judgments: 1, Streak: 2}) {
		t.Errorf("day %+v", day)
	}
	if day := must(s.Day(ctx, w.annotator()))(t); day != (store.Day{}) {
		t.Errorf("a new person's day %+v", day)
	}
	pieces := must(s.Pieces(ctx, ann, false, store.Page{Limit: 1}))(t)
	if len(pieces) != 1 || pieces[0].Project != "p" || pieces[0].Asked == "" || pieces[0].Kind != store.Pairwise {
		t.Fatalf("pieces %+v", pieces)
	}
	if rest := must(s.Pieces(ctx, ann, false, store.Page{After: pieces[0].ID}))(t); len(rest) != 1 {
		t.Errorf("%d earlier ones", len(rest))
	}
	if _, err := owner.Exec(ctx, `INSERT INTO returns (judgment_id, assignment_id, reason, returned_by) SELECT id, assignment_id, 'look again', 'r' FROM judgments WHERE id = $1::text::bigint`, pieces[0].ID); err != nil {
		t.Fatal(err)
	}
	if back := must(s.Pieces(ctx, ann, true, store.Page{}))(t); len(back) != 1 || back[0].Returned != "look again" {
		t.Errorf("sent back %+v", back)
	}
}

func TestGuidelinesAreVersioned(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	p := must(s.CreateProject(ctx, store.Project{Name: "p", Aspect: tandem.Helpfulness, Guideline: "One."}, "test"))(t)
	if err := s.SetGuideline(ctx, p.ID, "Two.", "test"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "an empty guideline", s.SetGuideline(ctx, p.ID, "  ", "test"), tandem.Invalid)
	wantCode(t, "a guideline of no project", s.SetGuideline(ctx, "99", "x", "test"), tandem.NotFound)
	versions := must(s.Guidelines(ctx, p.ID))(t)
	if len(versions) != 2 || versions[0].Markdown != "Two." || versions[0].Version != 2 || versions[1].Markdown != "One." {
		t.Errorf("versions %+v", versions)
	}
	settings := p.Settings
	settings.DailyLimit, settings.Blurred, settings.Temperatures = 40, true, []float64{0.5}
	changed := must(s.Configure(ctx, p.ID, settings, "test"))(t)
	if changed.DailyLimit != 40 || !changed.Blurred || len(changed.Temperatures) != 1 || changed.Guideline != "Two." || changed.Lease != p.Lease {
		t.Errorf("settings %+v", changed)
	}
	settings.PassShare = 2
	_, err := s.Configure(ctx, p.ID, settings, "test")
	wantCode(t, "more than all to pass", err, tandem.Invalid)
}
