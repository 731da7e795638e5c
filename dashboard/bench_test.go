package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"tandem/internal/pgtest"
	"tandem/store"
)

// fill puts a safety project with so many judgments into a database: overlap 2, forty people, fourteen batches,
// one in twenty revised, one in a hundred excluded, one task in fifty gold.
func fill(t testing.TB, db pgtest.Database, judgments int) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SET search_path = tandem; SELECT setseed(0.5); SET tandem.tasks = `+strconv.Itoa(judgments/2)+`;
		INSERT INTO projects (name, aspect, overlap) VALUES ('large', 'safety', 2);
		INSERT INTO annotators (role, simulated) SELECT 'annotator', true FROM generate_series(1, 40);
		INSERT INTO openings (hash, held_out) VALUES (sha256('opening'), false);
		INSERT INTO messages (id, role, content) SELECT sha256(n::text::bytea), 'user', 'Question ' || n FROM generate_series(1, current_setting('tandem.tasks')::int) n;
		INSERT INTO prompts (message_id, opening, held_out, safety) SELECT id, sha256('opening'), false, true FROM messages;
		INSERT INTO responses (prompt_id, content, content_hash)
			SELECT p.id, 'Answer ' || n || ' to ' || p.id, sha256((p.id || ' ' || n)::bytea) FROM prompts p, generate_series(1, 2) n ORDER BY p.id, n;
		INSERT INTO tasks (project_id, prompt_id, kind, batch, content_key) SELECT 1, id, 'pairwise', 1 + id * 14 / (current_setting('tandem.tasks')::int + 1), sha256(id::text::bytea) FROM prompts ORDER BY id;
		INSERT INTO task_responses (task_id, prompt_id, response_id, position)
			SELECT t.id, t.prompt_id, r.id, row_number() OVER (PARTITION BY t.id ORDER BY r.id) - 1 FROM tasks t JOIN responses r ON r.prompt_id = t.prompt_id;
		CREATE TEMP TABLE people AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM annotators;
		CREATE TEMP TABLE said AS
			SELECT t.id AS task, p.id AS person, k AS number, r.first, r.second, flip, clock_timestamp() - interval '40 days' * random() AS at,
			       least(7, greatest(0, round(truth + 2.5 * (random() + random() + random() - 1.5))))::int AS position
			FROM (SELECT id, random() * 7 AS truth FROM tasks) t
			CROSS JOIN generate_series(0, 1) k
			JOIN people p ON p.n = 1 + (t.id * 7 + k * (1 + t.id % 39)) % 40
			JOIN LATERAL (SELECT min(response_id) AS first, max(response_id) AS second FROM task_responses WHERE task_id = t.id) r ON true
			CROSS JOIN LATERAL (SELECT random() < 0.5 AS flip, t.id) f;
		INSERT INTO assignments (task_id, annotator_id, shown, outcome, closed_at)
			SELECT task, person, CASE WHEN flip THEN ARRAY[second, first] ELSE ARRAY[first, second] END, 'submitted', at FROM said;
		INSERT INTO slots (task_id, project_id, number, assignment_id, lease_until, done_at)
			SELECT a.task_id, 1, row_number() OVER (PARTITION BY a.task_id ORDER BY a.id), a.id, a.closed_at, a.closed_at FROM assignments a;
		INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, chosen, rejected, degree, shown, duration, idempotency_key, body_hash, created_at)
			SELECT a.id, s.task, 1, s.person, 'pairwise', 1, CASE WHEN position < 4 THEN first ELSE second END, CASE WHEN position < 4 THEN second ELSE first END,
			       (ARRAY['significantly_better', 'better', 'slightly_better', 'negligibly_better', 'negligibly_better', 'slightly_better', 'better', 'significantly_better'])[position + 1],
			       a.shown, interval '1 second' * (8 + 90 * random() * random()), a.id::text, sha256(''), at
			FROM said s JOIN assignments a ON a.task_id = s.task AND a.annotator_id = s.person ORDER BY at;
		INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, replaces, chosen, rejected, degree, shown, idempotency_key, body_hash, created_at)
			SELECT assignment_id, task_id, 1, annotator_id, kind, 2, id, chosen, rejected, 'better', shown, 'again ' || assignment_id, sha256(''), created_at + interval '1 minute'
			FROM judgments WHERE id % 20 = 0;
		INSERT INTO labels (judgment_id, task_id, response_id, label)
			SELECT j.id, j.task_id, r, CASE WHEN (r * 7919 + j.id / 50000) % 100 < CASE WHEN r = j.chosen THEN 35 ELSE 55 END THEN 'unsafe' ELSE 'safe' END FROM judgments j, unnest(j.shown) r;
		INSERT INTO exclusions (assignment_id, excluded, reason, excluded_by) SELECT id, true, 'test', 'test' FROM assignments WHERE id % 100 = 0;
		INSERT INTO golds (task_id, project_id, chosen, rejected, created_by)
			SELECT task_id, 1, min(response_id), max(response_id), 'test' FROM task_responses WHERE task_id % 50 = 0 GROUP BY task_id;
		INSERT INTO remarks (task_id, annotator_id, kind, reason, created_at)
			SELECT task, person, CASE WHEN task % 5 = 0 THEN 'flag' ELSE 'skip' END, 'reason ' || task % 7, at FROM said WHERE task % 30 = 1;
		INSERT INTO activity (annotator_id, project_id, active, key, at) SELECT person, 1, interval '40 seconds', task || ' ' || number, at FROM said;
	`); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(ctx, db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, `VACUUM ANALYZE`); err != nil { // as autovacuum has done long before there are so many
		t.Fatal(err)
	}
}

// BenchmarkAnnotation asks for each statistic of a hundred thousand judgments, or as many as TANDEM_JUDGMENTS says.
func BenchmarkAnnotation(b *testing.B) {
	judgments := 100_000
	if text := os.Getenv("TANDEM_JUDGMENTS"); text != "" {
		var err error
		if judgments, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	db := postgres.Database(b)
	fill(b, db, judgments)
	handler := handlerOf(b, pgtest.OpenStore(b, db.URL), store.ScopeRead)
	for _, path := range []string{"/api/v1/statistics/throughput", "/api/v1/statistics/agreement", "/api/v1/statistics/position-bias", "/api/v1/statistics/shares",
		"/api/v1/statistics/gold", "/api/v1/statistics/remarks", "/api/v1/disagreements?limit=10", "/annotation", "/annotation/projects/1"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Header.Set("Authorization", "Bearer reader")
				w := httptest.NewRecorder()
				if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
