package site_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tandem/internal/browsertest"
)

var chromium browsertest.Browser

// TestJoinOverPlainHTTP joins, signs out and in again in a real browser on an address beyond loopback, where browsers
// send no Sec-Fetch-Site: the forms must do with the Origin, which a careless Referrer-Policy makes null.
func TestJoinOverPlainHTTP(t *testing.T) {
	address := outside(t)
	w := newWorld(t)
	seen := make(chan string, 10) // the forms' Sec-Fetch-Site and Origin, to know that the test is about what it says
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Skipf("no listener beyond loopback: %v", err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			seen <- r.Header.Get("Sec-Fetch-Site") + " " + r.Header.Get("Origin")
		}
		w.handler.ServeHTTP(rw, r)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	_, token, err := w.store.Invite(t.Context(), w.ada.ID, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tab := chromium.Person(t)
	tab.Allow("Cross-Origin-Opener-Policy") // ignored where there is no https
	tab.Open(server.URL + "/join/" + token)
	tab.Type("input[name=password]", "correct horse")
	tab.Type("input[name=repeat]", "correct horse")
	tab.Click("button.main")
	tab.See("Sign out")
	tab.Click(".who button")
	tab.See("E-mail address")
	tab.Type("input[name=email]", w.ada.Email)
	tab.Type("input[name=password]", "correct horse")
	tab.Click("button.main")
	tab.See("Sign out")
	for _, form := range []string{"joining", "signing out", "signing in"} {
		if got := <-seen; got != " "+server.URL {
			t.Errorf("%s came with %q", form, got)
		}
	}
}

// outside is an address of this machine that is not its loopback.
func outside(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("the machine has no address but its loopback")
	return ""
}
