package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Task is a task as those see it who set it up.
type Task struct {
	ID        string
	ProjectID string
	PromptID  string
	Kind      TaskKind
	Responses []string // ids, as they were given
	Batch     int
	Wanted    int // judgments wanted
	Done      int // of them made
	CreatedAt time.Time
	Closed    bool
}

// Tasks lists a project's tasks, the first one first.
func (s *Store) Tasks(ctx context.Context, projectID string, page Page) ([]Task, error) {
	const op = "store.Tasks"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	after := int64(0)
	if page.After != "" {
		if after, err = parseID(op, "task", page.After); err != nil {
			return nil, err
		}
	}
	return all(ctx, s.db, op, `
		SELECT t.id::text, t.project_id::text, t.prompt_id::text, t.kind,
		       ARRAY(SELECT r.response_id::text FROM task_responses r WHERE r.task_id = t.id ORDER BY r.position),
		       t.batch, s.wanted, s.done, t.created_at, t.closed_at IS NOT NULL
		FROM tasks t CROSS JOIN LATERAL (
			SELECT count(*) AS wanted, count(done_at) AS done FROM slots WHERE task_id = t.id
		) s
		WHERE t.project_id = @project AND t.id > @after
		ORDER BY t.id LIMIT @limit`,
		pgx.NamedArgs{"project": project, "after": after, "limit": page.limit()}, pgx.RowToStructByPos[Task])
}
