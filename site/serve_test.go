package site

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/web"
)

// TestServeCutsOffWhatGoesOn: a request that outlives the grace learns why it ends, and may say so.
func TestServeCutsOffWhatGoesOn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		_, _ = io.WriteString(w, context.Cause(r.Context()).Error())
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeFor(ctx, listener, handler, 20*time.Millisecond) }()
	go func() {
		<-entered
		stop()
	}()
	response, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if said, err := io.ReadAll(response.Body); err != nil || string(said) != web.ErrStopping.Error() {
		t.Errorf("it says %q, %v", said, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestServeFinishesWhatIsUnderWay stops the server while a request is in its handler.
func TestServeFinishesWhatIsUnderWay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-leave:
			_, _ = io.WriteString(w, "kept")
		case <-r.Context().Done():
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, handler) }()
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-entered
	stop()
	time.Sleep(20 * time.Millisecond) // the stop arrives while the request waits
	close(leave)
	if got := <-answered; got != "kept" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("a stop that was asked for: %v", err)
	}
	if _, err := net.DialTimeout("tcp", listener.Addr().String(), time.Second); err == nil {
		t.Error("the server still listens")
	}
}

func TestServeOnAClosedListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := Serve(t.Context(), listener, http.NotFoundHandler()); tandem.CodeOf(err) != tandem.Unavailable {
		t.Errorf("got error %v", err)
	}
}

func TestCheckListen(t *testing.T) {
	tests := []struct {
		address, public string
		insecure, fine  bool
	}{
		{"127.0.0.1:8080", "", false, true},
		{"[::1]:8080", "", false, true},
		{"localhost:8080", "", false, true},
		{":8080", "", false, false},
		{"0.0.0.0:8080", "http://tandem.example", false, false},
		{"0.0.0.0:8080", "https://tandem.example", false, true},
		{"192.168.1.4:8080", "", true, true},
		{"nonsense", "", true, false},
	}
	for _, test := range tests {
		if err := CheckListen(test.address, test.public, test.insecure); (err == nil) != test.fine {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}

// listen runs a server with limits on a real listener, and returns its address.
func listen(t *testing.T, l limits, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(handler, l)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // so that the test ends if the server does not
		t.Fatal(err)
	}
	return c
}

// TestSlowClients: a client that drips its headers, one that drips its body and one that is idle are cut off, and
// others are answered in the meantime.
func TestSlowClients(t *testing.T) {
	quick := limits{header: 150 * time.Millisecond, request: 300 * time.Millisecond, answer: time.Second, idle: 150 * time.Millisecond, headerBytes: 64 << 10}
	address := listen(t, quick, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	}))
	for name, begin := range map[string]string{
		"headers": "GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
		"body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
		"chunks":  "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"nothing": "",
		"idle":    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var slow [20]net.Conn
			for i := range slow {
				slow[i] = dial(t, address)
				if _, err := io.WriteString(slow[i], begin); err != nil {
					t.Fatal(err)
				}
			}
			if name != "nothing" && name != "idle" {
				go func() {
					drop := "a"
					if name == "chunks" {
						drop = "1\r\na\r\n"
					}
					for { // ends when the server, or the end of the test, has closed the connection
						if _, err := io.WriteString(slow[0], drop); err != nil {
							return
						}
						time.Sleep(20 * time.Millisecond) // the drip
					}
				}()
			}
			response, err := http.Get("http://" + address)
			if err != nil {
				t.Fatalf("others are not answered: %v", err)
			}
			response.Body.Close()
			for _, c := range slow {
				if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
					t.Fatalf("the connection is still open: %v", err)
				}
			}
		})
	}
}

// TestDefaultLimits holds that none is missing, zero would be none at all, and that none is much too long.
func TestDefaultLimits(t *testing.T) {
	s := newServer(nil, defaultLimits)
	for name, limit := range map[string][2]time.Duration{
		"headers": {s.ReadHeaderTimeout, 15 * time.Second}, "request": {s.ReadTimeout, 2 * time.Minute}, "answer": {s.WriteTimeout, 5 * time.Minute}, "idle": {s.IdleTimeout, 2 * time.Minute},
	} {
		if limit[0] <= 0 || limit[0] > limit[1] {
			t.Errorf("%s: %v, want %v at most", name, limit[0], limit[1])
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 1<<20 {
		t.Errorf("headers of %d bytes", s.MaxHeaderBytes)
	}
}

// TestLargeHeaders: cookies that no browser sends are refused, and ordinary large ones are not, where the site is served
// as it always is: what Serve makes has the limits.
func TestLargeHeaders(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, "fine") }))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	for size, want := range map[int]int{8 << 10: http.StatusOK, 256 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		c := dial(t, address)
		go func() { // the server answers, and closes, before it has read it all
			_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nCookie: tandem=%s\r\n\r\n", strings.Repeat("a", size))
		}()
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want {
			t.Errorf("a cookie of %d bytes: %d", size, response.StatusCode)
		}
	}
	for name, raw := range map[string]string{
		"no host":           "GET / HTTP/1.1\r\n\r\n",
		"two lengths":       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
		"a broken header":   "GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
		"a NUL in a header": "GET / HTTP/1.1\r\nHost: x\r\nX-A: \x00\r\n\r\n",
	} {
		c := dial(t, address)
		if _, err := io.WriteString(c, raw); err != nil {
			t.Fatal(err)
		}
		if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", name, response, err)
		}
	}
}
