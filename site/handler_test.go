package site

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// fakeKeys knows one secret.
type fakeKeys struct {
	secret string
	key    store.Key
	err    error
}

func (f fakeKeys) VerifyKey(_ context.Context, secret string) (store.Key, error) {
	if f.err != nil {
		return store.Key{}, f.err
	}
	if secret != f.secret {
		return store.Key{}, tandem.Errorf(tandem.Unauthorized, "fake", "the key is not valid")
	}
	return f.key, nil
}

type echoInput struct {
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"100"`
	}
}

type echoOutput struct {
	Body struct {
		Text string `json:"text"`
		Key  string `json:"key"`
	}
}

// echo is a part with one operation, whose text makes it fail in different ways.
func echo(api web.API) error {
	web.Register(api, web.Scopes{store.ScopeRead}, huma.Operation{OperationID: "echo", Method: http.MethodPost, Path: "/api/v1/echo"},
		func(ctx context.Context, in *echoInput) (*echoOutput, error) {
			switch in.Body.Text {
			case "panic":
				panic("a secret reason")
			case "conflict":
				return nil, tandem.Errorf(tandem.Conflict, "echo", "task 7 is closed: %w", errors.New("SQLSTATE 23505"))
			case "internal":
				return nil, errors.New("password=hunter2")
			case "away":
				return nil, tandem.Errorf(tandem.Unavailable, "echo", "postgres at 10.0.0.7 is away")
			}
			var out echoOutput
			out.Body.Text, out.Body.Key = in.Body.Text, web.Caller(ctx).ID
			return &out, nil
		})
	return nil
}

type fixture struct {
	handler http.Handler
	log     *bytes.Buffer
}

func newFixture(t *testing.T, change func(*Config)) fixture {
	t.Helper()
	log := &bytes.Buffer{}
	config := DefaultConfig()
	config.Log = slog.New(slog.NewJSONHandler(log, nil))
	config.Keys = fakeKeys{secret: "good", key: store.Key{ID: "k1", Scopes: []store.Scope{store.ScopeRead}}}
	if change != nil {
		change(&config)
	}
	handler, err := Handler(config, echo)
	if err != nil {
		t.Fatal(err)
	}
	return fixture{handler, log}
}

// ask sends a request with the good key; headers come in pairs and replace its own.
func (f fixture) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer good")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

func problemOf(t *testing.T, w *httptest.ResponseRecorder) web.Problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q, body %s", got, w.Body)
	}
	var p web.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	if p.Status != w.Code || p.Request != w.Header().Get("X-Request-Id") || p.Request == "" || p.Type != "about:blank" {
		t.Errorf("status %d, request %q, problem %+v", w.Code, w.Header().Get("X-Request-Id"), p)
	}
	return p
}

func TestAnswer(t *testing.T) {
	w := newFixture(t, nil).ask(http.MethodPost, "/api/v1/echo", `{"text":"<hi>"}`)
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"text":"<hi>","key":"k1"}` && strings.TrimSpace(w.Body.String()) != `{"text":"\u003chi\u003e","key":"k1"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for header, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Strict-Transport-Security": "",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s is %q", header, got)
		}
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestProblems(t *testing.T) {
	const path = "/api/v1/echo"
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"no key", "POST", path, `{"text":"a"}`, []string{"Authorization", ""}, 401, "unauthorized"},
		{"wrong key", "POST", path, `{"text":"a"}`, []string{"Authorization", "Bearer bad"}, 401, "unauthorized"},
		{"not JSON", "POST", path, `{"text":`, nil, 400, "invalid"},
		{"invalid", "POST", path, `{"text":""}`, nil, 422, "invalid"},
		{"unknown field", "POST", path, `{"text":"a","more":1}`, nil, 422, "invalid"},
		{"conflict", "POST", path, `{"text":"conflict"}`, nil, 409, "conflict"},
		{"internal", "POST", path, `{"text":"internal"}`, nil, 500, "internal"},
		{"away", "POST", path, `{"text":"away"}`, nil, 503, "unavailable"},
		{"panic", "POST", path, `{"text":"panic"}`, nil, 500, "internal"},
		{"nothing there", "GET", "/nowhere", "", nil, 404, "not_found"},
		{"wrong method", "GET", path, "", nil, 405, "method_not_allowed"},
		{"from another site", "POST", path, `{"text":"a"}`, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403, "forbidden"},
		{"too large", "POST", path, `{"text":"` + strings.Repeat("a", 2<<20) + `"}`, nil, 413, "too_large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, nil)
			w := f.ask(test.method, test.path, test.body, test.headers...)
			p := problemOf(t, w)
			if w.Code != test.status || p.Code != test.code {
				t.Errorf("got %d %q, want %d %q", w.Code, p.Code, test.status, test.code)
			}
			for _, secret := range []string{"hunter2", "SQLSTATE", "10.0.0.7", "secret reason"} {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("the answer tells %q: %s", secret, w.Body)
				}
			}
			if test.status >= 500 && !strings.Contains(f.log.String(), "hunter2") && !strings.Contains(f.log.String(), "10.0.0.7") && !strings.Contains(f.log.String(), "secret reason") {
				t.Errorf("the log does not say why: %s", f.log)
			}
		})
	}
}

// TestBrokenBody: what the library under the operations says of its own failures is not told either.
func TestBrokenBody(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/echo", iotest.ErrReader(errors.New("read tcp 10.0.0.7: hunter2")))
	r.Header.Set("Authorization", "Bearer good")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	newFixture(t, nil).handler.ServeHTTP(w, r)
	if p := problemOf(t, w); w.Code != http.StatusInternalServerError || len(p.Errors) > 0 || strings.Contains(w.Body.String(), "10.0.0.7") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestScopes(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Keys = fakeKeys{secret: "good", key: store.Key{Scopes: []store.Scope{store.ScopeScore, store.ScopeAdmin}}}
	})
	w := f.ask(http.MethodPost, "/api/v1/echo", `{"text":"a"}`)
	if p := problemOf(t, w); w.Code != http.StatusForbidden || p.Code != "forbidden" || !strings.Contains(p.Detail, "read") {
		t.Errorf("%d %+v", w.Code, p)
	}
	f = newFixture(t, func(c *Config) { c.Keys = fakeKeys{err: tandem.Errorf(tandem.Unavailable, "fake", "away")} })
	if w := f.ask(http.MethodPost, "/api/v1/echo", `{"text":"a"}`); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("with the database away: %d %s", w.Code, w.Body)
	}
}

func TestBasicPasswordIsAKey(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/echo", strings.NewReader(`{"text":"a"}`))
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth("anyone", "good")
	w := httptest.NewRecorder()
	newFixture(t, nil).handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPublicURL(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PublicURL = "https://tandem.example/" })
	w := f.ask(http.MethodPost, "/api/v1/echo", `{"text":"a"}`, "Origin", "https://tandem.example", "Sec-Fetch-Site", "same-site")
	if w.Code != http.StatusOK || w.Header().Get("Strict-Transport-Security") == "" {
		t.Errorf("from the public URL: %d %s, %v", w.Code, w.Body, w.Header())
	}
	if w := f.ask(http.MethodPost, "/api/v1/echo", `{"text":"a"}`, "Origin", "https://other.example"); w.Code != http.StatusForbidden {
		t.Errorf("from elsewhere: %d", w.Code)
	}
}

func TestRequestID(t *testing.T) {
	f := newFixture(t, nil)
	if got := f.ask("GET", "/healthz", "", "X-Request-Id", "from.proxy-1").Header().Get("X-Request-Id"); got != "from.proxy-1" {
		t.Errorf("a decent id became %q", got)
	}
	if got := f.ask("GET", "/healthz", "", "X-Request-Id", "two words").Header().Get("X-Request-Id"); got == "two words" || got == "" {
		t.Errorf("an indecent id became %q", got)
	}
	if !strings.Contains(f.log.String(), `"request_id":"from.proxy-1"`) || !strings.Contains(f.log.String(), `"route":"/healthz"`) {
		t.Errorf("access log %s", f.log)
	}
	f.ask("POST", "/api/v1/echo?token=shibboleth", `{"text":"a"}`)
	if log := f.log.String(); strings.Contains(log, "shibboleth") || strings.Contains(log, "good") {
		t.Errorf("the access log tells secrets: %s", log)
	}
}

func TestHealth(t *testing.T) {
	var away error
	f := newFixture(t, func(c *Config) { c.Ready = func(context.Context) error { return away } })
	if w := f.ask("GET", "/readyz", ""); w.Code != http.StatusOK {
		t.Errorf("ready: %d", w.Code)
	}
	away = errors.New("no database")
	if w := f.ask("GET", "/readyz", ""); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "database") {
		t.Errorf("not ready: %d %s", w.Code, w.Body)
	}
	if w := f.ask("GET", "/healthz", ""); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("alive: %d %s", w.Code, w.Body)
	}
}

func TestOpenAPI(t *testing.T) {
	f := newFixture(t, nil)
	w := f.ask("GET", "/openapi.json", "")
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Security  []map[string][]string `json:"security"`
			Responses map[string]struct {
				Content map[string]any `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	operation, ok := document.Paths["/api/v1/echo"]["post"]
	if !strings.HasPrefix(document.OpenAPI, "3.1") || !ok || len(operation.Security) != 2 {
		t.Fatalf("document %s", w.Body)
	}
	if _, ok := operation.Responses["default"].Content["application/problem+json"]; !ok || document.Components.Schemas["Problem"] == nil {
		t.Errorf("the problem is not described: %s", w.Body)
	}
	for _, page := range []string{"/docs", "/schemas/Problem.json"} {
		if w := f.ask("GET", page, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", page, w.Code)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, config := range map[string]Config{
		"no keys":     {},
		"wrong URL":   {Keys: fakeKeys{}, PublicURL: "tandem.example"},
		"wrong limit": {Keys: fakeKeys{}, MaxBody: -1},
	} {
		if _, err := Handler(config); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: error %v", name, err)
		}
	}
	handler, err := Handler(Config{Keys: fakeKeys{}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if body, _ := io.ReadAll(w.Body); string(body) != "ok\n" {
		t.Errorf("a site of defaults says %q", body)
	}
}
