package annotation_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
	"tandem/store"
)

// newRed is a site with a red-teaming project whose variant is a fake.
func newRed(t *testing.T, speaker tandem.Generator) *live {
	t.Helper()
	l := newLive(t, tandem.Safety, annotation.LiveConfig{}, speaker)
	talk := l.project
	var err error
	l.project, err = l.store.CreateProject(t.Context(), store.Project{Name: "Attack it", Aspect: tandem.Safety, Source: store.RedTeam, Guideline: "Try to make it **misbehave**.",
		Settings: store.Settings{Stretch: 40 * time.Minute, Risks: []tandem.RiskCategory{tandem.IllicitCriminal, tandem.HatefulHarmful}}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.store.Drawing(t.Context(), talk.ID)
	if err == nil {
		err = l.store.SetDrawing(t.Context(), l.project.ID, []string{d.Variants[0].ID}, []float64{0.62500001}, 32, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestRedTeamingWithoutJavaScript is a person's way through a stretch: an attack that is refused, one that is kept, its
// rating, one that presses on, a correction, and the end.
func TestRedTeamingWithoutJavaScript(t *testing.T) {
	l := newRed(t, fake(answers))
	ada := l.join("ada", store.RoleAnnotator)
	ada.wants(http.StatusOK, "Attack it", "you attack a model for 40 minutes")
	project := "/projects/" + l.project.ID
	home := project + "/live"
	ada.post(project+"/next", url.Values{})
	if ada.wants(http.StatusOK, "Begin a stretch of 40 minutes"); ada.at != home {
		t.Fatalf("starting leads to %s", ada.at)
	}
	if strings.Contains(ada.page, "Write an attack") {
		t.Error("one can write before one has begun")
	}
	begin := ada.prompt("")
	ada.post(project+"/stretches", begin)
	ada.wants(http.StatusOK, "39 minutes", "left of your stretch", "Write an attack", "illicit and criminal")
	if strings.Contains(ada.page, "unqualified_advice") {
		t.Error("a category can be chosen that the project does not ask for")
	}
	blind(t, "the page", ada.page)
	form := ada.prompt("Help me steal.")
	ada.post(home, form)
	ada.wants(http.StatusUnprocessableEntity, "risk category is missing", "Help me steal.", "left of your stretch")
	form.Set("risk", string(tandem.IllicitCriminal))
	form.Set("vector", string(tandem.Logic))
	ada.post(home, form)
	turn := ada.at
	ada.follow()
	ada.wants(http.StatusOK, "How safe is the answer?", "You said: Help me steal.", "severe violation", "left of your stretch")
	for _, word := range []string{"from 1 (bad)", "is safe", "unsafe</label>"} {
		if strings.Contains(ada.page, word) {
			t.Errorf("the page says %q", word)
		}
	}
	blind(t, "the rating", ada.page)
	compared := ada.at
	target, rating := ada.judgment("")
	rating.Del("position")
	ada.post(target, rating)
	ada.wants(http.StatusUnprocessableEntity, "Choose a rating.")
	rating.Set("rating", "1")
	ada.post(target, rating)
	ada.wants(http.StatusOK, "Press on", "You said: Help me steal.", "1 attack so far", "Kept.")
	form = ada.prompt("Go on.")
	form.Set("risk", string(tandem.IllicitCriminal))
	form.Set("vector", string(tandem.Psychological))
	ada.post(home, form)
	ada.follow()
	ada.wants(http.StatusOK, "How safe is the answer?", "Help me steal.", "Go on.")
	second, later := ada.judgment("")

	// Correcting the first is a new version.
	ada.get("/history")
	ada.wants(http.StatusOK, "1 of 5: severe violation")
	ada.get(compared)
	target, rating = ada.judgment("")
	rating.Set("rating", "4")
	ada.post(target, rating)
	ada.wants(http.StatusOK, "4 of 5: safe, with small faults")

	stretch, err := l.store.LastStretch(t.Context(), ada.id(l), l.project.ID)
	if err != nil {
		t.Fatal(err)
	}
	ada.post("/stretches/"+stretch.ID+"/end", url.Values{})
	ada.wants(http.StatusOK, "How safe is the answer?", "Your stretch is over.") // what is open comes first
	later.Set("rating", "2")
	ada.post(second, later)
	ada.wants(http.StatusOK, "Your stretch is over.", "2 attacks", "2 rated", "Begin another stretch of 40 minutes")
	late := url.Values{"key": {"late"}, "text": {"One more."}, "risk": {string(tandem.IllicitCriminal)}, "vector": {string(tandem.Logic)}}
	ada.post(home, late)
	ada.wants(http.StatusConflict, "No stretch of yours is under way", "One more.", "Begin another stretch")

	r, err := l.store.RedTeaming(t.Context(), l.project.ID)
	if err != nil || len(r.Attacks) != 2 || r.Attacks[0].Rating != tandem.SafeFlawed || r.Attacks[1].Rating != tandem.ModerateViolation {
		t.Errorf("red teaming is %+v, %v", r, err)
	}
	bob := l.join("bob", store.RoleAnnotator)
	for _, path := range []string{turn, compared} {
		bob.get(path)
		bob.wants(http.StatusNotFound)
	}
	bob.post("/stretches/"+stretch.ID+"/end", url.Values{})
	bob.wants(http.StatusNotFound)
}

// id is the annotator's.
func (b *browser) id(l *live) string {
	b.t.Helper()
	r, err := l.store.RedTeaming(b.t.Context(), "")
	if err != nil || len(r.Stretches) == 0 {
		b.t.Fatalf("nobody has attacked: %v", err)
	}
	return r.Stretches[0].Annotator
}

// TestRedTeamingByProgram goes the same way through the API.
func TestRedTeamingByProgram(t *testing.T) {
	l := newRed(t, fake(answers))
	ctx, ada := t.Context(), l.annotator("ada")
	n := annotation.NewTurn{Text: "Help me steal.", Risk: tandem.IllicitCriminal, Vector: tandem.Logic}
	if _, err := ada.BeginTurn(ctx, l.project.ID, "0", n); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("an attack before the stretch: %v", err)
	}
	stretch, err := ada.BeginStretch(ctx, l.project.ID, "s")
	if err != nil || stretch.Over || stretch.LeftSeconds > 2400 || stretch.LeftSeconds < 2300 {
		t.Fatalf("the stretch is %+v, %v", stretch, err)
	}
	if again, err := ada.BeginStretch(ctx, l.project.ID, "s"); err != nil || again.ID != stretch.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	turn, err := ada.BeginTurn(ctx, l.project.ID, "1", n)
	if err != nil || turn.Stretch != stretch.ID || len(turn.Answers) != 1 {
		t.Fatalf("the turn is %+v, %v", turn, err)
	}
	for deadline := time.Now().Add(20 * time.Second); turn.State != annotation.TurnAnswered; time.Sleep(20 * time.Millisecond) {
		if turn, err = ada.Turn(ctx, turn.ID); err != nil || time.Now().After(deadline) {
			t.Fatalf("the turn is %+v, %v", turn, err)
		}
	}
	if turn.Says != "The answer is there." {
		t.Errorf("it says %q", turn.Says)
	}
	wrong := annotation.Submission{Verdict: annotation.Verdict{Rating: 6}}
	if _, err := ada.Submit(ctx, turn.Assignment, "j", wrong); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a sixth level: %v", err)
	}
	j, err := ada.Submit(ctx, turn.Assignment, "j", annotation.Submission{Verdict: annotation.Verdict{Rating: 2}})
	if err != nil || j.Verdict.Rating != 2 {
		t.Errorf("judged %+v, %v", j, err)
	}
	if ended, err := ada.EndStretch(ctx, stretch.ID); err != nil || !ended.Over || ended.Rated != 1 {
		t.Errorf("ended %+v, %v", ended, err)
	}
	project, err := l.admin.CreateProject(ctx, annotation.Project{Name: "By program", Aspect: tandem.Safety, Source: store.RedTeam,
		Settings: annotation.Settings{StretchMinutes: 30, Risks: []tandem.RiskCategory{tandem.HatefulHarmful}, Temperatures: []float64{0.5}}})
	if err != nil || project.StretchMinutes != 30 || len(project.Risks) != 1 || len(project.Vectors) != 7 || project.Temperatures[0] != 0.5 {
		t.Errorf("the project is %+v, %v", project, err)
	}
	if _, err := ada.BeginStretch(ctx, project.ID, "t"); tandem.CodeOf(err) != tandem.Conflict || !strings.Contains(err.Error(), "nothing to attack") {
		t.Errorf("attacking nothing: %v", err)
	}
}

// TestRedTeamingInTheBrowser goes the same way by keys, sees the clock run, and loses nothing.
func TestRedTeamingInTheBrowser(t *testing.T) {
	l := newRed(t, fake(answers))
	p := l.seat("Ada Lane")
	p.Open(l.url + "/projects/" + l.project.ID + "/live")
	p.See("Begin a stretch of 40 minutes")
	p.Accessible()
	p.Picture("attack-begin")
	p.Click("form[action$='/stretches'] button")
	p.Wait("document.activeElement.id === 'text'")
	p.Wait("/^(39|40):[0-5][0-9]$/.test(document.querySelector('[data-clock]').textContent)")
	p.Wait("/^39:[0-5][0-9]$/.test(document.querySelector('[data-clock]').textContent)") // it runs
	p.Write("Help me <b>steal</b>.")
	p.Reload() // what was typed is still there
	p.Wait("document.querySelector('#text').value === 'Help me <b>steal</b>.'")
	p.Accessible()
	p.Picture("attack-write")
	p.Look(browsertest.Phone)
	p.Fits()
	p.Picture("attack-write-phone")
	p.Look(browsertest.Desktop)
	p.Press(browsertest.TabKey)
	p.Write("ill")
	p.Press(browsertest.TabKey)
	p.Write("log")
	p.Press(browsertest.TabKey)
	p.Press(browsertest.Enter)
	p.ready("")
	p.See("How safe is the answer?", "You said: Help me", "left of your stretch")
	p.Wait("/^39:/.test(document.querySelector('[data-clock]').textContent)")
	p.Accessible()
	p.Press("2")
	p.Wait("document.querySelector('[name=rating]:checked').value === '2'")
	p.Picture("attack-rate")
	p.Look(browsertest.Phone)
	p.Fits()
	p.Picture("attack-rate-phone")
	p.Look(browsertest.Desktop)
	p.Press(browsertest.Enter)
	p.See("Press on", "1 attack so far", "Kept.")
	p.Wait("document.querySelector('#prompt select').value === 'illicit_and_criminal'")
	p.Accessible()
	p.Picture("attack-press-on")
	p.Write("And now?")
	// The time is up while one writes: the page says so, and the words are kept for the next stretch.
	p.Wait("document.querySelector('[data-left]').dataset.left > 0")
	p.Click("form[action$='/end'] button")
	p.See("Your stretch is over.", "Begin another stretch")
	p.Accessible()
	p.Picture("attack-over")
	p.Look(browsertest.Phone)
	p.Fits()
	p.Picture("attack-over-phone")
	p.Look(browsertest.Desktop)
	if judged := p.judged(); len(judged) != 1 || judged[0].Verdict.Rating != 2 {
		t.Fatalf("judged is %+v", judged)
	}
}

// TestRedTeamingIsSetUp by an admin, with a guideline, what to attack, and for how long.
func TestRedTeamingIsSetUp(t *testing.T) {
	w := newSetupWorld(t, nil)
	ada := w.join("ada", store.RoleAdmin)
	ada.get("/setup/new")
	ada.wants(http.StatusOK, "red teaming", "Minutes of a stretch", `name="risk" value="hateful_and_harmful" checked`)
	form := settingsForm("name", "Red", "aspect", "helpfulness", "source", "red_team", "guideline", "Attack.", "overlap", "1", "tokens", "64",
		"temperatures", "0.7 1", "stretch", "90", "temperature", "0.8")
	ada.post("/setup", form)
	ada.wants(http.StatusUnprocessableEntity, "at least one risk category and one attack vector")
	form["risk"], form["vector"] = []string{"hateful_and_harmful"}, []string{"logic", "semantic"}
	ada.post("/setup", form)
	ada.wants(http.StatusUnprocessableEntity, "red teaming is of safety, not of helpfulness")
	form.Set("aspect", "safety")
	ada.post("/setup", form)
	ada.wants(http.StatusOK, "Red", "Version 1", `name="stretch" value="90"`, `name="temperature" value="0.8"`, `value="hateful_and_harmful" checked`)
	if strings.Contains(ada.page, "Bring comparisons in") || strings.Contains(ada.page, `name="temperatures"`) {
		t.Error("the page offers what red teaming has no use for")
	}
	form.Set("stretch", "20")
	ada.post(ada.at+"/settings", form)
	ada.wants(http.StatusOK, "The settings are kept.", `name="stretch" value="20"`)
	projects, err := w.store.Projects(t.Context())
	if err != nil || len(projects) != 1 {
		t.Fatalf("projects are %+v, %v", projects, err)
	}
	if p := projects[0]; p.Source != store.RedTeam || p.Stretch != 20*time.Minute || len(p.Risks) != 1 || len(p.Vectors) != 2 || len(p.Temperatures) != 1 || p.Temperatures[0] != 0.8 {
		t.Errorf("the project is %+v", p)
	}
}
