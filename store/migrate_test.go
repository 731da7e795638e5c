package store_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/tern/v2/migrate"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/migrations"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	db := postgres.Empty(t)
	_, err := store.Open(t.Context(), db.URL)
	wantCode(t, "opening what was never migrated", err, tandem.Unavailable)
	results := make(chan error)
	for range 4 {
		go func() { results <- store.Migrate(t.Context(), db.OwnerURL) }()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := pgtest.OpenStore(t, db.URL).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Migrating a database that is in use loses nothing.
func TestMigrateWithDataInIt(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 3})
	w.submit(w.submission(w.claim(w.annotator())))
	before := w.progress()
	if err := store.Migrate(t.Context(), db.OwnerURL); err != nil {
		t.Fatal(err)
	}
	if after := w.progress(); after != before {
		t.Errorf("progress %+v became %+v", before, after)
	}

	// From an older version, with rows: the last file brings the grants, and they cover what was there.
	old := postgres.Empty(t)
	owner := connect(t, old.OwnerURL+"&search_path=tandem")
	if _, err := owner.Exec(t.Context(), `CREATE SCHEMA tandem`); err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewMigrator(t.Context(), owner, "tandem.schema_version")
	if err == nil {
		err = m.LoadMigrations(migrations.Files)
	}
	if err == nil {
		err = m.MigrateTo(t.Context(), int32(len(m.Migrations)-1))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), `INSERT INTO rounds (number, name) VALUES (1, 'kept')`); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), old.URL)
	if err == nil {
		t.Error("an older schema was opened")
	}
	if err := store.Migrate(t.Context(), old.OwnerURL); err != nil {
		t.Fatal(err)
	}
	if rounds := must(pgtest.OpenStore(t, old.URL).Rounds(t.Context()))(t); len(rounds) != 1 || rounds[0].Name != "kept" {
		t.Errorf("rounds %+v", rounds)
	}
}

func TestSchemaOfAnotherVersion(t *testing.T) {
	db := postgres.Database(t)
	owner := connect(t, db.OwnerURL)
	for _, test := range []struct {
		version int
		says    string
	}{
		{1, "run tandem migrate"},
		{99, "use a newer tandem"}, // the last: the migration below meets it
	} {
		if _, err := owner.Exec(t.Context(), `UPDATE schema_version SET version = $1`, test.version); err != nil {
			t.Fatal(err)
		}
		_, err := store.Open(t.Context(), db.URL)
		wantCode(t, test.says, err, tandem.Conflict)
		if err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("version %d: %v does not say %q", test.version, err, test.says)
		}
	}
	wantCode(t, "migrating a newer schema", store.Migrate(t.Context(), db.OwnerURL), tandem.Conflict)
}

// One DATABASE_URL for everything: its user migrates, and Open steps down to the narrow role.
func TestOneUserForBoth(t *testing.T) {
	db := postgres.Empty(t)
	admin := connect(t, db.AdminURL)
	if _, err := admin.Exec(t.Context(), `CREATE ROLE somebody LOGIN PASSWORD 'x'; GRANT ALL ON DATABASE `+admin.Config().Database+` TO somebody`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), `DROP OWNED BY somebody CASCADE; DROP ROLE somebody`); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("somebody", "x")
	if err := store.Migrate(t.Context(), u.String()); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), u.String())
	wantCode(t, "a user who is no member", err, tandem.Forbidden)
	if err != nil && !strings.Contains(err.Error(), "GRANT tandem_app TO somebody") {
		t.Errorf("%v does not say what to do", err)
	}
	if _, err := admin.Exec(t.Context(), `GRANT tandem_app TO somebody`); err != nil {
		t.Fatal(err)
	}
	s := pgtest.OpenStore(t, u.String())
	var role string
	if err := s.Pool().QueryRow(t.Context(), `SELECT current_user`).Scan(&role); err != nil || role != "tandem_app" {
		t.Errorf("acts as %s, %v", role, err)
	}
}
