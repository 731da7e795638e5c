package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tandem"
	"tandem/annotation"
	"tandem/internal/load"
	"tandem/internal/pgtest"
	"tandem/store"
)

// TestServerKilledBetweenCommitAndReply kills the real server by SIGKILL once a judgment is in the database, before the server itself
// has heard so. The client tries again, with another process at the other end, and there is one judgment.
func TestServerKilledBetweenCommitAndReply(t *testing.T) {
	const kills = 2
	useDatabase(t)
	s := pgtest.OpenStore(t, os.Getenv("DATABASE_URL"))
	project, err := load.MakeProject(t.Context(), s, s.Pool(), store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 1}, 10)
	if err != nil {
		t.Fatal(err)
	}
	person, err := s.AddAnnotator(t.Context(), store.Annotator{Name: "Ada", Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.CreateKey(t.Context(), store.Key{Name: "ada", Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: person.ID})
	if err != nil {
		t.Fatal(err)
	}

	var server atomic.Pointer[serveProcess]
	var armed atomic.Bool
	var lost atomic.Int64
	var door sync.Mutex
	t.Setenv("DATABASE_URL", gate(t, os.Getenv("DATABASE_URL"), func() {
		if !armed.Load() {
			return
		}
		door.Lock()
		defer door.Unlock()
		if armed.Load() && judgments(t, s, project.ID) > int(lost.Load()) { // the answer to the commit stands at the door
			server.Load().kill()
			armed.Store(false)
		}
	}))
	server.Store(startServe(t))

	// Between client and server stands a proxy, so that the next server has the same address.
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := httputil.NewSingleHostReverseProxy(server.Load().url)
		target.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {
			lost.Add(1)
			server.Store(startServe(t))
			panic(http.ErrAbortHandler) // the client sees a lost connection
		}
		target.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)

	client := &annotation.Client{URL: proxy.URL, Key: secret, Retries: 5}
	for n := range kills {
		claim, err := client.Claim(t.Context(), project.ID)
		if err != nil || claim.Assignment == nil {
			t.Fatalf("%+v, %v", claim, err)
		}
		a := claim.Assignment
		armed.Store(true)
		j, err := client.Submit(t.Context(), a.ID, "key of "+a.ID, annotation.Submission{
			Verdict: annotation.Verdict{Chosen: a.Answers[0].ID, Rejected: a.Answers[1].ID, Degree: tandem.Better.String()}})
		if err != nil {
			t.Fatal(err)
		}
		if armed.Load() {
			t.Fatal("the server was not killed")
		}
		own, err := s.OwnJudgment(t.Context(), person.ID, a.ID)
		if err != nil || own.ID != j.ID || own.Version != 1 {
			t.Errorf("kept %+v, answered %+v, %v", own, j, err)
		}
		if got := judgments(t, s, project.ID); got != n+1 || lost.Load() != int64(n+1) {
			t.Errorf("%d judgments after %d, %d replies lost", got, n+1, lost.Load())
		}
	}
}

// gate stands before a database, as a socket of its own, and returns the URL that leads through it. Whatever the database says
// goes on once pass returns.
func gate(t *testing.T, databaseURL string, pass func()) string {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	through, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "tandem-gate-") // t.TempDir's name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	query := through.Query()
	query.Set("host", folder)
	through.RawQuery = query.Encode()
	listener, err := net.Listen(pgconn.NetworkAddress(folder, config.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	carry := func(server net.Conn) {
		defer server.Close()
		network, address := pgconn.NetworkAddress(config.Host, config.Port)
		database, err := net.Dial(network, address)
		if err != nil {
			return // the server sees that its database is away
		}
		defer database.Close()
		go func() {
			_, _ = io.Copy(database, server)
			_ = database.Close() // the server is gone
		}()
		for said := make([]byte, 64<<10); ; {
			n, err := database.Read(said)
			if err != nil {
				return
			}
			pass()
			if _, err := server.Write(said[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			server, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go carry(server)
		}
	}()
	return through.String()
}

// judgments counts a project's rows, versions included.
func judgments(t *testing.T, s *store.Store, project string) (n int) {
	for _, err := range s.Judgments(context.WithoutCancel(t.Context()), store.JudgmentQuery{Project: project, Versions: true, Excluded: true}) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	return n
}

// serveProcess is a tandem serve of its own.
type serveProcess struct {
	cmd  *exec.Cmd
	url  *url.URL
	done chan struct{}
}

var listens = regexp.MustCompile(`msg=listening url=(http://[0-9.:]+)`)

// startServe starts the program on a free port.
func startServe(t *testing.T) *serveProcess {
	cmd := exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	p := &serveProcess{cmd: cmd, done: make(chan struct{})}
	t.Cleanup(p.kill)
	found := make(chan string, 1)
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if match := listens.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
			}
		}
	}()
	select {
	case address := <-found:
		p.url, _ = url.Parse(address) // of the form that was found
		return p
	case <-p.done:
	case <-time.After(30 * time.Second):
	}
	t.Error("the server does not listen")
	panic(http.ErrAbortHandler)
}

// kill ends the process by SIGKILL and waits until it is gone.
func (p *serveProcess) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		_ = p.cmd.Wait() // killed
	}
}
