package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// A qualification is a project all of whose tasks are gold, and which other projects name in their settings.
// Nobody works there who has not passed it: once they have had their turn at each of its gold tasks, at least
// the share that the project asks for must be right. A gold task that is added later is asked of everyone.

// QualificationState is how far a person is with what a project asks them to pass first.
type QualificationState string

const (
	QualificationNone   QualificationState = "none"   // nothing is asked
	QualificationNeeded QualificationState = "needed" // it is not finished
	QualificationPassed QualificationState = "passed"
	QualificationFailed QualificationState = "failed"
)

// Standing is whether a person may work in a project now, and how they do there.
type Standing struct {
	Declined           bool // they would rather not
	LimitReached       bool // of their day
	QualificationState QualificationState
	Begun              bool // they judged here before, or hold a task
	Warned             bool // too few of their last answers to gold tasks were right
}

// Free reports whether a claim that finds a task gets it.
func (s Standing) Free() bool {
	return !s.Declined && !s.LimitReached && s.QualificationState != QualificationNeeded && s.QualificationState != QualificationFailed
}

// selectStanding reads what person @annotator may do in projects p. What a project does not ask for costs nothing.
const selectStanding = `
	SELECT p.id::text, p.closed_at IS NOT NULL,
	       coalesce((SELECT d.declined FROM declines d WHERE d.annotator_id = @annotator AND d.project_id = p.id ORDER BY d.id DESC LIMIT 1), false),
	       CASE WHEN p.daily_limit = 0 THEN false ELSE p.daily_limit <= (
	           SELECT count(*) FROM judgments j
	           WHERE j.annotator_id = @annotator AND j.project_id = p.id AND j.version = 1 AND j.created_at >= ` + today + `) END,
	       CASE WHEN p.qualification_id IS NULL THEN 'none' ELSE (
	           SELECT CASE WHEN count(*) = 0 OR count(a.closed_at) < count(*) THEN 'needed'
	                       WHEN count(*) FILTER (WHERE r.correct) >= p.pass_share * count(*) - 1e-9 THEN 'passed'
	                       ELSE 'failed' END
	           FROM golds g
	           JOIN tasks t ON t.id = g.task_id AND t.closed_at IS NULL
	           LEFT JOIN assignments a ON a.task_id = g.task_id AND a.annotator_id = @annotator
	           LEFT JOIN gold_answers r ON r.assignment_id = a.id
	           WHERE g.project_id = p.qualification_id
	             AND (r.task_id IS NOT NULL OR a.outcome IS DISTINCT FROM 'submitted') -- excluded answers say nothing
	       ) END,
	       p.qualification_id, p.pass_share, p.daily_limit,
	       ` + goldEvery + `
	FROM projects p`

// goldEvery is in how many tasks of project p one is gold: all of them in a qualification.
const goldEvery = `CASE WHEN EXISTS (SELECT FROM projects q WHERE q.qualification_id = p.id) THEN 1 ELSE p.gold_every END`

// place is a standing with what claims and words about it need.
type place struct {
	project       string
	qualification *int64
	passShare     float64
	limit         int
	goldEvery     int // one task in so many is gold, all of a qualification's; 0 for none
	Closed        bool
	Standing
}

func scanPlace(row pgx.CollectableRow) (place, error) {
	var p place
	err := row.Scan(&p.project, &p.Closed, &p.Declined, &p.LimitReached, &p.QualificationState, &p.qualification, &p.passShare, &p.limit, &p.goldEvery)
	return p, err
}

// refusal is why the person gets no task here; nil where they do.
func (p place) refusal(op string) error {
	refuse := func(format string, args ...any) error { return tandem.Errorf(tandem.Forbidden, op, format, args...) }
	switch {
	case p.Closed:
		return tandem.Errorf(tandem.Conflict, op, "the project %s is closed", p.project)
	case p.Declined:
		return refuse("you declined the project %s; take it up again to work there", p.project)
	case p.QualificationState == QualificationNeeded:
		return refuse("the project %s has a qualification: judge every task of the project %d first, at least %s of them right",
			p.project, *p.qualification, percent(p.passShare))
	case p.QualificationState == QualificationFailed:
		return refuse("fewer than %s of your answers in the project %d were right, which is the qualification of the project %s; ask whoever runs it",
			percent(p.passShare), *p.qualification, p.project)
	case p.LimitReached:
		return refuse("you made %d judgments in the project %s today, which is all that it allows in a day; go on tomorrow", p.limit, p.project)
	}
	return nil
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }

// readPlace reads how a person stands in a project.
func readPlace(ctx context.Context, db querier, op string, person pgtype.UUID, project int64) (place, error) {
	return one(ctx, db, op, "project "+idText(project), selectStanding+` WHERE p.id = @project`,
		pgx.NamedArgs{"annotator": person, "project": project}, scanPlace)
}

// Standing reads how a person stands in a project: what Claim would refuse is refused for what it says.
func (s *Store) Standing(ctx context.Context, annotator, projectID string) (Standing, error) {
	const op = "store.Standing"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return Standing{}, err
	}
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return Standing{}, err
	}
	p, err := readPlace(ctx, s.db, op, person, project)
	if err != nil {
		return Standing{}, err
	}
	args := pgx.NamedArgs{"annotator": person, "project": project}
	if err := s.db.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM judgments WHERE annotator_id = @annotator AND project_id = @project)
		    OR EXISTS (`+heldHere+`)`, args).Scan(&p.Begun); err != nil {
		return Standing{}, fail(op, err)
	}
	p.Warned, err = warned(ctx, s.db, op, person, projectID)
	return p.Standing, err
}

// queueStandings queues reading how a person stands in every project, by the project's id; Begun and Warned are left out.
func queueStandings(b *pgx.Batch, args pgx.NamedArgs, byProject *map[string]Standing) {
	b.Queue(selectStanding, args).Query(func(rows pgx.Rows) error {
		places, err := pgx.CollectRows(rows, scanPlace)
		*byProject = make(map[string]Standing, len(places))
		for _, p := range places {
			(*byProject)[p.project] = p.Standing
		}
		return err
	})
}

// Decline keeps a person out of a project as they wish, or lets them back in; it is held against nobody. A task
// that they hold there is given back, and its draft is kept. Errors: NotFound for no such project or person.
func (s *Store) Decline(ctx context.Context, annotator, projectID string, declined bool) error {
	const op = "store.Decline"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return err
	}
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return err
	}
	args := pgx.NamedArgs{"annotator": person, "project": project, "declined": declined}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		p, err := readPlace(ctx, tx, op, person, project)
		if err != nil || p.Declined == declined {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO declines (project_id, annotator_id, declined) VALUES (@project, @annotator, @declined)`, args); err != nil {
			return err
		}
		if !declined {
			return nil
		}
		_, err = tx.Exec(ctx, `
			UPDATE slots s SET assignment_id = NULL, lease_until = NULL
			FROM assignments a
			WHERE a.annotator_id = @annotator AND a.closed_at IS NULL
			  AND s.assignment_id = a.id AND s.project_id = @project AND s.done_at IS NULL`, args)
		return err
	})
}
