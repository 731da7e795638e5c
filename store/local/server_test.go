package local_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
	"tandem/store/local"
)

// helperHome, when set, makes this binary a process that joins a home's server, says so, and leaves when
// its input ends.
const helperHome = "TANDEM_TEST_LOCAL_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(helperHome); home != "" {
		os.Exit(help(home))
	}
	os.Exit(m.Run())
}

func help(home string) int {
	s, err := local.Start(context.Background(), local.Config{Home: home, Ephemeral: true})
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	fmt.Println("joined")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	return 0
}

// helper is another process that shares a home.
type helper struct {
	*exec.Cmd
	stdin io.Closer
}

func startHelper(t *testing.T, home string) helper {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperHome+"="+home)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // ended already in a test that passes
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "joined\n" {
		t.Fatalf("helper said %q, %v", line, err)
	}
	return helper{cmd, stdin}
}

func (h helper) leave(t *testing.T) {
	t.Helper()
	_ = h.stdin.Close()
	if err := h.Wait(); err != nil {
		t.Fatalf("helper: %v", err)
	}
}

func start(t *testing.T, config local.Config) *local.Server {
	t.Helper()
	began := time.Now()
	s, err := local.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("start took %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// home is a folder that the unprivileged user of root's server can reach, unlike some of t.TempDir's.
func newHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("/tmp", "tandem-home-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := local.StopAbandoned(context.Background(), local.Config{Home: home}); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(home)
	})
	return home
}

// pid is the server's, 0 where none runs.
func pid(home string) int {
	content, err := os.ReadFile(filepath.Join(home, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(content), "\n")
	n, _ := strconv.Atoi(line)
	return n
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func TestServerIsAsPromised(t *testing.T) {
	home := newHome(t)
	s := start(t, local.Config{Home: home})
	for sql, want := range map[string]string{
		`SHOW server_encoding`:      "UTF8",
		`SHOW data_checksums`:       "on",
		`SHOW listen_addresses`:     "",
		`SHOW fsync`:                "on",
		`SHOW synchronous_commit`:   "on",
		`SHOW password_encryption`:  "scram-sha-256",
		`SHOW timezone`:             "UTC",
		`SELECT current_user::text`: "tandem_app",
		`SELECT string_agg(x, '' ORDER BY x) FROM unnest('{b,a,Z,ä}'::text[]) x`: "Zabä",
		`SELECT upper('ä')`: "Ä",
		`SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user`: "false",
	} {
		if got := query(t, s.URL(), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if got := query(t, s.OwnerURL(), `SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()`); got != "tandem_owner" {
		t.Errorf("the database belongs to %s", got)
	}

	// A wrong password is refused: nobody comes in by merely reaching the socket.
	if conn, err := pgx.Connect(t.Context(), strings.Replace(s.URL(), "tandem_app:", "tandem_app:x", 1)); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password was let in")
	}
	socket := query(t, s.AdminURL(), `SHOW unix_socket_directories`)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder %s is %v, %v", socket, info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(home, "postgres", "credentials.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials are %v, %v", info.Mode(), err)
	}
}

func TestServerIsSharedAndStoppedByTheLast(t *testing.T) {
	home := newHome(t)
	first := startHelper(t, home)
	server := pid(home)
	second := startHelper(t, home)
	if pid(home) != server || server == 0 {
		t.Fatalf("two servers: %d and %d", server, pid(home))
	}
	first.leave(t)
	if pid(home) != server {
		t.Fatal("the first to leave stopped the server under the second")
	}
	second.leave(t)
	if got := pid(home); got != 0 {
		t.Fatalf("the server runs as %d after the last left", got)
	}
	if left, _ := filepath.Glob(filepath.Join(home, "postgres", "password*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestServerOfAKilledProcessIsAdopted(t *testing.T) {
	home := newHome(t)
	killed := startHelper(t, home)
	server := pid(home)
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if pid(home) != server {
		t.Fatal("the server went with its starter")
	}
	s, err := local.Start(t.Context(), local.Config{Home: home, Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	if pid(home) != server {
		t.Errorf("started %d beside %d", pid(home), server)
	}
	if stopped, err := local.StopAbandoned(t.Context(), local.Config{Home: home}); stopped || err != nil {
		t.Errorf("a server in use was stopped: %v, %v", stopped, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := pid(home); got != 0 {
		t.Errorf("the adopted server runs on as %d", got)
	}

	// A server that fell itself leaves its pid file behind, and the next start cleans up after it.
	start(t, local.Config{Home: home, Ephemeral: true})
	fallen := pid(home)
	_ = syscall.Kill(fallen, syscall.SIGKILL)
	again := start(t, local.Config{Home: home, Ephemeral: true})
	if pid(home) == fallen {
		t.Error("the fallen server was taken for a live one")
	}
	if got := query(t, again.URL(), `SELECT current_database()::text`); got != "tandem" {
		t.Errorf("connected to %s", got)
	}
}

// What a killed process left can be stopped without joining it.
func TestStopAbandoned(t *testing.T) {
	home := newHome(t)
	config := local.Config{Home: home}
	if stopped, err := local.StopAbandoned(t.Context(), config); stopped || err != nil {
		t.Errorf("a home without a server: %v, %v", stopped, err)
	}
	killed := startHelper(t, home)
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if stopped, err := local.StopAbandoned(t.Context(), config); !stopped || err != nil || pid(home) != 0 {
		t.Errorf("stopped %v, %v; the server is %d", stopped, err, pid(home))
	}
}

// A socket that the system cleared away makes a server useless: it is started anew, but not under others.
func TestServerThatLostItsSocket(t *testing.T) {
	home := newHome(t)
	user := startHelper(t, home)
	server := pid(home)
	content, err := os.ReadFile(filepath.Join(home, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	folder := strings.Split(string(content), "\n")[4]
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	_, err = local.Start(t.Context(), local.Config{Home: home, Ephemeral: true})
	if tandem.CodeOf(err) != tandem.Unavailable || !strings.Contains(err.Error(), folder) || pid(home) != server {
		t.Errorf("under another's feet: %v", err)
	}
	_ = user.Process.Kill()
	_ = user.Wait()
	s := start(t, local.Config{Home: home, Ephemeral: true})
	if pid(home) == server {
		t.Error("the deaf server runs on")
	}
	if got := query(t, s.URL(), `SELECT current_database()::text`); got != "tandem" {
		t.Errorf("connected to %s", got)
	}
}

// A temporary folder too deep for a socket is passed over.
func TestSocketInALongTemporaryFolder(t *testing.T) {
	deep := filepath.Join(newHome(t), strings.Repeat("d", 100))
	if err := os.Mkdir(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", deep)
	s := start(t, local.Config{Home: newHome(t), Ephemeral: true})
	if got := query(t, s.AdminURL(), `SHOW unix_socket_directories`); strings.HasPrefix(got, deep) {
		t.Errorf("the socket lies in %s", got)
	}
	if left, err := os.ReadDir(deep); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Run("another major version", func(t *testing.T) {
		home := newHome(t)
		s, err := local.Start(t.Context(), local.Config{Home: home, Ephemeral: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		version := filepath.Join(home, "postgres", "data", "PG_VERSION")
		if err := os.WriteFile(version, []byte("9\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = local.Start(t.Context(), local.Config{Home: home})
		if tandem.CodeOf(err) != tandem.Unsupported || !strings.Contains(err.Error(), "PostgreSQL 9") || strings.Count(err.Error(), "PostgreSQL ") < 2 {
			t.Errorf("got %v", err)
		}
		if err := os.RemoveAll(filepath.Join(home, "postgres", "data")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("lost credentials", func(t *testing.T) {
		home := newHome(t)
		s, err := local.Start(t.Context(), local.Config{Home: home, Ephemeral: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(home, "postgres", "credentials.json")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if _, err = local.Start(t.Context(), local.Config{Home: home}); tandem.CodeOf(err) != tandem.Corrupt || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no home", func(t *testing.T) {
		if _, err := local.Start(t.Context(), local.Config{}); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a folder that the server's user cannot enter", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("the server runs as this very user")
		}
		home := newHome(t)
		if err := os.Chmod(home, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := local.Start(t.Context(), local.Config{Home: home})
		if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), home) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHome(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, map[string]string{"HOME": "/root", "XDG_DATA_HOME": "/root/data"}, "/var/lib/tandem"},
		{0, map[string]string{"TANDEM_HOME": "/srv/t"}, "/srv/t"},
		{7, map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/tandem"},
		{7, map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "relative"}, "/home/a/.local/share/tandem"},
		{7, map[string]string{}, ""},
	} {
		got, err := local.Home(c.uid, func(name string) string { return c.env[name] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Home(%d, %v) = %q, %v; want %q", c.uid, c.env, got, err, c.want)
		}
	}
}
