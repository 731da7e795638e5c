package dashboard_test

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

// world is a server on a database of its own.
type world struct {
	t     *testing.T
	store *store.Store
	url   string
}

func newWorld(t *testing.T) world {
	t.Helper()
	s := postgres.Store(t)
	handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Answers: s}, func(api web.API) error { return dashboard.Register(api, s) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return world{t, s, server.URL}
}

// key is a secret with a scope.
func (w world) key(scope store.Scope) string {
	w.t.Helper()
	_, secret, err := w.store.CreateKey(w.t.Context(), store.Key{Name: "test", Scopes: []store.Scope{scope}})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// ask sends a request of a program and decodes the answer into out; headers come in pairs.
func (w world) ask(key, method, path, body string, out any, headers ...string) (int, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return response.StatusCode, response.Header
}

// browser is a person with cookies and without JavaScript.
type browser struct {
	world
	http   http.Client
	at     string // the path of the page that is shown
	status int
	page   string
}

func (w world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{world: w, http: http.Client{Jar: jar}}
}

const password = "correct horse"

// join adds a person of a role, who sets their password and stays signed in.
func (w world) join(name string, role store.AnnotatorRole) (*browser, store.Annotator) {
	w.t.Helper()
	invitation, token, err := w.store.Welcome(w.t.Context(), store.Annotator{Name: name, Email: name + "@example.org", Role: role}, "test", time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.follow("/join/" + token)
	return b, invitation.Person
}

// follow uses a link and sets the password.
func (b *browser) follow(path string) {
	b.t.Helper()
	b.post(path, "password", password, "repeat", password)
}

func (b *browser) get(path string) { b.t.Helper(); b.send(http.MethodGet, path, nil) }

// post sends a form of names and values in pairs.
func (b *browser) post(path string, fields ...string) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	b.send(http.MethodPost, path, form)
}

func (b *browser) send(method, path string, form url.Values) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.page = response.Request.URL.RequestURI(), response.StatusCode, html.UnescapeString(string(body))
}

// wants checks the status and what the page says.
func (b *browser) wants(status int, texts ...string) {
	b.t.Helper()
	if b.status != status {
		b.t.Fatalf("%s answers %d, want %d:\n%s", b.at, b.status, status, b.page)
	}
	for _, text := range texts {
		if !strings.Contains(b.page, text) {
			b.t.Fatalf("%s does not say %q:\n%s", b.at, text, b.page)
		}
	}
}

// shown is the secret that the page shows.
func (b *browser) shown() string {
	b.t.Helper()
	found := regexp.MustCompile(`readonly value="([^"]+)"`).FindStringSubmatch(b.page)
	if found == nil {
		b.t.Fatalf("%s shows no secret:\n%s", b.at, b.page)
	}
	return found[1]
}
