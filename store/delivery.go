package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// OpenUnit is a unit that nobody works on.
type OpenUnit struct {
	tandem.Unit
	Fence int64 // of its last lease; 0 for a unit that was never taken
	// Lost, if not 0, is the id of the unit's last delivery, whose worker has not taken the lease: it was killed, or
	// stopped, in between.
	Lost int64
}

// OpenUnits lists the units that are neither done nor held, have failed less than most times, and whose round was not
// cancelled: what a queue delivers, again if need be. A delivery that a worker took up longer ago than silence is lost.
func (s *Store) OpenUnits(ctx context.Context, most int, silence time.Duration) ([]OpenUnit, error) {
	return all(ctx, s.db, "store.OpenUnits", `
		SELECT round, stage, shard, fence, coalesce((
			SELECT max(j.id) FROM `+RiverSchema+`.river_job j
			WHERE j.kind = @kind AND j.state = 'running' AND j.attempted_at <= clock_timestamp() - @silence::interval
			  AND j.args @> jsonb_build_object('round', round, 'stage', stage, 'shard', shard, 'fence', fence)), 0)
		FROM units
		WHERE done_at IS NULL AND (lease_until IS NULL OR lease_until <= clock_timestamp()) AND failures < @most AND `+going+`
		ORDER BY round, stage, shard`,
		pgx.NamedArgs{"most": most, "kind": UnitJob, "silence": silence},
		func(row pgx.CollectableRow) (OpenUnit, error) {
			var u OpenUnit
			err := row.Scan(&u.Round, &u.Stage, &u.Shard, &u.Fence, &u.Lost)
			return u, err
		})
}

// UnitJob is what the delivery of a unit is called in River's tables.
const UnitJob = "unit"

// RetryUnits forgives the failures of a round's unfinished units, so that they are delivered again.
func (s *Store) RetryUnits(ctx context.Context, round int) error {
	_, err := s.db.Exec(ctx, `UPDATE units SET failures = 0 WHERE round = @round AND done_at IS NULL`, pgx.NamedArgs{"round": round})
	return fail("store.RetryUnits", err)
}
