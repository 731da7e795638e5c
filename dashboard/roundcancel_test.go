package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"tandem"
	"tandem/internal/browsertest"
	"tandem/store"
)

// TestCancelARound: an engineer cancels a round that is under way, after having been asked, and nobody else does.
func TestCancelARound(t *testing.T) {
	w := newWorld(t)
	l := newLoop(t, w.store)
	running, done := fmt.Sprint("/rounds/", l.running), fmt.Sprint("/rounds/", l.done)
	stands := func(round int, want tandem.RoundStatus) {
		t.Helper()
		if r, err := w.store.Round(t.Context(), round); err != nil || r.Status != want {
			t.Errorf("%+v, %v, want %s", r, err, want)
		}
	}
	for _, role := range []store.AnnotatorRole{store.RoleAnnotator, store.RoleReviewer} {
		b, _ := w.join(string(role), role)
		b.get(running + "/cancel")
		b.wants(http.StatusForbidden, "this is not for the role")
		b.post(running + "/cancel")
		b.wants(http.StatusForbidden, "this is not for the role")
	}
	if status, _ := w.ask(w.key(store.ScopeRead), http.MethodPost, running+"/cancel", "", nil); status != http.StatusForbidden {
		t.Errorf("a key to read with: %d", status)
	}
	erin, _ := w.join("Erin", store.RoleEngineer)
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+running+"/cancel", nil)
	l.no(err)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := erin.http.Do(foreign)
	l.no(err)
	l.no(answer.Body.Close())
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form, with Erin's cookie: %d", answer.StatusCode)
	}
	stands(l.running, tandem.RoundRunning)

	erin.read(running)
	erin.wants(http.StatusOK, fmt.Sprintf(`href="%s/cancel"`, running))
	erin.read(running + "/cancel")
	erin.wants(http.StatusOK, "Cancel RLHF-V2?", "1 unit is being done now", "7 of 14 units", `method="post"`)
	stands(l.running, tandem.RoundRunning) // asking does nothing
	for range 2 {                          // who presses twice has not done wrong
		erin.post(running + "/cancel")
		if erin.at != running {
			t.Errorf("it leads to %s", erin.at)
		}
		erin.wants(http.StatusOK, `class="tag status cancelled"`, "Cancelled by Erin", "--resume", "hx-get") // workers are still at it
		stands(l.running, tandem.RoundCancelled)
	}
	told, err := w.store.Audit(t.Context(), store.RoundSubject(l.running))
	if err != nil || len(told) != 1 {
		t.Errorf("audit %+v, %v", told, err)
	}
	erin.read(running + "/cancel")
	erin.wants(http.StatusOK, "It is cancelled already")

	erin.read(done + "/cancel")
	erin.wants(http.StatusOK, "It is done: there is nothing to cancel")
	erin.post(done + "/cancel") // it ended while Erin read the question
	erin.wants(http.StatusUnprocessableEntity, "round 1 is done: there is nothing to cancel")
	stands(l.done, tandem.RoundDone)
	for _, path := range []string{"/rounds/99/cancel", "/rounds/x/cancel"} {
		if erin.get(path); erin.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, erin.status)
		}
		if erin.send(http.MethodPost, path, url.Values{}); erin.status != http.StatusNotFound {
			t.Errorf("post %s: %d", path, erin.status)
		}
	}
}

// TestCancelARoundInABrowser does the same with the mouse, and without scripts.
func TestCancelARoundInABrowser(t *testing.T) {
	var chromium browsertest.Browser
	t.Cleanup(chromium.Close)
	w := newWorld(t)
	l := newLoop(t, w.store)
	_, token, err := w.store.Welcome(t.Context(), store.Annotator{Name: "Erin Engineer", Email: "erin@example.org", Role: store.RoleEngineer}, "test", time.Hour)
	l.no(err)
	erin := chromium.Person(t)
	erin.Open(w.url + "/join/" + token)
	erin.Type("[name=password]", password)
	erin.Type("[name=repeat]", password)
	erin.Press(browsertest.Enter)
	erin.Allow("404") // the start page is another part of the site
	erin.See("Not Found")
	running := fmt.Sprint("/rounds/", l.running)
	for _, scripts := range []bool{true, false} {
		erin.Scripts(scripts)
		l.no(w.store.SetRoundStatus(t.Context(), l.running, tandem.RoundRunning))
		erin.Open(w.url + running)
		erin.Click(fmt.Sprintf(`a[href="%s/cancel"]`, running))
		erin.See("Cancel RLHF-V2?", "No, go back")
		if scripts {
			erin.Accessible()
			for name, view := range map[string]browsertest.View{"-phone": {Width: 390, Height: 844, Touch: true}, "-dark": {Width: 1280, Height: 800, Dark: true}, "": browsertest.Desktop} {
				erin.Look(view)
				erin.Fits()
				erin.Picture("cancel-asked" + name)
			}
		}
		erin.Click("button.danger")
		erin.See("Cancelled by Erin Engineer")
		if scripts {
			erin.Accessible()
			erin.Fits()
			erin.Picture("cancel-done")
		}
		if r, err := w.store.Round(t.Context(), l.running); err != nil || r.Status != tandem.RoundCancelled {
			t.Errorf("%+v, %v", r, err)
		}
	}
	erin.Scripts(true)
	l.no(w.store.SetRoundStatus(t.Context(), l.running, tandem.RoundRunning))
	_, err = w.store.Pool().Exec(t.Context(), `UPDATE rounds SET alive_until = clock_timestamp()`)
	l.no(err)
	erin.Open(w.url + running)
	erin.See("Its command ended without a word")
	erin.Accessible()
	erin.Picture("round-interrupted")
}
