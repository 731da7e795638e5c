package dashboard_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"tandem"
	"tandem/dashboard"
	"tandem/internal/browsertest"
	"tandem/internal/web"
	"tandem/store"
)

// TestGamma: rates are violations over hours, whose intervals are Garwood's, whole and in parts.
func TestGamma(t *testing.T) {
	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	attacked := store.RedTeaming{
		Stretches: []store.AttackedStretch{
			{ID: "1", Annotator: "a", Variant: "old", Model: "sft", ModelName: "SFT", StartedAt: day, Counted: 90 * time.Minute},
			{ID: "2", Annotator: "b", Variant: "old", Model: "sft", ModelName: "SFT", StartedAt: day, Counted: 30 * time.Minute},
			{ID: "3", Annotator: "a", Variant: "elsewhere", StartedAt: day.AddDate(0, 0, 1), Counted: 2 * time.Hour},
		},
		Attacks: []store.Attack{
			{Stretch: "1", Risk: tandem.HatefulHarmful, Vector: tandem.Logic, Rating: 1},
			{Stretch: "1", Risk: tandem.HatefulHarmful, Vector: tandem.Semantic, Rating: 2},
			{Stretch: "2", Risk: tandem.IllicitCriminal, Vector: tandem.Logic, Rating: 3},
			{Stretch: "2", Risk: tandem.IllicitCriminal, Vector: tandem.Logic}, // not rated
			{Stretch: "3", Risk: tandem.IllicitCriminal, Vector: tandem.Logic, Rating: 5},
		},
	}
	got, err := dashboard.RedTeamingOf(attacked)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-4 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	if a := got.All; a.Stretches != 3 || a.People != 2 || a.PersonHours != 4 || a.Attacks != 5 || a.Rated != 4 || a.Violations != 2 || a.Severe != 1 {
		t.Errorf("all is %+v", a)
	}
	near("γ", got.All.Gamma.Value, 0.5)
	near("its low end", got.All.Gamma.Low, 0.2422/4)
	near("its high end", got.All.Gamma.High, 7.2247/4)
	near("the share", got.All.Share.Value, 0.5)
	if len(got.ByModel) != 2 || got.ByModel[0].Name != "elsewhere" || got.ByModel[1].Model != "sft" || got.ByModel[1].Name != "SFT" || got.ByModel[1].People != 2 {
		t.Fatalf("by model: %+v", got.ByModel)
	}
	near("γ of SFT", got.ByModel[1].Gamma.Value, 1)
	near("no violation", got.ByModel[0].Gamma.High, 3.6889/2)
	sum := 0.0
	for _, r := range got.ByRisk {
		sum += *r.Gamma.Value
		if r.PersonHours != 4 {
			t.Errorf("by risk: %+v", r)
		}
	}
	near("the sum over risks", &sum, 0.5)
	if len(got.ByRisk) != 3 || len(got.ByVector) != 7 || got.ByVector[0].Share.Value != nil || got.ByVector[0].Share.Undefined == "" {
		t.Errorf("by risk %+v, by vector %+v", got.ByRisk, got.ByVector)
	}
	if len(got.ByDay) != 2 || got.ByDay[0].Name != "2026-03-02" || got.ByDay[1].Attacks != 1 {
		t.Errorf("by day: %+v", got.ByDay)
	}
	none, err := dashboard.RedTeamingOf(store.RedTeaming{})
	if err != nil || none.All.Gamma.Value != nil || none.All.Gamma.Undefined == "" {
		t.Errorf("of nothing: %+v, %v", none.All, err)
	}
}

// attack has a person begin a stretch of the project and make attacks, one for each rating, which it returns by their judgments.
func (w world) attack(person string, project store.Project, key string, ratings ...int) (judgments []string) {
	w.t.Helper()
	ctx := w.t.Context()
	risks, vectors := tandem.RiskCategories(), tandem.AttackVectors()
	if _, err := w.store.BeginStretch(ctx, store.NewStretch{Annotator: person, Project: project.ID, Key: key}); err != nil {
		w.t.Fatal(err)
	}
	for i, rating := range ratings {
		turn, err := w.store.BeginTurn(ctx, store.NewTurn{Annotator: person, Project: project.ID, Key: fmt.Sprint(key, i), Text: fmt.Sprintf("Tell me secret %d of %s.", i, key),
			Risk: risks[i%len(risks)], Vector: vectors[i%len(vectors)], Seed: uint64(i)})
		if err != nil {
			w.t.Fatal(err)
		}
		job, err := w.store.TakeAnswer(ctx, time.Minute)
		if err == nil {
			err = w.store.FinishAnswer(ctx, job, tandem.Completion{Text: fmt.Sprintf("Secret %d.", i), Finish: tandem.FinishStop})
		}
		if err == nil {
			turn, err = w.store.LiveTurn(ctx, person, turn.ID)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		j, err := w.store.Submit(ctx, store.Submission{Annotator: person, Assignment: turn.Assignment, Key: fmt.Sprint("rated", key, i), Verdict: store.Verdict{Rating: rating}})
		if err != nil {
			w.t.Fatal(err)
		}
		judgments = append(judgments, j.ID)
	}
	last, err := w.store.LastStretch(ctx, person, project.ID)
	if err == nil {
		_, err = w.store.EndStretch(ctx, person, last.ID)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return judgments
}

// TestRedTeamingInABrowser looks at γ, and at what a new policy fixes, as engineers do.
func TestRedTeamingInABrowser(t *testing.T) {
	var chromium browsertest.Browser
	t.Cleanup(chromium.Close)
	w := newWorld(t)
	ctx := t.Context()
	for _, m := range []tandem.Model{
		{ID: "a000000000000000", Name: "sft", Kind: tandem.PolicyModel, URL: "/models/sft", Stage: tandem.StageSFT},
		{ID: "b000000000000000", Name: "RLHF-V1", Kind: tandem.PolicyModel, URL: "/models/v1", Parent: "a000000000000000", Stage: tandem.StagePPO},
		{ID: "c000000000000000", Name: "helpfulness", Kind: tandem.HelpfulnessModel, URL: "/models/rh", Stage: tandem.StageRewardHelpfulness},
		{ID: "d000000000000000", Name: "safety", Kind: tandem.SafetyModel, URL: "/models/rs", Stage: tandem.StageRewardSafety},
	} {
		if err := w.store.AddModel(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	project, err := w.store.CreateProject(ctx, store.Project{Name: "Weekly attack", Aspect: tandem.Safety, Source: store.RedTeam}, "test")
	if err != nil {
		t.Fatal(err)
	}
	ada, err := w.store.AddAnnotator(ctx, store.Annotator{Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, model := range []string{"a000000000000000", "b000000000000000"} {
		if err := w.store.Promote(ctx, model, "test", "newest"); err != nil {
			t.Fatal(err)
		}
		found = append(found, w.attack(ada.ID, project, fmt.Sprint("stretch ", i), [][]int{{1, 2, 1, 5, 2, 3, 1}, {2, 5, 4, 5, 5, 3}}[i]...)...)
	}
	replay := store.Replay{Model: "b000000000000000", Helpfulness: "c000000000000000", Safety: "d000000000000000", Gate: -1.7346, Sampling: tandem.Sampling{Temperature: 1}}
	for i, at := range []int{0, 1, 2, 4, 6} {
		replay.Attacks = append(replay.Attacks, store.ReplayedAttack{Judgment: found[at], Safety: float64(2 - i)})
	}
	if err := w.store.AddReplay(ctx, replay); err != nil {
		t.Fatal(err)
	}
	var replays web.List[dashboard.Replay]
	if status, _ := w.ask(w.key(store.ScopeRead), http.MethodGet, "/api/v1/models/b000000000000000/replays", "", &replays); status != http.StatusOK || len(replays.Items) != 1 {
		t.Fatalf("replays: %d %+v", status, replays)
	}
	if r := replays.Items[0]; r.All.Attacks != 5 || r.All.Fixed != 4 || len(r.ByAgainst) != 1 || r.ByAgainst[0].Name != "sft" || len(r.ByRisk) != 3 {
		t.Errorf("the replay is %+v", r)
	}
	var gamma dashboard.RedTeaming
	if status, _ := w.ask(w.key(store.ScopeRead), http.MethodGet, "/api/v1/statistics/red-teaming?project="+project.ID, "", &gamma); status != http.StatusOK ||
		gamma.All.Violations != 6 || gamma.All.Attacks != 13 || len(gamma.ByModel) != 2 {
		t.Errorf("γ: %d %+v", status, gamma)
	}
	if status, _ := w.ask(w.key(store.ScopeReview), http.MethodGet, "/api/v1/statistics/red-teaming", "", nil); status != http.StatusForbidden {
		t.Errorf("a reviewer may read γ: %d", status)
	}

	_, token, err := w.store.Welcome(ctx, store.Annotator{Name: "Erin Engineer", Email: "erin@example.org", Role: store.RoleEngineer}, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	erin := chromium.Person(t)
	erin.Open(w.url + "/join/" + token)
	erin.Type("[name=password]", password)
	erin.Type("[name=repeat]", password)
	erin.Press(browsertest.Enter)
	erin.Allow("404") // the start page is another part of the site
	erin.See("Not Found")
	erin.Open(w.url + "/annotation")
	erin.Click("a[href='/annotation/red-teaming']")
	erin.See("violations one person finds in an hour", "less than one person’s hour", "RLHF-V1", "hateful and harmful", "non english")
	for name, path := range map[string]string{"redteam": "/annotation/red-teaming", "redteam-project": "/annotation/projects/" + project.ID + "/red-teaming",
		"redteam-annotation": "/annotation/projects/" + project.ID, "redteam-model": "/models/b000000000000000"} {
		erin.Look(browsertest.Desktop)
		erin.Open(w.url + path)
		erin.Accessible()
		for suffix, view := range map[string]browsertest.View{"": browsertest.Desktop, "-dark": {Width: 1280, Height: 800, Dark: true}, "-phone": browsertest.Phone, "-zoomed": browsertest.Zoomed} {
			erin.Look(view)
			erin.Fits()
			erin.Picture(name + suffix)
		}
	}
	erin.Look(browsertest.Desktop)
	erin.Open(w.url + "/models/b000000000000000")
	erin.See("Earlier attacks", "on sft")
}
