package dashboard_test

import (
	"testing"
	"time"

	"tandem/internal/browsertest"
	"tandem/store"
)

// TestAdminInABrowser invites somebody, makes a key and looks at every page of admins, in a window and on a phone.
func TestAdminInABrowser(t *testing.T) {
	var chromium browsertest.Browser
	t.Cleanup(chromium.Close)
	w := newWorld(t)
	invitation, token, err := w.store.Welcome(t.Context(), store.Annotator{Name: "Ada", Email: "ada@example.org", Role: store.RoleAdmin}, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ada := chromium.Person(t)
	ada.Open(w.url + "/join/" + token)
	ada.Accessible()
	ada.Type("[name=password]", password)
	ada.Type("[name=repeat]", password)
	ada.Press(browsertest.Enter)
	ada.Allow("404") // the start page is another part of the site
	ada.See("Not Found")

	ada.Open(w.url + "/people/new")
	ada.Type("[name=name]", "Bo Lindqvist")
	ada.Type("[name=email]", "bo@example.org")
	ada.Press(browsertest.Enter)
	ada.See("Send this link to Bo Lindqvist")
	ada.Accessible()
	ada.Click("[data-copy]") // copied, or selected where the browser does not let a page copy
	ada.Wait(`document.querySelector("#notices").textContent !== ""`)

	ada.Open(w.url + "/keys")
	ada.Type("[name=name]", "robot")
	ada.Click("[name=scope][value=read]")
	ada.Click("form[action='/keys'] button")
	ada.See("It is shown this once")
	ada.Accessible()

	page := "/people/" + invitation.Person.ID
	for _, path := range []string{"/people", "/people/new", page, page + "/erase", "/keys", "/audit", "/account"} {
		for _, view := range []browsertest.View{browsertest.Phone, browsertest.Zoomed, browsertest.Desktop} {
			ada.Look(view)
			ada.Open(w.url + path)
			ada.Fits()
		}
		ada.Accessible()
	}
}
