package site

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// assetPath finds one of the site's files in a page.
func assetPath(t *testing.T, handler http.Handler, name string) string {
	t.Helper()
	page := send(handler, request("GET", "/signin", "")).Body.String()
	path := regexp.MustCompile(`/assets/[0-9a-f]{12}/` + regexp.QuoteMeta(name)).FindString(page)
	if path == "" {
		t.Fatalf("the page loads no %s: %s", name, page)
	}
	return path
}

// TestHeadersOfEveryAnswer: whatever is answered, a browser does no more with it than was meant.
func TestHeadersOfEveryAnswer(t *testing.T) {
	handler := newSite(t, func(c *Config) {
		c.PublicURL, c.Rates = "https://tandem.example", Rates{SignIns: 1}
		c.MaxBody = 1000
	})
	asset := assetPath(t, handler, "app.css")
	const cookie, same = "__Host-tandem=ada", "same-origin"
	send(handler, request("POST", "/signin", "", "Sec-Fetch-Site", same)) // the one that is free
	for _, test := range []struct {
		name    string
		request *http.Request
		status  int
	}{
		{"page", request("GET", "/desk", "", "Cookie", cookie), 200},
		{"page's head", request("HEAD", "/desk", "", "Cookie", cookie), 200},
		{"redirect", request("GET", "/desk", ""), 303},
		{"sign-in page", request("GET", "/signin", "", "Accept", "text/html"), 200},
		{"not signed in", request("POST", "/desk", "", "Accept", "text/html"), 401},
		{"another site", request("POST", "/desk", "", "Sec-Fetch-Site", "cross-site"), 403},
		{"nothing there", request("GET", "/nowhere", "", "Accept", "text/html"), 404},
		{"nothing there, for programs", request("GET", "/api/v1/nowhere", ""), 404},
		{"wrong method", request("DELETE", "/signin", ""), 405},
		{"unknown method", request("BREW", "/signin", ""), 405},
		{"options", request("OPTIONS", "/desk", ""), 405},
		{"too large", request("POST", "/api/v1/echo", strings.Repeat(" ", 2000), "Authorization", "Bearer good", "Content-Type", "application/json"), 413},
		{"a form too large", request("POST", "/desk", "a="+strings.Repeat("b", 2000), "Cookie", cookie, "Sec-Fetch-Site", same, "Content-Type", form), 413},
		{"no text", request("POST", "/desk", "a=%00", "Cookie", cookie, "Sec-Fetch-Site", same, "Content-Type", form), 422},
		{"invalid", request("POST", "/api/v1/echo", "{}", "Authorization", "Bearer good", "Content-Type", "application/json"), 422},
		{"too many", request("POST", "/signin", "", "Sec-Fetch-Site", same), 429},
		{"panic", request("POST", "/desk", "do=panic", "Cookie", cookie, "Sec-Fetch-Site", same, "Content-Type", form, "Accept", "text/html"), 500},
		{"panic of an operation", request("POST", "/api/v1/echo", `{"text":"panic"}`, "Authorization", "Bearer good", "Content-Type", "application/json"), 500},
		{"asset", request("GET", asset, ""), 200},
		{"asset's head", request("HEAD", asset, ""), 200},
		{"no such asset", request("GET", asset+".map", ""), 404},
		{"description", request("GET", "/openapi.json", ""), 200},
		{"health", request("GET", "/healthz", ""), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := send(handler, test.request)
			if w.Code != test.status {
				t.Errorf("%d, want %d: %s", w.Code, test.status, w.Body)
			}
			caching := "no-store"
			if strings.HasPrefix(test.name, "asset") {
				caching = "public, max-age=31536000, immutable"
			}
			for header, want := range map[string]string{
				"Content-Security-Policy":      contentPolicy,
				"X-Content-Type-Options":       "nosniff",
				"X-Frame-Options":              "DENY",
				"Referrer-Policy":              "same-origin",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
				"Strict-Transport-Security":    "max-age=31536000",
				"Cache-Control":                caching,
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if w.Body.Len() > 0 && w.Header().Get("Content-Type") == "" && test.status != http.StatusSeeOther {
				t.Errorf("the answer has no type: %s", w.Body)
			}
			if test.status >= 500 && (strings.Contains(w.Body.String(), "secret reason") || w.Header().Get("Set-Cookie") != "") {
				t.Errorf("a panic tells %v %s", w.Header(), w.Body)
			}
		})
	}
}

// TestContentPolicy holds what pages may load, by name, and that they keep to it.
func TestContentPolicy(t *testing.T) {
	for _, part := range strings.Split(contentPolicy, "; ") {
		name, sources, _ := strings.Cut(part, " ")
		if !slices.Contains([]string{"'self'", "'none'"}, sources) {
			t.Errorf("%s allows %s", name, sources)
		}
	}
	if !strings.HasPrefix(contentPolicy, "default-src 'none';") {
		t.Errorf("what is not named is allowed: %s", contentPolicy)
	}
	for _, name := range []string{"base-uri", "form-action", "frame-ancestors"} { // default-src does not cover these
		if !strings.Contains(contentPolicy, "; "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestPanicInTheMiddleOfAnAnswer cuts the connection, so that nobody takes half of it for all.
func TestPanicInTheMiddleOfAnAnswer(t *testing.T) {
	server := httptest.NewServer(newSite(t, nil))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/desk", strings.NewReader("do=panic+late"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Cookie": ada, "Sec-Fetch-Site": "same-origin", "Content-Type": form} {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return // cut before the first byte went out
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(bufio.NewReader(response.Body)); err == nil {
		t.Errorf("half an answer looks whole: %s", body)
	}
}

// TestMethods: HEAD is GET without a body, 405 says what is possible, and no header or field makes one method another.
func TestMethods(t *testing.T) {
	handler := newSite(t, nil)
	if w := send(handler, request("HEAD", "/healthz", "")); w.Code != http.StatusOK {
		t.Errorf("HEAD: %d", w.Code)
	}
	if w := send(handler, request("HEAD", "/desk", "")); w.Code != http.StatusSeeOther {
		t.Errorf("HEAD of a page, not signed in: %d", w.Code)
	}
	if w := send(handler, request("HEAD", "/signout", "")); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("HEAD where there is no GET: %d, allowed %q", w.Code, w.Header().Get("Allow"))
	}
	for path, allowed := range map[string]string{"/signin": "GET, HEAD, POST", "/signout": "POST", "/api/v1/echo": "POST", "/desk": "GET, HEAD, POST, PUT, PATCH, DELETE"} {
		for _, method := range []string{"OPTIONS", "TRACE", "PROPFIND", "FOO"} {
			if w := send(handler, request(method, path, "")); w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusForbidden || w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") != allowed {
				t.Errorf("%s %s: %d, allowed %q", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
		w := send(handler, request("POST", "/desk?_method=DELETE", "_method=DELETE", header, "DELETE", "Cookie", ada, "Sec-Fetch-Site", "same-origin", "Content-Type", form))
		if w.Body.String() != "POST\n" {
			t.Errorf("%s makes %q of a POST", header, w.Body)
		}
		if w := send(handler, request("GET", "/signout", "", header, "POST", "Cookie", ada)); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s makes something of a GET: %d", header, w.Code)
		}
	}
}

// TestAssets: what is embedded is served, and nothing else, however the path is spelt.
func TestAssets(t *testing.T) {
	handler := newSite(t, nil)
	css := assetPath(t, handler, "app.css")
	folder := strings.TrimSuffix(css, "app.css")
	for name, kind := range map[string]string{"app.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		if w := send(handler, request("GET", folder+name, "")); w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", name, w.Code, w.Header().Get("Content-Type"))
		}
	}
	for _, path := range []string{
		folder, folder + ".", folder + "..", folder + "%2e", folder + "%2e%2e", folder + "../assets.go", folder + "..%2fassets.go", folder + "%2e%2e%2fsession.go", folder + "..%5cassets.go",
		folder + "%2fetc%2fpasswd", folder + "app.css/", folder + "app.css%00.txt", folder + "a/../app.css", "/assets/", "/assets/000000000000/app.css", "/assets/../go.mod", "//assets/app.css",
	} {
		w := send(handler, request("GET", path, ""))
		if w.Code != http.StatusNotFound && w.Code != http.StatusUnprocessableEntity || strings.Contains(w.Body.String(), "package web") || strings.Contains(w.Body.String(), "<a href") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %s", path, w.Header().Get("Cache-Control"))
		}
	}
}
