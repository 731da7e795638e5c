package store_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
}

// unmigrated is a database without a table, with what takes it to any version.
func unmigrated(t *testing.T) (pgtest.Database, *pgx.Conn, *migrate.Migrator) {
	t.Helper()
	old := postgres.Empty(t)
	owner := connect(t, old.OwnerURL+"&search_path=tandem")
	if _, err := owner.Exec(t.Context(), `CREATE SCHEMA tandem`); err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewMigrator(t.Context(), owner, "tandem.schema_version")
	if err == nil {
		err = m.LoadMigrations(migrations.Files)
	}
	if err != nil {
		t.Fatal(err)
	}
	return old, owner, m
}

// From the first version that was ever used, with rows in it: everything is there afterwards, and the
// application may use it.
func TestMigrateFromAnOlderVersion(t *testing.T) {
	old, owner, m := unmigrated(t)
	put := func(version int32, rows ...string) {
		if err := m.MigrateTo(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		for _, sql := range rows {
			if _, err := owner.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	put(5,
		`INSERT INTO rounds (number, name) VALUES (1, 'kept')`,
		`INSERT INTO runs (round, stage) VALUES (1, 'sft')`,
		`INSERT INTO annotators (role) VALUES ('admin')`,
		`INSERT INTO identities (annotator_id, name) SELECT id, 'Ada' FROM annotators`,
		`INSERT INTO projects (name, aspect, guideline) VALUES ('told', 'safety', 'Be kind.'), ('untold', 'helpfulness', '')`,
		`INSERT INTO openings (hash, held_out) VALUES (sha256('o'), false)`,
		`INSERT INTO messages (id, role, content) VALUES (sha256('m'), 'user', 'What?')`,
		`INSERT INTO prompts (message_id, opening, held_out, safety) VALUES (sha256('m'), sha256('o'), false, false)`,
		`INSERT INTO responses (prompt_id, content, content_hash) VALUES (1, 'This.', sha256('1')), (1, 'That.', sha256('2'))`,
		`INSERT INTO tasks (project_id, prompt_id, kind, content_key) VALUES (1, 1, 'pairwise', sha256('t'))`,
		`INSERT INTO task_responses VALUES (1, 1, 1, 0), (1, 1, 2, 1)`,
		`INSERT INTO assignments (task_id, annotator_id, shown, outcome, closed_at) SELECT 1, id, '{1,2}', 'submitted', clock_timestamp() FROM annotators`,
		`INSERT INTO judgments (assignment_id, task_id, annotator_id, kind, version, chosen, rejected, degree, shown, idempotency_key, body_hash)
		 SELECT 1, 1, id, 'pairwise', 1, 1, 2, 'better', '{1,2}', 'k', sha256('') FROM annotators`,
	)
	put(11,
		`INSERT INTO prompts (message_id, opening, held_out, safety, risk_category, attack_vector)
		 VALUES (sha256('m'), sha256('o'), false, true, 'hateful_and_harmful', 'logic')`,
		`INSERT INTO live_turns (project_id, annotator_id, prompt_id, key) SELECT 1, a.id, p.id, p.id::text FROM annotators a, prompts p`,
	)
	// Who judged before the counting changed, and who did not.
	put(12,
		`INSERT INTO annotators (role) VALUES ('annotator')`,
		`INSERT INTO identities (annotator_id, name) SELECT id, 'Ben' FROM annotators WHERE role = 'annotator'`,
		`INSERT INTO slots (task_id, project_id, number) VALUES (1, 1, 1), (1, 1, 2)`,
		`UPDATE slots SET assignment_id = 1, lease_until = clock_timestamp(), done_at = clock_timestamp() WHERE number = 1`,
		`INSERT INTO tasks (project_id, prompt_id, kind, content_key) VALUES (1, 1, 'pairwise', sha256('u'))`,
		`INSERT INTO task_responses VALUES (2, 1, 1, 0), (2, 1, 2, 1)`,
	)
	put(17, `INSERT INTO rounds (number, name, status) VALUES (2, 'under way', 'running')`)
	// Projects, turns and ratings from before there was red teaming: a rating on seven points stays one.
	put(19,
		`INSERT INTO projects (name, aspect) VALUES ('rated', 'helpfulness')`,
		`INSERT INTO tasks (project_id, prompt_id, kind, content_key) VALUES (3, 1, 'rating', sha256('r'))`,
		`INSERT INTO task_responses VALUES (3, 1, 1, 0)`,
		`INSERT INTO assignments (task_id, annotator_id, shown, outcome, closed_at) SELECT 3, id, '{1}', 'submitted', clock_timestamp() FROM annotators WHERE role = 'admin'`,
		`INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, rating, shown, idempotency_key, body_hash)
		 SELECT id, 3, 3, annotator_id, 'rating', 1, 7, '{1}', 'rated', sha256('') FROM assignments WHERE task_id = 3`,
	)
	_, err := store.Open(t.Context(), old.URL)
	if err == nil {
		t.Error("an older schema was opened")
	}
	if err := store.Migrate(t.Context(), old.OwnerURL); err != nil {
		t.Fatal(err)
	}
	// Stages that came later are known, those that there are not still refused.
	for stage, known := range map[string]bool{"distill": true, "ghost": true, "sft": true, "dance": false} {
		if _, err := owner.Exec(t.Context(), `INSERT INTO units (round, stage, shard) VALUES (1, $1, 0)`, stage); (err == nil) != known {
			t.Errorf("a unit of the stage %s: %v", stage, err)
		}
	}
	s := pgtest.OpenStore(t, old.URL)
	// Whether a process lives is not known, which says so soon, or else is held to be gone.
	if rounds := must(s.Rounds(t.Context()))(t); len(rounds) != 2 || rounds[0].Name != "kept" || rounds[0].Status != tandem.RoundOpen || rounds[1].Status != tandem.RoundRunning {
		t.Errorf("rounds %+v", rounds)
	}
	if run := must(s.Run(t.Context(), "1"))(t); run.Status != tandem.RoundRunning || run.Attempt != 1 || run.Idle != 0 {
		t.Errorf("run %+v", run)
	}
	projects := must(s.Projects(t.Context()))(t)
	if len(projects) != 3 || projects[0].Guideline != "Be kind." || projects[0].GuidelineVersion != 1 || projects[1].GuidelineVersion != 0 {
		t.Errorf("projects %+v", projects)
	}
	if p := projects[2]; p.Stretch != time.Hour || len(p.Risks) != 3 || len(p.Vectors) != 7 {
		t.Errorf("the project has the settings %+v", p.Settings)
	}
	if rated := must(s.ProjectJudgments(t.Context(), "3", store.Page{}))(t); len(rated) != 1 || rated[0].Verdict.Rating != 7 || rated[0].RedTeam {
		t.Errorf("rated is %+v", rated)
	}
	people := must(s.Annotators(t.Context()))(t)
	if len(people) != 2 || people[0].Name != "Ada" || people[0].TimeZone != "UTC" {
		t.Errorf("people %+v", people)
	}
	kept := must(s.ProjectJudgments(t.Context(), "1", store.Page{}))(t)
	if len(kept) != 1 || kept[0].Verdict.Degree != tandem.Better {
		t.Errorf("judgments %+v", kept)
	}
	for _, sql := range []string{
		`INSERT INTO assignments (task_id, annotator_id, shown, outcome, closed_at) SELECT 2, id, '{1,2}', 'submitted', clock_timestamp() FROM annotators ORDER BY role`,
		`INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, chosen, rejected, degree, shown, surplus, idempotency_key, body_hash)
		 SELECT id, 2, 1, annotator_id, 'pairwise', 1, 1, 2, 'better', '{1,2}', true, 'l', sha256('') FROM assignments WHERE task_id = 2`,
		`UPDATE slots SET assignment_id = (SELECT max(id) FROM assignments), lease_until = clock_timestamp(), done_at = clock_timestamp() WHERE number = 2`,
		`UPDATE slots SET done_at = NULL WHERE number = 1`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var counts string
	if err := owner.QueryRow(t.Context(), `
		SELECT string_agg(concat_ws(' ', coalesce(i.name, 'all'), c.tasks, c.slots, c.done, c.judgments, c.surplus), ', ' ORDER BY i.name NULLS FIRST)
		FROM project_counts c LEFT JOIN identities i USING (annotator_id) WHERE c.project_id = 1`).Scan(&counts); err != nil || counts != "all 2 2 0 0 0, Ada 0 0 0 2 1, Ben 0 0 1 1 1" {
		t.Errorf("counts %q, %v", counts, err)
	}
	for id, want := range map[string]tandem.Prompt{"1": {}, "2": {Risk: tandem.HatefulHarmful, Vector: tandem.Logic}} {
		turn := must(s.LiveTurn(t.Context(), people[0].ID, id))(t)
		if turn.Prompt.Risk != want.Risk || turn.Prompt.Vector != want.Vector {
			t.Errorf("turn %s says %q and %q, want %q and %q", id, turn.Prompt.Risk, turn.Prompt.Vector, want.Risk, want.Vector)
		}
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
