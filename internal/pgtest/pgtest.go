// Package pgtest gives tests a real Postgres: one private server for a test binary, started on first
// use, and for each test a database of its own, cloned from a migrated template.
//
//	var postgres pgtest.Server
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }
//
//	func TestClaim(t *testing.T) {
//		s := postgres.Store(t)
//		…
//	}
//
// Nothing here survives a fall of the machine: durability is off. A machine without Postgres fails the
// tests and says what to install.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem/store"
	"tandem/store/local"
)

const template = "tandem_template"

// homePattern names the folders of test servers under the temporary folder.
const homePattern = "tandem-pgtest-*"

// Server is a test binary's server. The zero value is ready; Run must wrap the tests.
type Server struct {
	start  sync.Once
	err    error
	home   string
	server *local.Server
	clones atomic.Int64
}

// Database is a test's own database.
type Database struct {
	URL      string // as the application's role
	OwnerURL string // as the schema's owner
	AdminURL string // as the superuser
}

// Run runs the tests, stops the server and returns the exit code.
func (s *Server) Run(m *testing.M) int {
	code := m.Run()
	var err error
	if s.server != nil {
		err = s.server.Close()
	}
	if s.home != "" {
		err = errors.Join(err, os.RemoveAll(s.home))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	return code
}

// Store opens a store on a fresh, migrated database, and closes both when the test ends.
func (s *Server) Store(t testing.TB) *store.Store {
	t.Helper()
	return OpenStore(t, s.Database(t).URL)
}

// OpenStore opens a store, and closes it when the test ends.
func OpenStore(t testing.TB, databaseURL string) *store.Store {
	t.Helper()
	opened, err := store.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened
}

// Database clones the migrated template, and drops the clone when the test ends.
func (s *Server) Database(t testing.TB) Database { t.Helper(); return s.create(t, template) }

// Empty makes a database without a schema, for tests of migrations themselves.
func (s *Server) Empty(t testing.TB) Database { t.Helper(); return s.create(t, "template1") }

func (s *Server) create(t testing.TB, from string) Database {
	t.Helper()
	s.start.Do(s.launch)
	if s.err != nil {
		t.Fatal(s.err)
	}
	name := fmt.Sprintf("test_%d", s.clones.Add(1))
	if err := s.admin(t.Context(), `CREATE DATABASE `+name+` TEMPLATE `+from+` OWNER tandem_owner`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.admin(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return Database{URL: onDatabase(s.server.URL(), name), OwnerURL: onDatabase(s.server.OwnerURL(), name), AdminURL: onDatabase(s.server.AdminURL(), name)}
}

// launch starts the server and migrates the template.
func (s *Server) launch() {
	s.err = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		sweep(ctx)
		var err error
		if s.home, err = os.MkdirTemp("", homePattern); err != nil {
			return err
		}
		if err := os.Chmod(s.home, 0o711); err != nil { // root's server runs as another user
			return err
		}
		if s.server, err = local.Start(ctx, local.Config{Home: s.home, Ephemeral: true}); err != nil {
			return err
		}
		if err := s.admin(ctx, `CREATE DATABASE `+template+` OWNER tandem_owner`); err != nil {
			return err
		}
		return store.Migrate(ctx, onDatabase(s.server.OwnerURL(), template))
	}()
}

// sweep stops and removes the servers of test binaries that were killed before they could.
func sweep(ctx context.Context) {
	homes, _ := filepath.Glob(filepath.Join(os.TempDir(), homePattern)) // fails on a malformed pattern alone
	for _, home := range homes {
		// Younger ones may be starting up; those in use are left alone in any case.
		if info, err := os.Stat(home); err != nil || time.Since(info.ModTime()) < 10*time.Minute {
			continue
		}
		_, err := local.StopAbandoned(ctx, local.Config{Home: home})
		if _, running := os.Stat(filepath.Join(home, "postgres", "data", "postmaster.pid")); err == nil && running != nil {
			_ = os.RemoveAll(home)
		}
	}
}

// admin runs one statement as the superuser.
func (s *Server) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.server.AdminURL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

func onDatabase(serverURL, name string) string {
	u, err := url.Parse(serverURL)
	if err != nil {
		panic(err) // made by package local
	}
	u.Path = "/" + name
	return u.String()
}
