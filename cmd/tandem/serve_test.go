package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem"
)

// sharedBuffer is written by a command while a test reads it.
type sharedBuffer struct {
	mutex sync.Mutex
	bytes.Buffer
}

func (b *sharedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.Buffer.Write(p)
}

func (b *sharedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.Buffer.String()
}

// TestServe starts the site on a free port, asks it with a key, and stops it.
func TestServe(t *testing.T) {
	useDatabase(t)
	secret := strings.TrimSpace(tandemRun(t, "", "key", "create", "test", "--scope", "read").ok(t).out)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stderr sharedBuffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0"}, world{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &stderr})
	}()
	var url string
	for deadline := time.Now().Add(20 * time.Second); url == ""; time.Sleep(10 * time.Millisecond) {
		if found := regexp.MustCompile(`url=(http://[0-9.:]+)`).FindStringSubmatch(stderr.String()); found != nil {
			url = found[1]
		} else if time.Now().After(deadline) {
			t.Fatalf("it does not listen: %s", stderr.String())
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/openapi.json": 200, "/api/v1/models": 200, "/api/v1/nothing": 404} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+secret)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s answers %d, want %d", path, response.StatusCode, want)
		}
	}
	stop()
	if code := <-done; code != exitInterrupted {
		t.Errorf("stopped with exit code %d: %s", code, stderr.String())
	}
}

func TestServeRefusesToBeReadOnTheWay(t *testing.T) {
	r := tandemRun(t, "", "serve", "--listen", "0.0.0.0:0", "--database-url", "postgres://nobody@127.0.0.1:1/none")
	if r.code != exitFailed || !strings.Contains(r.stderr, "--insecure-http") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	for _, args := range [][]string{{"--insecure-http"}, {"--public-url", "https://tandem.example"}} {
		r := tandemRun(t, "", append([]string{"serve", "--listen", "0.0.0.0:0", "--database-url", "postgres://nobody@127.0.0.1:1/none"}, args...)...)
		if r.code != exitFailed || !strings.Contains(r.stderr, "database") {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

func TestNetworks(t *testing.T) {
	got, err := networks([]string{"10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8"})
	if want := "[10.0.0.0/8 127.0.0.1/32 ::1/128 fd00::/8]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	for _, wrong := range []string{"proxy.example", "10.0.0.0/33", ""} {
		if got, err := networks([]string{wrong}); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%q: %v, %v", wrong, got, err)
		}
	}
}
