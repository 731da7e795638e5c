package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Curve is one metric of a run over its steps, thinned so that it can be drawn.
type Curve struct {
	Name   string
	Points []CurvePoint
}

// CurvePoint stands for one step or for several that follow one another: Step is the last of them, Value their mean, and
// Low and High the least and the greatest. A value that is not finite makes the mean not finite.
type CurvePoint struct {
	Step             int64
	Value, Low, High float64
}

// Curves lists a run's metrics by name with at most so many points each. A metric of no more steps is whole.
func (s *Store) Curves(ctx context.Context, runID string, most int) ([]Curve, error) {
	const op = "store.Curves"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return nil, err
	}
	type row struct {
		Name string
		CurvePoint
	}
	rows, err := all(ctx, s.db, op, `
		WITH span AS (
			SELECT name, min(step) AS first, max(step) - min(step) + 1 AS steps FROM metrics WHERE run_id = @run GROUP BY name
		)
		SELECT m.name, max(m.step), avg(m.value), min(m.value), max(m.value)
		FROM metrics m JOIN span ON span.name = m.name
		WHERE m.run_id = @run
		GROUP BY m.name, (m.step - span.first) * @most::bigint / greatest(span.steps, @most)
		ORDER BY 1, 2`,
		pgx.NamedArgs{"run": id, "most": most}, func(r pgx.CollectableRow) (p row, err error) {
			return p, r.Scan(&p.Name, &p.Step, &p.Value, &p.Low, &p.High)
		})
	var curves []Curve
	for _, r := range rows {
		if len(curves) == 0 || curves[len(curves)-1].Name != r.Name {
			curves = append(curves, Curve{Name: r.Name})
		}
		c := &curves[len(curves)-1]
		c.Points = append(c.Points, r.CurvePoint)
	}
	return curves, err
}

// metricNames finds the names of a run's metrics by jumping from one to the next in the index: a long run has as few names
// as a short one.
const metricNames = `
	WITH RECURSIVE names AS (
		SELECT min(name) AS name FROM metrics WHERE run_id = @run
		UNION ALL
		SELECT (SELECT min(m.name) FROM metrics m WHERE m.run_id = @run AND m.name > n.name) FROM names n WHERE n.name IS NOT NULL
	)`

// LastMetrics lists the last value of each of a run's metrics, by name.
func (s *Store) LastMetrics(ctx context.Context, runID string) ([]Metric, error) {
	const op = "store.LastMetrics"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, metricNames+`
		SELECT n.name, l.step, l.value
		FROM names n CROSS JOIN LATERAL (
			SELECT step, value FROM metrics WHERE run_id = @run AND name = n.name ORDER BY step DESC LIMIT 1
		) l ORDER BY n.name`,
		pgx.NamedArgs{"run": id}, pgx.RowToStructByPos[Metric])
}

// MetricsAfter lists a run's numbers by name and step: those after the step that is given for their name, and all of a
// name that is not given. It costs what is new, whatever the run has behind it.
func (s *Store) MetricsAfter(ctx context.Context, runID string, seen map[string]int64) ([]Metric, error) {
	const op = "store.MetricsAfter"
	id, err := parseID(op, "run", runID)
	if err != nil {
		return nil, err
	}
	names, steps := make([]string, 0, len(seen)), make([]int64, 0, len(seen))
	for name, step := range seen {
		names, steps = append(names, name), append(steps, step)
	}
	return all(ctx, s.db, op, metricNames+`
		SELECT n.name, news.step, news.value
		FROM names n
		LEFT JOIN unnest(@names::text[], @steps::bigint[]) AS seen (name, step) ON seen.name = n.name
		CROSS JOIN LATERAL (
			SELECT step, value FROM metrics WHERE run_id = @run AND name = n.name AND step > coalesce(seen.step, -1)
		) news ORDER BY n.name, news.step`,
		pgx.NamedArgs{"run": id, "names": names, "steps": steps}, pgx.RowToStructByPos[Metric])
}

// Heard says when each of some runs was heard of last: when a number or an event of it came, or it began.
func (s *Store) Heard(ctx context.Context, runIDs ...string) (map[string]time.Time, error) {
	const op = "store.Heard"
	heard := make(map[string]time.Time, len(runIDs))
	for _, runID := range runIDs {
		id, err := parseID(op, "run", runID)
		if err != nil {
			return nil, err
		}
		if heard[runID], err = one(ctx, s.db, op, "run "+runID, metricNames+`
			SELECT greatest(r.started_at,
				(SELECT max(l.at) FROM names n CROSS JOIN LATERAL (
					SELECT at FROM metrics WHERE run_id = @run AND name = n.name ORDER BY step DESC LIMIT 1) l),
				(SELECT at FROM events WHERE run_id = @run ORDER BY id DESC LIMIT 1))
			FROM runs r WHERE r.id = @run`, pgx.NamedArgs{"run": id}, pgx.RowTo[time.Time]); err != nil {
			return nil, err
		}
	}
	return heard, nil
}

// The metrics that say what a run spent, each for the step that it is measured at.
const (
	TokensMetric = "tokens"      // that the models were trained on, sampled or scored
	FlopsMetric  = "flops"       // floating point operations that this takes, by the models' shapes
	CPUMetric    = "cpu_seconds" // processor time of the process, over all its cores
)

// EvaluationMetrics begins the names of the metrics that say what an evaluation found of a policy.
const EvaluationMetrics = "evaluation/"

// Spent is what a run spent as far as its metrics tell. A nil field was not measured.
type Spent struct {
	Tokens, Flops, CPUSeconds *float64
}

// Spent adds up what each of some runs spent.
func (s *Store) Spent(ctx context.Context, runIDs ...string) (map[string]Spent, error) {
	const op = "store.Spent"
	ids := make([]int64, len(runIDs))
	for i, runID := range runIDs {
		var err error
		if ids[i], err = parseID(op, "run", runID); err != nil {
			return nil, err
		}
	}
	type row struct {
		id string
		Spent
	}
	rows, err := all(ctx, s.db, op, `
		SELECT run_id::text, sum(value) FILTER (WHERE name = @tokens), sum(value) FILTER (WHERE name = @flops), sum(value) FILTER (WHERE name = @cpu)
		FROM metrics WHERE run_id = ANY (@runs) AND name IN (@tokens, @flops, @cpu) AND value >= 0 AND value < 'Infinity'
		GROUP BY run_id`,
		pgx.NamedArgs{"runs": ids, "tokens": TokensMetric, "flops": FlopsMetric, "cpu": CPUMetric},
		func(r pgx.CollectableRow) (w row, err error) {
			return w, r.Scan(&w.id, &w.Tokens, &w.Flops, &w.CPUSeconds)
		})
	spent := make(map[string]Spent, len(rows))
	for _, r := range rows {
		spent[r.id] = r.Spent
	}
	return spent, err
}
