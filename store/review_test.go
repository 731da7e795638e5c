package store_test

import (
	"fmt"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

func TestReview(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2}, tasks: 3})
	ann, bob := w.annotator(), w.annotator()
	var judged []store.Judgment
	for range 3 {
		judged = append(judged, w.judge(w.claim(ann), true))
	}
	other := w.judge(w.claim(bob), true)
	list := func(q store.ReviewQuery) []store.Reviewed {
		t.Helper()
		q.Project = w.project.ID
		return must(s.Review(ctx, q))(t)
	}
	yes, no := new(true), new(false)
	if all := list(store.ReviewQuery{}); len(all) != 4 || all[0].ID != other.ID || all[0].Asked == "" || all[0].Batch != 1 || all[0].Annotator != bob || all[0].Verdict.Chosen == "" {
		t.Fatalf("review %+v", all)
	}
	if n := len(list(store.ReviewQuery{Annotator: ann})); n != 3 {
		t.Errorf("%d of ann's", n)
	}
	if n := len(list(store.ReviewQuery{Batch: 2})); n != 0 {
		t.Errorf("%d of batch 2", n)
	}
	if rest := list(store.ReviewQuery{Page: store.Page{After: other.ID, Limit: 2}}); len(rest) != 2 || rest[0].ID != judged[2].ID {
		t.Errorf("the second page %+v", rest)
	}

	// Sent back: one, then all of a person's in bulk, which leaves the one as it is.
	back := func(q store.ReviewQuery, want int) {
		t.Helper()
		q.Project = w.project.ID
		if n := must(s.SendBack(ctx, q, "look again", "reviewer"))(t); n != want {
			t.Errorf("%d sent back, want %d", n, want)
		}
	}
	back(store.ReviewQuery{Judgments: []string{judged[0].ID}}, 1)
	back(store.ReviewQuery{Annotator: ann}, 2)
	back(store.ReviewQuery{Annotator: ann}, 0)
	if n := len(list(store.ReviewQuery{Returned: yes})); n != 3 {
		t.Errorf("%d sent back", n)
	}
	if rest := list(store.ReviewQuery{Returned: no}); len(rest) != 1 || rest[0].ID != other.ID {
		t.Errorf("not sent back: %+v", rest)
	}
	pieces := must(s.Pieces(ctx, ann, true, store.Page{}))(t)
	if len(pieces) != 3 || pieces[0].Returned != "look again" {
		t.Errorf("ann sees %+v", pieces)
	}
	// A revision answers, taking back withdraws.
	sub := w.submission(store.Assignment{ID: judged[0].Assignment, Annotator: ann, Responses: []tandem.Response{{ID: judged[0].Verdict.Rejected}, {ID: judged[0].Verdict.Chosen}}})
	revised := must(s.Revise(ctx, sub, 1))(t)
	first := list(store.ReviewQuery{Judgments: []string{judged[1].ID}})[0].Returned
	if first == nil || first.Reason != "look again" || first.By != "reviewer" || first.At.IsZero() {
		t.Fatalf("returned %+v", first)
	}
	if err := s.TakeBack(ctx, first.ID, "a mistake of mine", "reviewer"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "taking back twice", s.TakeBack(ctx, first.ID, "again", "reviewer"), tandem.Conflict)
	wantCode(t, "taking back nothing", s.TakeBack(ctx, "999", "x", "reviewer"), tandem.NotFound)
	if pieces := must(s.Pieces(ctx, ann, true, store.Page{}))(t); len(pieces) != 1 || pieces[0].ID != judged[2].ID {
		t.Errorf("left for ann: %+v", pieces)
	}
	back(store.ReviewQuery{Judgments: []string{judged[1].ID, revised.ID}}, 2) // both may be sent back again

	for name, c := range map[string]struct {
		q      store.ReviewQuery
		reason string
		want   tandem.Code
	}{
		"an old version":     {store.ReviewQuery{Project: w.project.ID, Judgments: []string{judged[0].ID}}, "x", tandem.Stale},
		"an unknown one":     {store.ReviewQuery{Project: w.project.ID, Judgments: []string{"99999"}}, "x", tandem.NotFound},
		"no number":          {store.ReviewQuery{Project: w.project.ID, Judgments: []string{"x"}}, "x", tandem.NotFound},
		"no project":         {store.ReviewQuery{Project: "999"}, "x", tandem.NotFound},
		"no reason":          {store.ReviewQuery{Project: w.project.ID}, " ", tandem.Invalid},
		"a good and a stale": {store.ReviewQuery{Project: w.project.ID, Judgments: []string{other.ID, judged[0].ID}}, "x", tandem.Stale},
	} {
		_, err := s.SendBack(ctx, c.q, c.reason, "reviewer")
		wantCode(t, name, err, c.want)
		_, err = s.ExcludeAll(ctx, c.q, true, c.reason, "reviewer")
		wantCode(t, "excluding "+name, err, c.want)
	}
	if list(store.ReviewQuery{Judgments: []string{other.ID}})[0].Returned != nil {
		t.Error("half of a refused request was done")
	}

	// Excluded in bulk, and back in.
	exclude := func(excluded bool, want int) {
		t.Helper()
		if n := must(s.ExcludeAll(ctx, store.ReviewQuery{Project: w.project.ID, Annotator: ann}, excluded, "careless", "reviewer"))(t); n != want {
			t.Errorf("%d changed, want %d", n, want)
		}
	}
	exclude(true, 3)
	exclude(true, 0)
	if out := list(store.ReviewQuery{Excluded: yes}); len(out) != 3 || out[0].ExcludedWhy != "careless" {
		t.Errorf("excluded %+v", out)
	}
	if n := must(s.CountComparisons(ctx, store.ComparisonQuery{}))(t); n != 1 {
		t.Errorf("%d comparisons count", n)
	}
	exclude(false, 3)
	// What its annotator took back is not for the reviewer to count or to send.
	last := must(s.History(ctx, bob, store.Page{}))(t)[0]
	if err := s.Undo(ctx, bob, last.Assignment, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	q := store.ReviewQuery{Project: w.project.ID, Annotator: bob}
	if n, sent := must(s.ExcludeAll(ctx, q, false, "no", "reviewer"))(t), must(s.SendBack(ctx, q, "no", "reviewer"))(t); n != 0 || sent != 0 {
		t.Error("an undone judgment was included or sent back")
	}
	if v := list(q)[0]; !v.Undone || !v.Excluded {
		t.Errorf("undone: %+v", v)
	}
	if entries := must(s.Audit(ctx, "project:"+w.project.ID))(t); len(entries) < 5 || entries[0].Action != "judgment.include" || entries[0].Actor != "reviewer" {
		t.Errorf("audit %+v", entries)
	}
}

// A revision and a taking back at once: one of the two is first, both are kept as what they are, and neither is lost.
func TestTakingBackWhatIsRevised(t *testing.T) {
	const rounds = 20
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL+"&pool_max_conns=8")
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: rounds})
	ann := w.annotator()
	outcomes := map[string]int{}
	for range rounds {
		j := w.judge(w.claim(ann), true)
		q := store.ReviewQuery{Project: w.project.ID, Judgments: []string{j.ID}}
		if n := must(s.SendBack(ctx, q, "look again", "reviewer"))(t); n != 1 {
			t.Fatal("not sent back")
		}
		id := must(s.Review(ctx, q))(t)[0].Returned.ID
		sub := w.submission(store.Assignment{ID: j.Assignment, Annotator: ann, Responses: []tandem.Response{{ID: j.Verdict.Rejected}, {ID: j.Verdict.Chosen}}})
		taken, revised := make(chan error), make(chan error)
		go func() { taken <- s.TakeBack(ctx, id, "never mind", "reviewer") }()
		go func() { _, err := s.Revise(ctx, sub, 1); revised <- err }()
		takeErr := <-taken
		if err := <-revised; err != nil {
			t.Fatalf("the revision was refused: %v", err)
		}
		if takeErr != nil && tandem.CodeOf(takeErr) != tandem.Conflict {
			t.Fatal(takeErr)
		}
		outcomes[fmt.Sprint("taken back: ", takeErr == nil)]++
		var withdrawn bool
		if err := connect(t, db.URL).QueryRow(ctx, `SELECT EXISTS (SELECT FROM returns WHERE taken_back = $1::text::bigint)`, id).Scan(&withdrawn); err != nil {
			t.Fatal(err)
		}
		if withdrawn != (takeErr == nil) {
			t.Errorf("the answer was %v, and it is taken back: %v", takeErr, withdrawn)
		}
		if left := must(s.Pieces(ctx, ann, true, store.Page{}))(t); len(left) != 0 {
			t.Errorf("still sent back: %+v", left)
		}
	}
	t.Log(outcomes)
}
