package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/store"
)

// fakeAccounts have one person, ada@example.org, and count what is asked of them.
type fakeAccounts struct {
	phc     string
	locked  bool
	changed bool // the password changes while its hash is made
	tries   int
	earlier string                     // of the last sign-in
	people  map[string]store.Annotator // by session
}

func (f *fakeAccounts) Session(_ context.Context, token string) (store.Annotator, error) {
	if a, ok := f.people[token]; ok {
		return a, nil
	}
	return store.Annotator{}, tandem.Errorf(tandem.Unauthorized, "fake", "you are not signed in")
}

func (f *fakeAccounts) StartSession(_ context.Context, annotator, earlier string) (string, time.Time, error) {
	f.earlier = earlier
	return "new-token", time.Now().Add(time.Hour), nil
}

func (f *fakeAccounts) SignIn(ctx context.Context, annotator, phc, earlier string) (string, time.Time, error) {
	if f.changed {
		return "", time.Time{}, tandem.Errorf(tandem.Unauthorized, "fake", "the password was changed in the meantime")
	}
	return f.StartSession(ctx, annotator, earlier)
}

func (f *fakeAccounts) EndSession(context.Context, string) error { return nil }

func (f *fakeAccounts) Password(_ context.Context, email string) (string, string, error) {
	f.tries++
	switch {
	case f.locked:
		return "", "", &store.LockedError{Until: time.Now().Add(time.Minute)}
	case email == "ada@example.org":
		return "ada", f.phc, nil
	}
	return "", "", nil
}

func (f *fakeAccounts) Invitation(context.Context, string) (store.Invitation, error) {
	return store.Invitation{Kind: store.InviteJoin, Person: store.Annotator{Name: "Ada", Email: "ada@example.org"}}, nil
}

func (f *fakeAccounts) AcceptInvitation(context.Context, string, string, string) (string, error) {
	return "ada", nil
}

func (f *fakeAccounts) SetPassword(context.Context, string, string) error { return nil }

type noKeys struct{}

func (noKeys) VerifyKey(context.Context, string) (store.Key, error) {
	return store.Key{}, tandem.Errorf(tandem.Unauthorized, "fake", "the key is not valid")
}

func newSite(t *testing.T, accounts *fakeAccounts, https bool) (API, http.Handler) {
	t.Helper()
	router := chi.NewRouter()
	api, err := NewAPI(router, Config{Keys: noKeys{}, Accounts: accounts, HTTPS: https, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	accounts.phc = phc("correct horse")
	api.Page(http.MethodGet, "/", Scopes{store.ScopeAnnotate}, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	return api, router
}

func post(handler http.Handler, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// TestSignInTellsNothing compares what a guesser gets for an address that somebody has and one that nobody has: the same
// words, the same status, and a hash made for each, so that time tells nothing either.
func TestSignInTellsNothing(t *testing.T) {
	accounts := &fakeAccounts{}
	api, handler := newSite(t, accounts, false)
	var compared []string
	api.hasher.compare = func(password, encoded string) (bool, error) {
		compared = append(compared, encoded)
		return matches(password, encoded)
	}
	pages := make(map[string]string)
	for _, email := range []string{"ada@example.org", "eve@example.org"} {
		w := post(handler, "/signin", url.Values{"email": {email}, "password": {"wrong horse"}})
		if w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d, cookies %v", email, w.Code, w.Result().Cookies())
		}
		pages[email] = strings.ReplaceAll(w.Body.String(), email, "SOMEBODY")
	}
	if pages["ada@example.org"] != pages["eve@example.org"] || !strings.Contains(pages["eve@example.org"], "The e-mail address or the password is not right.") {
		t.Errorf("the pages differ:\n%s\n%s", pages["ada@example.org"], pages["eve@example.org"])
	}
	if len(compared) != 2 || compared[0] != accounts.phc || compared[1] != api.hasher.dummy {
		t.Errorf("hashes were made for %q", compared)
	}
	if params := func(phc string) string { return phc[:strings.LastIndex(phc[:strings.LastIndex(phc, "$")], "$")] }; params(compared[0]) != params(compared[1]) {
		t.Errorf("the two hashes cost differently: %q", compared)
	}
	// A password that nobody can have costs no hash, whoever it is for.
	for _, email := range []string{"ada@example.org", "eve@example.org"} {
		if w := post(handler, "/signin", url.Values{"email": {email}, "password": {strings.Repeat("x", 5000)}}); w.Code != http.StatusUnauthorized {
			t.Errorf("%s with an endless password: %d", email, w.Code)
		}
	}
	if len(compared) != 2 || accounts.tries != 4 {
		t.Errorf("%d hashes, %d tries", len(compared), accounts.tries)
	}
}

func TestATryIsCountedBeforeItsHashAndNotWithoutOne(t *testing.T) {
	accounts := &fakeAccounts{}
	api, handler := newSite(t, accounts, false)
	api.hasher.compare = func(string, string) (bool, error) {
		if accounts.tries != 1 {
			t.Errorf("a hash is made after %d tries were counted", accounts.tries)
		}
		return false, nil
	}
	post(handler, "/signin", url.Values{"email": {"ada@example.org"}, "password": {"x"}})
	for range cap(api.hasher.waiting) {
		api.hasher.waiting <- struct{}{}
	}
	if w := post(handler, "/signin", url.Values{"email": {"ada@example.org"}, "password": {"correct horse"}}); w.Code != http.StatusServiceUnavailable || accounts.tries != 1 {
		t.Errorf("while too many wait: %d, %d tries counted", w.Code, accounts.tries)
	}
}

func TestSignInLockedOrOvertaken(t *testing.T) {
	accounts := &fakeAccounts{locked: true}
	_, handler := newSite(t, accounts, false)
	for _, email := range []string{"ada@example.org", "eve@example.org"} {
		w := post(handler, "/signin", url.Values{"email": {email}, "password": {"correct horse"}})
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s, locked: %d, %v", email, w.Code, w.Header())
		}
	}
	accounts.locked, accounts.changed = false, true
	if w := post(handler, "/signin", url.Values{"email": {"ada@example.org"}, "password": {"correct horse"}}); w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
		t.Errorf("a password that was changed meanwhile: %d", w.Code)
	}
}

// TestCookies holds the flags of the session's cookie, and that a browser never keeps the token it came with.
func TestCookies(t *testing.T) {
	for _, https := range []bool{false, true} {
		accounts := &fakeAccounts{people: map[string]store.Annotator{"victim": {ID: "ada", Role: store.RoleAnnotator}}}
		api, handler := newSite(t, accounts, https)
		planted := &http.Cookie{Name: api.cookieName(), Value: "planted"}
		for path, form := range map[string]url.Values{
			"/signin":    {"email": {"ada@example.org"}, "password": {"correct horse"}},
			"/join/link": {"password": {"correct horse"}, "repeat": {"correct horse"}},
		} {
			w := post(handler, path, form, planted)
			set := w.Result().Cookies()
			if w.Code != http.StatusSeeOther || len(set) != 1 {
				t.Fatalf("%s: %d, cookies %v", path, w.Code, set)
			}
			c := set[0]
			name := "tandem"
			if https {
				name = "__Host-tandem"
			}
			if c.Name != name || c.Secure != https || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("https %v, %s: cookie %+v", https, path, c)
			}
			if c.Value == planted.Value || accounts.earlier != planted.Value {
				t.Errorf("%s keeps the session %q; the one that ends is %q", path, c.Value, accounts.earlier)
			}
			if location := w.Header().Get("Location"); strings.Contains(location, c.Value) {
				t.Errorf("%s leads to %s", path, location)
			}
		}
		w := post(handler, "/signout", nil, &http.Cookie{Name: api.cookieName(), Value: "victim"})
		if set := w.Result().Cookies(); len(set) != 1 || set[0].MaxAge >= 0 || set[0].Value != "" {
			t.Errorf("signing out sets %v", set)
		}
	}
	// A cookie of the wrong scheme's name is none.
	_, handler := newSite(t, &fakeAccounts{people: map[string]store.Annotator{"victim": {ID: "ada", Role: store.RoleAnnotator}}}, true)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: "victim"})
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r); w.Code != http.StatusSeeOther {
		t.Errorf("with https a cookie that is bound to nothing lets in: %d", w.Code)
	}
}

func TestPublicFormsAreNoUploads(t *testing.T) {
	_, handler := newSite(t, &fakeAccounts{}, false)
	r := httptest.NewRequest(http.MethodPost, "/signin", strings.NewReader("--x\r\n"))
	r.Header.Set("Content-Type", "Multipart/Form-Data; boundary=x")
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("an upload: %d", w.Code)
	}
}

// TestLocalPath holds where signing in may lead: never to another site.
func TestLocalPath(t *testing.T) {
	for _, next := range []string{"/", "/history?after=3", "/assignments/7?a=b&c=https://evil.example", "/a/../b", "/%2F%2Fevil.example"} {
		if got := localPath(next); got != next {
			t.Errorf("%q becomes %q", next, got)
		}
	}
	for _, next := range []string{
		"", "history", "//evil.example", "///evil.example", "////evil.example/", `/\evil.example`, `\\evil.example`, `/\/evil.example`, "https://evil.example", "HTTPS:evil.example",
		"http:/evil.example", "//evil.example@tandem.example", "javascript:alert(1)", "data:text/html,x", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example",
		"/a\r\nSet-Cookie: tandem=x", "/\x00/evil.example", "/%zz", "?//evil.example", "#x", "/\u0085/evil.example",
	} {
		if got := localPath(next); got != "/" {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestCredential(t *testing.T) {
	for want, headers := range map[string][2]string{
		"k":  {"Authorization", "Bearer k"},
		"p":  {"Authorization", "Basic dTpw"}, // u:p
		"s":  {"Cookie", "tandem=s; other=x"},
		"hs": {"Cookie", "tandem=s; __Host-tandem=hs"},
		"":   {"Cookie", "other=x; tandem="},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(headers[0], headers[1])
		if got := Credential(r); got != want {
			t.Errorf("%v: %q, want %q", headers, got, want)
		}
	}
}

func TestVerifyReportsWhatWentWrong(t *testing.T) {
	away := errors.New("away")
	if _, err := newHasher().verify(t.Context(), "x", func() (string, error) { return "", away }); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
}
