package site

import (
	"net/http"
	"strings"
	"testing"
)

const ada = "tandem=ada"

// TestCrossOrigin sends what browsers send, and what they can be made to send.
func TestCrossOrigin(t *testing.T) {
	const public = "https://tandem.example"
	tests := []struct {
		name    string
		public  string
		method  string // defaults to POST
		path    string // defaults to /desk, which answers 200 to who is signed in
		headers []string
		status  int
	}{
		{"same origin", "", "", "", []string{"Cookie", ada, "Sec-Fetch-Site", "same-origin"}, 200},
		{"the person's own doing", "", "", "", []string{"Cookie", ada, "Sec-Fetch-Site", "none"}, 200},
		{"another site", "", "", "", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"a neighbour", "", "", "", []string{"Cookie", ada, "Sec-Fetch-Site", "same-site", "Origin", "https://blog.example.com"}, 403},
		{"another site that claims our origin", "", "", "", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site", "Origin", "http://example.com"}, 403},
		{"another site, put", "", "PUT", "", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, patch", "", "PATCH", "", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, delete", "", "DELETE", "", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site"}, 403},
		{"a link from another site", "", "GET", "", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site"}, 200},

		{"only Origin", "", "", "", []string{"Cookie", ada, "Origin", "http://example.com"}, 200},
		{"only another Origin", "", "", "", []string{"Cookie", ada, "Origin", "https://evil.example"}, 403},
		{"an Origin with our name in front", "", "", "", []string{"Cookie", ada, "Origin", "http://example.com.evil.example"}, 403},
		{"our host, another port", "", "", "", []string{"Cookie", ada, "Origin", "http://example.com:81"}, 403},
		{"no origin to tell", "", "", "", []string{"Cookie", ada, "Origin", "null"}, 403},

		{"an old browser", "", "", "", []string{"Cookie", ada, "Referer", "http://example.com/desk"}, 200},
		{"an old browser on another site", "", "", "", []string{"Cookie", ada, "Referer", "https://evil.example/?http://example.com/"}, 403},
		{"an old browser that says nothing", "", "", "", []string{"Cookie", ada}, 403},
		{"an old browser that says nonsense", "", "", "", []string{"Cookie", ada, "Referer", "::"}, 403},
		{"no cookie and no form, as programs", "", "", "/api/v1/echo", []string{"Authorization", "Bearer bad", "Content-Type", "application/json"}, 401},

		{"loopback", "", "", "", []string{"Host", "127.0.0.1:8080", "Cookie", ada, "Origin", "http://127.0.0.1:8080"}, 200},
		{"loopback by name", "", "", "", []string{"Host", "localhost:8080", "Cookie", ada, "Origin", "http://localhost:8080"}, 200},
		{"loopback, another program's page", "", "", "", []string{"Host", "127.0.0.1:8080", "Cookie", ada, "Origin", "http://127.0.0.1:3000"}, 403},
		{"loopback, the other name", "", "", "", []string{"Host", "127.0.0.1:8080", "Cookie", ada, "Origin", "http://localhost:8080"}, 403},

		{"behind a proxy", public, "", "", []string{"Host", "10.0.0.5:8080", "Cookie", "__Host-" + ada, "Origin", public, "Sec-Fetch-Site", "same-origin"}, 200},
		{"behind a proxy, only Origin", public, "", "", []string{"Host", "10.0.0.5:8080", "Cookie", "__Host-" + ada, "Origin", public}, 200},
		{"behind a proxy, only Referer", public, "", "", []string{"Host", "10.0.0.5:8080", "Cookie", "__Host-" + ada, "Referer", public + "/desk"}, 200},
		{"behind a proxy, plain Referer", public, "", "", []string{"Host", "10.0.0.5:8080", "Cookie", "__Host-" + ada, "Referer", "http://tandem.example/desk"}, 403},
		{"behind a proxy, another site", public, "", "", []string{"Host", "10.0.0.5:8080", "Cookie", "__Host-" + ada, "Origin", "https://evil.example"}, 403},
		{"behind a proxy, forwarded names count for nothing", public, "", "", []string{"Host", "10.0.0.5:8080", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "Cookie", "__Host-" + ada, "Origin", "https://evil.example"}, 403},
		{"behind a proxy, no public URL", "", "", "", []string{"Host", "10.0.0.5:8080", "Cookie", ada, "Origin", public}, 403},

		{"signing in", "", "", "/signin", []string{"Content-Type", form, "Sec-Fetch-Site", "same-origin"}, 401},
		{"signing in from another site", "", "", "/signin", []string{"Content-Type", form, "Sec-Fetch-Site", "cross-site"}, 403},
		{"signing in from another site, only Origin", "", "", "/signin", []string{"Content-Type", form, "Origin", "https://evil.example"}, 403},
		{"signing in from nowhere", "", "", "/signin", []string{"Content-Type", form}, 403},
		{"joining from nowhere", "", "", "/join/link", []string{"Content-Type", form}, 403},
		{"signing out from another site", "", "", "/signout", []string{"Cookie", ada, "Sec-Fetch-Site", "cross-site"}, 403},

		{"the API with a session, from another site", "", "", "/api/v1/echo", []string{"Cookie", ada, "Content-Type", "text/plain", "Origin", "https://evil.example"}, 403},
		{"the API with a session, from nowhere", "", "", "/api/v1/echo", []string{"Cookie", ada, "Content-Type", "application/json"}, 403},
		{"a key", "", "", "/desk", []string{"Authorization", "Bearer good"}, 200},
		{"a key beside a cookie", "", "", "/desk", []string{"Authorization", "Bearer good", "Cookie", "other=1"}, 200},
		{"a key as a password", "", "", "/desk", []string{"Authorization", "Basic eDpnb29k", "Content-Type", "application/json"}, 200},
		{"a key as a password that a browser remembers", "", "", "/desk", []string{"Authorization", "Basic eDpnb29k", "Content-Type", form}, 403},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			method, path := test.method, test.path
			if method == "" {
				method = http.MethodPost
			}
			if path == "" {
				path = "/desk"
			}
			handler := newSite(t, func(c *Config) { c.PublicURL = test.public })
			w := send(handler, request(method, path, "", test.headers...))
			if w.Code != test.status {
				t.Errorf("%d, want %d: %s", w.Code, test.status, w.Body)
			}
		})
	}
}

// TestWrongPublicURL: who set the proxy up reads both addresses in the refusal, as text.
func TestWrongPublicURL(t *testing.T) {
	handler := newSite(t, func(c *Config) { c.PublicURL = "https://old.example" })
	w := send(handler, request("POST", "/desk", "", "Host", "10.0.0.5:8080", "Origin", "https://tandem.example", "Accept", "text/html"))
	for _, want := range []string{"https://tandem.example", "https://old.example", "10.0.0.5:8080", "--public-url", "<!doctype html>"} {
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d without %q: %s", w.Code, want, w.Body)
		}
	}
	w = send(handler, request("POST", "/desk", "", "Origin", "https://<script>x", "Accept", "text/html"))
	if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "<script>x") {
		t.Errorf("an Origin that is HTML: %d %s", w.Code, w.Body)
	}
}

// TestNoCORS: no header ever lets a page of another site read an answer.
func TestNoCORS(t *testing.T) {
	handler := newSite(t, nil)
	for _, r := range []*http.Request{
		request("OPTIONS", "/api/v1/echo", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"),
		request("GET", "/desk", "", "Origin", "https://evil.example", "Cookie", ada),
	} {
		w := send(handler, r)
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s answers with %s: %s", r.Method, r.URL, name, w.Header().Get(name))
			}
		}
	}
}
