package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// The places that may be handed out. Each kind has an index that holds no others (slots_held, slots_free). Those whose
// lease ran out come first: somebody began them. The time is asked for once, so that it can bound the index's search.
const (
	givenUp  = `s.assignment_id IS NOT NULL AND s.done_at IS NULL AND s.lease_until <= (SELECT clock_timestamp())`
	neverHad = `s.assignment_id IS NULL`
)

// firstPlace, a condition, inOrder and placeEnd select the first of the places s that the person may take, and lock it.
// What is asked of each place is asked by scalar subqueries and not by joins: so they are looked through in the index's
// order until one fits, however many the planner believes there are.
const (
	firstPlace = `
		(SELECT * FROM (
			SELECT s.id, s.task_id FROM slots s
			WHERE s.project_id = @project AND NOT s.gold AND `
	inOrder = `
			  AND (SELECT t.closed_at IS NULL FROM tasks t WHERE t.id = s.task_id)
			  AND (SELECT mine.closed_at IS NULL FROM assignments mine WHERE mine.task_id = s.task_id AND mine.annotator_id = @annotator) IS NOT FALSE` + notAnothers + `
			ORDER BY s.priority DESC, s.task_id, s.number LIMIT 1 FOR UPDATE OF s`
	placeEnd = `) place)`
)

// freeSlot locks the first slot that nobody holds, and waits for whoever looks at it; freeSlotNow passes it over.
const (
	freeSlot = `SELECT id FROM (` + firstPlace + givenUp + inOrder + placeEnd + ` UNION ALL ` +
		firstPlace + neverHad + inOrder + placeEnd + `) places LIMIT 1`
	freeSlotNow = `SELECT id FROM (` + firstPlace + givenUp + inOrder + ` SKIP LOCKED` + placeEnd + ` UNION ALL ` +
		firstPlace + neverHad + inOrder + ` SKIP LOCKED` + placeEnd + `) places LIMIT 1`
)

// notHeldTwice keeps the slots s of tasks on which the person has no other slot.
const notHeldTwice = `
	AND (SELECT own.id <> s.id FROM assignments mine JOIN slots own ON own.assignment_id = mine.id
	     WHERE mine.task_id = s.task_id AND mine.annotator_id = @annotator) IS NOT TRUE`

// takeOpen gives a person the first slot that nobody holds, from the beginning, and draws the order of its answers. It
// passes over slots that others look at in this moment, and over tasks on which the person holds another slot that ran
// out. When it finds nothing, Claim waits for who is in the way.
const takeOpen = `
	WITH free AS (
		SELECT id, task_id FROM (` +
	firstPlace + givenUp + notHeldTwice + inOrder + ` SKIP LOCKED` + placeEnd + ` UNION ALL ` +
	firstPlace + neverHad + notHeldTwice + inOrder + ` SKIP LOCKED` + placeEnd + `
		) places LIMIT 1
	)` + takeFree

// takeNext is takeOpen from where the person was last, for prepared comparisons alone: before that place they had their
// turn at most tasks. It finds nothing where more urgent tasks than their last have places, and does not look for those
// whose lease ran out: so it asks little of the database, which spends more on setting out than on looking.
const takeNext = `
	WITH last AS (
		SELECT s.priority, s.task_id FROM slots s
		WHERE s.number = 1 AND s.project_id = @project AND NOT s.gold AND (SELECT source = 'prepared' FROM projects WHERE id = @project)
		  AND s.task_id = (SELECT j.task_id FROM judgments j WHERE j.annotator_id = @annotator ORDER BY j.id DESC LIMIT 1)
	), free AS (
		SELECT s.id, s.task_id FROM slots s
		WHERE s.project_id = @project AND NOT s.gold AND ` + neverHad + ` AND s.priority = (SELECT priority FROM last) AND s.task_id >= (SELECT task_id FROM last)
		  AND (SELECT s.id FROM slots s WHERE s.project_id = @project AND NOT s.gold AND ` + neverHad + ` AND s.priority > (SELECT priority FROM last)
		       ORDER BY s.priority DESC, s.task_id, s.number LIMIT 1) IS NULL
		  AND (SELECT t.closed_at IS NULL FROM tasks t WHERE t.id = s.task_id)
		  AND (SELECT mine.id FROM assignments mine WHERE mine.task_id = s.task_id AND mine.annotator_id = @annotator) IS NULL
		ORDER BY s.task_id, s.number LIMIT 1 FOR UPDATE OF s SKIP LOCKED
	)` + takeFree

// takeFree gives a person the slot in free.
const takeFree = `, turn AS (
		INSERT INTO assignments (task_id, annotator_id, shown)
		SELECT task_id, @annotator, (SELECT array_agg(r.response_id ORDER BY random()) FROM task_responses r WHERE r.task_id = free.task_id) FROM free
		ON CONFLICT (task_id, annotator_id) DO UPDATE SET claimed_at = clock_timestamp()
		RETURNING id
	)
	UPDATE slots SET assignment_id = turn.id, lease_until = clock_timestamp() + (SELECT lease FROM projects WHERE id = @project)
	FROM free, turn WHERE slots.id = free.id`

// heldIn, a project and heldEnd select the assignment that a person holds there. They look at the one place of each of
// their few open assignments; a join would let the planner go through everybody's places where it believes them to be few.
const (
	heldIn = `
	SELECT a.id FROM assignments a
	WHERE a.annotator_id = @annotator AND a.closed_at IS NULL
	  AND (SELECT s.project_id = `
	heldEnd = ` AND s.done_at IS NULL AND s.lease_until > clock_timestamp() FROM slots s WHERE s.assignment_id = a.id)
	LIMIT 1`
	heldHere = heldIn + `@project` + heldEnd
)

// queueEnter queues what enter does.
func queueEnter(b *pgx.Batch, op string, person pgtype.UUID) {
	b.Queue(enterSQL, pgx.NamedArgs{"annotator": person}).QueryRow(func(row pgx.Row) error {
		var disabled bool
		err := row.Scan(&disabled)
		if errors.Is(err, pgx.ErrNoRows) {
			return tandem.Errorf(tandem.NotFound, op, "there is no annotator %s", person)
		}
		if err == nil && disabled {
			return tandem.Errorf(tandem.Forbidden, op, "the annotator %s is disabled", person)
		}
		return err
	})
}

// queueHeld queues reading what a person holds in a project into held, which stays nil where that is nothing.
func queueHeld(b *pgx.Batch, args pgx.NamedArgs, held **Assignment) {
	b.Queue(selectAssignment+` WHERE a.id = (`+heldHere+`)`, args).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, scanAssignment)
		if len(found) > 0 {
			*held = &found[0]
		}
		return err
	})
}

// entrance is what a claim has to know of a person in a project before it looks for a task.
type entrance struct {
	closed    bool
	asks      bool // the project asks something of a person: see readPlace
	goldEvery int
	held      bool // the person holds a task already
}

const selectEntrance = `
	SELECT p.closed_at IS NOT NULL,
	       p.daily_limit > 0 OR p.qualification_id IS NOT NULL OR EXISTS (SELECT FROM declines d WHERE d.annotator_id = @annotator AND d.project_id = p.id),
	       ` + goldEvery + `, EXISTS (` + heldHere + `)
	FROM projects p WHERE p.id = @project`

// queueEntrance queues reading it.
func queueEntrance(b *pgx.Batch, op string, args pgx.NamedArgs, e *entrance) {
	b.Queue(selectEntrance, args).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&e.closed, &e.asks, &e.goldEvery, &e.held)
		if errors.Is(err, pgx.ErrNoRows) {
			return tandem.Errorf(tandem.NotFound, op, "there is no project %d", args["project"])
		}
		return err
	})
}

// fromTheBeginning is how often a claim looks from the beginning, where places are that were given back, and not from
// where the person was last.
const fromTheBeginning = 0.05

// claimSwiftly is a claim in two round trips, where nobody has to be waited for: nil where it found nothing.
func (s *Store) claimSwiftly(ctx context.Context, op string, person pgtype.UUID, project int64) (*Assignment, error) {
	if rand.Float64() >= fromTheBeginning {
		if held, err := s.claimBy(ctx, op, person, project, takeNext); err != nil || held != nil {
			return held, err
		}
	}
	return s.claimBy(ctx, op, person, project, takeOpen)
}

// claimBy is a claim that looks for a task by takeOpen or takeNext.
func (s *Store) claimBy(ctx context.Context, op string, person pgtype.UUID, project int64, search string) (*Assignment, error) {
	args := pgx.NamedArgs{"annotator": person, "project": project}
	var e entrance
	var held *Assignment
	err := s.pipelined(ctx, op, func(b *pgx.Batch) {
		held = nil
		queueEnter(b, op, person)
		queueEntrance(b, op, args, &e)
	}, func(tx pgx.Tx) (*pgx.Batch, error) {
		last := &pgx.Batch{}
		if e.closed || e.asks && !e.held {
			p, err := readPlace(ctx, tx, op, person, project)
			if err == nil {
				err = p.refusal(op)
			}
			if err != nil {
				return nil, err
			}
		}
		if !e.held {
			slot, err := goldTurn(ctx, tx, args, e.goldEvery)
			switch {
			case err != nil:
				return nil, err
			case slot != 0:
				if _, err := take(ctx, tx, person, slot); err != nil {
					return nil, err
				}
			default:
				last.Queue(search, args)
			}
		}
		queueHeld(last, args, &held)
		return last, nil
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// ExplainClaim shows how the database finds a person their next task: EXPLAIN (ANALYZE, BUFFERS) of what a claim
// does, which is then undone.
func (s *Store) ExplainClaim(ctx context.Context, annotator, projectID string) (string, error) {
	const op = "store.ExplainClaim"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return "", err
	}
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return "", err
	}
	tx, err := s.db.Begin(ctx)
	if err != nil {
		return "", fail(op, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was to be kept
	lines, err := all(ctx, tx, op, `EXPLAIN (ANALYZE, BUFFERS) `+takeNext, pgx.NamedArgs{"annotator": person, "project": project}, pgx.RowTo[string])
	return strings.Join(lines, "\n") + "\n", err
}
