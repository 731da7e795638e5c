package annotation_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/browsertest"
	"tandem/store"
)

// TestSetupInABrowser opens a project and looks at every page by which projects are set up.
func TestSetupInABrowser(t *testing.T) {
	w := newSetupWorld(t, func(context.Context, string) (string, error) { return "", nil })
	ada, link := w.invite("ada")
	if _, err := w.store.ChangeAnnotator(t.Context(), ada.id, store.AnnotatorChange{Role: new(store.RoleAdmin)}, "test"); err != nil {
		t.Fatal(err)
	}
	ada.Open(link)
	ada.Type("[name=password]", password)
	ada.Type("[name=repeat]", password)
	ada.Press(browsertest.Enter)
	ada.See("Set up the practice projects")
	ada.Accessible()

	ada.Open(w.url + "/setup/new")
	ada.Accessible()
	ada.Type("[name=name]", "House plants")
	ada.Type("[name=guideline]", "Be **kind**.")
	ada.Click("[name=aspect][value=safety]")
	ada.Click("summary")
	ada.Accessible()
	ada.Picture("setup-new")
	ada.Click("button.main")
	ada.See("Bring comparisons in", "House plants")
	at := ada.At()
	tasks := strings.TrimPrefix(at, w.url) + "/tasks"
	if status, body, _ := w.raw(w.admin, "POST", "/api/v1/projects"+strings.TrimPrefix(strings.TrimPrefix(at, w.url), "/setup")+"/import", preparedLines,
		"Content-Type", "application/x-ndjson"); status != http.StatusOK {
		t.Fatalf("import: %d %s", status, body)
	}
	red, err := w.store.CreateProject(t.Context(), store.Project{Name: "Weekly attack", Aspect: tandem.Safety, Source: store.RedTeam}, "test")
	if err != nil {
		t.Fatal(err)
	}
	ada.Open(w.url + "/setup/" + red.ID)
	ada.Accessible()
	ada.Picture("setup-red-team")
	ada.Look(browsertest.Phone)
	ada.Fits()
	ada.Picture("setup-red-team-phone")
	ada.Look(browsertest.Desktop)
	ada.Open(w.url + tasks)
	ada.Click("summary")
	ada.Accessible()
	ada.Picture("setup-tasks")
	ada.Look(browsertest.Phone)
	ada.Fits()
	ada.Picture("setup-tasks-phone")
	ada.Look(browsertest.Desktop)
	ada.Click("[name=chosen]")
	ada.Click("button.main")
	ada.See("The task is gold from now on.")
	for _, path := range []string{"/setup", "/setup/new", at, tasks} {
		for _, view := range []browsertest.View{browsertest.Phone, browsertest.Zoomed, browsertest.Desktop} {
			ada.Look(view)
			ada.Open(w.url + path)
			ada.Fits()
		}
		ada.Accessible()
	}
}
