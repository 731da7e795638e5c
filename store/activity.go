package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Activity is a stretch of active work, as a page reports it every minute or so.
type Activity struct {
	Annotator string
	Key       string        // drawn by the page: a report that is sent again counts once
	ProjectID string        // empty for none
	Active    time.Duration // up to five minutes
	Ago       time.Duration // since it ended, for one that could not be sent at once; up to a day
}

// AddActivity keeps a stretch of work. Errors: Invalid for one of no length or longer than five minutes, or
// that ended more than a day ago; NotFound for no such project or person.
func (s *Store) AddActivity(ctx context.Context, a Activity) error {
	const op = "store.AddActivity"
	person, err := parseAnnotator(op, a.Annotator)
	if err != nil {
		return err
	}
	var project *int64
	if a.ProjectID != "" {
		id, err := parseID(op, "project", a.ProjectID)
		if err != nil {
			return err
		}
		project = &id
	}
	if a.Ago < 0 || a.Ago > 24*time.Hour {
		return tandem.Errorf(tandem.Invalid, op, "the work ended %v ago; that is more than a day, or not yet", a.Ago)
	}
	_, err = s.db.Exec(ctx, `
		INSERT INTO activity (annotator_id, project_id, active, key, at)
		VALUES (@annotator, @project, @active, @key, clock_timestamp() - @ago::interval)
		ON CONFLICT (annotator_id, key) DO NOTHING`,
		pgx.NamedArgs{"annotator": person, "project": project, "active": a.Active, "ago": a.Ago, "key": a.Key})
	return fail(op, err)
}

// WorkedDay is what a person worked on one of their days.
type WorkedDay struct {
	Annotator string
	Name      string // empty once erased
	TimeZone  string // whose day it is
	Day       time.Time
	Active    time.Duration
	Judgments int // of that day, later versions not counted
}

// Hours lists what everyone worked on the days from one to another, both included, each by their own time zone;
// days without work are left out. Stretches that overlap, as two tabs report them, count once: nobody works
// longer than the clock runs.
func (s *Store) Hours(ctx context.Context, from, to time.Time) ([]WorkedDay, error) {
	const op = "store.Hours"
	if to.Before(from) || to.Sub(from) > 366*24*time.Hour {
		return nil, tandem.Errorf(tandem.Invalid, op, "from %s to %s are no days of at most a year", from.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	return all(ctx, s.db, op, `
		WITH days AS (
			SELECT a.id, a.time_zone, d.day::date AS day,
			       tstzrange(d.day AT TIME ZONE a.time_zone, (d.day + interval '1 day') AT TIME ZONE a.time_zone) AS span
			FROM annotators a, generate_series(@from::text::timestamp, @to::text::timestamp, interval '1 day') d (day)
		), worked AS ( -- a day of anybody's begins and ends within a day of UTC's
			SELECT annotator_id, range_agg(tstzrange(at - active, at)) AS spans
			FROM activity
			WHERE at > @from::text::timestamptz - interval '1 day' AND at < @to::text::timestamptz + interval '2 days 5 minutes'
			GROUP BY annotator_id
		), counted AS (
			SELECT d.id, d.time_zone, d.day,
			       coalesce((SELECT sum(upper(span) - lower(span)) FROM unnest(w.spans * tstzmultirange(d.span)) span), '0') AS active,
			       (SELECT count(*) FROM judgments j WHERE j.annotator_id = d.id AND j.version = 1
			                                           AND j.created_at >= lower(d.span) AND j.created_at < upper(d.span)) AS judgments
			FROM days d LEFT JOIN worked w ON w.annotator_id = d.id
		)
		SELECT c.id::text, coalesce(i.name, ''), c.time_zone, c.day, c.active, c.judgments
		FROM counted c LEFT JOIN identities i ON i.annotator_id = c.id
		WHERE c.active > '0' OR c.judgments > 0
		ORDER BY c.day, i.name, c.id`,
		pgx.NamedArgs{"from": from.Format(time.DateOnly), "to": to.Format(time.DateOnly)}, pgx.RowToStructByPos[WorkedDay])
}
