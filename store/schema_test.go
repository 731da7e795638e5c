package store_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), `SET search_path = tandem`); err != nil {
		t.Fatal(err)
	}
	return conn
}

// sqlState runs a statement that must fail and returns how.
func sqlState(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, args...)
	pg, ok := err.(*pgconn.PgError)
	if !ok {
		t.Errorf("%s: got %v", sql, err)
		return ""
	}
	return pg.Code
}

// Every enum of the root package stands in the schema under the same names, and the other way round.
func TestEnumsAreTheDomains(t *testing.T) {
	var degrees []string
	for _, d := range append([]tandem.Degree{tandem.Unrated}, tandem.Degrees()...) {
		text, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		degrees = append(degrees, string(text))
	}
	aspects := texts(tandem.Helpfulness, tandem.Safety)
	labels := texts(tandem.Unlabelled, tandem.Safe, tandem.Unsafe)
	stages := texts(tandem.StageImport, tandem.StagePretrain, tandem.StageSFT, tandem.StageCollect, tandem.StageRewardHelpfulness,
		tandem.StageRewardSafety, tandem.StageReject, tandem.StagePPO, tandem.StageGhost, tandem.StageDistill, tandem.StageEvaluate, tandem.StagePromote)
	want := map[string][]string{
		"imported_comparisons.aspect":         aspects,
		"projects.aspect":                     aspects,
		"imported_comparisons.degree":         degrees,
		"judgments.degree":                    degrees,
		"imported_comparisons.chosen_label":   labels,
		"imported_comparisons.rejected_label": labels,
		"labels.label":                        texts(tandem.Safe, tandem.Unsafe),
		"messages.role":                       texts(tandem.System, tandem.User, tandem.Assistant),
		"models.kind":                         texts(tandem.PolicyModel, tandem.HelpfulnessModel, tandem.SafetyModel),
		"models.stage":                        stages,
		"runs.stage":                          stages,
		"units.stage":                         stages,
		"prompts.risk_category":               texts(tandem.NoRisk, tandem.IllicitCriminal, tandem.HatefulHarmful, tandem.UnqualifiedAdvice),
		"prompts.attack_vector": texts(tandem.NoVector, tandem.Psychological, tandem.Logic, tandem.Syntactic, tandem.Semantic,
			tandem.Perspective, tandem.NonEnglish, tandem.OtherVector),
		"live_turns.risk_category": texts(append(tandem.RiskCategories(), tandem.NoRisk)...),
		"live_turns.attack_vector": texts(append(tandem.AttackVectors(), tandem.NoVector)...),
		"responses.finish":         texts(tandem.FinishStop, tandem.FinishLength),
		"rounds.status":            texts(tandem.RoundOpen, tandem.RoundRunning, tandem.RoundDone, tandem.RoundFailed, tandem.RoundCancelled),
		"runs.status":              texts(tandem.RoundRunning, tandem.RoundDone, tandem.RoundFailed, tandem.RoundCancelled),
		"scores.branch":            texts(tandem.HelpfulnessBranch, tandem.SafetyBranch),
		"tasks.kind":               texts(store.Pairwise, store.Ranking, store.Rating, store.SideBySide),
		"annotators.role":          texts(store.RoleAnnotator, store.RoleReviewer, store.RoleEngineer, store.RoleAdmin),
		"api_keys.scopes":          texts(store.Scopes()...),
		"imports.aspects":          {"", "both", "helpfulness", "safety"},
		"assignments.outcome":      {"skipped", "submitted"},
		"remarks.kind":             {"flag", "skip"},
		"snapshot_items.kind":      {"i", "j"},
		"invitations.kind":         texts(store.InviteJoin, store.InviteReset),
		"projects.source":          texts(store.Prepared, store.Live, store.RedTeam),
		"projects.risks":           texts(tandem.RiskCategories()...),
		"projects.vectors":         texts(tandem.AttackVectors()...),
		"golds.chosen_label":       labels,
		"golds.rejected_label":     labels,
		"variants.kind":            {"endpoint", "folder"},
	}
	conn := connect(t, postgres.Database(t).OwnerURL)
	rows, err := conn.Query(t.Context(), `
		SELECT c.conrelid::regclass || '.' || a.attname, pg_get_constraintdef(c.oid)
		FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		WHERE c.contype = 'c' AND c.connamespace = 'tandem'::regnamespace AND cardinality(c.conkey) = 1
		  AND pg_get_constraintdef(c.oid) ~ 'ARRAY\['`)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`'([^']*)'::text`)
	got := map[string][]string{}
	var column, definition string
	if _, err := pgx.ForEachRow(rows, []any{&column, &definition}, func() error {
		for _, match := range name.FindAllStringSubmatch(definition, -1) {
			got[column] = append(got[column], match[1])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, column := range slices.Sorted(maps.Keys(got)) {
		expected, ok := want[column]
		slices.Sort(expected)
		slices.Sort(got[column])
		if !ok || !slices.Equal(got[column], expected) {
			t.Errorf("%s holds %q, want %q", column, got[column], expected)
		}
		delete(want, column)
	}
	for column := range want {
		t.Errorf("%s is not checked by the schema", column)
	}
}

func texts[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// What was said stays said: for the application by its grants, for the owner by a trigger.
func TestWhatWasSaidIsOnlyAddedTo(t *testing.T) {
	db := postgres.Database(t)
	app, owner := connect(t, db.URL), connect(t, db.OwnerURL)
	rows, err := owner.Query(t.Context(), `SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'only_added_to'`)
	if err != nil {
		t.Fatal(err)
	}
	protected, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"judgments", "judgment_ranks", "labels", "guidelines", "golds", "returns", "declines", "activity", "audit", "exclusions", "remarks", "imported_comparisons", "snapshots"} {
		if !slices.Contains(protected, must) {
			t.Errorf("%s has no trigger", must)
		}
	}
	const refused = "42501"
	for _, table := range protected {
		var column string
		if err := owner.QueryRow(t.Context(), `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1`, table).Scan(&column); err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{
			fmt.Sprintf(`UPDATE %s SET %s = %s`, table, column, column),
			fmt.Sprintf(`DELETE FROM %s`, table),
			fmt.Sprintf(`TRUNCATE %s CASCADE`, table),
		} {
			if got := sqlState(t, app, sql); got != refused {
				t.Errorf("application: %s: %s", sql, got)
			}
			if got := sqlState(t, owner, sql); got != refused {
				t.Errorf("owner: %s: %s", sql, got)
			}
		}
	}
	for _, sql := range []string{`CREATE TABLE tandem.x ()`, `DROP TABLE tandem.drafts`, `UPDATE tandem.schema_version SET version = 0`,
		`DELETE FROM tandem.annotators`, `ALTER TABLE tandem.judgments DISABLE TRIGGER ALL`} {
		if got := sqlState(t, app, sql); got != refused {
			t.Errorf("application: %s: %s", sql, got)
		}
	}
}

// Rules of the domain hold against whoever writes to the tables directly.
func TestConstraints(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "constraints", Aspect: tandem.Helpfulness, Overlap: 2}, tasks: 2})
	ann := w.annotator()
	a := w.claim(ann)
	other := w.claim(w.annotator())
	if a.TaskID != other.TaskID {
		t.Fatal("two people did not meet on one task")
	}
	kept := w.submit(w.submission(other))
	conn := connect(t, db.URL)
	const check, foreign, unique, null = "23514", "23503", "23505", "23502"
	digest := strings.Repeat("ab", 32)
	const judgment = `INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, replaces, chosen, rejected, degree, shown, idempotency_key, body_hash)
		SELECT a.id, a.task_id, t.project_id, a.annotator_id, %s, a.shown, 'k', sha256('') FROM assignments a JOIN tasks t ON t.id = a.task_id WHERE a.id = ` // and the id
	for name, c := range map[string]struct{ sql, want string }{
		"a split decided twice":               {`WITH o AS (SELECT * FROM openings LIMIT 1) INSERT INTO prompts (message_id, opening, held_out, safety) SELECT (SELECT id FROM messages WHERE role = 'user' LIMIT 1), hash, NOT held_out, true FROM o`, foreign},
		"an answer that begins a dialogue":    {`INSERT INTO messages (id, role, content) VALUES (sha256('x'), 'assistant', 'Hello')`, check},
		"a second round of a number":          {`INSERT INTO rounds (number, name) VALUES (1, 'a'), (1, 'b')`, unique},
		"a round before the first":            {`INSERT INTO rounds (number, name) VALUES (0, 'a')`, check},
		"a model that is its own parent":      {`INSERT INTO models (id, name, kind, url, parent, stage) VALUES ('m', 'm', 'policy', 'file:///m', 'm', 'sft')`, check},
		"a calibrated policy":                 {`INSERT INTO models (id, name, kind, url, stage, calibration) VALUES ('m', 'm', 'policy', 'file:///m', 'sft', '{}')`, check},
		"a unit of a round that is not":       {`INSERT INTO units (round, stage, shard) VALUES (99, 'ppo', 0)`, foreign},
		"a unit done without a result":        {`INSERT INTO units (round, stage, shard, done_at) VALUES (0, 'ppo', 0, now())`, check},
		"a run that failed without a word":    {`INSERT INTO runs (stage, status, finished_at) VALUES ('ppo', 'failed', now())`, check},
		"a NaN score":                         {`INSERT INTO scores (response_id, helpfulness_model, safety_model, helpfulness, safety, combined, gated, branch) VALUES (1, 'a', 'b', 'NaN', 0, 0, false, 'safety')`, check},
		"a key without a scope":               {`INSERT INTO api_keys (name, prefix, secret_hash, scopes) VALUES ('k', 'p', '\x` + digest + `', '{}')`, check},
		"a key that annotates as nobody":      {`INSERT INTO api_keys (name, prefix, secret_hash, scopes) VALUES ('k', 'p', '\x` + digest + `', '{annotate}')`, check},
		"a secret that is not hashed":         {`INSERT INTO api_keys (name, prefix, secret_hash, scopes) VALUES ('k', 'p', 'secret', '{read}')`, check},
		"a person twice on a task":            {`INSERT INTO assignments (task_id, annotator_id, shown) SELECT task_id, annotator_id, shown FROM assignments WHERE id = ` + a.ID, unique},
		"one assignment in two places":        {`UPDATE slots SET assignment_id = ` + a.ID + `, lease_until = now() WHERE assignment_id IS DISTINCT FROM ` + a.ID, unique},
		"a holder without a lease":            {`UPDATE slots SET lease_until = NULL WHERE assignment_id = ` + a.ID, check},
		"an answer to another prompt":         {`INSERT INTO task_responses (task_id, prompt_id, response_id, position) SELECT t.id, t.prompt_id, r.id, 9 FROM tasks t, responses r WHERE r.prompt_id <> t.prompt_id LIMIT 1`, foreign},
		"a judgment of something not shown":   {fmt.Sprintf(judgment, `'pairwise', 1, NULL, a.shown[1], 999999, 'better'`) + a.ID, foreign},
		"a judgment without a degree":         {fmt.Sprintf(judgment, `'pairwise', 1, NULL, a.shown[1], a.shown[2], ''`) + a.ID, check},
		"a judgment that chooses both":        {fmt.Sprintf(judgment, `'pairwise', 1, NULL, a.shown[1], a.shown[1], 'better'`) + a.ID, check},
		"a judgment that chooses nothing":     {fmt.Sprintf(judgment, `'pairwise', 1, NULL, NULL, NULL, 'better'`) + a.ID, check},
		"a pairwise judgment on another kind": {fmt.Sprintf(judgment, `'rating', 1, NULL, NULL, NULL, ''`) + a.ID, check},
		"a second version that replaces none": {fmt.Sprintf(judgment, `'pairwise', 2, NULL, a.shown[1], a.shown[2], 'better'`) + a.ID, check},
		"a judgment of no project":            {strings.Replace(fmt.Sprintf(judgment, `'pairwise', 1, NULL, a.shown[1], a.shown[2], 'better'`), "t.project_id", "NULL", 1) + a.ID, null},
		"a version that is there":             {`INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, chosen, rejected, degree, shown, idempotency_key, body_hash) SELECT assignment_id, task_id, project_id, annotator_id, kind, version, chosen, rejected, degree, shown, 'another', body_hash FROM judgments WHERE id = ` + kept.ID, unique},
		"two versions that replace one":       {`INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, replaces, chosen, rejected, degree, shown, idempotency_key, body_hash) SELECT assignment_id, task_id, project_id, annotator_id, kind, n, id, chosen, rejected, degree, shown, n::text, body_hash FROM judgments, generate_series(2, 3) n WHERE id = ` + kept.ID, unique},
		"a key that came before":              {`INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, replaces, chosen, rejected, degree, shown, idempotency_key, body_hash) SELECT assignment_id, task_id, project_id, annotator_id, kind, 2, id, chosen, rejected, degree, shown, idempotency_key, body_hash FROM judgments WHERE id = ` + kept.ID, unique},
		"a skip without a reason":             {`INSERT INTO remarks (task_id, annotator_id, kind, reason) SELECT task_id, annotator_id, 'skip', ' ' FROM assignments WHERE id = ` + a.ID, check},
		"an exclusion without a reason":       {`INSERT INTO exclusions (assignment_id, excluded, reason, excluded_by) VALUES (` + a.ID + `, true, '', 'cli')`, check},
		"a project without an aspect":         {`INSERT INTO projects (name, aspect) VALUES ('p', NULL)`, null},
		"an import whose numbers do not add":  {`INSERT INTO imports (file, sha256, format, aspects, records, added, duplicates) VALUES ('f', sha256(''), 'hh', 'both', 3, 1, 1)`, check},
		"two people with one e-mail address":  {`WITH a AS (SELECT id FROM annotators LIMIT 1) UPDATE identities SET email = CASE WHEN annotator_id = (SELECT id FROM a) THEN 'A@x.org' ELSE 'a@X.org' END`, unique},
	} {
		if got := sqlState(t, conn, c.sql); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
