package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// StageProgress is how far a stage of a round is.
type StageProgress struct {
	Round    int
	Stage    tandem.Stage
	Units    int
	Done     int
	Held     int // by workers now
	Failures int // tries that failed
	Error    string
	Begun    time.Time // when it was planned
	Ended    time.Time // when its last unit was done; zero while one is not
}

// Stages lists the stages of a round that were planned, or of all rounds for 0, in the order in which they began.
func (s *Store) Stages(ctx context.Context, round int) ([]StageProgress, error) {
	return all(ctx, s.db, "store.Stages", `
		SELECT round, stage, count(*), count(done_at), count(*) FILTER (WHERE done_at IS NULL AND lease_until > clock_timestamp()), sum(failures),
		       coalesce((array_agg(error ORDER BY failures DESC, shard) FILTER (WHERE done_at IS NULL AND error <> ''))[1], ''),
		       min(created_at), CASE WHEN count(*) = count(done_at) THEN max(done_at) ELSE '0001-01-01' END
		FROM units WHERE round > 0 AND (@round = 0 OR round = @round)
		GROUP BY round, stage ORDER BY round, min(created_at), stage`,
		pgx.NamedArgs{"round": round}, pgx.RowToStructByPos[StageProgress])
}
