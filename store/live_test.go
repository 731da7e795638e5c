package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// liveWorld is a live project with variants that a test answers for.
type liveWorld struct {
	*world
	db       pgtest.Database
	variants []string // ids
}

func newLiveWorld(t *testing.T, p store.Project, variants int, temperatures ...float64) *liveWorld {
	t.Helper()
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	p.Source = store.Live
	w := &liveWorld{world: &world{T: t, store: s}, db: db}
	var err error
	if w.project, err = s.CreateProject(t.Context(), p, "test"); err != nil {
		t.Fatal(err)
	}
	for i := range variants {
		v, err := s.AddVariant(t.Context(), store.Variant{Name: fmt.Sprintf("variant %d", i), Kind: store.FolderVariant, URL: fmt.Sprintf("/models/%d", i)}, "test")
		if err != nil {
			t.Fatal(err)
		}
		w.variants = append(w.variants, v.ID)
	}
	if err := s.SetDrawing(t.Context(), w.project.ID, w.variants, temperatures, 64, "test"); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *liveWorld) turn(annotator, text string) store.NewTurn {
	w.keys++
	return store.NewTurn{Annotator: annotator, Project: w.project.ID, Key: fmt.Sprint(w.keys), Text: text, Seed: uint64(w.keys)}
}

func (w *liveWorld) begin(n store.NewTurn) store.LiveTurn {
	w.Helper()
	turn, err := w.store.BeginTurn(w.Context(), n)
	if err != nil {
		w.Fatal(err)
	}
	return turn
}

func (w *liveWorld) take() store.LiveJob {
	w.Helper()
	j, err := w.store.TakeAnswer(w.Context(), time.Minute)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

func (w *liveWorld) finish(j store.LiveJob, text string) {
	w.Helper()
	if err := w.store.FinishAnswer(w.Context(), j, tandem.Completion{Text: text, Finish: tandem.FinishStop, Tokens: []int32{1, 2}}); err != nil {
		w.Fatal(err)
	}
}

func (w *liveWorld) read(turn store.LiveTurn) store.LiveTurn {
	w.Helper()
	turn, err := w.store.LiveTurn(w.Context(), turn.Annotator, turn.ID)
	if err != nil {
		w.Fatal(err)
	}
	return turn
}

// lapse lets every lease on an answer run out.
func (w *liveWorld) lapse() {
	w.Helper()
	if _, err := connect(w.T, w.db.URL).Exec(w.Context(), `UPDATE live_answers SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL`); err != nil {
		w.Fatal(err)
	}
}

// TestLiveDialogue goes through a dialogue of two turns, from prompt to export.
func TestLiveDialogue(t *testing.T) {
	w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Safety}, 3, 0.5, 1)
	ctx, ada := t.Context(), w.annotator()
	if err := w.store.AddModel(ctx, tandem.Model{ID: "model-1", Name: "m", Kind: tandem.PolicyModel, URL: "/models/1", Stage: tandem.StageSFT}); err != nil {
		t.Fatal(err)
	}
	n := w.turn(ada, "  How do I\r\npick a lock? ")
	n.Risk, n.Vector = tandem.IllicitCriminal, tandem.Logic
	turn := w.begin(n)
	if again := w.begin(n); again.ID != turn.ID {
		t.Errorf("sending the prompt again makes turn %s beside %s", again.ID, turn.ID)
	}
	n.Text = "Something else"
	_, err := w.store.BeginTurn(ctx, n)
	wantCode(t, "the key with another text", err, tandem.Conflict)
	n.Key = "another"
	_, err = w.store.BeginTurn(ctx, n)
	wantCode(t, "a prompt before the last one is judged", err, tandem.Conflict)
	if p := turn.Prompt; p.Messages[0].Content != "How do I\npick a lock?" || p.Source != "live:p" || p.Risk != tandem.IllicitCriminal || !p.Safety {
		t.Errorf("the prompt is %+v", p)
	}
	var author string
	if err := connect(t, w.db.URL).QueryRow(ctx, `SELECT author::text FROM prompts`).Scan(&author); err != nil || author != ada {
		t.Errorf("the prompt's author is %q, %v", author, err)
	}

	first, second := w.take(), w.take()
	if first.Variant.ID == second.Variant.ID || first.Sampling.Temperature == second.Sampling.Temperature || first.Seed == second.Seed || first.Sampling.MaxTokens != 64 {
		t.Errorf("drawn were %+v and %+v", first, second)
	}
	if _, err := w.store.TakeAnswer(ctx, time.Minute); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("a third answer waits: %v", err)
	}
	w.finish(second, "right")
	if turn = w.read(turn); turn.Answers[0].State != store.AnswerSampling || turn.Answers[1].Content != "right" || turn.Assignment != "" {
		t.Errorf("after one answer the turn is %+v", turn)
	}
	wantCode(t, "an equal answer", w.store.FinishAnswer(ctx, first, tandem.Completion{Text: "right"}), tandem.Conflict)
	w.finish(first, "left")
	turn = w.read(turn)
	assignment, err := w.store.Assignment(ctx, ada, turn.Assignment)
	if err != nil || assignment.Responses[0].Content != "left" || assignment.Responses[1].Content != "right" || assignment.Until.IsZero() {
		t.Fatalf("the assignment is %+v, %v", assignment, err)
	}
	if pending, err := w.store.PendingTurn(ctx, ada, w.project.ID); err != nil || pending.ID != turn.ID {
		t.Errorf("pending is %+v, %v", pending, err)
	}

	sub := w.submission(assignment)
	sub.Verdict.Labels = map[string]tandem.SafetyLabel{assignment.Responses[0].ID: tandem.Safe, assignment.Responses[1].ID: tandem.Unsafe}
	judgment := w.submit(sub)
	_, err = w.store.PendingTurn(ctx, ada, w.project.ID)
	wantCode(t, "pending after the judgment", err, tandem.NotFound)
	n = w.turn(ada, "And then?")
	n.Risk, n.Vector, n.Follows = tandem.IllicitCriminal, tandem.Perspective, judgment.ID
	next := w.begin(n)
	want := tandem.Dialogue{{Role: tandem.User, Content: "How do I\npick a lock?"}, {Role: tandem.Assistant, Content: "left"}, {Role: tandem.User, Content: "And then?"}}
	if fmt.Sprint(next.Prompt.Messages) != fmt.Sprint(want) || next.Prompt.HeldOut != turn.Prompt.HeldOut || next.Follows != judgment.ID {
		t.Errorf("carried on it is %+v", next)
	}
	if err := w.store.AbandonTurn(ctx, ada, next.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Revise(ctx, withKey(sub, "revised"), 1); err != nil {
		t.Fatal(err)
	}
	n.Key = "after the revision"
	_, err = w.store.BeginTurn(ctx, n)
	wantCode(t, "going on from a judgment that was revised", err, tandem.Conflict)

	// The answer of the registered folder names its model, the other its variant.
	rows, err := connect(t, w.db.URL).Query(ctx, `SELECT coalesce(model_id, ''), origin FROM responses`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var model, origin string
		if err := rows.Scan(&model, &origin); err != nil {
			t.Fatal(err)
		}
		if (model == "model-1") != (origin == "") || origin != "" && !strings.HasPrefix(origin, "variant:variant ") {
			t.Errorf("a response has the model %q and the origin %q", model, origin)
		}
	}
}

func withKey(sub store.Submission, key string) store.Submission {
	sub.Key = key
	return sub
}

func TestPromptsThatAreRefused(t *testing.T) {
	w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Helpfulness}, 1, 0.5, 1)
	ctx, ada := t.Context(), w.annotator()
	for words, change := range map[string]struct {
		code   tandem.Code
		change func(*store.NewTurn)
	}{
		"the prompt is empty":                {tandem.Invalid, func(n *store.NewTurn) { n.Text = " \n" }},
		"8001 characters, and 8000":          {tandem.Invalid, func(n *store.NewTurn) { n.Text = strings.Repeat("ö", 8001) }},
		"NUL":                                {tandem.Invalid, func(n *store.NewTurn) { n.Text = "a\x00b" }},
		"no idempotency key":                 {tandem.Invalid, func(n *store.NewTurn) { n.Key = "" }},
		"only a safety project's prompts":    {tandem.Invalid, func(n *store.NewTurn) { n.Risk = tandem.HatefulHarmful }},
		"there is no project":                {tandem.NotFound, func(n *store.NewTurn) { n.Project = "99" }},
		"there is no annotator":              {tandem.NotFound, func(n *store.NewTurn) { n.Annotator = "nobody" }},
		"there is no judgment to go on":      {tandem.NotFound, func(n *store.NewTurn) { n.Follows = "99" }},
		"there is no judgment \"elsewhere\"": {tandem.NotFound, func(n *store.NewTurn) { n.Follows = "elsewhere" }},
	} {
		n := w.turn(ada, "Hello?")
		change.change(&n)
		_, err := w.store.BeginTurn(ctx, n)
		if tandem.CodeOf(err) != change.code || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if err := w.store.RetireVariant(ctx, w.variants[0], "test"); err != nil {
		t.Fatal(err)
	}
	_, err := w.store.BeginTurn(ctx, w.turn(ada, "Hello?"))
	wantCode(t, "no variant", err, tandem.Conflict)
	if err := w.store.CloseProject(ctx, w.project.ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.store.BeginTurn(ctx, w.turn(ada, "Hello?"))
	wantCode(t, "a closed project", err, tandem.Conflict)

	safety := newLiveWorld(t, store.Project{Name: "s", Aspect: tandem.Safety}, 1, 1)
	n := safety.turn(safety.annotator(), "Hello?")
	_, err = safety.store.BeginTurn(ctx, n)
	if wantCode(t, "no risk category", err, tandem.Invalid); !strings.Contains(err.Error(), "risk category") {
		t.Error(err)
	}
	n.Risk = tandem.HatefulHarmful
	_, err = safety.store.BeginTurn(ctx, n)
	if wantCode(t, "no attack vector", err, tandem.Invalid); !strings.Contains(err.Error(), "attack vector") {
		t.Error(err)
	}
	n.Vector = "cunning"
	_, err = safety.store.BeginTurn(ctx, n)
	wantCode(t, "an unknown attack vector", err, tandem.Invalid)
}

// TestSamplingQueue holds the order of answers and what becomes of those whose server dies or whose try fails.
func TestSamplingQueue(t *testing.T) {
	w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Helpfulness}, 2, 0.5, 1)
	ctx := t.Context()
	var turns []store.LiveTurn
	for i := range 3 {
		turns = append(turns, w.begin(w.turn(w.annotator(), fmt.Sprintf("Question %d?", i))))
	}
	if got := w.read(turns[2]); got.Ahead != 4 || got.Answers[0].State != store.AnswerWaiting {
		t.Errorf("the third turn is %+v", got)
	}
	first := w.take()
	if w.take().Turn != turns[0].ID || w.take().Turn != turns[1].ID || first.Turn != turns[0].ID {
		t.Error("answers are not taken in the order in which they were asked for")
	}
	renewed, err := w.store.RenewAnswer(ctx, first, time.Hour)
	if err != nil || !renewed.Until.After(first.Until) {
		t.Errorf("renewed until %v, %v", renewed.Until, err)
	}
	w.lapse() // the server died
	taken := w.take()
	if taken.Turn != turns[0].ID || taken.Number != 1 || taken.Failures != 1 || taken.Seed != first.Seed {
		t.Errorf("taken over was %+v", taken)
	}
	for what, err := range map[string]error{
		"renewing":  errOf(w.store.RenewAnswer(ctx, renewed, time.Hour)),
		"finishing": w.store.FinishAnswer(ctx, renewed, tandem.Completion{Text: "late"}),
		"failing":   w.store.FailAnswer(ctx, renewed, store.Failure{Reason: "late"}),
		"releasing": w.store.ReleaseAnswer(ctx, renewed),
	} {
		wantCode(t, what+" what another took over", err, tandem.Stale)
	}
	if err := w.store.ReleaseAnswer(ctx, taken); err != nil {
		t.Fatal(err)
	}
	if taken = w.take(); taken.Number != 1 || taken.Failures != 1 {
		t.Errorf("after a release %+v is taken", taken)
	}
	if err := w.store.FailAnswer(ctx, taken, store.Failure{Reason: "unavailable: it hangs", Pause: time.Hour, Seed: 7}); err != nil {
		t.Fatal(err)
	}
	if got := w.read(turns[0]).Answers[0]; got.State != store.AnswerWaiting || got.Error == "" {
		t.Errorf("before the last try it is %+v", got)
	}
	if next := w.take(); next.Turn != turns[0].ID || next.Number != 2 {
		t.Errorf("%+v is taken while the first pauses", next)
	}
	w.lapse()
	taken = w.take()
	if taken.Number != 1 || taken.Failures != 2 || taken.Seed != 7 {
		t.Errorf("the last try is %+v", taken)
	}
	if err := w.store.FailAnswer(ctx, taken, store.Failure{Reason: "unavailable: it hangs"}); err != nil {
		t.Fatal(err)
	}
	got := w.read(turns[0])
	if !got.Failed() {
		t.Errorf("after all tries the turn is %+v", got)
	}
	if got := w.read(turns[1]); got.Ahead != 1 {
		t.Errorf("%d answers are before the second turn, want the other one of the first", got.Ahead)
	}

	// Another draw avoids what failed, keeps what did not, and waits again.
	other := w.take()
	if err := w.store.RedrawTurn(ctx, turns[0].Annotator, turns[0].ID, 99); err != nil {
		t.Fatal(err)
	}
	again := w.take()
	if again.Turn != turns[0].ID || again.Number != 1 || again.Variant.ID == other.Variant.ID || again.Failures != 0 || again.Sampling.Temperature == other.Sampling.Temperature {
		t.Errorf("drawn anew was %+v beside %+v", again, other)
	}
	if err := w.store.FailAnswer(ctx, again, store.Failure{Reason: "invalid: no", Final: true}); err != nil {
		t.Fatal(err)
	}
	if !w.read(turns[0]).Failed() {
		t.Error("a final failure is tried again")
	}
	if err := w.store.AbandonTurn(ctx, turns[0].Annotator, turns[0].ID); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "finishing for a turn that was given up", w.store.FinishAnswer(ctx, other, tandem.Completion{Text: "late"}), tandem.Stale)
	_, err = w.store.RenewAnswer(ctx, other, time.Minute)
	wantCode(t, "renewing for a turn that was given up", err, tandem.Stale)
	wantCode(t, "a new draw for a turn that was given up", w.store.RedrawTurn(ctx, turns[0].Annotator, turns[0].ID, 1), tandem.Conflict)
	wantCode(t, "another's turn", w.store.AbandonTurn(ctx, turns[1].Annotator, turns[2].ID), tandem.NotFound)
	_, err = w.store.LiveTurn(ctx, turns[1].Annotator, turns[2].ID)
	wantCode(t, "reading another's turn", err, tandem.NotFound)
}

// TestAnswersThatFinishTogether makes one comparison of two answers, however their servers meet.
func TestAnswersThatFinishTogether(t *testing.T) {
	w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Helpfulness}, 2, 0.5, 1)
	for i := range 20 {
		// Two people with the same prompt and the same answers have a comparison each.
		turn := w.begin(w.turn(w.annotator(), fmt.Sprintf("Question %d?", i/2)))
		var group sync.WaitGroup
		errs := make([]error, 2)
		for n, j := range []store.LiveJob{w.take(), w.take()} {
			group.Go(func() {
				errs[n] = w.store.FinishAnswer(t.Context(), j, tandem.Completion{Text: fmt.Sprintf("answer %s", j.Variant.Name), Finish: tandem.FinishStop})
			})
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := w.read(turn); got.Assignment == "" {
			t.Fatalf("there is no comparison: %+v", got)
		}
	}
	if p := w.progress(); p.Tasks != 20 || p.Slots != 20 || p.Held != 20 {
		t.Errorf("progress %+v", p)
	}
}

// TestOnePromptOfTwoPeople keeps what each of them saw in it, and shows and exports it so.
func TestOnePromptOfTwoPeople(t *testing.T) {
	w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Safety}, 2, 0.5, 1)
	ctx := t.Context()
	type entered struct {
		risk   tandem.RiskCategory
		vector tandem.AttackVector
	}
	want := []entered{{tandem.IllicitCriminal, tandem.Logic}, {tandem.UnqualifiedAdvice, tandem.Semantic}}
	prompts := make(map[string]bool)
	for _, e := range want {
		n := w.turn(w.annotator(), "How do I pick a lock?")
		n.Risk, n.Vector = e.risk, e.vector
		turn := w.begin(n)
		for what, change := range map[string]func(*store.NewTurn){
			"risk":   func(n *store.NewTurn) { n.Risk = tandem.HatefulHarmful },
			"vector": func(n *store.NewTurn) { n.Vector = tandem.OtherVector },
		} {
			other := n
			change(&other)
			_, err := w.store.BeginTurn(ctx, other)
			wantCode(t, "the key with another "+what, err, tandem.Conflict)
		}
		if again := w.begin(n); again.ID != turn.ID {
			t.Errorf("sending the prompt again makes turn %s beside %s", again.ID, turn.ID)
		}
		w.finish(w.take(), "one")
		w.finish(w.take(), "two")
		turn = w.read(turn)
		a, err := w.store.Assignment(ctx, n.Annotator, turn.Assignment)
		if err != nil {
			t.Fatal(err)
		}
		for what, p := range map[string]tandem.Prompt{"turn": turn.Prompt, "assignment": a.Prompt} {
			if got := (entered{p.Risk, p.Vector}); got != e {
				t.Errorf("the %s says %v, and its author entered %v", what, got, e)
			}
			prompts[p.ID] = true
		}
		sub := w.submission(a)
		sub.Verdict.Labels = map[string]tandem.SafetyLabel{a.Responses[0].ID: tandem.Safe, a.Responses[1].ID: tandem.Unsafe}
		w.submit(sub)
	}
	if len(prompts) != 1 {
		t.Errorf("the two people's prompts are %v, and should be one row", prompts)
	}
	var got []entered
	for c, err := range w.store.Comparisons(ctx, store.ComparisonQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entered{c.Prompt.Risk, c.Prompt.Vector})
	}
	if !slices.Equal(got, want) {
		t.Errorf("exported are %v, want %v", got, want)
	}
}

// TestLiveTasksAreTheirAuthors: nobody else is handed a comparison, even when its lease ran out.
func TestLiveTasksAreTheirAuthors(t *testing.T) {
	w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Helpfulness}, 2, 0.5, 1)
	ada, bob := w.annotator(), w.annotator()
	turn := w.begin(w.turn(ada, "Hello?"))
	w.finish(w.take(), "one")
	w.finish(w.take(), "two")
	w.expire(w.db)
	if c, err := w.store.Claim(t.Context(), bob, w.project.ID); err != nil || c.Assignment != nil || !c.HeldUntil.IsZero() {
		t.Errorf("somebody else claims %+v, %v", c, err)
	}
	if held := w.claim(ada); held.ID != w.read(turn).Assignment {
		t.Errorf("its author claims %+v", held)
	}
}

func TestDraw(t *testing.T) {
	for _, c := range []struct {
		variants, temperatures int
		two, warm              bool // different variants, different temperatures
	}{{2, 2, true, true}, {5, 3, true, true}, {1, 2, false, true}, {2, 1, true, false}, {1, 1, false, false}} {
		w := newLiveWorld(t, store.Project{Name: "p", Aspect: tandem.Helpfulness}, c.variants, []float64{0.3, 0.7, 1.1}[:c.temperatures]...)
		lefts := make(map[string]bool)
		for i := range 16 {
			w.begin(w.turn(w.annotator(), fmt.Sprintf("Question %d?", i)))
			left, right := w.take(), w.take()
			lefts[fmt.Sprint(left.Variant.ID, left.Sampling.Temperature)] = true
			if (left.Variant.ID != right.Variant.ID) != c.two || (left.Sampling.Temperature != right.Sampling.Temperature) != c.warm || left.Key() == right.Key() {
				t.Errorf("of %d variants and %d temperatures %+v and %+v are drawn", c.variants, c.temperatures, left, right)
			}
		}
		if c.variants*c.temperatures > 1 && len(lefts) < 2 {
			t.Errorf("of %d variants and %d temperatures the left is always %v", c.variants, c.temperatures, lefts)
		}
	}
}
