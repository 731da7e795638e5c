package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// OpenUnit is a unit that nobody works on.
type OpenUnit struct {
	tandem.Unit
	Fence int64 // of its last lease; 0 for a unit that was never taken
}

// OpenUnits lists the units that are neither done nor held and have failed less than most times: what a
// queue delivers, again if need be.
func (s *Store) OpenUnits(ctx context.Context, most int) ([]OpenUnit, error) {
	return all(ctx, s.db, "store.OpenUnits", `
		SELECT round, stage, shard, fence FROM units
		WHERE done_at IS NULL AND (lease_until IS NULL OR lease_until <= clock_timestamp()) AND failures < @most
		ORDER BY round, stage, shard`,
		pgx.NamedArgs{"most": most},
		func(row pgx.CollectableRow) (OpenUnit, error) {
			var u OpenUnit
			err := row.Scan(&u.Round, &u.Stage, &u.Shard, &u.Fence)
			return u, err
		})
}

// RetryUnits forgives the failures of a round's unfinished units, so that they are delivered again.
func (s *Store) RetryUnits(ctx context.Context, round int) error {
	_, err := s.db.Exec(ctx, `UPDATE units SET failures = 0 WHERE round = @round AND done_at IS NULL`, pgx.NamedArgs{"round": round})
	return fail("store.RetryUnits", err)
}
