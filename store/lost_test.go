package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem"
	"tandem/store"
	"tandem/store/local"
)

// A server that goes away is said to be away, and work goes on where it was when it is back.
func TestLostServer(t *testing.T) {
	home, err := os.MkdirTemp("", "tandem-lost-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o711); err != nil { // root's server runs as another user
		t.Fatal(err)
	}
	config := local.Config{Home: home, Ephemeral: true}
	server := must(local.Start(t.Context(), config))(t)
	t.Cleanup(func() { _ = server.Close() })
	if err := store.Migrate(t.Context(), server.OwnerURL()); err != nil {
		t.Fatal(err)
	}
	// What was answered for must survive the fall of the server, if not that of the machine.
	s := must(store.Open(t.Context(), server.URL()+"&synchronous_commit=on"))(t)
	t.Cleanup(s.Close)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 2})
	annotator := w.annotator()
	a := w.claim(annotator)
	sub := w.submission(a)
	w.submit(sub)

	content, err := os.ReadFile(filepath.Join(home, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for range 200 { // its children notice and go
		if err = s.Ping(t.Context()); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	wantCode(t, "a ping without a server", err, tandem.Unavailable)
	_, err = s.Claim(t.Context(), annotator, w.project.ID)
	wantCode(t, "a claim without a server", err, tandem.Unavailable)
	_, err = s.Submit(t.Context(), sub)
	wantCode(t, "a submit without a server", err, tandem.Unavailable)
	for _, err := range s.Comparisons(t.Context(), store.ComparisonQuery{}) {
		wantCode(t, "a stream without a server", err, tandem.Unavailable)
	}
	_, err = store.Open(t.Context(), server.URL())
	wantCode(t, "opening without a server", err, tandem.Unavailable)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Claim(cancelled, annotator, w.project.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled claim: %v", err)
	}

	again := must(local.Start(t.Context(), config))(t)
	t.Cleanup(func() { _ = again.Close() })
	if again.URL() != server.URL() {
		t.Errorf("the server is back elsewhere: %s, was %s", again.URL(), server.URL())
	}
	// The same store goes on, and the retried submit finds what it had kept.
	j, err := s.Submit(t.Context(), sub)
	if err != nil || !j.Replayed {
		t.Errorf("the submit again: %+v, %v", j, err)
	}
	if b := w.claim(annotator); b.TaskID == a.TaskID {
		t.Error("a judged task came again")
	}
}
