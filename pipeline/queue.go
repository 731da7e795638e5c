package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tandem"
	"tandem/store"
)

const (
	// LeaseTime is how long a worker that has gone silent keeps its unit.
	LeaseTime = 30 * time.Second
	// maxFailures is how often a unit is tried before its stage is given up.
	maxFailures = 3
	// pollInterval is the time between two looks at the units of a stage.
	pollInterval = 250 * time.Millisecond
	// redeliverInterval is the time between two looks for units that nobody works on.
	redeliverInterval = 2 * time.Second
)

// unitArgs is the delivery of one unit. The fence makes a unit whose lease was lost another delivery, and so does the
// delivery that was lost before there was a lease.
type unitArgs struct {
	tandem.Unit
	Fence int64 `json:"fence"`
	After int64 `json:"after,omitempty"`
}

func (unitArgs) Kind() string { return store.UnitJob }

func (unitArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// Queue plans units, has them delivered and waits for them.
type Queue struct {
	store  *store.Store
	client *river.Client[pgx.Tx]
	lease  time.Duration // of the workers
}

// NewQueue returns a queue that delivers to the workers of other processes, or of this one.
func NewQueue(s *store.Store, log *slog.Logger) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(s.Pool()), &river.Config{Schema: store.RiverSchema, Logger: log})
	if err != nil {
		return nil, tandem.Errorf(tandem.Internal, "pipeline.NewQueue", "the queue's client: %w", err)
	}
	return &Queue{s, client, LeaseTime}, nil
}

// Plan keeps one unit for each specification as the stage's shards 0, 1, …; a stage that has been planned
// before keeps its units as they are. Errors: Conflict where it was planned otherwise, and names how.
func (q *Queue) Plan(ctx context.Context, round int, stage tandem.Stage, specs ...any) error {
	units, texts := make([]tandem.Unit, len(specs)), make([]json.RawMessage, len(specs))
	for i, spec := range specs {
		text, err := json.Marshal(spec)
		if err != nil {
			return fmt.Errorf("plan %s: %w", stage, err)
		}
		units[i], texts[i] = tandem.Unit{Round: round, Stage: stage, Shard: i}, text
	}
	if err := q.store.AddUnits(ctx, units, texts); err != nil {
		return err
	}
	planned, err := q.store.Units(ctx, round, stage)
	if err != nil {
		return err
	}
	if len(planned) != len(specs) {
		return tandem.Errorf(tandem.Conflict, "pipeline.Plan", "%s of round %d was planned as %d units, not %d: %s",
			stage, round, len(planned), len(specs), asBegun)
	}
	for i, u := range planned {
		if names := Changed(u.Spec, texts[i]); len(names) > 0 {
			return tandem.Errorf(tandem.Conflict, "pipeline.Plan", "%s of round %d was planned otherwise%s: %s",
				stage, round, different(names), asBegun)
		}
	}
	return nil
}

// asBegun says what to do with a round that would go on otherwise than it was begun.
const asBegun = "go on with the flags that it was begun with (and where it was begun by an older tandem, whose defaults were others, with that one, or with them set), or begin another round in another folder"

// Await has a stage's units delivered and waits until all are done; progress, if not nil, is told how
// many are. It fails when a unit has failed too often, with its last error.
func (q *Queue) Await(ctx context.Context, round int, stage tandem.Stage, progress func(done, total int)) ([]store.UnitState, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var delivered time.Time
	for {
		units, err := q.store.Units(ctx, round, stage)
		if err != nil {
			return nil, err
		}
		done := 0
		for _, u := range units {
			if u.Done {
				done++
			} else if u.Failures >= maxFailures {
				return nil, tandem.Errorf(tandem.Internal, "pipeline", "%s shard %d of round %d failed %d times, last: %s",
					stage, u.Shard, round, u.Failures, u.Error)
			}
		}
		if progress != nil {
			progress(done, len(units))
		}
		if done == len(units) {
			return units, nil
		}
		if time.Since(delivered) > redeliverInterval {
			if err := q.deliver(ctx); err != nil {
				return nil, err
			}
			delivered = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-poll.C:
		}
	}
}

// deliver has every unit that nobody works on brought to a worker. A delivery that is under way is not
// repeated.
func (q *Queue) deliver(ctx context.Context) error {
	open, err := q.store.OpenUnits(ctx, maxFailures, q.lease)
	if err != nil || len(open) == 0 {
		return err
	}
	params := make([]river.InsertManyParams, len(open))
	for i, u := range open {
		params[i] = river.InsertManyParams{Args: unitArgs{u.Unit, u.Fence, u.Lost}}
	}
	if _, err := q.client.InsertMany(ctx, params); err != nil {
		return tandem.Errorf(tandem.Unavailable, "pipeline", "deliver %d units: %w", len(open), err)
	}
	return nil
}
