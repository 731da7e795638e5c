package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Run is one execution of a stage.
type Run struct {
	ID         string
	Round      int // 0 outside a round
	Stage      tandem.Stage
	Status     tandem.RoundStatus // running, done, failed or cancelled
	Config     json.RawMessage    // the stage's configuration, whole
	Seed       uint64
	Kernel     string // BLAS build and kernel that identity of bits is promised for
	Host       string
	Model      string // id of the model that it made
	Error      string // why it failed
	StartedAt  time.Time
	FinishedAt time.Time // zero while it runs
}

// StartRun keeps a run that begins; ID, Status and the times are given to it.
func (s *Store) StartRun(ctx context.Context, r Run) (Run, error) {
	const op = "store.StartRun"
	config := r.Config
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	return one(ctx, s.db, op, "run", `
		WITH r AS (
			INSERT INTO runs (round, stage, config, seed, kernel, host)
			VALUES (nullif(@round, 0), @stage, @config, @seed, @kernel, @host) RETURNING *
		) `+selectRun+`r`,
		pgx.NamedArgs{"round": r.Round, "stage": string(r.Stage), "config": config, "seed": int64(r.Seed), "kernel": r.Kernel, "host": r.Host}, scanRun)
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

const selectRun = `
	SELECT r.id, coalesce(r.round, 0), r.stage, r.status, r.config, r.seed, r.kernel, r.host, coalesce(r.model_id, ''), r.error,
	       r.started_at, r.finished_at
	FROM `

func scanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	var id, seed int64
	var finished *time.Time
	err := row.Scan(&id, &r.Round, &r.Stage, &r.Status, &r.Config, &seed, &r.Kernel, &r.Host, &r.Model, &r.Error, &r.StartedAt, &finished)
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
		  AND (@stage = '' OR r.stage = @stage) AND (@status = '' OR r.status = @status) AND (@model = '' OR r.model_id = @model)
		ORDER BY r.id DESC LIMIT @limit`,
		pgx.NamedArgs{"before": before, "round": q.Round, "stage": string(q.Stage), "status": string(q.Status), "model": q.Model, "limit": q.limit()}, scanRun)
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
