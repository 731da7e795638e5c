package site

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"tandem"
)

// TestRates: sources are told apart by session or key, else by address; one that asks too much is told so, and others go on.
func TestRates(t *testing.T) {
	handler := newSite(t, func(c *Config) { c.Rates = Rates{SignIns: 3, Strangers: 4, Callers: 5} })
	until := func(what string, want int, again func() *http.Request) {
		t.Helper()
		for n := 0; n <= want; n++ {
			w := send(handler, again())
			if limited := w.Code == http.StatusTooManyRequests; limited != (n == want) {
				t.Errorf("%s: request %d gets %d", what, n+1, w.Code)
			} else if limited {
				if p := problemOf(t, w); p.Code != "too_many" || w.Header().Get("Retry-After") == "" {
					t.Errorf("%s: %+v, %v", what, p, w.Header())
				}
			}
		}
	}
	from := func(address string, r *http.Request) *http.Request { r.RemoteAddr = address; return r }
	until("who is not signed in", 4, func() *http.Request { return request("GET", "/desk", "") })
	until("an address next door", 4, func() *http.Request { return from("192.0.2.2:1", request("GET", "/desk", "")) })
	n := 0
	until("an IPv6 network", 4, func() *http.Request {
		n++ // whoever has a /64 has all its addresses
		return from(fmt.Sprintf("[2001:db8::%x]:1", n), request("GET", "/desk", ""))
	})
	until("a session", 5, func() *http.Request { return request("GET", "/desk", "", "Cookie", ada) })
	until("a key", 5, func() *http.Request { return request("GET", "/desk", "", "Authorization", "Bearer good") })
	until("signing in, whatever cookie comes along", 3, func() *http.Request {
		n++
		return request("POST", "/signin", "", "Sec-Fetch-Site", "same-origin", "Cookie", fmt.Sprintf("tandem=%d", n))
	})
	if w := send(handler, request("POST", "/join/x", "", "Sec-Fetch-Site", "same-origin")); w.Code != http.StatusTooManyRequests {
		t.Errorf("joining counts apart from signing in: %d", w.Code)
	}
	for range 10 {
		for _, path := range []string{"/healthz", "/readyz", assetFolder(t)} {
			if w := send(handler, request("GET", path, "")); w.Code == http.StatusTooManyRequests {
				t.Errorf("%s is limited", path)
			}
		}
	}
}

func assetFolder(t *testing.T) string { return assetPath(t, newSite(t, nil), "app.js") }

// TestManyPeopleBehindOneAddress: two hundred annotators of one office never meet a limit, at many times the
// pace that the service is measured at: 500 judgments a second, each a claim and a submit.
func TestManyPeopleBehindOneAddress(t *testing.T) {
	const people, paceOfAll = 200, 500 * 2 * 60
	if d := DefaultRates(); d.Callers < 10*paceOfAll/people || d.SignIns < people || d.Strangers < 10*people {
		t.Errorf("the defaults %+v hold up %d people", d, people)
	}
	handler := newSite(t, func(c *Config) { c.Rates = Rates{SignIns: 1, Strangers: 1, Callers: 25} })
	for round := range 25 {
		for person := range people {
			if w := send(handler, request("GET", "/signin", "", "Cookie", fmt.Sprintf("tandem=%d", person))); w.Code != http.StatusOK {
				t.Fatalf("round %d, person %d: %d", round, person, w.Code)
			}
		}
	}
}

// TestClientAddress: X-Forwarded-For counts where a proxy that is named as trusted wrote it, and nowhere else.
func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, test := range []struct {
		name      string
		proxies   []netip.Prefix
		remote    string
		forwarded string
		want      string
	}{
		{"no proxy", nil, "203.0.113.9:1", "", "203.0.113.9"},
		{"a header from nobody trusted", nil, "203.0.113.9:1", "198.51.100.1", "203.0.113.9"},
		{"the proxy's", proxies, "10.1.2.3:1", "198.51.100.1", "198.51.100.1"},
		{"a client's own in front of the proxy's", proxies, "10.1.2.3:1", "127.0.0.1, 198.51.100.1", "198.51.100.1"},
		{"past the proxy", proxies, "203.0.113.9:1", "198.51.100.1", "203.0.113.9"},
		{"two proxies", proxies, "10.1.2.3:1", "198.51.100.1, 10.9.9.9", "198.51.100.1"},
		{"nonsense", proxies, "10.1.2.3:1", "unknown", "10.1.2.3"},
		{"no header", proxies, "10.1.2.3:1", "", "10.1.2.3"},
	} {
		r := request("GET", "/", "", "X-Forwarded-For", test.forwarded)
		r.RemoteAddr = test.remote
		var got string
		clientIP(test.proxies)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = clientAddress(r) })).ServeHTTP(nil, r)
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	if _, err := Handler(Config{Keys: fakeKeys{}, TrustedProxies: proxies}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a trusted proxy without a public URL: %v", err)
	}
	if _, err := Handler(Config{Keys: fakeKeys{}, Rates: Rates{Callers: -1}}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a negative rate: %v", err)
	}
}
