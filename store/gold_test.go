package store_test

import (
	"fmt"
	"sync"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// gold marks the first n tasks of w as gold, whose better answer is the first by its text.
func (w *world) gold(n int) {
	w.Helper()
	golds := make([]store.Gold, n)
	for i, task := range must(w.store.Tasks(w.Context(), w.project.ID, store.Page{}))(w.T)[:n] {
		golds[i] = store.Gold{TaskID: task.ID, Chosen: task.Responses[0], Reason: fmt.Sprintf("Task %s says so.", task.ID)}
	}
	for range 2 { // again is the same
		if err := w.store.AddGold(w.Context(), w.project.ID, golds, "test"); err != nil {
			w.Fatal(err)
		}
	}
}

// judge judges a task as gold would have it, or the other way round.
func (w *world) judge(a store.Assignment, right bool) store.Judgment {
	w.Helper()
	sub := w.submission(a)
	first, second := a.Responses[0].ID, a.Responses[1].ID
	if a.Responses[0].Content > a.Responses[1].Content {
		first, second = second, first
	}
	if !right {
		first, second = second, first
	}
	sub.Verdict.Chosen, sub.Verdict.Rejected = first, second
	return w.submit(sub)
}

// Gold is for everyone, one task in so many, and beside the overlap.
func TestGoldIsMixedIn(t *testing.T) {
	const golds, ordinary, every = 4, 12, 4
	s := postgres.Store(t)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Settings: store.Settings{GoldEvery: every}}, tasks: golds + ordinary})
	w.gold(golds)
	isGold := map[string]bool{}
	for _, task := range w.tasks[:golds] {
		isGold[task] = true
	}
	if p := w.progress(); p.Slots != ordinary {
		t.Errorf("%d judgments are wanted, gold among them", p.Slots)
	}
	for w.progress().Done < ordinary {
		ann := w.annotator()
		for range 2 { // rounds
			met := 0
			for range every {
				a := w.claim(ann)
				if again := w.claim(ann); again.ID != a.ID {
					t.Fatalf("a refresh gave %s for %s", again.ID, a.ID)
				}
				if isGold[a.TaskID] {
					met++
				}
				w.judge(a, true)
			}
			if met != 1 {
				t.Errorf("%d of %d were gold", met, every)
			}
		}
	}
	p := w.progress()
	if p.Done != ordinary || p.Judgments != ordinary*every/(every-1) {
		t.Errorf("progress %+v", p)
	}
	if n := must(s.CountComparisons(t.Context(), store.ComparisonQuery{}))(t); n != ordinary {
		t.Errorf("%d comparisons to learn from, want the %d that are not gold", n, ordinary)
	}
}

// Each place of a round is as likely, and the place is another each time.
func TestGoldPlaceIsDrawn(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 30, Settings: store.Settings{GoldEvery: 2}}, tasks: 3})
	w.gold(1)
	first := 0
	for range 30 {
		if w.claim(w.annotator()).TaskID == w.tasks[0] {
			first++
		}
	}
	if first == 0 || first == 30 { // by chance twice in 2³⁰
		t.Errorf("the first task was gold for %d of 30", first)
	}
}

// A gold task that is skipped is not followed by another until its turn comes.
func TestGoldThatIsSkipped(t *testing.T) {
	w := newWorld(t, postgres.Store(t), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Settings: store.Settings{GoldEvery: 2}}, tasks: 6})
	w.gold(3)
	ann := w.annotator()
	met := 0
	for range 4 { // one round: at most one gold task, skipped or not
		a := w.claim(ann)
		if a.TaskID == w.tasks[0] || a.TaskID == w.tasks[1] || a.TaskID == w.tasks[2] {
			met++
			if err := w.store.Skip(t.Context(), ann, a.ID, "no"); err != nil {
				t.Fatal(err)
			}
		} else if met == 1 {
			break
		} else {
			w.judge(a, true)
		}
	}
	if met != 1 {
		t.Errorf("%d gold tasks in a round", met)
	}
}

// Many people at one gold task at once: each has a place of their own, and nobody two.
func TestGoldPlacesAtOnce(t *testing.T) {
	const people = 30
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL+"&pool_max_conns=20")
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Settings: store.Settings{GoldEvery: 1}}, tasks: 1})
	w.gold(1)
	var wg sync.WaitGroup
	for range people {
		ann := w.annotator()
		for range 2 { // and each clicks twice
			wg.Go(func() {
				if claimed, err := s.Claim(t.Context(), ann, w.project.ID); err != nil || claimed.Assignment == nil {
					t.Errorf("%+v, %v", claimed, err)
				}
			})
		}
	}
	wg.Wait()
	var slots, holders int
	if err := connect(t, db.URL).QueryRow(t.Context(), `
		SELECT count(*), count(DISTINCT a.annotator_id) FROM slots s JOIN assignments a ON a.id = s.assignment_id WHERE s.gold`).Scan(&slots, &holders); err != nil {
		t.Fatal(err)
	}
	if slots != people || holders != people {
		t.Errorf("%d places for %d of %d people", slots, holders, people)
	}
	if p := w.progress(); p.Slots != 0 || p.Held != 0 {
		t.Errorf("gold counts as wanted: %+v", p)
	}
}

// A lease on gold that runs out is taken by nobody, and a late judgment fills it.
func TestGoldLeaseRunsOut(t *testing.T) {
	db := postgres.Database(t)
	w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Settings: store.Settings{GoldEvery: 1}}, tasks: 1})
	w.gold(1)
	ann, bob := w.annotator(), w.annotator()
	a := w.claim(ann)
	w.expire(db)
	b := w.claim(bob)
	w.judge(b, true)
	if again := w.claim(ann); again.ID != a.ID || again.Responses[0].ID != a.Responses[0].ID {
		t.Errorf("got %+v back, want %+v", again, a)
	}
	w.expire(db)
	if j := w.judge(a, true); j.Surplus {
		t.Error("surplus on a place of one's own")
	}
	if claimed := must(w.store.Claim(t.Context(), ann, w.project.ID))(t); claimed.Assignment != nil || !claimed.HeldUntil.IsZero() {
		t.Errorf("after the last one: %+v", claimed)
	}
}

func TestGoldIsChecked(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Safety}, tasks: 2})
	helpful := newWorld(t, s, worldConfig{project: store.Project{Name: "q", Aspect: tandem.Helpfulness}, tasks: 1})
	rated := newWorld(t, s, worldConfig{project: store.Project{Name: "r", Aspect: tandem.Helpfulness}, tasks: 1, kind: store.Rating, responses: 1})
	task := must(s.Tasks(ctx, w.project.ID, store.Page{}))(t)[0]
	good := store.Gold{TaskID: task.ID, Chosen: task.Responses[1], Labels: map[string]tandem.SafetyLabel{task.Responses[1]: tandem.Safe}}
	other := good
	other.Chosen = task.Responses[0]
	labelled := must(s.Tasks(ctx, helpful.project.ID, store.Page{}))(t)[0]
	for name, c := range map[string]struct {
		project string
		gold    store.Gold
		want    tandem.Code
	}{
		"another project's":         {helpful.project.ID, good, tandem.NotFound},
		"no task":                   {w.project.ID, store.Gold{TaskID: "99999", Chosen: "1"}, tandem.NotFound},
		"no project":                {"999", good, tandem.NotFound},
		"another task's answer":     {w.project.ID, store.Gold{TaskID: task.ID, Chosen: "99999"}, tandem.Invalid},
		"a rating":                  {rated.project.ID, store.Gold{TaskID: rated.tasks[0], Chosen: "1"}, tandem.Invalid},
		"a label without safety":    {helpful.project.ID, store.Gold{TaskID: labelled.ID, Chosen: labelled.Responses[0], Labels: map[string]tandem.SafetyLabel{labelled.Responses[0]: tandem.Safe}}, tandem.Invalid},
		"a label that there is not": {w.project.ID, store.Gold{TaskID: task.ID, Chosen: task.Responses[0], Labels: map[string]tandem.SafetyLabel{task.Responses[0]: "fine"}}, tandem.Invalid},
	} {
		wantCode(t, name, s.AddGold(ctx, c.project, []store.Gold{c.gold}, "test"), c.want)
	}
	if err := s.AddGold(ctx, w.project.ID, []store.Gold{good}, "test"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "another right answer", s.AddGold(ctx, w.project.ID, []store.Gold{other}, "test"), tandem.Conflict)
	golds := must(s.Golds(ctx, w.project.ID, store.Page{}))(t)
	if len(golds) != 1 || golds[0].Chosen != good.Chosen || fmt.Sprint(golds[0].Labels) != fmt.Sprint(good.Labels) || golds[0].Retired {
		t.Errorf("golds %+v", golds)
	}
	wantCode(t, "retiring what is not gold", s.RetireGold(ctx, w.project.ID, w.tasks[1], "test"), tandem.NotFound)
	if err := s.RetireGold(ctx, w.project.ID, task.ID, "test"); err != nil {
		t.Fatal(err)
	}
	if golds = must(s.Golds(ctx, w.project.ID, store.Page{}))(t); !golds[0].Retired {
		t.Errorf("golds %+v", golds)
	}
}

// What counts is what people said by themselves: after an undo, and before a reviewer sent it back. Who is wrong
// too often is warned once the window is full.
func TestGoldResults(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness,
		Settings: store.Settings{GoldEvery: 1, GoldWindow: 3, GoldFloor: 0.6}}, tasks: 5})
	w.gold(5)
	ann := w.annotator()
	results := func(answered, right, recent int, warned bool) {
		t.Helper()
		got := must(s.GoldResults(ctx, w.project.ID))(t)
		if len(got) != 1 || got[0].Annotator != ann || got[0].Answered != answered || got[0].Right != right || got[0].RecentRight != recent || got[0].Warned != warned {
			t.Errorf("results %+v, want %d answered, %d right, %d recently, warned %v", got, answered, right, recent, warned)
		}
		if standing := must(s.Standing(ctx, ann, w.project.ID))(t); standing.Warned != warned {
			t.Errorf("standing %+v", standing)
		}
		if places := must(s.Workplaces(ctx, ann))(t); places[0].Warned != warned {
			t.Errorf("workplace %+v", places[0])
		}
	}
	a := w.claim(ann)
	w.judge(a, false)
	results(1, 0, 0, false)
	if err := s.Undo(ctx, ann, a.ID, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if got := must(s.GoldResults(ctx, w.project.ID))(t); len(got) != 0 {
		t.Errorf("what was undone counts: %+v", got)
	}
	w.judge(a, true)
	results(1, 1, 1, false)
	b := w.claim(ann)
	wrong := w.judge(b, false)
	results(2, 1, 1, false)
	if n := must(s.SendBack(ctx, store.ReviewQuery{Project: w.project.ID, Judgments: []string{wrong.ID}}, "look again", "test"))(t); n != 1 {
		t.Fatal("not sent back")
	}
	sub := w.submission(b)
	sub.Verdict.Chosen, sub.Verdict.Rejected = wrong.Verdict.Rejected, wrong.Verdict.Chosen
	if _, err := s.Revise(ctx, sub, 1); err != nil {
		t.Fatal(err)
	}
	results(2, 1, 1, false) // corrected on request
	w.judge(w.claim(ann), false)
	results(3, 1, 1, true)
	w.judge(w.claim(ann), true)
	results(4, 2, 1, true) // the first is out of the window
	last := w.claim(ann)
	w.judge(last, true)
	results(5, 3, 2, false)
	_, err := s.GoldAnswer(ctx, ann, last.ID)
	wantCode(t, "being told outside a qualification", err, tandem.NotFound)
	// A gold task that was wrong itself is held against nobody.
	if err := s.RetireGold(ctx, w.project.ID, b.TaskID, "test"); err != nil {
		t.Fatal(err)
	}
	results(4, 3, 2, false)
}

// A set that was frozen before a task became gold keeps it; what is frozen later leaves it out.
func TestGoldLeavesFrozenSets(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 2})
	ann := w.annotator()
	w.judge(w.claim(ann), true)
	w.judge(w.claim(ann), true)
	before := must(s.CreateSnapshot(ctx, "before", store.ComparisonQuery{}))(t)
	w.gold(1)
	after := must(s.CreateSnapshot(ctx, "after", store.ComparisonQuery{}))(t)
	if before.Comparisons != 2 || after.Comparisons != 1 {
		t.Errorf("%d and %d comparisons", before.Comparisons, after.Comparisons)
	}
	for id, want := range map[string]int{before.ID: 2, after.ID: 1, "": 1} {
		n := 0
		for _, err := range s.Comparisons(ctx, store.ComparisonQuery{Snapshot: id}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("snapshot %q holds %d comparisons, want %d", id, n, want)
		}
	}
}
