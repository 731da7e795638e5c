package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Output is what one person did on one of their own days.
type Output struct {
	Day       time.Time // midnight UTC of the date that it was where the person is
	Annotator string    // pseudonym
	Judgments int       // later versions not counted
	Skips     int
	Active    time.Duration // as their pages reported it, 0 where none did
}

// Outputs lists what people did in a project, or in all for an empty id, on the last so many of their days,
// the first day first. Days on which nobody did anything are left out.
func (s *Store) Outputs(ctx context.Context, projectID string, days int) ([]Output, error) {
	const op = "store.Outputs"
	within, args, err := withinProject(op, projectID, "project")
	if err != nil {
		return nil, err
	}
	args["days"] = days
	// A day more is read than is kept, since it is another date elsewhere. Stretches of work that overlap, as two
	// tabs report them, count once.
	const since = `clock_timestamp() - make_interval(days => @days + 1)`
	return all(ctx, s.db, op, `
		WITH done AS (
			SELECT j.annotator_id, j.created_at AS at, t.project_id AS project, 1 AS judgments, 0 AS skips, NULL::tstzrange AS span
			FROM judgments j JOIN tasks t ON t.id = j.task_id
			WHERE j.version = 1 AND j.created_at > `+since+`
			UNION ALL
			SELECT r.annotator_id, r.created_at, t.project_id, 0, 1, NULL
			FROM remarks r JOIN tasks t ON t.id = r.task_id
			WHERE r.kind = 'skip' AND r.created_at > `+since+`
			UNION ALL
			SELECT annotator_id, at, project_id, 0, 0, tstzrange(at - active, at) FROM activity WHERE at > `+since+`
		), days AS (
			SELECT (done.at AT TIME ZONE a.time_zone)::date AS day, a.id, sum(judgments) AS judgments, sum(skips) AS skips, range_agg(span) AS spans
			FROM done JOIN annotators a ON a.id = done.annotator_id
			WHERE (done.at AT TIME ZONE a.time_zone)::date > (clock_timestamp() AT TIME ZONE a.time_zone)::date - @days::integer`+within+`
			GROUP BY 1, 2
		)
		SELECT day, id::text, judgments, skips, coalesce((SELECT sum(upper(span) - lower(span)) FROM unnest(spans) span), '0')
		FROM days ORDER BY day, id`, args, pgx.RowToStructByPos[Output])
}

// Pace is how long judgments took, in active time, where it was measured.
type Pace struct {
	Annotator        string // pseudonym; empty for everybody together
	Judgments        int    // whose time is known
	P10, Median, P90 time.Duration
}

// Paces says how long judgments took in a project, or in all for an empty id: everybody's first, then each
// person's. It is empty where no time is known.
func (s *Store) Paces(ctx context.Context, projectID string) ([]Pace, error) {
	const op = "store.Paces"
	within, args, err := withinProject(op, projectID, "t.project_id")
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, `
		SELECT coalesce(annotator_id::text, ''), n, part[1] * interval '1 second', part[2] * interval '1 second', part[3] * interval '1 second'
		FROM (
			SELECT j.annotator_id, count(*) AS n,
			       percentile_cont(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (ORDER BY extract(epoch FROM j.duration)::double precision) AS part
			FROM judgments j JOIN tasks t ON t.id = j.task_id
			WHERE j.version = 1 AND j.duration IS NOT NULL`+within+`
			GROUP BY GROUPING SETS ((), (j.annotator_id))
			HAVING count(*) > 0
		) pace
		ORDER BY annotator_id NULLS FIRST`, args, pgx.RowToStructByPos[Pace])
}

// RemarkCount is how often a reason was given for a skip or a flag.
type RemarkCount struct {
	Kind    string // "skip" or "flag"
	Reason  string
	Remarks int
	Tasks   int // that it was given for
	People  int // who gave it
	Last    time.Time
}

// mostReasons is how many reasons are listed: people may write their own.
const mostReasons = 100

// RemarkCounts counts the reasons for skips and flags in a project, or in all for an empty id, the most
// frequent first and a hundred at most.
func (s *Store) RemarkCounts(ctx context.Context, projectID string) ([]RemarkCount, error) {
	const op = "store.RemarkCounts"
	within, args, err := withinProject(op, projectID, "t.project_id")
	if err != nil {
		return nil, err
	}
	args["most"] = mostReasons
	return all(ctx, s.db, op, `
		SELECT r.kind, r.reason, count(*), count(DISTINCT r.task_id), count(DISTINCT r.annotator_id), max(r.created_at)
		FROM remarks r JOIN tasks t ON t.id = r.task_id
		WHERE true`+within+`
		GROUP BY r.kind, r.reason ORDER BY count(*) DESC, r.kind, r.reason LIMIT @most`, args, pgx.RowToStructByPos[RemarkCount])
}

// ProjectCount is how far a project is, in one line.
type ProjectCount struct {
	ID, Name  string
	Aspect    tandem.Aspect
	Closed    bool
	Wanted    int // judgments, gold ones aside
	Done      int // of them made
	Judgments int // all that people made, later versions not counted
	People    int // who made them
	Skips     int
	Flags     int
	Last      *time.Time // of the newest judgment; nil before the first
}

// ProjectCounts counts what was done in every project, the first one first.
func (s *Store) ProjectCounts(ctx context.Context) ([]ProjectCount, error) {
	return all(ctx, s.db, "store.ProjectCounts", `
		SELECT p.id::text, p.name, p.aspect, p.closed_at IS NOT NULL, coalesce(s.wanted, 0), coalesce(s.done, 0),
		       coalesce(j.made, 0), coalesce(j.people, 0), coalesce(r.skips, 0), coalesce(r.flags, 0), j.last
		FROM projects p
		LEFT JOIN (
			SELECT project_id, count(*) AS wanted, count(done_at) AS done FROM slots WHERE NOT gold GROUP BY project_id
		) s ON s.project_id = p.id
		LEFT JOIN ( -- by person first, which is cheaper than counting different people of each project
			SELECT project_id, sum(n) AS made, count(*) AS people, max(last) AS last FROM (
				SELECT t.project_id, j.annotator_id, count(*) AS n, max(j.created_at) AS last
				FROM judgments j JOIN tasks t ON t.id = j.task_id WHERE j.version = 1 GROUP BY t.project_id, j.annotator_id
			) person GROUP BY project_id
		) j ON j.project_id = p.id
		LEFT JOIN (
			SELECT t.project_id, count(*) FILTER (WHERE r.kind = 'skip') AS skips, count(*) FILTER (WHERE r.kind = 'flag') AS flags
			FROM remarks r JOIN tasks t ON t.id = r.task_id GROUP BY t.project_id
		) r ON r.project_id = p.id
		ORDER BY p.id`, nil, pgx.RowToStructByPos[ProjectCount])
}
