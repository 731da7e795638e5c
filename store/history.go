package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// History lists a person's own judgments in their newest versions, the last one first.
func (s *Store) History(ctx context.Context, annotator string, page Page) ([]Judgment, error) {
	const op = "store.History"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return nil, err
	}
	var before *int64
	if page.After != "" {
		n, err := parseID(op, "judgment", page.After)
		if err != nil {
			return nil, err
		}
		before = &n
	}
	return all(ctx, s.db, op, selectJudgment+`
		WHERE j.annotator_id = @annotator AND (@before::bigint IS NULL OR j.id < @before)
		  AND NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)
		ORDER BY j.id DESC LIMIT @limit`,
		pgx.NamedArgs{"annotator": person, "before": before, "limit": page.limit()}, scanJudgment)
}

// ProjectJudgments lists a project's judgments in their newest versions, the first one first; those that
// are excluded are left out.
func (s *Store) ProjectJudgments(ctx context.Context, projectID string, page Page) ([]Judgment, error) {
	const op = "store.ProjectJudgments"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	after := int64(0)
	if page.After != "" {
		if after, err = parseID(op, "judgment", page.After); err != nil {
			return nil, err
		}
	}
	return all(ctx, s.db, op, selectJudgment+`
		WHERE j.project_id = @project AND j.id > @after
		  AND (SELECT newer.id FROM judgments newer WHERE newer.replaces = j.id) IS NULL
		  AND NOT coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
		ORDER BY j.id LIMIT @limit`,
		pgx.NamedArgs{"project": project, "after": after, "limit": page.limit()}, scanJudgment)
}
