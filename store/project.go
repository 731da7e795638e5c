package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Project is a body of tasks under one guideline.
type Project struct {
	ID        string
	Name      string
	Aspect    tandem.Aspect
	Guideline string
	Overlap   int           // judgments wanted of each task; defaults to 1
	Lease     time.Duration // how long a claimed task is held; defaults to 30 minutes
	CreatedAt time.Time
	Closed    bool
}

// CreateProject opens a project. Errors: Conflict when the name is taken.
func (s *Store) CreateProject(ctx context.Context, p Project) (Project, error) {
	if p.Overlap == 0 {
		p.Overlap = 1
	}
	if p.Lease == 0 {
		p.Lease = 30 * time.Minute
	}
	return one(ctx, s.db, "store.CreateProject", "project", `
		WITH p AS (
			INSERT INTO projects (name, aspect, guideline, overlap, lease)
			VALUES (@name, @aspect, @guideline, @overlap, @lease) RETURNING *
		) SELECT `+projectColumns+` FROM p`,
		pgx.NamedArgs{"name": p.Name, "aspect": string(p.Aspect), "guideline": p.Guideline, "overlap": p.Overlap, "lease": p.Lease}, scanProject)
}

const projectColumns = `p.id::text, p.name, p.aspect, p.guideline, p.overlap, p.lease, p.created_at, p.closed_at IS NOT NULL`

func scanProject(row pgx.CollectableRow) (Project, error) {
	var p Project
	err := row.Scan(&p.ID, &p.Name, &p.Aspect, &p.Guideline, &p.Overlap, &p.Lease, &p.CreatedAt, &p.Closed)
	return p, err
}

// Project finds a project by its id.
func (s *Store) Project(ctx context.Context, id string) (Project, error) {
	const op = "store.Project"
	n, err := parseID(op, "project", id)
	if err != nil {
		return Project{}, err
	}
	return one(ctx, s.db, op, "project "+id, `SELECT `+projectColumns+` FROM projects p WHERE p.id = @id`, pgx.NamedArgs{"id": n}, scanProject)
}

// Projects lists all projects, the first one first.
func (s *Store) Projects(ctx context.Context) ([]Project, error) {
	return all(ctx, s.db, "store.Projects", `SELECT `+projectColumns+` FROM projects p ORDER BY p.id`, nil, scanProject)
}

// CloseProject ends claiming. Who holds a task may still submit it.
func (s *Store) CloseProject(ctx context.Context, id string) error {
	const op = "store.CloseProject"
	n, err := parseID(op, "project", id)
	if err != nil {
		return err
	}
	tag, err := s.db.Exec(ctx, `UPDATE projects SET closed_at = coalesce(closed_at, clock_timestamp()) WHERE id = @id`, pgx.NamedArgs{"id": n})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.NotFound, op, "there is no project %s", id)
	}
	return fail(op, err)
}

// TaskKind is the form in which a task's answers are judged.
type TaskKind string

const (
	Pairwise TaskKind = "pairwise" // two answers; one is chosen, with a degree
	Ranking  TaskKind = "ranking"  // two or more answers, best first
	Rating   TaskKind = "rating"   // one answer, 1 to 7
)

// fits reports whether a task of the kind may have n answers.
func (k TaskKind) fits(n int) bool {
	switch k {
	case Pairwise:
		return n == 2
	case Ranking:
		return n >= 2
	case Rating:
		return n == 1
	}
	return false
}

// NewTask is a task to be made.
type NewTask struct {
	Kind      TaskKind
	PromptID  string
	Responses []string // ids, of answers to the prompt
	Batch     int      // collection batch, from 1; 0 for none
	Priority  int      // higher ones are handed out first
}

// CreateTasks makes tasks with a slot for each judgment that the project wants, and returns their ids in
// order. A task that the project has already (the same kind and answers) is not made again. Errors:
// Invalid when the number of answers does not fit the kind, NotFound when an answer is not to the task's prompt.
func (s *Store) CreateTasks(ctx context.Context, projectID string, tasks []NewTask) ([]string, error) {
	const op = "store.CreateTasks"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(tasks))
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		// FOR SHARE: the project's overlap holds until the slots stand.
		overlap, err := one(ctx, tx, op, "project "+projectID, `SELECT overlap FROM projects WHERE id = @id FOR SHARE`,
			pgx.NamedArgs{"id": project}, pgx.RowTo[int])
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for i, task := range tasks {
			if err := queueTask(batch, op, project, overlap, task, &ids[i]); err != nil {
				return err
			}
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// queueTask adds to batch what makes a task and puts its id into id.
func queueTask(batch *pgx.Batch, op string, project int64, overlap int, t NewTask, id *string) error {
	if !t.Kind.fits(len(t.Responses)) {
		return tandem.Errorf(tandem.Invalid, op, "a %s task of prompt %s has %d responses", t.Kind, t.PromptID, len(t.Responses))
	}
	prompt, err := parseID(op, "prompt", t.PromptID)
	if err != nil {
		return err
	}
	responses, err := parseIDs(op, "response", t.Responses)
	if err != nil {
		return err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %d %v", t.Kind, prompt, responses))
	args := pgx.NamedArgs{"project": project, "prompt": prompt, "kind": string(t.Kind), "batch": t.Batch, "key": key[:],
		"responses": responses, "overlap": overlap, "priority": t.Priority}
	batch.Queue(`
		WITH made AS (
			INSERT INTO tasks (project_id, prompt_id, kind, batch, content_key) VALUES (@project, @prompt, @kind, @batch, @key)
			ON CONFLICT (project_id, content_key) DO NOTHING RETURNING id
		), answers AS (
			INSERT INTO task_responses (task_id, prompt_id, response_id, position)
			SELECT made.id, @prompt, r.id, r.n - 1 FROM made, unnest(@responses::bigint[]) WITH ORDINALITY r (id, n)
		), places AS (
			INSERT INTO slots (task_id, project_id, number, priority)
			SELECT made.id, @project, n, @priority FROM made, generate_series(1, @overlap::integer) n
		)
		SELECT id FROM made
		UNION ALL
		SELECT id FROM tasks WHERE project_id = @project AND content_key = @key
		LIMIT 1`, args).QueryRow(func(row pgx.Row) error {
		var n int64
		err := row.Scan(&n)
		*id = idText(n)
		if errors.Is(err, pgx.ErrNoRows) {
			return errRaced
		}
		return err
	})
	return nil
}

// Progress says how far a project is.
type Progress struct {
	Tasks     int
	Slots     int // judgments wanted
	Done      int // slots that have theirs
	Held      int // slots that somebody holds now
	Judgments int // people's judgments, surplus ones included, later versions not
	Surplus   int
}

// Progress counts a project's slots and judgments.
func (s *Store) Progress(ctx context.Context, projectID string) (Progress, error) {
	const op = "store.Progress"
	n, err := parseID(op, "project", projectID)
	if err != nil {
		return Progress{}, err
	}
	return one(ctx, s.db, op, "project "+projectID, `
		SELECT (SELECT count(*) FROM tasks WHERE project_id = @project),
		       count(*), count(done_at), count(*) FILTER (WHERE done_at IS NULL AND lease_until > clock_timestamp()),
		       (SELECT count(*) FROM judgments j JOIN tasks t ON t.id = j.task_id WHERE t.project_id = @project AND j.version = 1),
		       (SELECT count(*) FROM judgments j JOIN tasks t ON t.id = j.task_id WHERE t.project_id = @project AND j.version = 1 AND j.surplus)
		FROM slots WHERE project_id = @project`, pgx.NamedArgs{"project": n}, pgx.RowToStructByPos[Progress])
}
