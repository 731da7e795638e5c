package dashboard_test

import (
	"fmt"
	"testing"
	"time"

	"tandem/internal/browsertest"
	"tandem/store"
)

// TestWatchInABrowser looks at the loop as engineers do: in a window, on a phone, in the dark; and follows a run live.
func TestWatchInABrowser(t *testing.T) {
	var chromium browsertest.Browser
	t.Cleanup(chromium.Close)
	w := newWorld(t)
	l := newLoop(t, w.store)
	_, token, err := w.store.Welcome(t.Context(), store.Annotator{Name: "Erin Engineer", Email: "erin@example.org", Role: store.RoleEngineer}, "test", time.Hour)
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

	for name, path := range map[string]string{
		"rounds": "/rounds", "round": fmt.Sprint("/rounds/", l.running), "runs": "/runs", "run-done": "/runs/" + l.sft, "run-failed": "/runs/" + l.failed,
		"models": "/models", "model": "/models/f000000000000000", "model-reward": "/models/d000000000000000",
		"answers": "/models/e000000000000000/answers", "answers-one": "/models/e000000000000000/answers?beside=b000000000000000&prompt=" + l.prompts[0].ID,
	} {
		erin.Look(browsertest.Desktop)
		erin.Open(w.url + path)
		if name == "run-done" {
			erin.Wait(`document.querySelectorAll("#curves canvas").length === 6`)
		}
		erin.Accessible()
		for suffix, view := range map[string]browsertest.View{"": browsertest.Desktop, "-dark": {Width: 1280, Height: 800, Dark: true}, "-phone": {Width: 390, Height: 844, Touch: true}, "-zoomed": browsertest.Zoomed} {
			erin.Look(view)
			erin.Fits()
			erin.Picture("watch-" + name + suffix)
		}
	}

	erin.Look(browsertest.Desktop)
	erin.Open(w.url + "/runs/" + l.ppo)
	erin.Wait(`document.querySelectorAll("#curves canvas").length === 14`)
	last := func(metric, text string) {
		t.Helper()
		erin.Wait(fmt.Sprintf(`document.querySelector('[data-metric="%s"] .now').textContent === %q`, metric, text))
	}
	last("objective/kl", "3 at step 60")
	for step := int64(61); step <= 63; step++ {
		l.iterate(step)
	}
	if err := w.store.AddMetrics(t.Context(), l.ppo, []store.Metric{{Name: "eval/objective", Step: 63, Value: 0.5}}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.AddEvent(t.Context(), l.ppo, "warning", "The critic is dead."); err != nil {
		t.Fatal(err)
	}
	last("objective/kl", "3.15 at step 63")
	last("eval/objective", "0.5 at step 63") // which the page had no place for
	erin.See("The critic is dead.")
	erin.Accessible()
	erin.Picture("watch-run")
	for suffix, view := range map[string]browsertest.View{"-dark": {Width: 1280, Height: 800, Dark: true}, "-phone": {Width: 390, Height: 844, Touch: true}} {
		erin.Look(view)
		erin.Fits()
		erin.Picture("watch-run" + suffix)
	}
	erin.Look(browsertest.Desktop)
	if err := w.store.FinishRun(t.Context(), l.ppo, "", nil); err != nil {
		t.Fatal(err)
	}
	erin.Wait(`document.querySelector("#state .status").textContent === "done"`)

	erin.Scripts(false)
	erin.Open(w.url + "/runs/" + l.ppo)
	erin.Wait(`document.querySelectorAll("#curves svg").length === 15`)
	erin.Picture("watch-run-without-scripts")
}
