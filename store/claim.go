package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// Assignment is a person's turn at a task.
type Assignment struct {
	ID        string
	TaskID    string
	ProjectID string
	Annotator string
	Aspect    tandem.Aspect
	Kind      TaskKind
	Prompt    tandem.Prompt
	// Responses stand in the order drawn at the claim: for a pair, left and right. They do not say which
	// model they are of.
	Responses []tandem.Response
	Until     time.Time // when the lease runs out; zero when another holds the place, or it was given back
}

// Claimed is the answer to a claim.
type Claimed struct {
	// Assignment is what to judge next, nil where there is nothing for this person now.
	Assignment *Assignment
	// HeldUntil is set where others hold all that is left: when the first of their leases runs out. Zero
	// with no assignment means that nothing is left for this person.
	HeldUntil time.Time
}

// Claim gives a person the next task of a project. Who holds one already gets the same one, in the same
// order, until its lease runs out. Nobody gets a task twice that they judged or skipped, and never two
// places on one. Now and then the task is a gold one, which nothing tells. Errors: NotFound for no such project or
// person; Conflict for a closed project; Forbidden for a disabled person, and for one who declined the project, has
// not passed its qualification or did all that it allows in a day (see Standing), unless they hold a task already.
func (s *Store) Claim(ctx context.Context, annotator, projectID string) (Claimed, error) {
	const op = "store.Claim"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return Claimed{}, err
	}
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return Claimed{}, err
	}
	args := pgx.NamedArgs{"annotator": person, "project": project}
	var claimed Claimed
	if claimed.Assignment, err = s.claimSwiftly(ctx, op, person, project); err != nil || claimed.Assignment != nil {
		return claimed, err
	}
	// Before saying that there is nothing, or that others hold it, look again and wait for who is in the way.
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		claimed = Claimed{}
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		place, err := readPlace(ctx, tx, op, person, project)
		if err != nil {
			return err
		}
		assignment, err := claim(ctx, tx, op, args, place)
		if err != nil {
			return err
		}
		if assignment == 0 {
			return tx.QueryRow(ctx, `
				SELECT coalesce(min(s.lease_until), '0001-01-01')
				FROM slots s JOIN tasks t ON t.id = s.task_id
				WHERE s.project_id = @project AND NOT s.gold AND s.done_at IS NULL AND s.lease_until > clock_timestamp()`+stillOpen+notAnothers, args).Scan(&claimed.HeldUntil)
		}
		held, err := readAssignment(ctx, tx, op, assignment, person)
		claimed.Assignment = &held
		return err
	})
	if err != nil {
		return Claimed{}, err
	}
	return claimed, nil
}

// enterSQL is a statement of its own: what comes after it sees what the person's operation before it did.
const enterSQL = `SELECT disabled_at IS NOT NULL FROM annotators WHERE id = @annotator FOR NO KEY UPDATE`

// enter makes one person's operations wait for each other, so that a double click claims once and a
// claim never crosses a submit. It refuses who is unknown or disabled.
func enter(ctx context.Context, tx pgx.Tx, op string, person pgtype.UUID) error {
	disabled, err := one(ctx, tx, op, "annotator "+person.String(), enterSQL,
		pgx.NamedArgs{"annotator": person}, pgx.RowTo[bool])
	if err == nil && disabled {
		return tandem.Errorf(tandem.Forbidden, op, "the annotator %s is disabled", person)
	}
	return err
}

// stillOpen keeps the slots s of tasks t that the person may still judge.
const stillOpen = `
	AND t.closed_at IS NULL
	AND NOT EXISTS (SELECT FROM assignments mine WHERE mine.task_id = s.task_id AND mine.annotator_id = @annotator AND mine.closed_at IS NOT NULL)`

// claim returns the id of the person's assignment, an old one or a new one, or 0 where there is none.
func claim(ctx context.Context, tx pgx.Tx, op string, args pgx.NamedArgs, place place) (assignment int64, err error) {
	if place.Closed {
		return 0, place.refusal(op)
	}
	err = tx.QueryRow(ctx, heldHere, args).Scan(&assignment)
	if !errors.Is(err, pgx.ErrNoRows) {
		return assignment, err
	}
	if err := place.refusal(op); err != nil {
		return 0, err
	}
	slot, err := goldTurn(ctx, tx, args, place.goldEvery)
	if err == nil && slot == 0 {
		slot, err = openSlot(ctx, tx, args)
	}
	if err != nil || slot == 0 {
		return 0, err
	}
	return take(ctx, tx, args["annotator"], slot)
}

// openSlot returns the first slot that nobody holds, locked, or 0 where there is none.
func openSlot(ctx context.Context, tx pgx.Tx, args pgx.NamedArgs) (slot int64, err error) {
	err = tx.QueryRow(ctx, freeSlotNow, args).Scan(&slot)
	if errors.Is(err, pgx.ErrNoRows) {
		// A slot may have been locked for a moment by someone who then did not take it: wait and look again
		// before saying that there is none.
		err = tx.QueryRow(ctx, freeSlot, args).Scan(&slot)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return slot, err
}

// take gives a person a slot that is locked, for a lease.
func take(ctx context.Context, tx pgx.Tx, annotator any, slot int64) (assignment int64, err error) {
	// The person may have held a place on this task before and let it run out: they keep their assignment,
	// and the order in which they saw the answers.
	err = tx.QueryRow(ctx, `
		INSERT INTO assignments (task_id, annotator_id, shown)
		SELECT s.task_id, @annotator, (SELECT array_agg(r.response_id ORDER BY random()) FROM task_responses r WHERE r.task_id = s.task_id)
		FROM slots s WHERE s.id = @slot
		ON CONFLICT (task_id, annotator_id) DO UPDATE SET claimed_at = clock_timestamp()
		RETURNING id`, pgx.NamedArgs{"annotator": annotator, "slot": slot}).Scan(&assignment)
	if err != nil {
		return 0, err
	}
	for _, sql := range []string{
		`UPDATE slots SET assignment_id = NULL, lease_until = NULL WHERE assignment_id = @assignment AND id <> @slot`,
		`UPDATE slots SET assignment_id = @assignment, lease_until = clock_timestamp() + (SELECT lease FROM projects WHERE id = project_id)
		 WHERE id = @slot`,
	} {
		if _, err := tx.Exec(ctx, sql, pgx.NamedArgs{"assignment": assignment, "slot": slot}); err != nil {
			return 0, err
		}
	}
	return assignment, nil
}

// Assignment reads a person's assignment, held or not. Errors: NotFound when it is not theirs.
func (s *Store) Assignment(ctx context.Context, annotator, id string) (Assignment, error) {
	const op = "store.Assignment"
	person, n, err := parseTurn(op, annotator, id)
	if err != nil {
		return Assignment{}, err
	}
	return readAssignment(ctx, s.db, op, n, person)
}

func readAssignment(ctx context.Context, db querier, op string, id int64, person pgtype.UUID) (Assignment, error) {
	return one(ctx, db, op, "assignment "+idText(id), selectAssignment+` WHERE a.id = @id AND a.annotator_id = @annotator`,
		pgx.NamedArgs{"id": id, "annotator": person}, scanAssignment)
}

const selectAssignment = `
		SELECT a.id::text, a.task_id::text, t.project_id::text, a.annotator_id::text, p.aspect, t.kind,
		       t.prompt_id::text, (
		           -- As the function dialogue does, which would be planned anew each time.
		           WITH RECURSIVE line AS (
		               SELECT m.parent, m.role, m.content, 0 AS back FROM messages m WHERE m.id = q.message_id
		               UNION ALL
		               SELECT m.parent, m.role, m.content, line.back + 1 FROM messages m JOIN line ON m.id = line.parent
		           )
		           SELECT jsonb_agg(jsonb_build_object('role', role, 'content', content) ORDER BY back DESC) FROM line
		       ), q.safety, coalesce(l.risk_category, q.risk_category), coalesce(l.attack_vector, q.attack_vector), q.source, q.held_out,
		       (SELECT jsonb_agg(jsonb_build_object('id', r.id::text, 'content', r.content) ORDER BY shown.n)
		        FROM unnest(a.shown) WITH ORDINALITY shown (id, n) JOIN responses r ON r.id = shown.id),
		       coalesce((SELECT CASE WHEN s.done_at IS NULL THEN s.lease_until END FROM slots s WHERE s.assignment_id = a.id), '0001-01-01')
		FROM assignments a
		JOIN tasks t ON t.id = a.task_id
		JOIN projects p ON p.id = t.project_id
		JOIN prompts q ON q.id = t.prompt_id
		LEFT JOIN live_turns l ON l.task_id = a.task_id`

func scanAssignment(row pgx.CollectableRow) (Assignment, error) {
	var a Assignment
	err := row.Scan(&a.ID, &a.TaskID, &a.ProjectID, &a.Annotator, &a.Aspect, &a.Kind,
		&a.Prompt.ID, &a.Prompt.Messages, &a.Prompt.Safety, &a.Prompt.Risk, &a.Prompt.Vector, &a.Prompt.Source, &a.Prompt.HeldOut,
		&a.Responses, &a.Until)
	return a, err
}

// Renew holds a claimed task for another lease of the project's. Errors: Stale when its place was taken
// over or the task is judged; NotFound when it is not theirs.
func (s *Store) Renew(ctx context.Context, annotator, assignment string) (time.Time, error) {
	const op = "store.Renew"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return time.Time{}, err
	}
	until, err := one(ctx, s.db, op, "place", `
		UPDATE slots s SET lease_until = clock_timestamp() + p.lease
		FROM assignments a, projects p
		WHERE a.id = @id AND a.annotator_id = @annotator AND a.closed_at IS NULL
		  AND s.assignment_id = a.id AND s.done_at IS NULL AND p.id = s.project_id
		RETURNING s.lease_until`, pgx.NamedArgs{"id": n, "annotator": person}, pgx.RowTo[time.Time])
	if tandem.CodeOf(err) != tandem.NotFound {
		return until, err
	}
	if _, err := readAssignment(ctx, s.db, op, n, person); err != nil {
		return until, err
	}
	return until, tandem.Errorf(tandem.Stale, op, "the assignment %s is no longer held", assignment)
}

// Skip gives a task back unjudged, for good as far as this person goes, and says why. Errors: Invalid
// without a reason, NotFound when it is not theirs, Conflict when they judged it already.
func (s *Store) Skip(ctx context.Context, annotator, assignment, reason string) error {
	const op = "store.Skip"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return err
	}
	args := pgx.NamedArgs{"id": n, "annotator": person, "reason": reason}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		outcome, err := one(ctx, tx, op, "assignment "+assignment,
			`SELECT coalesce(outcome, '') FROM assignments WHERE id = @id AND annotator_id = @annotator FOR UPDATE`, args, pgx.RowTo[string])
		if err != nil || outcome == "skipped" {
			return err
		}
		if outcome != "" {
			return tandem.Errorf(tandem.Conflict, op, "the assignment %s is %s already", assignment, outcome)
		}
		for _, sql := range []string{
			`UPDATE slots SET assignment_id = NULL, lease_until = NULL WHERE assignment_id = @id AND done_at IS NULL`,
			`UPDATE assignments SET outcome = 'skipped', closed_at = clock_timestamp() WHERE id = @id`,
			`UPDATE drafts SET closed_at = clock_timestamp() WHERE assignment_id = @id AND closed_at IS NULL`,
			`INSERT INTO remarks (task_id, annotator_id, kind, reason) SELECT task_id, annotator_id, 'skip', @reason FROM assignments WHERE id = @id`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
}

// Flag points at a task for someone to look at, and says why. It changes nothing else.
func (s *Store) Flag(ctx context.Context, annotator, assignment, reason string) error {
	const op = "store.Flag"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return err
	}
	tag, err := s.db.Exec(ctx, `
		INSERT INTO remarks (task_id, annotator_id, kind, reason)
		SELECT task_id, annotator_id, 'flag', @reason FROM assignments WHERE id = @id AND annotator_id = @annotator`,
		pgx.NamedArgs{"id": n, "annotator": person, "reason": reason})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.NotFound, op, "there is no assignment %s", assignment)
	}
	return fail(op, err)
}
