package store

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Draft is what a person has entered and not submitted.
type Draft struct {
	Revision int
	Body     json.RawMessage
	Closed   bool // by a submit or a skip
}

// SaveDraft keeps a draft made from a revision (0 for the first) and returns the new one. Errors: Stale
// when another revision was saved since, or the draft was closed: a late save never covers a submit.
func (s *Store) SaveDraft(ctx context.Context, annotator, assignment string, revision int, body json.RawMessage) (int, error) {
	const op = "store.SaveDraft"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return 0, err
	}
	args := pgx.NamedArgs{"id": n, "annotator": person, "revision": revision, "body": body}
	saved := 0
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		closed, err := one(ctx, tx, op, "assignment "+assignment,
			`SELECT closed_at IS NOT NULL FROM assignments WHERE id = @id AND annotator_id = @annotator`, args, pgx.RowTo[bool])
		if err != nil {
			return err
		}
		if closed {
			return tandem.Errorf(tandem.Stale, op, "the assignment %s is closed", assignment)
		}
		saved, err = one(ctx, tx, op, "revision", `
			INSERT INTO drafts (assignment_id, revision, body) SELECT @id, 1, @body WHERE @revision = 0
			ON CONFLICT DO NOTHING RETURNING revision`, args, pgx.RowTo[int])
		if tandem.CodeOf(err) == tandem.NotFound {
			saved, err = one(ctx, tx, op, "revision", `
				UPDATE drafts SET revision = revision + 1, body = @body, updated_at = clock_timestamp()
				WHERE assignment_id = @id AND revision = @revision AND closed_at IS NULL RETURNING revision`, args, pgx.RowTo[int])
		}
		if tandem.CodeOf(err) == tandem.NotFound {
			return tandem.Errorf(tandem.Stale, op, "the draft of assignment %s is not at revision %d", assignment, revision)
		}
		return err
	})
	return saved, err
}

// Draft reads a person's draft. Errors: NotFound when there is none.
func (s *Store) Draft(ctx context.Context, annotator, assignment string) (Draft, error) {
	const op = "store.Draft"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return Draft{}, err
	}
	return one(ctx, s.db, op, "draft of assignment "+assignment, `
		SELECT d.revision, d.body, d.closed_at IS NOT NULL FROM drafts d JOIN assignments a ON a.id = d.assignment_id
		WHERE a.id = @id AND a.annotator_id = @annotator`,
		pgx.NamedArgs{"id": n, "annotator": person}, pgx.RowToStructByPos[Draft])
}
