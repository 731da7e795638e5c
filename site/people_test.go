package site

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// fakePeople are one annotator, signed in with the token "ada"; nobody has a password.
type fakePeople struct{ web.Accounts }

func (fakePeople) Session(_ context.Context, token string) (store.Annotator, error) {
	if token != "ada" {
		return store.Annotator{}, tandem.Errorf(tandem.Unauthorized, "fake", "you are not signed in")
	}
	return store.Annotator{ID: "ada", Name: "Ada", Role: store.RoleAnnotator}, nil
}

func (fakePeople) Password(context.Context, string) (annotator, phc string, err error) {
	return "", "", nil
}

// desk is a part with pages that people change something by.
func desk(api web.API) error {
	annotate := web.Scopes{store.ScopeAnnotate}
	page := func(w http.ResponseWriter, r *http.Request) error {
		switch r.PostFormValue("do") {
		case "panic":
			w.Header().Set("Set-Cookie", "tandem=leak")
			panic("a secret reason")
		case "panic late":
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write([]byte("half an ans"))
			panic("a secret reason")
		}
		answer(w, r.Method)
		return nil
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		api.Page(method, "/desk", annotate, page)
	}
	return nil
}

func newSite(t *testing.T, change func(*Config)) http.Handler {
	t.Helper()
	config := DefaultConfig()
	config.Keys = fakeKeys{secret: "good", key: store.Key{ID: "k1", Annotator: "bob", Scopes: []store.Scope{store.ScopeRead, store.ScopeAnnotate}}}
	config.Accounts = fakePeople{}
	if change != nil {
		change(&config)
	}
	handler, err := Handler(config, desk, echo)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

const form = "application/x-www-form-urlencoded"

// request makes one; headers come in pairs.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	return r
}

func send(handler http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}
