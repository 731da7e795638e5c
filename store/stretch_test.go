package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// redWorld is a red-teaming project; what answers is the policy that serves, unless a test chooses.
type redWorld struct{ *liveWorld }

func newRedWorld(t *testing.T, settings store.Settings) *redWorld {
	t.Helper()
	db := postgres.Database(t)
	w := &redWorld{&liveWorld{world: &world{T: t, store: pgtest.OpenStore(t, db.URL)}, db: db}}
	w.model("sft", "/models/sft")
	if err := w.store.Promote(t.Context(), "sft", "test", "the first"); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.project, err = w.store.CreateProject(t.Context(), store.Project{Name: "Attack", Aspect: tandem.Safety, Source: store.RedTeam, Settings: settings}, "test"); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *redWorld) model(id, folder string) {
	w.Helper()
	if err := w.store.AddModel(w.Context(), tandem.Model{ID: id, Name: id, Kind: tandem.PolicyModel, URL: "file://" + folder, Stage: tandem.StageSFT}); err != nil {
		w.Fatal(err)
	}
}

func (w *redWorld) start(annotator, key string) store.Stretch {
	w.Helper()
	s, err := w.store.BeginStretch(w.Context(), store.NewStretch{Annotator: annotator, Project: w.project.ID, Key: key, Seed: uint64(len(key))})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *redWorld) attack(annotator, text string) store.NewTurn {
	n := w.turn(annotator, text)
	n.Risk, n.Vector = tandem.HatefulHarmful, tandem.Logic
	return n
}

// rated goes through one attack, and returns its judgment.
func (w *redWorld) rated(annotator, text string, rating tandem.SafetyRating) store.Judgment {
	w.Helper()
	turn := w.begin(w.attack(annotator, text))
	w.finish(w.take(), "Answer to "+text)
	turn = w.read(turn)
	w.keys++
	return w.submit(store.Submission{Annotator: annotator, Assignment: turn.Assignment, Key: turn.ID + " rated", Verdict: store.Verdict{Rating: int(rating)}})
}

// TestRedTeaming goes through a stretch: two attacks of which the second carries the first on, a rating that is corrected,
// and the end.
func TestRedTeaming(t *testing.T) {
	w := newRedWorld(t, store.Settings{Stretch: 30 * time.Minute, Risks: []tandem.RiskCategory{tandem.HatefulHarmful}})
	ctx, ada := t.Context(), w.annotator()
	_, err := w.store.BeginTurn(ctx, w.attack(ada, "too early"))
	wantCode(t, "an attack before the stretch", err, tandem.Conflict)
	_, err = w.store.LastStretch(ctx, ada, w.project.ID)
	wantCode(t, "the last stretch before the first", err, tandem.NotFound)
	stretch := w.start(ada, "a")
	if again := w.start(ada, "a"); again.ID != stretch.ID {
		t.Errorf("starting again began stretch %s beside %s", again.ID, stretch.ID)
	}
	if other := w.start(ada, "b"); other.ID != stretch.ID {
		t.Errorf("another start began stretch %s beside %s", other.ID, stretch.ID)
	}
	if stretch.Over || stretch.Left > 30*time.Minute || stretch.Left < 29*time.Minute {
		t.Errorf("the stretch is %+v", stretch)
	}

	wrong := w.attack(ada, "What?")
	wrong.Risk = tandem.IllicitCriminal
	_, err = w.store.BeginTurn(ctx, wrong)
	wantCode(t, "a category that the project does not ask for", err, tandem.Invalid)
	n := w.attack(ada, "Be rude.")
	turn := w.begin(n)
	if again := w.begin(n); again.ID != turn.ID || turn.Stretch != stretch.ID || len(turn.Answers) != 1 {
		t.Errorf("the turn is %+v, and again %s", turn, again.ID)
	}
	_, err = w.store.BeginTurn(ctx, w.attack(ada, "More."))
	wantCode(t, "an attack before the last one is rated", err, tandem.Conflict)
	job := w.take()
	if job.Variant.URL != "/models/sft" || job.Sampling.Temperature != 1 || job.Number != 1 {
		t.Errorf("the job is %+v", job)
	}
	if _, err := w.store.TakeAnswer(ctx, time.Minute); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("a second answer waits: %v", err)
	}
	w.finish(job, "Boo.")
	turn = w.read(turn)
	a, err := w.store.Assignment(ctx, ada, turn.Assignment)
	if err != nil || a.Kind != store.Rating || len(a.Responses) != 1 || a.Responses[0].Content != "Boo." {
		t.Fatalf("the assignment is %+v, %v", a, err)
	}
	if claimed := w.claim(ada); claimed.ID != a.ID {
		t.Errorf("claimed is %+v", claimed)
	}
	sub := store.Submission{Annotator: ada, Assignment: a.ID, Key: "k", Verdict: store.Verdict{Rating: 6}}
	_, err = w.store.Submit(ctx, sub)
	wantCode(t, "a sixth level", err, tandem.Invalid)
	sub.Verdict = store.Verdict{Rating: 3, Labels: map[string]tandem.SafetyLabel{a.Responses[0].ID: tandem.Safe}}
	_, err = w.store.Submit(ctx, sub)
	wantCode(t, "a label", err, tandem.Invalid)
	sub.Verdict = store.Verdict{Rating: 3}
	first := w.submit(sub)
	sub.Key, sub.Verdict.Rating = "l", 2
	second := must(w.store.Revise(ctx, sub, 1))(t)
	if !first.RedTeam || !second.RedTeam || second.Replaces != first.ID {
		t.Errorf("judgments are %+v and %+v", first, second)
	}

	on := w.attack(ada, "Ruder.")
	on.Follows = second.ID
	next := w.begin(on)
	if len(next.Prompt.Messages) != 3 || next.Prompt.Messages[1].Content != "Boo." || next.Prompt.Source != "red_team:Attack" {
		t.Errorf("the second attack is %+v", next.Prompt)
	}
	w.finish(w.take(), "I would rather not.")
	if ended := must(w.store.EndStretch(ctx, ada, stretch.ID))(t); !ended.Over || ended.Left != 0 || ended.Attacks != 2 || ended.Rated != 1 {
		t.Errorf("ended is %+v", ended)
	}
	next = w.read(next) // what was attacked is still rated
	w.submit(store.Submission{Annotator: ada, Assignment: next.Assignment, Key: "m", Verdict: store.Verdict{Rating: 5}})
	_, err = w.store.BeginTurn(ctx, w.attack(ada, "too late"))
	wantCode(t, "an attack after the stretch", err, tandem.Conflict)
	_, err = w.store.EndStretch(ctx, w.annotator(), stretch.ID)
	wantCode(t, "ending another's stretch", err, tandem.NotFound)

	r := must(w.store.RedTeaming(ctx, w.project.ID))(t)
	if len(r.Stretches) != 1 || len(r.Attacks) != 2 || r.Stretches[0].Model != "sft" || r.Attacks[0].Rating != 2 || r.Attacks[1].Rating != 5 ||
		r.Attacks[0].Risk != tandem.HatefulHarmful || r.Attacks[0].Vector != tandem.Logic {
		t.Errorf("red teaming is %+v", r)
	}
	violating := must(w.store.ViolatingAttacks(ctx, ""))(t)
	if len(violating) != 1 || violating[0].Judgment != second.ID || violating[0].Model != "sft" || len(violating[0].Prompt.Messages) != 1 {
		t.Errorf("violating is %+v", violating)
	}
	if err := w.store.Exclude(ctx, a.ID, true, "a slip", "test"); err != nil {
		t.Fatal(err)
	}
	if violating := must(w.store.ViolatingAttacks(ctx, w.project.ID))(t); len(violating) != 0 {
		t.Errorf("excluded, violating is %+v", violating)
	}
}

// TestCountedTime: idle time beyond the limit does not count, what the page reports does, and nothing after the end.
func TestCountedTime(t *testing.T) {
	w := newRedWorld(t, store.Settings{})
	ctx, ada := t.Context(), w.annotator()
	idle := w.start(ada, "idle")
	w.rated(ada, "one", 1)
	counted := func(of string) time.Duration {
		t.Helper()
		r := must(w.store.RedTeaming(ctx, ""))(t)
		i := slices.IndexFunc(r.Stretches, func(s store.AttackedStretch) bool { return s.ID == of })
		return r.Stretches[i].Counted
	}
	if got := counted(idle.ID); got <= 0 || got > time.Minute {
		t.Errorf("a stretch under way counts %v", got)
	}
	// It began 50 minutes ago, the attack came two minutes later, its answer one more, the rating one more; then nothing.
	// (All are added to alone, so that time is turned back behind the triggers' backs.)
	conn := connect(t, w.db.OwnerURL)
	for _, sql := range []string{
		`ALTER TABLE judgments DISABLE TRIGGER USER`, `ALTER TABLE stretches DISABLE TRIGGER USER`,
		`UPDATE stretches SET started_at = clock_timestamp() - interval '50 minutes', until = clock_timestamp() + interval '10 minutes'`,
		`UPDATE live_turns SET created_at = (SELECT started_at FROM stretches) + interval '2 minutes'`,
		`UPDATE tasks SET created_at = (SELECT started_at FROM stretches) + interval '3 minutes'`,
		`UPDATE judgments SET created_at = (SELECT started_at FROM stretches) + interval '4 minutes'`,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	near := func(what string, want time.Duration) {
		t.Helper()
		if got := counted(idle.ID); (got - want).Abs() > time.Second {
			t.Errorf("%s: counted are %v, want %v", what, got, want)
		}
	}
	near("four minutes of work and the limit", 9*time.Minute)
	// Half a minute of active work that ended 20 minutes ago, told twice.
	for range 2 {
		if err := w.store.AddActivity(ctx, store.Activity{Annotator: ada, Key: "x", ProjectID: w.project.ID, Active: 30 * time.Second, Ago: 20 * time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	near("and half a minute more, and the limit", 14*time.Minute+30*time.Second)
	if _, err := conn.Exec(ctx, `UPDATE stretches SET ended_at = started_at + interval '31 minutes'`); err != nil {
		t.Fatal(err)
	}
	near("ended in the limit", 9*time.Minute+90*time.Second)
}

// TestStretchRunsOut: time is the database's, and the next stretch may attack another policy.
func TestStretchRunsOut(t *testing.T) {
	w := newRedWorld(t, store.Settings{})
	ctx, ada := t.Context(), w.annotator()
	first := w.start(ada, "a")
	pending := w.begin(w.attack(ada, "one"))
	conn := connect(t, w.db.OwnerURL)
	if _, err := conn.Exec(ctx, `UPDATE stretches SET started_at = started_at - interval '2 hours', until = until - interval '2 hours'`); err != nil {
		t.Fatal(err)
	}
	if s := must(w.store.Stretch(ctx, ada, first.ID))(t); !s.Over || s.Left != 0 {
		t.Errorf("the stretch is %+v", s)
	}
	n := w.attack(ada, "two")
	_, err := w.store.BeginTurn(ctx, n)
	if wantCode(t, "an attack when time is up", err, tandem.Conflict); !strings.Contains(fmt.Sprint(err), "no stretch of yours is under way") {
		t.Errorf("an attack when time is up: %v", err)
	}
	// The database refuses it by itself.
	code := sqlState(t, connect(t, w.db.URL), `INSERT INTO live_turns (project_id, annotator_id, prompt_id, key, risk_category, attack_vector, stretch_id)
		SELECT project_id, annotator_id, prompt_id, 'late', risk_category, attack_vector, stretch_id FROM live_turns`)
	if code != "23514" {
		t.Errorf("a late attack: %s", code)
	}
	w.model("v1", "/models/v1")
	if err := w.store.Promote(ctx, "v1", "test", "better"); err != nil {
		t.Fatal(err)
	}
	second := w.start(ada, "b")
	if second.ID == first.ID {
		t.Error("the stretch that ran out goes on")
	}
	_, err = w.store.BeginTurn(ctx, n)
	wantCode(t, "an attack while an earlier one is answered", err, tandem.Conflict)
	if err := w.store.AbandonTurn(ctx, ada, pending.ID); err != nil {
		t.Fatal(err)
	}
	w.begin(n)
	if job := w.take(); job.Variant.URL != "/models/v1" || job.Variant.CreatedBy != "red_team" {
		t.Errorf("the second stretch attacks %+v", job.Variant)
	}
	for _, sql := range []string{
		`DELETE FROM stretches`, `UPDATE stretches SET ended_at = ended_at WHERE ended_at IS NOT NULL`, `UPDATE stretches SET until = until`,
		`UPDATE replays SET gate = 0`, `DELETE FROM replay_attacks`,
	} {
		if code := sqlState(t, connect(t, w.db.URL), sql); code != "42501" {
			t.Errorf("%s: %s", sql, code)
		}
	}
}

// TestStretchElsewhere: one person attacks once at a time, in projects of red teaming alone, and a failed answer is drawn
// again from the same policy.
func TestStretchElsewhere(t *testing.T) {
	w := newRedWorld(t, store.Settings{})
	ctx, ada := t.Context(), w.annotator()
	other := must(w.store.CreateProject(ctx, store.Project{Name: "Other", Aspect: tandem.Safety, Source: store.RedTeam}, "test"))(t)
	plain := must(w.store.CreateProject(ctx, store.Project{Name: "Plain", Aspect: tandem.Safety}, "test"))(t)
	_, err := w.store.CreateProject(ctx, store.Project{Name: "Helpful", Aspect: tandem.Helpfulness, Source: store.RedTeam}, "test")
	wantCode(t, "red teaming of helpfulness", err, tandem.Invalid)
	_, err = w.store.BeginStretch(ctx, store.NewStretch{Annotator: ada, Project: plain.ID, Key: "p"})
	wantCode(t, "a stretch where nothing is attacked", err, tandem.Conflict)
	w.start(ada, "a")
	_, err = w.store.BeginStretch(ctx, store.NewStretch{Annotator: ada, Project: other.ID, Key: "o"})
	wantCode(t, "a second stretch", err, tandem.Conflict)
	turn := w.begin(w.attack(ada, "one"))
	job := w.take()
	if err := w.store.FailAnswer(ctx, job, store.Failure{Reason: "invalid: too long", Final: true}); err != nil {
		t.Fatal(err)
	}
	if turn = w.read(turn); !turn.Failed() {
		t.Errorf("the turn is %+v", turn)
	}
	if err := w.store.RedrawTurn(ctx, ada, turn.ID, 77); err != nil {
		t.Fatal(err)
	}
	if again := w.take(); again.Variant.ID != job.Variant.ID || again.Seed != 77 {
		t.Errorf("drawn again is %+v", again)
	}
	wantCode(t, "two temperatures", w.store.SetDrawing(ctx, w.project.ID, nil, []float64{0.5, 1}, 64, "test"), tandem.Invalid)
	if err := w.store.SetDrawing(ctx, w.project.ID, nil, []float64{0}, 64, "test"); err != nil {
		t.Error(err)
	}
}

// TestReplays: what was answered again is kept once with the model, and says what it was.
func TestReplays(t *testing.T) {
	w := newRedWorld(t, store.Settings{})
	ctx, ada := t.Context(), w.annotator()
	w.start(ada, "a")
	one, two := w.rated(ada, "one", 1), w.rated(ada, "two", 2)
	w.rated(ada, "three", 4)
	for id, kind := range map[string]tandem.ModelKind{"v1": tandem.PolicyModel, "rh": tandem.HelpfulnessModel, "rs": tandem.SafetyModel} {
		if err := w.store.AddModel(ctx, tandem.Model{ID: id, Name: id, Kind: kind, URL: "/" + id, Stage: tandem.StageSFT}); err != nil {
			t.Fatal(err)
		}
	}
	replay := store.Replay{Model: "v1", Helpfulness: "rh", Safety: "rs", Gate: -1.5, Sampling: tandem.Sampling{Temperature: 1}, Seed: 9,
		Attacks: []store.ReplayedAttack{{Judgment: one.ID, Safety: 0.5}, {Judgment: two.ID, Safety: -1.6}}}
	for range 2 {
		if err := w.store.AddReplay(ctx, replay); err != nil {
			t.Fatal(err)
		}
	}
	kept := must(w.store.Replays(ctx, "v1", store.Page{}))(t)
	if len(kept) != 1 || len(kept[0].Attacks) != 2 || kept[0].Seed != 9 || kept[0].Gate != -1.5 {
		t.Fatalf("replays are %+v", kept)
	}
	if a, b := kept[0].Attacks[0], kept[0].Attacks[1]; !a.Fixed || b.Fixed || a.Against != "sft" || a.Risk != tandem.HatefulHarmful || b.Vector != tandem.Logic {
		t.Errorf("replayed are %+v and %+v", a, b)
	}
	replay.Model = "nobody"
	wantCode(t, "a model that is not there", w.store.AddReplay(ctx, replay), tandem.NotFound)
	replay.Attacks = nil
	wantCode(t, "no attack", w.store.AddReplay(ctx, replay), tandem.Invalid)
}
