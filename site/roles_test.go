package site_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem/store"
)

// caller is one who asks.
type caller struct {
	name   string
	scopes []store.Scope // what they may do
	ask    func(method, path, body string) *httptest.ResponseRecorder
}

// callers are nobody, each role, each scope of a key, and who was disabled.
func (w *world) callers() []caller {
	w.t.Helper()
	with := func(headers ...string) func(method, path, body string) *httptest.ResponseRecorder {
		return func(method, path, body string) *httptest.ResponseRecorder {
			return w.ask(method, path, body, headers...)
		}
	}
	all := []caller{{"nobody", nil, with()}, {"a wrong cookie", nil, with("Cookie", "tandem=nonsense")}, {"a wrong key", nil, with("Authorization", "Bearer tandem_AAAAAAAAAAA_B")}}
	for _, role := range store.Roles() {
		person := w.person("Role"+string(role), role)
		cookie := w.session(person)
		all = append(all, caller{string(role), role.Scopes(), func(method, path, body string) *httptest.ResponseRecorder {
			if method != http.MethodGet { // some of these sign out
				cookie = w.session(person)
			}
			return w.ask(method, path, body, "Cookie", cookie)
		}})
	}
	owner := w.person("Keys", store.RoleAdmin)
	for _, scope := range store.Scopes() {
		_, secret := w.key(store.Key{Name: string(scope), Scopes: []store.Scope{scope}, Annotator: owner.ID})
		all = append(all, caller{"a key for " + string(scope), []store.Scope{scope}, with("Authorization", "Bearer "+secret)})
	}
	former := w.person("Former", store.RoleAdmin)
	cookie := w.session(former)
	_, secret := w.key(store.Key{Name: "former", Scopes: store.Scopes(), Annotator: former.ID})
	if w.ask("GET", "/", "", "Cookie", cookie).Code != http.StatusOK {
		w.t.Error("who is to be disabled is not signed in")
	}
	if err := w.store.DisableAnnotator(w.t.Context(), former.ID, "test"); err != nil {
		w.t.Fatal(err)
	}
	return append(all, caller{"who is disabled", nil, with("Cookie", cookie)}, caller{"a key of who is disabled", nil, with("Authorization", "Bearer "+secret)})
}

var parameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// path fills a pattern's parameters in: {id} with the id of what it is, others by their names. Without ids, with what is not there.
func (e entry) path(pattern string, ids map[string]string) string {
	return parameter.ReplaceAllStringFunc(pattern, func(p string) string {
		kind := p[1 : len(p)-1]
		if kind == "id" {
			kind = e.of
		}
		if ids != nil && ids[kind] != "" {
			return ids[kind]
		}
		if kind == "person" {
			return "00000000-0000-4000-8000-000000000000"
		}
		return "999999"
	})
}

// isRefusal reports whether an answer to a request sends a caller away for who they are, and not for what they asked.
func isRefusal(method string, w *httptest.ResponseRecorder) bool {
	switch w.Code {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
		return strings.Contains(w.Body.String(), "this is not for the role") || strings.Contains(w.Body.String(), "the key does not have the scope")
	case http.StatusSeeOther:
		return method == http.MethodGet && strings.HasPrefix(w.Header().Get("Location"), "/signin")
	}
	return false
}

// TestRolesAndRoutes goes through every way into the site with every kind of caller, and compares with the table in
// routes_test.go, which was written down by hand. A route that is not in it fails.
func TestRolesAndRoutes(t *testing.T) {
	w := newWorld(t)
	callers := w.callers()
	for _, route := range w.api.Routes() {
		name := route.Method + " " + route.Pattern
		entry, ok := table[name]
		if !ok {
			t.Errorf("no test says who may do this; add to table in site/routes_test.go, if it is right:\n\t%q: {%q, %q, %q},", name, strings.ReplaceAll(route.Scopes.String(), " or ", " "), of(route.Pattern), "")
			continue
		}
		if got := strings.ReplaceAll(route.Scopes.String(), " or ", " "); got != entry.scopes {
			t.Errorf("%s is open to %q, and should be to %q", name, got, entry.scopes)
		}
		for _, caller := range callers {
			answer := caller.ask(route.Method, entry.path(route.Pattern, nil), entry.body)
			may := entry.scopes == "" || slices.ContainsFunc(caller.scopes, func(s store.Scope) bool { return slices.Contains(strings.Fields(entry.scopes), string(s)) })
			switch {
			case may && entry.scopes == "": // its own 401 is for a wrong password
				if answer.Code == http.StatusForbidden {
					t.Errorf("%s for %s: %d", name, caller.name, answer.Code)
				}
			case may == isRefusal(route.Method, answer):
				t.Errorf("%s for %s: %d %s", name, caller.name, answer.Code, answer.Body)
			}
			if answer.Code >= http.StatusInternalServerError && answer.Code != http.StatusServiceUnavailable {
				t.Errorf("%s for %s: %d %s", name, caller.name, answer.Code, answer.Body)
			}
			if strings.Contains(answer.Header().Get("Location"), "tandem=") {
				t.Errorf("%s for %s leads to %s", name, caller.name, answer.Header().Get("Location"))
			}
		}
	}
}

// of guesses what the id in a pattern is of.
func of(pattern string) string {
	if !strings.Contains(pattern, "{id}") {
		return ""
	}
	before, _, _ := strings.Cut(pattern, "/{id}")
	return strings.TrimSuffix(before[strings.LastIndex(before, "/")+1:], "s")
}

// TestNothingGoesAroundTheRoutes: what the router knows was registered with its scopes, or is one of these.
func TestNothingGoesAroundTheRoutes(t *testing.T) {
	w := newWorld(t)
	known := map[string]bool{"GET /healthz": true, "GET /readyz": true, "GET /openapi.json": true, "GET /openapi.yaml": true, "GET /openapi-3.0.json": true, "GET /openapi-3.0.yaml": true}
	for _, route := range w.api.Routes() {
		known[route.Method+" "+route.Pattern] = true
	}
	err := chi.Walk(w.handler.(chi.Routes), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !known[method+" "+pattern] && !strings.HasPrefix(pattern, "/assets/") {
			t.Errorf("%s %s was put onto the router itself; use web.Register or api.Page", method, pattern)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// personal are things that only their owner may come near, an admin no more than anybody else.
var personal = []string{"assignment", "turn", "stretch"}

// TestOtherPeoplesThings asks for what is Ada's as everybody else who may annotate. None of it is found, and
// nothing of it is told; Ada herself finds it.
func TestOtherPeoplesThings(t *testing.T) {
	w := newWorld(t)
	others := []store.Annotator{w.person("Bob", store.RoleAnnotator), w.person("Eve", store.RoleAdmin)}
	for _, route := range w.api.Routes() {
		name := route.Method + " " + route.Pattern
		entry := table[name]
		if strings.Contains(route.Pattern, "{id}") && entry.of == "" {
			t.Errorf("%s: the table does not say what the id is of", name)
		}
		if !slices.Contains(personal, entry.of) {
			continue
		}
		if w.ids[entry.of] == "" {
			t.Errorf("%s: the world has no %s", name, entry.of)
			continue
		}
		path := entry.path(route.Pattern, w.ids)
		for _, other := range others {
			_, secret := w.key(store.Key{Name: other.Name + name, Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: other.ID})
			for how, headers := range map[string][]string{"a session": {"Cookie", w.session(other)}, "a key": {"Authorization", "Bearer " + secret}} {
				answer := w.ask(route.Method, path, entry.body, append(headers, "Idempotency-Key", name+other.ID, "If-Match", `"1"`)...)
				if route.Method == http.MethodGet && answer.Code == http.StatusSeeOther {
					answer = w.ask(http.MethodGet, answer.Header().Get("Location"), "", headers...)
				}
				if answer.Code != http.StatusNotFound && answer.Code != http.StatusForbidden {
					t.Errorf("%s of Ada's for %s with %s: %d %s", name, other.Name, how, answer.Code, answer.Body)
				}
				for _, secret := range []string{"Answer one", "Question", "Draft", "Comment"} {
					if strings.Contains(answer.Body.String(), secret) {
						t.Errorf("%s tells %s of Ada's: %s", name, other.Name, answer.Body)
					}
				}
			}
		}
		if route.Method == http.MethodGet && !strings.HasSuffix(route.Pattern, "/gold-answer") { // there is none for her to see
			if answer := w.ask(route.Method, path, "", "Cookie", w.session(w.ada)); answer.Code >= 400 {
				t.Errorf("%s for Ada: %d", name, answer.Code)
			}
		}
	}
}

// TestWhoIsSentAwayAtTheNextRequest: disabling, erasing, signing out and a new password end what was open, in pages and in the API,
// and a new role counts at once.
func TestWhoIsSentAwayAtTheNextRequest(t *testing.T) {
	w := newWorld(t)
	ctx, s := t.Context(), w.store
	const phc = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"
	for name, end := range map[string]struct {
		keys bool // whether keys end too
		do   func(id, cookie string) error
	}{
		"disabled":         {true, func(id, _ string) error { return s.DisableAnnotator(ctx, id, "test") }},
		"erased":           {true, func(id, _ string) error { return s.EraseAnnotator(ctx, id, "test") }},
		"another password": {false, func(id, _ string) error { return s.SetPassword(ctx, id, phc) }},
		"another password by a link": {false, func(id, _ string) error {
			_, token, err := s.Invite(ctx, id, "test", time.Minute)
			if err == nil {
				_, err = s.AcceptInvitation(ctx, token, phc, "")
			}
			return err
		}},
		"signed out": {false, func(_, cookie string) error {
			if code := w.ask("POST", "/signout", "", "Cookie", cookie).Code; code != http.StatusSeeOther {
				return fmt.Errorf("signing out: %d", code)
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			person := w.person(strings.ReplaceAll(name, " ", "."), store.RoleAnnotator)
			_, token, err := s.Invite(ctx, person.ID, "test", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			must(s.AcceptInvitation(ctx, token, phc, ""))(t)
			cookie := w.session(person)
			_, secret := w.key(store.Key{Name: name, Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: person.ID})
			status := func() [3]int {
				return [3]int{
					w.ask("GET", "/history", "", "Cookie", cookie).Code,
					w.ask("GET", "/api/v1/judgments", "", "Cookie", cookie).Code,
					w.ask("GET", "/api/v1/judgments", "", "Authorization", "Bearer "+secret).Code,
				}
			}
			if got := status(); got != [3]int{200, 200, 200} {
				t.Fatalf("before: %v", got)
			}
			if err := end.do(person.ID, cookie); err != nil {
				t.Fatal(err)
			}
			want := [3]int{303, 401, 200}
			if end.keys {
				want[2] = 401
			}
			if got := status(); got != want {
				t.Errorf("after: %v, want %v", got, want)
			}
		})
	}
	reviewer := w.person("Reviewer", store.RoleReviewer)
	cookie, role := w.session(reviewer), store.RoleAnnotator
	if code := w.ask("GET", "/annotation", "", "Cookie", cookie).Code; code != http.StatusOK {
		t.Fatalf("a reviewer: %d", code)
	}
	must(s.ChangeAnnotator(ctx, reviewer.ID, store.AnnotatorChange{Role: &role}, "test"))(t)
	if code := w.ask("GET", "/annotation", "", "Cookie", cookie).Code; code != http.StatusForbidden {
		t.Errorf("a reviewer no more: %d", code)
	}
}
