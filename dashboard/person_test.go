package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/store"
)

func TestPeoplePages(t *testing.T) {
	w := newWorld(t)
	ada, admin := w.join("ada", store.RoleAdmin)
	ada.get("/people")
	ada.wants(http.StatusOK, "ada@example.org", "signed in", "Invite somebody")
	ada.post("/people", "name", "Bob", "email", "ADA@example.org", "role", "annotator")
	ada.wants(http.StatusUnprocessableEntity, "somebody has the e-mail address ADA@example.org already", `value="Bob"`)
	ada.post("/people", "name", "Bob", "email", "bob@example.org", "role", "king")
	ada.wants(http.StatusUnprocessableEntity, `no role "king"`)
	ada.post("/people", "name", "Bob", "email", "bob@example.org", "role", "annotator")
	ada.wants(http.StatusOK, "Send this link to Bob", "shown this once")
	link := ada.shown()
	if !strings.HasPrefix(link, w.url+"/join/") {
		t.Fatalf("the link is %s", link)
	}
	ada.get("/people")
	ada.wants(http.StatusOK, "invited until")

	bob := w.browser()
	bob.follow(strings.TrimPrefix(link, w.url))
	found, err := w.store.FindAnnotator(t.Context(), "bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	page := "/people/" + found.ID
	bob.get("/account")
	bob.wants(http.StatusOK, "bob@example.org")
	for _, path := range []string{"/people", "/people/new", page, page + "/erase", "/keys", "/audit"} {
		if bob.get(path); bob.status != http.StatusForbidden {
			t.Errorf("an annotator opens %s: %d", path, bob.status)
		}
	}

	ada.post(page, "name", "Robert", "email", "bob@example.org", "role", "reviewer", "time_zone", "Mars/Olympus")
	ada.wants(http.StatusUnprocessableEntity, `no time zone "Mars/Olympus"`, `value="Robert"`)
	ada.post(page, "name", "Robert", "email", "bob@example.org", "role", "reviewer", "time_zone", "Asia/Tokyo")
	ada.wants(http.StatusOK, "Kept.", "Robert", "changed the role of", `"to": "reviewer"`)
	bob.get("/account")
	bob.wants(http.StatusOK, "Robert", "reviewer", "Asia/Tokyo")

	ada.post(page + "/link")
	ada.wants(http.StatusOK, "sets a new password")
	reset := strings.TrimPrefix(ada.shown(), w.url)
	bob.follow(reset)
	bob.get("/account")
	bob.wants(http.StatusOK, "Robert")
	again := w.browser()
	again.get(reset)
	again.wants(http.StatusNotFound, "used already")

	ada.post(page+"/disabled", "disabled", "true")
	ada.wants(http.StatusOK, "disabled", "Let them in again")
	bob.get("/account")
	bob.wants(http.StatusOK, "Sign in")
	ada.post(page+"/disabled", "disabled", "false")
	ada.wants(http.StatusOK, "Kept.", "Disable")

	own := "/people/" + admin.ID
	ada.post(own+"/disabled", "disabled", "true")
	ada.wants(http.StatusUnprocessableEntity, "the last admin who can sign in")
	ada.post(own, "name", "ada", "email", "ada@example.org", "role", "engineer", "time_zone", "UTC")
	ada.wants(http.StatusUnprocessableEntity, "the last admin who can sign in")
	ada.post(own+"/erase", "sure", "yes")
	ada.wants(http.StatusUnprocessableEntity, "the last admin who can sign in")

	ada.get(page + "/erase")
	ada.wants(http.StatusOK, "What goes, for good", "What is kept")
	ada.post(page + "/erase")
	ada.wants(http.StatusUnprocessableEntity, "Say that you are sure")
	ada.post(page+"/erase", "sure", "yes")
	ada.wants(http.StatusOK, "Somebody who was erased")
	ada.get("/audit?subject=" + found.ID)
	ada.wants(http.StatusOK, "erased", "made a link for", "ada")
	if strings.Contains(ada.page, "Robert") || strings.Contains(ada.page, "bob@") {
		t.Error("the audit log names who was erased")
	}
}

func TestUsersAPI(t *testing.T) {
	w := newWorld(t)
	key := w.key(store.ScopeAdmin)
	const body = `{"name":"Bob","email":"bob@example.org","role":"reviewer","time_zone":"Asia/Tokyo"}`
	var made struct {
		User dashboard.User
		Link dashboard.UserLink
	}
	if status, _ := w.ask(key, "POST", "/api/v1/users", body, &made, "Idempotency-Key", "one"); status != http.StatusCreated ||
		made.User.Role != store.RoleReviewer || made.User.InvitedUntil == nil || !strings.HasPrefix(made.Link.URL, w.url+"/join/") || made.Link.Kind != store.InviteJoin {
		t.Fatalf("made %d %+v", status, made)
	}
	var p web.Problem
	if status, _ := w.ask(key, "POST", "/api/v1/users", body, &p, "Idempotency-Key", "one"); status != http.StatusConflict || !strings.Contains(p.Detail, "secret") {
		t.Errorf("replaying an answer with a secret: %d %+v", status, p)
	}
	if status, _ := w.ask(key, "POST", "/api/v1/users", body, &p); status != http.StatusConflict || !strings.Contains(p.Detail, "bob@example.org") {
		t.Errorf("an address twice: %d %+v", status, p)
	}
	if status, _ := w.ask(key, "POST", "/api/v1/users", `{"name":"A program","simulated":true}`, nil); status != http.StatusCreated {
		t.Errorf("a program: %d", status)
	}
	var list web.List[dashboard.User]
	if w.ask(key, "GET", "/api/v1/users?limit=1", "", &list); len(list.Items) != 1 || list.Items[0].Name != "A program" || list.Next == "" {
		t.Errorf("first page %+v", list)
	}
	if w.ask(key, "GET", "/api/v1/users?limit=1&after="+list.Next, "", &list); len(list.Items) != 1 || list.Items[0].ID != made.User.ID {
		t.Errorf("second page %+v", list)
	}
	path := "/api/v1/users/" + made.User.ID
	var user dashboard.User
	if status, _ := w.ask(key, "PATCH", path, `{"role":"engineer","disabled":true}`, &user); status != http.StatusOK || user.Role != store.RoleEngineer || !user.Disabled || user.Name != "Bob" {
		t.Errorf("changed %d %+v", status, user)
	}
	if status, _ := w.ask(key, "POST", path+"/link", "", &p); status != http.StatusConflict {
		t.Errorf("a link for who is disabled: %d", status)
	}
	w.ask(key, "PATCH", path, `{"disabled":false}`, nil)
	var link dashboard.UserLink
	if status, _ := w.ask(key, "POST", path+"/link", "", &link); status != http.StatusCreated || link.URL == "" {
		t.Errorf("a link: %d %+v", status, link)
	}
	if status, _ := w.ask(key, "DELETE", path, "", nil); status != http.StatusNoContent {
		t.Errorf("erased: %d", status)
	}
	if status, _ := w.ask(key, "GET", path, "", &user); status != http.StatusOK || user.Name != "" || !user.Disabled {
		t.Errorf("who was erased: %d %+v", status, user)
	}
	var log web.List[dashboard.AuditEntry]
	w.ask(key, "GET", "/api/v1/audit?subject="+made.User.ID, "", &log)
	var actions []string
	for _, e := range log.Items {
		actions = append(actions, strings.TrimPrefix(e.Action, "annotator."))
		if !strings.HasPrefix(e.Actor, "key:") {
			t.Errorf("done by %q", e.Actor)
		}
	}
	if got := strings.Join(actions, " "); got != "erase invite enable disable role invite add" {
		t.Errorf("audited as %q", got)
	}
	for _, scope := range []store.Scope{store.ScopeRead, store.ScopeReview} {
		other := w.key(scope)
		for _, route := range []string{"GET /api/v1/users", "POST /api/v1/users", "PATCH " + path, "DELETE " + path, "POST " + path + "/link", "GET /api/v1/keys", "POST /api/v1/keys", "GET /api/v1/audit"} {
			method, path, _ := strings.Cut(route, " ")
			if status, _ := w.ask(other, method, path, `{}`, nil); status != http.StatusForbidden {
				t.Errorf("%s with the scope %s: %d", route, scope, status)
			}
		}
	}
}
