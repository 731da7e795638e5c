package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Decide keeps a decision, and lets the new version serve where it was promoted, both or neither. Errors: Conflict where
// the round's decision has been made.
func (s *Store) Decide(ctx context.Context, d tandem.Decision, by string) error {
	const op = "store.Decide"
	contests := d.Contests
	if contests == nil {
		contests = []tandem.Contest{}
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO decisions (round, model_id, against, promoted, reason, least, contests)
			VALUES (@round, @model, @against, @promoted, @reason, @least, @contests)`,
			pgx.NamedArgs{"round": d.Round, "model": d.Model, "against": d.Against, "promoted": d.Promoted, "reason": d.Reason,
				"least": d.Least, "contests": contests}); err != nil {
			return err
		}
		if !d.Promoted {
			return nil
		}
		_, err := tx.Exec(ctx, promote, pgx.NamedArgs{"id": d.Model, "by": by, "reason": d.Reason})
		return err
	})
}

const selectDecision = `SELECT round, model_id, against, promoted, reason, least, contests, decided_at FROM decisions`

func scanDecision(row pgx.CollectableRow) (tandem.Decision, error) {
	var d tandem.Decision
	err := row.Scan(&d.Round, &d.Model, &d.Against, &d.Promoted, &d.Reason, &d.Least, &d.Contests, &d.At)
	return d, err
}

// Decision finds a round's decision. Errors: NotFound where none has been made.
func (s *Store) Decision(ctx context.Context, round int) (tandem.Decision, error) {
	return one(ctx, s.db, "store.Decision", "decision on that round's version", selectDecision+` WHERE round = @round`,
		pgx.NamedArgs{"round": round}, scanDecision)
}

// Decisions lists the decisions on a model, the last one first: several rounds may have made the same.
func (s *Store) Decisions(ctx context.Context, model string) ([]tandem.Decision, error) {
	return all(ctx, s.db, "store.Decisions", selectDecision+` WHERE model_id = @model ORDER BY id DESC`,
		pgx.NamedArgs{"model": model}, scanDecision)
}
