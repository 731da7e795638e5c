package dashboard_test

import (
	"testing"
	"time"

	"tandem"
	"tandem/internal/browsertest"
	"tandem/store"
)

// TestAnnotationInABrowser looks at the statistics as people do: in a window, on a phone, in the dark; by keys.
func TestAnnotationInABrowser(t *testing.T) {
	var chromium browsertest.Browser
	t.Cleanup(chromium.Close)
	w := newWorld(t)
	m := newTeam(t, w.store, store.Project{Name: "Safety, weekly", Aspect: tandem.Safety, Overlap: 3}, 24, 5)
	m.work(noisy(9, true))
	helpful := newTeam(t, w.store, store.Project{Name: "House plants", Aspect: tandem.Helpfulness, Overlap: 2}, 12, 3)
	helpful.work(noisy(2, false))
	tasks, err := w.store.Tasks(t.Context(), m.project.ID, store.Page{Limit: 4})
	if err != nil {
		t.Fatal(err)
	}
	var golds []store.Gold
	for _, task := range tasks {
		golds = append(golds, store.Gold{TaskID: task.ID, Chosen: task.Responses[0]})
	}
	if err := w.store.AddGold(t.Context(), m.project.ID, golds, "test"); err != nil {
		t.Fatal(err)
	}

	_, token, err := w.store.Welcome(t.Context(), store.Annotator{Name: "Rita Reviewer", Email: "rita@example.org", Role: store.RoleReviewer}, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	rita := chromium.Person(t)
	rita.Open(w.url + "/join/" + token)
	rita.Type("[name=password]", password)
	rita.Type("[name=repeat]", password)
	rita.Press(browsertest.Enter)
	rita.Allow("404") // the start page is another part of the site
	rita.See("Not Found")
	pages := map[string]string{"annotation": "/annotation", "annotation-project": "/annotation/projects/" + m.project.ID,
		"disagreements": "/annotation/projects/" + m.project.ID + "/disagreements", "review": "/annotation/projects/" + m.project.ID + "/review?batch=1"}
	for name, path := range pages {
		rita.Look(browsertest.Desktop)
		rita.Open(w.url + path)
		rita.Accessible()
		for suffix, view := range map[string]browsertest.View{"": browsertest.Desktop, "-dark": {Width: 1280, Height: 800, Dark: true}, "-phone": browsertest.Phone, "-zoomed": browsertest.Zoomed} {
			rita.Look(view)
			rita.Fits()
			rita.Picture(name + suffix)
		}
	}

	rita.Look(browsertest.Desktop)
	rita.Open(w.url + pages["disagreements"])
	rita.Click("article details:last-of-type summary")
	rita.Type("article details:last-of-type input[name=reason]", "took one side for the other")
	rita.Picture("disagreements-open")
	rita.Press(browsertest.Enter)
	rita.See("Excluded: the judgment counts no more.")

	rita.Open(w.url + pages["review"])
	rita.Click(".reviews li:nth-child(2) input")
	rita.Click(".reviews li:nth-child(2) summary")
	rita.Accessible()
	rita.Type("input[name=reason]", "read the second answer again")
	rita.Picture("review-marked")
	rita.Click("button[value=return]")
	rita.See("1 judgment was sent back")
}
