package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// UnitState is a unit of a stage's work and how far it is.
type UnitState struct {
	tandem.Unit
	Spec     json.RawMessage // what to do
	Result   json.RawMessage // nil until it is done
	Done     bool
	Holder   string    // who has, or last had, the lease; empty where nobody has
	Until    time.Time // when the lease runs out
	Failures int
	Error    string // of the last try that failed
}

// Lease is the right to do a unit, until it runs out and another takes it.
type Lease struct {
	tandem.Unit
	Holder string
	Spec   json.RawMessage
	Fence  int64 // raised by every taking; a write under a lower one is refused
	Until  time.Time
	TTL    time.Duration // what it was taken for
}

// AddUnits keeps units that are to be done, each with what there is to do. A unit that is there already
// keeps its first specification, so that planning a stage again changes nothing.
func (s *Store) AddUnits(ctx context.Context, units []tandem.Unit, specs []json.RawMessage) error {
	const op = "store.AddUnits"
	if len(units) != len(specs) {
		return tandem.Errorf(tandem.Invalid, op, "%d units have %d specifications", len(units), len(specs))
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for i, u := range units {
			spec := specs[i]
			if len(spec) == 0 {
				spec = json.RawMessage(`{}`)
			}
			args := unitArgs(u)
			args["spec"] = spec
			batch.Queue(`INSERT INTO units (round, stage, shard, spec) VALUES (@round, @stage, @shard, @spec) ON CONFLICT DO NOTHING`, args)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
}

// NextUnit leases the first unit of a stage that nobody works on. It returns nil where there is none:
// all are done, or held by others (see Units).
func (s *Store) NextUnit(ctx context.Context, round int, stage tandem.Stage, holder string, ttl time.Duration) (*Lease, error) {
	return s.lease(ctx, "store.NextUnit", holder, ttl, `round = @round AND stage = @stage`,
		pgx.NamedArgs{"round": round, "stage": string(stage)})
}

// LeaseUnit leases one unit. It returns nil where it is done or another holds it.
func (s *Store) LeaseUnit(ctx context.Context, unit tandem.Unit, holder string, ttl time.Duration) (*Lease, error) {
	return s.lease(ctx, "store.LeaseUnit", holder, ttl, `round = @round AND stage = @stage AND shard = @shard`, unitArgs(unit))
}

func (s *Store) lease(ctx context.Context, op, holder string, ttl time.Duration, which string, args pgx.NamedArgs) (*Lease, error) {
	args["holder"], args["ttl"] = holder, ttl
	lease, err := one(ctx, s.db, op, "unit to be had", `
		UPDATE units SET fence = fence + 1, holder = @holder, lease_until = clock_timestamp() + @ttl::interval
		WHERE (round, stage, shard) = (
			SELECT round, stage, shard FROM units
			WHERE `+which+` AND done_at IS NULL AND (lease_until IS NULL OR lease_until <= clock_timestamp()) AND `+going+`
			ORDER BY failures, shard LIMIT 1
			FOR NO KEY UPDATE SKIP LOCKED
		)
		RETURNING round, stage, shard, holder, spec, fence, lease_until`, args,
		func(row pgx.CollectableRow) (Lease, error) {
			l := Lease{TTL: ttl}
			err := row.Scan(&l.Round, &l.Stage, &l.Shard, &l.Holder, &l.Spec, &l.Fence, &l.Until)
			return l, err
		})
	if tandem.CodeOf(err) == tandem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &lease, nil
}

// going keeps away from the units of a round that was cancelled.
const going = `NOT EXISTS (SELECT FROM rounds WHERE rounds.number = units.round AND rounds.status = 'cancelled')`

// Heartbeat holds a lease for another ttl. A lease that ran out is held on to as long as nobody took the
// unit over. Errors: Stale when somebody did, or the unit is done; ErrCancelled when the round was cancelled.
func (s *Store) Heartbeat(ctx context.Context, l *Lease, ttl time.Duration) error {
	const op = "store.Heartbeat"
	args := l.args()
	args["ttl"] = ttl
	var goes bool
	err := s.db.QueryRow(ctx, `
		UPDATE units SET lease_until = clock_timestamp() + @ttl::interval
		WHERE round = @round AND stage = @stage AND shard = @shard AND fence = @fence AND holder IS NOT NULL
		RETURNING lease_until, `+going, args).Scan(&l.Until, &goes)
	if errors.Is(err, pgx.ErrNoRows) {
		return l.lost(op)
	}
	if err == nil && !goes {
		return fmt.Errorf("round %d: %w", l.Round, ErrCancelled)
	}
	return fail(op, err)
}

// WithLease runs fn in a transaction that commits only under the lease: fn writes through the store it is
// given, and nobody takes the unit over until it is through, or its process has been silent for as long as
// the lease goes. Errors: Stale when somebody did before.
func (s *Store) WithLease(ctx context.Context, l *Lease, fn func(*Store) error) error {
	const op = "store.WithLease"
	return s.within(ctx, op, func(tx pgx.Tx) error {
		return s.holding(ctx, tx, l.TTL, `
			SELECT true FROM units
			WHERE round = @round AND stage = @stage AND shard = @shard AND fence = @fence AND holder IS NOT NULL
			FOR NO KEY UPDATE`, l.args(), l.lost(op), fn)
	})
}

// holding runs fn in a transaction in which a row is locked, or returns lost where there is none. A process
// that is stopped meanwhile loses the row, and the transaction, after so much silence.
func (s *Store) holding(ctx context.Context, tx pgx.Tx, silence time.Duration, row string, args pgx.NamedArgs, lost error, fn func(*Store) error) error {
	_, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', @silence, true)`,
		pgx.NamedArgs{"silence": strconv.FormatInt(max(silence.Milliseconds(), 1000), 10)})
	if err != nil {
		return err
	}
	var holds bool
	err = tx.QueryRow(ctx, row, args).Scan(&holds)
	if errors.Is(err, pgx.ErrNoRows) {
		return lost
	}
	if err != nil {
		return err
	}
	return fn(&Store{pool: s.pool, db: tx})
}

// Complete ends a unit with its result. To write more than the result in the same transaction, call it
// on the store that WithLease gives. Errors: Stale when another took the unit over.
func (s *Store) Complete(ctx context.Context, l *Lease, result json.RawMessage) error {
	const op = "store.Complete"
	if len(result) == 0 {
		result = json.RawMessage(`{}`)
	}
	args := l.args()
	args["result"] = result
	tag, err := s.db.Exec(ctx, `
		UPDATE units SET result = @result, done_at = clock_timestamp(), holder = NULL, lease_until = NULL
		WHERE round = @round AND stage = @stage AND shard = @shard AND fence = @fence AND holder IS NOT NULL`, args)
	if err == nil && tag.RowsAffected() == 0 {
		return l.lost(op)
	}
	return fail(op, err)
}

// Release gives a unit back undone, so that it can be taken at once. A cause other than a cancellation
// is counted as a failure and kept. Errors: Stale when another took the unit over.
func (s *Store) Release(ctx context.Context, l *Lease, cause error) error {
	const op = "store.Release"
	args := l.args()
	args["failed"], args["error"] = false, ""
	if cause != nil && !errors.Is(cause, context.Canceled) {
		args["failed"], args["error"] = true, cause.Error()
	}
	tag, err := s.db.Exec(ctx, `
		UPDATE units SET holder = NULL, lease_until = NULL,
			failures = failures + CASE WHEN @failed THEN 1 ELSE 0 END,
			error = CASE WHEN @failed THEN @error ELSE error END
		WHERE round = @round AND stage = @stage AND shard = @shard AND fence = @fence AND holder IS NOT NULL`, args)
	if err == nil && tag.RowsAffected() == 0 {
		return l.lost(op)
	}
	return fail(op, err)
}

// Units lists the units of a stage by shard.
func (s *Store) Units(ctx context.Context, round int, stage tandem.Stage) ([]UnitState, error) {
	return all(ctx, s.db, "store.Units", `
		SELECT round, stage, shard, spec, result, done_at IS NOT NULL, coalesce(holder, ''),
		       coalesce(lease_until, '0001-01-01'), failures, error
		FROM units WHERE round = @round AND stage = @stage ORDER BY shard`,
		pgx.NamedArgs{"round": round, "stage": string(stage)},
		func(row pgx.CollectableRow) (UnitState, error) {
			var u UnitState
			err := row.Scan(&u.Round, &u.Stage, &u.Shard, &u.Spec, &u.Result, &u.Done, &u.Holder, &u.Until, &u.Failures, &u.Error)
			return u, err
		})
}

func unitArgs(u tandem.Unit) pgx.NamedArgs {
	return pgx.NamedArgs{"round": u.Round, "stage": string(u.Stage), "shard": u.Shard}
}

func (l *Lease) args() pgx.NamedArgs {
	args := unitArgs(l.Unit)
	args["fence"] = l.Fence
	return args
}

func (l *Lease) lost(op string) error {
	return tandem.Errorf(tandem.Stale, op, "the lease of %s shard %d in round %d (fence %d) was lost: another worker has taken it over, or it is done",
		l.Stage, l.Shard, l.Round, l.Fence)
}
