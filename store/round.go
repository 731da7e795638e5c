package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// CreateRound opens the next round. An empty name becomes "RLHF-V" and its number, as in the paper.
func (s *Store) CreateRound(ctx context.Context, name string) (tandem.Round, error) {
	const op = "store.CreateRound"
	var round tandem.Round
	err := s.within(ctx, op, func(tx pgx.Tx) error {
		// Two callers must not take the same number.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tandem round'))`); err != nil {
			return err
		}
		var err error
		round, err = one(ctx, tx, op, "round", `
			INSERT INTO rounds (number, name)
			SELECT n, coalesce(nullif(@name, ''), 'RLHF-V' || n) FROM (SELECT coalesce(max(number), 0) + 1 AS n FROM rounds) next
			RETURNING number, name, status, created_at`, pgx.NamedArgs{"name": name}, scanRound)
		return err
	})
	return round, err
}

const selectRound = `SELECT r.number, r.name, ` + statusNow + `, r.created_at FROM rounds r`

func scanRound(row pgx.CollectableRow) (tandem.Round, error) {
	var r tandem.Round
	err := row.Scan(&r.Number, &r.Name, &r.Status, &r.CreatedAt)
	return r, err
}

// SetRoundStatus says where a round stands. One that is running must be kept so, see KeepRound.
func (s *Store) SetRoundStatus(ctx context.Context, number int, status tandem.RoundStatus) error {
	const op = "store.SetRoundStatus"
	tag, err := s.db.Exec(ctx, `
		UPDATE rounds SET status = @status, alive_until = clock_timestamp() + @alive::interval WHERE number = @number`,
		pgx.NamedArgs{"number": number, "status": string(status), "alive": AliveTime})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.NotFound, op, "there is no round %d", number)
	}
	return fail(op, err)
}

// KeepRound says that there is still a process that orders a round's stages: a round that runs and of which nobody has said so
// for AliveTime was interrupted. Errors: ErrCancelled when the round was cancelled.
func (s *Store) KeepRound(ctx context.Context, number int) error {
	status, err := one(ctx, s.db, "store.KeepRound", "such round", `
		UPDATE rounds SET alive_until = clock_timestamp() + @alive::interval WHERE number = @number RETURNING status`,
		pgx.NamedArgs{"number": number, "alive": AliveTime}, pgx.RowTo[tandem.RoundStatus])
	if err == nil && status == tandem.RoundCancelled {
		return fmt.Errorf("round %d: %w", number, ErrCancelled)
	}
	return err
}

// ErrCancelled says that somebody has cancelled the round. Its work is given back, and nobody takes it until the round
// is gone on with.
var ErrCancelled = tandem.Errorf(tandem.Conflict, "", "the round was cancelled")

// CancelRound has everybody stop working on a round, in somebody's name: its command ends, and workers give its units back.
// One that is cancelled already stays so. Errors: NotFound, Conflict when it is done.
func (s *Store) CancelRound(ctx context.Context, number int, by string) error {
	const op = "store.CancelRound"
	return s.within(ctx, op, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE rounds SET status = 'cancelled' WHERE number = @number AND status NOT IN ('done', 'cancelled')`,
			pgx.NamedArgs{"number": number})
		if err != nil {
			return err
		}
		if tag.RowsAffected() > 0 {
			return audit(ctx, tx, AuditEntry{Actor: by, Action: "round.cancel", Subject: RoundSubject(number)})
		}
		round, err := (&Store{pool: s.pool, db: tx}).Round(ctx, number)
		if err == nil && round.Status == tandem.RoundDone {
			return tandem.Errorf(tandem.Conflict, op, "round %d is done: there is nothing to cancel", number)
		}
		return err
	})
}

// RoundSubject is a round as the audit names it.
func RoundSubject(number int) string { return fmt.Sprintf("round:%d", number) }

// Round finds a round by its number.
func (s *Store) Round(ctx context.Context, number int) (tandem.Round, error) {
	return one(ctx, s.db, "store.Round", "such round", selectRound+` WHERE r.number = @number`,
		pgx.NamedArgs{"number": number}, scanRound)
}

// Rounds lists all rounds, the first one first.
func (s *Store) Rounds(ctx context.Context) ([]tandem.Round, error) {
	return all(ctx, s.db, "store.Rounds", selectRound+` ORDER BY r.number`, nil, scanRound)
}
