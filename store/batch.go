package store

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Batch is a collection batch of a project (section 3.2.1: they came weekly), whose tasks and comparisons name it
// by its number.
type Batch struct {
	Number       int     // from 1
	Name         string  // "week 3"
	HeldOutShare float64 // of the openings that are new with it, 0 to 1
	CreatedAt    time.Time

	Tasks     int
	Judgments int // later versions not counted
}

// AddBatch begins a project's next batch. It is audited in the same transaction. Errors: NotFound for no such
// project, Invalid for a share that is none.
func (s *Store) AddBatch(ctx context.Context, projectID, name string, heldOutShare float64, by string) (Batch, error) {
	const op = "store.AddBatch"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return Batch{}, err
	}
	made := Batch{Name: name, HeldOutShare: heldOutShare}
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		// The lock keeps two from taking the same number.
		if _, err := one(ctx, tx, op, "project "+projectID, `SELECT id FROM projects WHERE id = @id FOR NO KEY UPDATE`, pgx.NamedArgs{"id": project}, pgx.RowTo[int64]); err != nil {
			return err
		}
		// Tasks may have named batches before this project kept any.
		if err := tx.QueryRow(ctx, `
			INSERT INTO batches (project_id, number, name, held_out_share)
			SELECT @project, 1 + greatest((SELECT max(number) FROM batches WHERE project_id = @project), (SELECT max(batch) FROM tasks WHERE project_id = @project), 0), @name, @share
			RETURNING number, created_at`,
			pgx.NamedArgs{"project": project, "name": name, "share": heldOutShare}).Scan(&made.Number, &made.CreatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "batch.add", Subject: "project:" + projectID + "/batch:" + strconv.Itoa(made.Number)})
	})
	if err != nil {
		return Batch{}, err
	}
	return made, nil
}

// Batches lists a project's batches, the newest first.
func (s *Store) Batches(ctx context.Context, projectID string) ([]Batch, error) {
	const op = "store.Batches"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, `
		SELECT b.number, b.name, b.held_out_share, b.created_at,
		       (SELECT count(*) FROM tasks t WHERE t.project_id = b.project_id AND t.batch = b.number),
		       (SELECT count(*) FROM judgments j JOIN tasks t ON t.id = j.task_id WHERE t.project_id = b.project_id AND t.batch = b.number AND j.version = 1)
		FROM batches b WHERE b.project_id = @project ORDER BY b.number DESC`,
		pgx.NamedArgs{"project": project}, pgx.RowToStructByPos[Batch])
}

// AddBatchPrompts keeps prompts as AddPrompts does, for a batch: of the openings that nobody asked before, the
// batch's share is held out, each by its hash. An opening whose side was decided before keeps it. Errors: as
// AddPrompts, and NotFound for no such batch.
func (s *Store) AddBatchPrompts(ctx context.Context, projectID string, number int, prompts []tandem.Prompt) ([]tandem.Prompt, error) {
	const op = "store.AddBatchPrompts"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	share, err := one(ctx, s.db, op, "batch "+strconv.Itoa(number)+" of the project "+projectID,
		`SELECT held_out_share FROM batches WHERE project_id = @project AND number = @number`,
		pgx.NamedArgs{"project": project, "number": number}, pgx.RowTo[float64])
	if err != nil {
		return nil, err
	}
	return s.addPrompts(ctx, op, prompts, share)
}
