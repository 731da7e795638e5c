package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Workplace is a project as a person who may work in it sees it.
type Workplace struct {
	Project
	Open   int    // tasks that they may still judge, held ones included; at most so many where that is thousands
	Wanted int    // judgments wanted of everyone
	Done   int    // of them made
	Mine   int    // their own, later versions not counted
	Today  int    // of them today
	Held   string // the assignment that they hold, empty for none
	Standing
}

// fewSlots is how many places at most are looked at one by one to count what is open for a person. Where more are left, what
// they judged is taken off what there is.
const fewSlots = 1000

// today is when the day of the person @annotator began.
const today = `(SELECT date_trunc('day', clock_timestamp() AT TIME ZONE time_zone) AT TIME ZONE time_zone FROM annotators WHERE id = @annotator)`

// countWork counts what there is for the person @annotator in the projects p that are open. Its plan is the same whoever
// asks, and making it takes longer than following it.
const countWork = `
	SELECT p.id::text,
	       CASE WHEN EXISTS (SELECT FROM projects q WHERE q.qualification_id = p.id) THEN (
	           SELECT count(*) FROM golds s JOIN tasks t ON t.id = s.task_id WHERE s.project_id = p.id` + stillOpen + `)
	       WHEN c.slots - c.done <= @few THEN (
	           SELECT count(DISTINCT s.task_id) FROM (
	               SELECT task_id FROM slots WHERE project_id = p.id AND NOT gold AND assignment_id IS NULL
	               UNION ALL
	               SELECT task_id FROM slots WHERE project_id = p.id AND NOT gold AND assignment_id IS NOT NULL AND done_at IS NULL
	           ) s JOIN tasks t ON t.id = s.task_id WHERE true` + stillOpen + `)
	       ELSE least(c.slots - c.done, c.tasks - c.mine) END,
	       c.slots, c.done, c.mine,
	       (SELECT count(*) FROM judgments j WHERE j.annotator_id = @annotator AND j.project_id = p.id AND j.version = 1 AND j.created_at >= ` + today + `),
	       coalesce((` + heldIn + `p.id` + heldEnd + `)::text, '')
	FROM projects p CROSS JOIN LATERAL (
		SELECT coalesce(sum(tasks), 0)::bigint AS tasks, coalesce(sum(slots), 0)::bigint AS slots, coalesce(sum(done), 0)::bigint AS done,
		       coalesce(sum(judgments) FILTER (WHERE annotator_id = @annotator), 0)::bigint AS mine
		FROM project_counts WHERE project_id = p.id
	) c
	WHERE p.closed_at IS NULL ORDER BY p.id`

// Workplaces lists the projects that are not closed, the first one first, as a person sees them.
func (s *Store) Workplaces(ctx context.Context, annotator string) ([]Workplace, error) {
	const op = "store.Workplaces"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return nil, err
	}
	projects, err := s.Projects(ctx)
	if err != nil {
		return nil, err
	}
	type counts struct {
		Project                         string
		Open, Wanted, Done, Mine, Today int
		Held                            string
	}
	args := pgx.NamedArgs{"annotator": person, "few": fewSlots}
	var standings map[string]Standing
	var counted []counts
	err = s.pipelined(ctx, op, func(b *pgx.Batch) {
		queueStandings(b, args, &standings)
		b.Queue(countWork, args).Query(func(rows pgx.Rows) (err error) {
			counted, err = pgx.CollectRows(rows, pgx.RowToStructByPos[counts])
			return err
		})
	}, nil)
	if err != nil {
		return nil, err
	}
	places := make([]Workplace, 0, len(counted))
	for _, p := range projects {
		for _, c := range counted {
			if c.Project == p.ID {
				standing := standings[p.ID]
				standing.Begun = c.Mine > 0 || c.Held != ""
				if p.GoldEvery > 0 {
					if standing.Warned, err = warned(ctx, s.db, op, person, p.ID); err != nil {
						return nil, err
					}
				}
				places = append(places, Workplace{p, c.Open, c.Wanted, c.Done, c.Mine, c.Today, c.Held, standing})
			}
		}
	}
	return places, nil
}

// Day is how a person's day goes.
type Day struct {
	Judgments int // of today, later versions not counted
	Streak    int // days in a row with a judgment, up to today or yesterday
}

// Day counts a person's judgments of today, and the days before it, by their own time zone.
func (s *Store) Day(ctx context.Context, annotator string) (Day, error) {
	const op = "store.Day"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return Day{}, err
	}
	return one(ctx, s.db, op, "annotator "+annotator, `
		WITH me AS (
			SELECT time_zone, (clock_timestamp() AT TIME ZONE time_zone)::date AS today FROM annotators WHERE id = @annotator
		), days AS (
			SELECT DISTINCT (j.created_at AT TIME ZONE me.time_zone)::date AS day FROM judgments j, me
			WHERE j.annotator_id = @annotator AND j.version = 1
		), runs AS ( -- days in a row share day minus rank
			SELECT day, day - (dense_rank() OVER (ORDER BY day))::integer AS run FROM days
		)
		SELECT (SELECT count(*) FROM judgments j, me WHERE j.annotator_id = @annotator AND j.version = 1
		                                             AND (j.created_at AT TIME ZONE me.time_zone)::date = me.today),
		       coalesce((SELECT count(*) FROM runs r WHERE r.run = (SELECT run FROM runs, me WHERE day >= me.today - 1 ORDER BY day DESC LIMIT 1)), 0)
		FROM me`, pgx.NamedArgs{"annotator": person}, pgx.RowToStructByPos[Day])
}

// Piece is one of a person's judgments with what it was about.
type Piece struct {
	Judgment
	Project  string // its name
	Aspect   tandem.Aspect
	Asked    string // the user's last message
	Undone   bool   // or excluded by a reviewer
	Returned string // why a reviewer sent it back, empty once it is answered
}

// Pieces lists a person's judgments in their newest versions, the last one first; only those that were
// sent back if so asked.
func (s *Store) Pieces(ctx context.Context, annotator string, returned bool, page Page) ([]Piece, error) {
	const op = "store.Pieces"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return nil, err
	}
	var before *int64
	if page.After != "" {
		n, err := parseID(op, "judgment", page.After)
		if err != nil {
			return nil, err
		}
		before = &n
	}
	type about struct {
		Judgment, Project, Aspect, Asked string
		Excluded                         bool
		Returned                         string
	}
	abouts, err := all(ctx, s.db, op, `
		SELECT j.id::text, p.name, p.aspect, m.content,
		       coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false),
		       coalesce(j.returned, '')
		FROM (
			SELECT * FROM (
				SELECT j.id, j.assignment_id, j.task_id, (
				           SELECT reason FROM returns WHERE judgment_id = j.id AND taken_back IS NULL
				             AND NOT EXISTS (SELECT FROM returns back WHERE back.taken_back = returns.id)
				           ORDER BY id DESC LIMIT 1) AS returned
				FROM judgments j
				WHERE j.annotator_id = @annotator AND (@before::bigint IS NULL OR j.id < @before)
				  AND (SELECT newer.id FROM judgments newer WHERE newer.replaces = j.id) IS NULL
			) j
			WHERE NOT @returned OR j.returned IS NOT NULL
			ORDER BY j.id DESC LIMIT @limit
		) j
		JOIN tasks t ON t.id = j.task_id
		JOIN projects p ON p.id = t.project_id
		JOIN prompts q ON q.id = t.prompt_id
		JOIN messages m ON m.id = q.message_id
		ORDER BY j.id DESC`,
		pgx.NamedArgs{"annotator": person, "before": before, "returned": returned, "limit": page.limit()}, pgx.RowToStructByPos[about])
	if err != nil || len(abouts) == 0 {
		return nil, err
	}
	ids := make([]string, len(abouts))
	for i, a := range abouts {
		ids[i] = a.Judgment
	}
	judgments, err := all(ctx, s.db, op, selectJudgment+` WHERE j.id = ANY (@ids::text[]::bigint[])`, pgx.NamedArgs{"ids": ids}, scanJudgment)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Judgment, len(judgments))
	for _, j := range judgments {
		byID[j.ID] = j
	}
	pieces := make([]Piece, len(abouts))
	for i, a := range abouts {
		pieces[i] = Piece{byID[a.Judgment], a.Project, tandem.Aspect(a.Aspect), a.Asked, a.Excluded, a.Returned}
	}
	return pieces, nil
}

// OwnJudgment finds the newest version of a person's judgment on an assignment. Errors: NotFound when there
// is none, or the assignment is not theirs.
func (s *Store) OwnJudgment(ctx context.Context, annotator, assignment string) (Judgment, error) {
	const op = "store.OwnJudgment"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return Judgment{}, err
	}
	return one(ctx, s.db, op, "judgment on assignment "+assignment,
		selectJudgment+` WHERE j.assignment_id = @id AND j.annotator_id = @annotator ORDER BY j.version DESC LIMIT 1`,
		pgx.NamedArgs{"id": n, "annotator": person}, scanJudgment)
}
