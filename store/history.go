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
