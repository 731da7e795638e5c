package annotation_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/load"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
	"tandem/store/local"
)

// faults is how many faults a test injects: few in the suite, TANDEM_FAULTS in make acceptance.
func faults(t *testing.T, few int) int {
	text := os.Getenv("TANDEM_FAULTS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("TANDEM_FAULTS is %q", text)
	}
	return n
}

// TestPostgresKilledUnderLoad kills a durable Postgres while a crowd judges through the site, again and again.
// Every judgment that was acknowledged is there, once.
func TestPostgresKilledUnderLoad(t *testing.T) {
	const people, between = 12, 25 // judgments from one fall to the next
	kills := faults(t, 2)
	home, err := os.MkdirTemp("", "tandem-fault-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o711); err != nil { // root's server runs as another user
		t.Fatal(err)
	}
	start := func() *local.Server {
		for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			server, err := local.Start(t.Context(), local.Config{Home: home}) // durable
			if err == nil {
				t.Cleanup(func() { _ = server.Close() })
				return server
			}
			if time.Now().After(limit) { // the fallen server's children may hold its memory for a moment
				t.Fatal(err)
			}
		}
	}
	server := start()
	if err := store.Migrate(t.Context(), server.OwnerURL()); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if d, err := load.DurabilityOf(t.Context(), s.Pool()); err != nil || !d.On() {
		t.Fatalf("the server is not durable: %+v, %v", d, err)
	}
	crowd, err := load.MakePeople(t.Context(), s, "Person", people)
	if err != nil {
		t.Fatal(err)
	}
	project, err := load.MakeProject(t.Context(), s, s.Pool(), store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2}, max(1000, 2*kills*between))
	if err != nil {
		t.Fatal(err)
	}
	host, acknowledged := countedSite(t, s)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ran := make(chan load.Result, 1)
	go func() {
		result, _ := load.Run(ctx, load.Config{Host: host, Project: project.ID, People: crowd, Duration: time.Hour, Retry: true}) // ended by stop
		ran <- result
	}()
	for kill := range kills {
		acknowledged.wait(t, (kill+1)*between)
		killPostgres(t, home)
		start()
	}
	acknowledged.wait(t, (kills+1)*between)
	stop()
	result := <-ran

	// Who was cut off in the middle of a judgment goes on with the same key, and finds what was kept.
	checked, err := load.Check(t.Context(), s, project, result.Acknowledged)
	if err != nil || !checked.OK() || checked.Acknowledged < kills*between || result.Errors > 0 {
		t.Errorf("%+v, %v; answers that were no success: %v", checked, err, result.ErrorKinds)
	}
	t.Logf("%d falls: %+v", kills, checked)
}

// counted is told of every judgment that is acknowledged.
type counted struct {
	n      atomic.Int64
	change chan struct{}
}

// wait returns once so many were acknowledged.
func (c *counted) wait(t *testing.T, n int) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for c.n.Load() < int64(n) {
		select {
		case <-c.change:
		case <-limit:
			t.Fatalf("only %d judgments were acknowledged, not %d", c.n.Load(), n)
		}
	}
}

// countedSite serves the site, and counts the judgments that it acknowledges.
func countedSite(t *testing.T, s *store.Store) (host string, c *counted) {
	t.Helper()
	c = &counted{change: make(chan struct{}, 1)}
	handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Ready: s.Ping}, func(api web.API) error { return annotation.Register(api, s) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusWriter{ResponseWriter: w}
		handler.ServeHTTP(answer, r)
		if answer.status == http.StatusCreated {
			c.n.Add(1)
			select {
			case c.change <- struct{}{}:
			default:
			}
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), c
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// killPostgres kills the server of a home, each of its processes where it stands, and returns once they are gone.
func killPostgres(t *testing.T, home string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(home, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	children, err := os.ReadFile("/proc/" + line + "/task/" + line + "/children") // each connection has one
	if err != nil {
		t.Fatal(err)
	}
	pids := append([]string{line}, strings.Fields(string(children))...)
	for i, text := range pids { // the first one first: it would start the others anew
		pid, err := strconv.Atoi(text)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil && (i == 0 || !errors.Is(err, syscall.ESRCH)) {
			t.Fatal(err)
		}
	}
	for _, pid := range pids {
		for gone := false; !gone; time.Sleep(time.Millisecond) { // a zombie of a parent that does not ask counts as gone
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			gone = err != nil || strings.Contains(string(stat), ") Z")
		}
	}
}
