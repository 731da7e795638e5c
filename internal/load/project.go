package load

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tandem"
	"tandem/store"
)

// MakePeople adds simulated annotators and signs them in.
func MakePeople(ctx context.Context, s *store.Store, prefix string, n int) ([]Person, error) {
	people := make([]Person, n)
	for i := range people {
		name := fmt.Sprintf("%s %d", prefix, i+1)
		a, err := s.AddAnnotator(ctx, store.Annotator{Name: name, Simulated: true})
		if err != nil {
			return nil, err
		}
		token, _, err := s.StartSession(ctx, a.ID, "")
		if err != nil {
			return nil, err
		}
		people[i] = Person{a.ID, token}
	}
	return people, nil
}

// MakeProject opens a project of n comparisons, each of a prompt of its own and two answers of some 400 characters,
// with overlap judgments wanted of each. It makes them within the database, a million in a minute or two.
// The planner's statistics are brought up to date where the pool's role may.
func MakeProject(ctx context.Context, s *store.Store, pool *pgxpool.Pool, p store.Project, n int) (store.Project, error) {
	made, err := s.CreateProject(ctx, p, "load")
	if err != nil {
		return made, err
	}
	const chunk = 50_000 // rows of one transaction: progress is kept when it is interrupted
	for from := 1; from <= n; from += chunk {
		if err := makeComparisons(ctx, pool, made, from, min(from+chunk-1, n)); err != nil {
			return made, err
		}
	}
	_, err = pool.Exec(ctx, `ANALYZE`)
	if err != nil {
		err = tandem.Errorf(tandem.Unavailable, "load.MakeProject", "%w", err)
	}
	return made, err
}

// makeComparisons makes the comparisons with the numbers from first to last.
func makeComparisons(ctx context.Context, pool *pgxpool.Pool, p store.Project, first, last int) error {
	args := pgx.NamedArgs{"project": p.ID, "name": p.Name, "safety": p.Aspect == tandem.Safety, "first": first, "last": last, "overlap": p.Overlap}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, sql := range []string{`
			CREATE TEMPORARY TABLE made ON COMMIT DROP AS
			SELECT n, @name || ', question ' || n || ': how would you explain to a friend why the kettle whistles?' AS asked,
			       sha256(convert_to(@name || ' ' || n, 'UTF8')) AS hash, 0::bigint AS prompt, 0::bigint AS task
			FROM generate_series(@first::integer, @last::integer) n`,
			`INSERT INTO openings (hash, held_out) SELECT hash, n % 10 = 0 FROM made`,
			`INSERT INTO messages (id, role, content) SELECT hash, 'user', asked FROM made`,
			`WITH kept AS (
				INSERT INTO prompts (message_id, opening, held_out, safety, source) SELECT hash, hash, n % 10 = 0, @safety, @name FROM made RETURNING id, message_id
			) UPDATE made SET prompt = kept.id FROM kept WHERE made.hash = kept.message_id`,
			`INSERT INTO responses (prompt_id, content, content_hash, origin)
			 SELECT prompt, text, sha256(convert_to(text, 'UTF8')), 'load'
			 FROM made, generate_series(1, 2) answer,
			      LATERAL (SELECT 'Answer ' || answer || ' to question ' || n || E'.\n\n' || repeat('Water that boils turns to steam, and steam wants out. ', 7)) said (text)`,
			`WITH kept AS (
				INSERT INTO tasks (project_id, prompt_id, kind, batch, content_key) SELECT @project::text::bigint, prompt, 'pairwise', 1, hash FROM made RETURNING id, prompt_id
			) UPDATE made SET task = kept.id FROM kept WHERE made.prompt = kept.prompt_id`,
			`INSERT INTO task_responses (task_id, prompt_id, response_id, position)
			 SELECT task, prompt, r.id, row_number() OVER (PARTITION BY task ORDER BY r.id) - 1 FROM made JOIN responses r ON r.prompt_id = prompt`,
			`INSERT INTO slots (task_id, project_id, number) SELECT task, @project::text::bigint, number FROM made, generate_series(1, @overlap::integer) number`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, "load.MakeProject", "comparisons %d to %d: %w", first, last, err)
	}
	return nil
}

// Durability is what a server does to keep what it acknowledged when the machine falls.
type Durability struct {
	Server            string `json:"server"` // its version
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
	FullPageWrites    string `json:"full_page_writes"`
	SharedBuffers     string `json:"shared_buffers"`
}

// On reports whether nothing was traded for speed.
func (d Durability) On() bool {
	return d.Fsync == "on" && d.SynchronousCommit == "on" && d.FullPageWrites == "on"
}

// DurabilityOf asks the server that the pool is connected to, by SHOW.
func DurabilityOf(ctx context.Context, pool *pgxpool.Pool) (Durability, error) {
	var d Durability
	for setting, value := range map[string]*string{"server_version": &d.Server, "fsync": &d.Fsync, "synchronous_commit": &d.SynchronousCommit,
		"full_page_writes": &d.FullPageWrites, "shared_buffers": &d.SharedBuffers} {
		if err := pool.QueryRow(ctx, `SHOW `+setting).Scan(value); err != nil {
			return d, tandem.Errorf(tandem.Unavailable, "load.DurabilityOf", "SHOW %s: %w", setting, err)
		}
	}
	return d, nil
}
