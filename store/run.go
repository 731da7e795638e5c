package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Run is one execution of a stage, however often it was interrupted and resumed.
type Run struct {
	ID         string
	Round      int // 0 outside a round
	Stage      tandem.Stage
	Status     tandem.RoundStatus // running, done, failed, cancelled or interrupted
	Attempt    int                // 1, and one more whenever it is resumed
	Config     json.RawMessage    // the stage's configuration, whole
	Seed       uint64
	Kernel     string // BLAS build and kernel that identity of bits is promised for
	Host       string
	Model      string // id of the model that it made
	Error      string // why it failed
	StartedAt  time.Time
	FinishedAt time.Time     // zero while it runs; of one that was interrupted about when it was
	Idle       time.Duration // between attempts
}

// Took is how long a run was worked on, up to now where it goes on.
func (r Run) Took(now time.Time) time.Duration {
	if !r.FinishedAt.IsZero() {
		now = r.FinishedAt
	}
	return max(0, now.Sub(r.StartedAt)-r.Idle)
}

// AliveTime is how long a run, or a round, is held to go on after its process last said so.
const AliveTime = 30 * time.Second

// StartRun keeps a run that begins, or goes on with the one that the same work was begun as and that did not
// come to its end, see ResumeRun.
func (s *Store) StartRun(ctx context.Context, r Run, from int64) (run Run, err error) {
	const op = "store.StartRun"
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		run, err = (&Store{pool: s.pool, db: tx}).ResumeRun(ctx, r, from)
		if tandem.CodeOf(err) != tandem.NotFound {
			return err
		}
		run, err = one(ctx, tx, op, "run", `
			WITH r AS (
				INSERT INTO runs (round, stage, config, seed, kernel, host, alive_until)
				VALUES (nullif(@round, 0), @stage, @config, @seed, @kernel, @host, clock_timestamp() + @alive::interval) RETURNING *
			) `+selectRun+`r`, r.work(), scanRun)
		return err
	})
	return run, err
}

// ResumeRun makes another attempt at the run that some work was begun as: its numbers after the step from are
// forgotten, since they will be measured again, and whoever made the attempt before may write no more (see WithRun).
// Errors: NotFound where there is none that did not come to its end.
func (s *Store) ResumeRun(ctx context.Context, r Run, from int64) (Run, error) {
	args := r.work()
	args["from"] = from
	return one(ctx, s.db, "store.ResumeRun", "run to go on with", `
		WITH begun AS (
			SELECT r.*, `+statusNow+` AS stands, `+runEnd+` AS ended FROM runs r
			WHERE status <> 'done' AND stage = @stage AND round IS NOT DISTINCT FROM nullif(@round, 0)
			  AND seed = @seed AND kernel = @kernel AND config = @config
			ORDER BY id DESC LIMIT 1
			FOR NO KEY UPDATE
		), told AS (
			INSERT INTO events (run_id, kind, message)
			SELECT id, 'resume', 'attempt ' || attempt + 1 || ', on ' || @host || '; the last one was ' || stands
				|| CASE WHEN error = '' THEN '' ELSE ': ' || error END
			FROM begun
		), forgotten AS (
			DELETE FROM metrics USING begun WHERE run_id = begun.id AND step > @from
		), r AS (
			UPDATE runs SET status = 'running', attempt = runs.attempt + 1, error = '', host = @host, finished_at = NULL,
				alive_until = clock_timestamp() + @alive::interval,
				idle = runs.idle + greatest(clock_timestamp() - coalesce(begun.ended, clock_timestamp()), '0')
			FROM begun WHERE runs.id = begun.id RETURNING runs.*
		) `+selectRun+`r`, args, scanRun)
}

// work is what runs of the same work share, and where this one is.
func (r Run) work() pgx.NamedArgs {
	config := r.Config
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	return pgx.NamedArgs{"round": r.Round, "stage": string(r.Stage), "config": config, "seed": int64(r.Seed), "kernel": r.Kernel,
		"host": r.Host, "alive": AliveTime}
}

// KeepRun says that a run still goes on. Errors: Stale when another process has resumed it, or it has ended.
func (s *Store) KeepRun(ctx context.Context, r Run) error {
	const op = "store.KeepRun"
	id, err := parseID(op, "run", r.ID)
	if err != nil {
		return err
	}
	tag, err := s.db.Exec(ctx, `
		UPDATE runs SET alive_until = clock_timestamp() + @alive::interval WHERE id = @id AND attempt = @attempt AND status = 'running'`,
		pgx.NamedArgs{"id": id, "attempt": r.Attempt, "alive": AliveTime})
	if err == nil && tag.RowsAffected() == 0 {
		return r.lost(op)
	}
	return fail(op, err)
}

// idleInRun bounds how long a process that is stopped in the middle of a write keeps others from its run.
const idleInRun = 3 * time.Second

// WithRun runs fn in a transaction that commits only as the run's last attempt. Errors: Stale when another
// process has resumed it, or it has ended.
func (s *Store) WithRun(ctx context.Context, r Run, fn func(*Store) error) error {
	const op = "store.WithRun"
	id, err := parseID(op, "run", r.ID)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		return s.holding(ctx, tx, idleInRun, `SELECT true FROM runs WHERE id = @id AND attempt = @attempt AND status = 'running' FOR NO KEY UPDATE`,
			pgx.NamedArgs{"id": id, "attempt": r.Attempt}, r.lost(op), fn)
	})
}

func (r Run) lost(op string) error {
	return tandem.Errorf(tandem.Stale, op, "run %s is no longer this process's (attempt %d): another one has resumed it, or it has ended", r.ID, r.Attempt)
}

// FinishRun ends a run: done with the model it made (if it made one), or cancelled, or failed where cause
// is not nil (cancelled where that is a context's cancellation). Errors: Conflict when it has ended already.
func (s *Store) FinishRun(ctx context.Context, id, model string, cause error) error {
	const op = "store.FinishRun"
	n, err := parseID(op, "run", id)
	if err != nil {
		return err
	}
	status, text := tandem.RoundDone, ""
	switch {
	case errors.Is(cause, context.Canceled):
		status = tandem.RoundCancelled
	case cause != nil:
		status, text = tandem.RoundFailed, cause.Error()
	}
	tag, err := s.db.Exec(ctx, `
		UPDATE runs SET status = @status, model_id = nullif(@model, ''), error = @error, finished_at = clock_timestamp()
		WHERE id = @id AND status = 'running'`,
		pgx.NamedArgs{"id": n, "status": string(status), "model": model, "error": text})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.Conflict, op, "the run %s does not exist or has ended", id)
	}
	return fail(op, err)
}

// statusNow is how a run or a round of the table r stands, and runEnd when a run ended, as far as that is known: one
// whose process was killed has no end of its own.
const (
	statusNow = `CASE WHEN r.status = 'running' AND r.alive_until <= clock_timestamp() THEN 'interrupted' ELSE r.status END`
	runEnd    = `CASE WHEN r.status = 'running' AND r.alive_until <= clock_timestamp() THEN greatest(r.alive_until - interval '30 seconds', r.started_at)
		ELSE r.finished_at END`
)

const selectRun = `
	SELECT r.id, coalesce(r.round, 0), r.stage, ` + statusNow + `, r.attempt, r.config, r.seed, r.kernel, r.host, coalesce(r.model_id, ''), r.error,
	       r.started_at, ` + runEnd + `, r.idle
	FROM `

func scanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	var id, seed int64
	var finished *time.Time
	err := row.Scan(&id, &r.Round, &r.Stage, &r.Status, &r.Attempt, &r.Config, &seed, &r.Kernel, &r.Host, &r.Model, &r.Error, &r.StartedAt, &finished, &r.Idle)
	r.ID, r.Seed = idText(id), uint64(seed)
	if finished != nil {
		r.FinishedAt = *finished
	}
	return r, err
}

// Run finds a run by its id.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	const op = "store.Run"
	n, err := parseID(op, "run", id)
	if err != nil {
		return Run{}, err
	}
	return one(ctx, s.db, op, "run "+id, selectRun+`runs r WHERE r.id = @id`, pgx.NamedArgs{"id": n}, scanRun)
}

// RunQuery selects runs; a field that is zero lets all through.
type RunQuery struct {
	Round  int
	Stage  tandem.Stage
	Status tandem.RoundStatus
	Model  string // that a run made
	// Evaluated is a policy whose answers a run evaluated.
	Evaluated string
	Page
}

// Runs lists runs, the newest first.
func (s *Store) Runs(ctx context.Context, q RunQuery) ([]Run, error) {
	const op = "store.Runs"
	var before *int64
	if q.After != "" {
		n, err := parseID(op, "run", q.After)
		if err != nil {
			return nil, err
		}
		before = &n
	}
	return all(ctx, s.db, op, selectRun+`runs r
		WHERE (@before::bigint IS NULL OR r.id < @before) AND (@round = 0 OR r.round = @round)
		  AND (@stage = '' OR r.stage = @stage) AND (@status = '' OR `+statusNow+` = @status) AND (@model = '' OR r.model_id = @model)
		  AND (@evaluated = '' OR r.stage = 'evaluate' AND r.config->>'policy_id' = @evaluated)
		ORDER BY r.id DESC LIMIT @limit`,
		pgx.NamedArgs{"before": before, "round": q.Round, "stage": string(q.Stage), "status": string(q.Status), "model": q.Model, "evaluated": q.Evaluated, "limit": q.limit()}, scanRun)
}

// Metric is one number of a run's at one step. A name is TRL's where there is one ("objective/kl").
type Metric struct {
	Name  string
	Step  int64
	Value float64 // NaN and infinities are kept: they are what went wrong
}

// AddMetrics keeps numbers of a run in one go. A step that is measured again, after a resume, replaces the first.
func (s *Store) AddMetrics(ctx context.Context, runID string, metrics []Metric) error {
	const op = "store.AddMetrics"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return err
	}
	// One statement may touch a row once only, so the last of equal keys counts.
	last := make(map[Metric]int, len(metrics)) // by name and step
	for i, m := range metrics {
		last[Metric{Name: m.Name, Step: m.Step}] = i
	}
	var names []string
	var steps []int64
	var values []float64
	for i, m := range metrics {
		if last[Metric{Name: m.Name, Step: m.Step}] == i {
			names, steps, values = append(names, m.Name), append(steps, m.Step), append(values, m.Value)
		}
	}
	_, err = s.db.Exec(ctx, `
		INSERT INTO metrics (run_id, name, step, value)
		SELECT @run, name, step, value FROM unnest(@names::text[], @steps::bigint[], @values::double precision[]) AS m (name, step, value)
		ON CONFLICT (run_id, name, step) DO UPDATE SET value = excluded.value, at = clock_timestamp()`,
		pgx.NamedArgs{"run": id, "names": names, "steps": steps, "values": values})
	return fail(op, err)
}

// Metrics lists a run's numbers by name and step, from step on; only those of the names given, if any are.
func (s *Store) Metrics(ctx context.Context, runID string, from int64, names ...string) ([]Metric, error) {
	const op = "store.Metrics"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return nil, err
	}
	if names == nil {
		names = []string{}
	}
	return all(ctx, s.db, op, `
		SELECT name, step, value FROM metrics
		WHERE run_id = @run AND step >= @from AND (cardinality(@names::text[]) = 0 OR name = ANY (@names))
		ORDER BY name, step`,
		pgx.NamedArgs{"run": id, "from": from, "names": names}, pgx.RowToStructByPos[Metric])
}

// Event is something that happened to a run: a checkpoint, a resume, a warning.
type Event struct {
	ID      string
	At      time.Time
	Kind    string
	Message string
}

// AddEvent keeps an event of a run.
func (s *Store) AddEvent(ctx context.Context, runID, kind, message string) error {
	const op = "store.AddEvent"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO events (run_id, kind, message) VALUES (@run, @kind, @message)`,
		pgx.NamedArgs{"run": id, "kind": kind, "message": message})
	return fail(op, err)
}

// Events lists a run's events, the first one first, after the event with the id given (all for none).
func (s *Store) Events(ctx context.Context, runID, after string) ([]Event, error) {
	const op = "store.Events"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return nil, err
	}
	from := int64(0)
	if after != "" {
		if from, err = parseID(op, "event", after); err != nil {
			return nil, err
		}
	}
	return all(ctx, s.db, op, `SELECT id::text, at, kind, message FROM events WHERE run_id = @run AND id > @from ORDER BY id`,
		pgx.NamedArgs{"run": id, "from": from}, pgx.RowToStructByPos[Event])
}
