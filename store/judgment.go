package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// Submission is a verdict on its way in.
type Submission struct {
	Annotator  string
	Assignment string
	// Key makes a submit safe to repeat: the same key with the same verdict returns the first judgment,
	// with another verdict it is a Conflict. The client draws it, once for each press of the button.
	Key     string
	Verdict Verdict
	// Duration is how long the person took, and Guideline the version that they were shown, 0 for none. Neither
	// counts for whether two submissions are the same.
	Duration  time.Duration
	Guideline int
}

// Judgment is a verdict that was kept.
type Judgment struct {
	ID         string
	Assignment string
	TaskID     string
	Annotator  string // pseudonym
	Kind       TaskKind
	Version    int    // from 1
	Replaces   string // the judgment of the version before
	Verdict    Verdict
	Surplus    bool     // it came after its place was taken by another; it counts like any other
	Shown      []string // response ids in the order in which they stood
	Duration   time.Duration
	Guideline  int // the version that was shown, 0 for none
	CreatedAt  time.Time
	Replayed   bool // nothing was added: this is the judgment of an earlier submission with the same key
}

// Submit keeps a verdict on an assignment, closes its draft and fills its place, all or nothing. It is
// never refused for being late: where the lease ran out and another took the place, a free one on the
// same task is filled, and without one the judgment is kept as surplus. Errors: Invalid when the verdict does not fit the
// task; NotFound when the assignment is not theirs; Conflict when the key came with another verdict, or
// the task was judged (see Revise) or skipped already.
func (s *Store) Submit(ctx context.Context, sub Submission) (Judgment, error) {
	return s.keep(ctx, "store.Submit", sub, 0)
}

// Revise keeps a new version of a person's judgment; version is the one that it replaces. The earlier
// ones stay. Errors: as Submit; Stale when that is not the newest version.
func (s *Store) Revise(ctx context.Context, sub Submission, version int) (Judgment, error) {
	if version < 1 {
		return Judgment{}, tandem.Errorf(tandem.Invalid, "store.Revise", "there is no version %d", version)
	}
	return s.keep(ctx, "store.Revise", sub, version)
}

// keep adds the version after last.
func (s *Store) keep(ctx context.Context, op string, sub Submission, last int) (Judgment, error) {
	person, assignment, err := parseTurn(op, sub.Annotator, sub.Assignment)
	if err != nil {
		return Judgment{}, err
	}
	if sub.Key == "" {
		return Judgment{}, tandem.Errorf(tandem.Invalid, op, "the submission has no idempotency key")
	}
	if err := storable(sub.Verdict.Comment); err != nil {
		return Judgment{}, err
	}
	body, err := json.Marshal(struct {
		Assignment string
		Last       int
		Verdict    Verdict
	}{sub.Assignment, last, sub.Verdict})
	if err != nil {
		return Judgment{}, tandem.Errorf(tandem.Invalid, op, "%w", err)
	}
	hash := sha256.Sum256(body)

	var id int64
	replayed := false
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		var err error
		if id, err = replay(ctx, tx, op, person, sub.Key, hash[:]); err != nil || id != 0 {
			replayed = id != 0
			return err
		}
		t, err := openTurn(ctx, tx, op, assignment, person)
		if err != nil {
			return err
		}
		if err := t.admits(op, sub, last); err != nil {
			return err
		}
		surplus := t.surplus
		if last == 0 {
			if surplus, err = fillPlace(ctx, tx, assignment, t.task); err != nil {
				return err
			}
		}
		if last == 0 && t.version > 0 { // it was undone, and counts again
			if err := exclude(ctx, tx, assignment, false, "judged again", sub.Annotator); err != nil {
				return err
			}
		}
		id, err = insertJudgment(ctx, tx, op, t, sub, t.version+1, surplus, hash[:])
		return err
	})
	if err != nil {
		return Judgment{}, err
	}
	j, err := one(ctx, s.db, op, "judgment", selectJudgment+` WHERE j.id = @id`, pgx.NamedArgs{"id": id}, scanJudgment)
	j.Replayed = replayed
	return j, err
}

// replay finds the judgment that a submission with this key made, 0 for none.
func replay(ctx context.Context, tx pgx.Tx, op string, person pgtype.UUID, key string, hash []byte) (id int64, err error) {
	var same bool
	err = tx.QueryRow(ctx, `SELECT id, body_hash = @hash FROM judgments WHERE annotator_id = @annotator AND idempotency_key = @key`,
		pgx.NamedArgs{"annotator": person, "key": key, "hash": hash}).Scan(&id, &same)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err == nil && !same {
		return 0, tandem.Errorf(tandem.Conflict, op, "the idempotency key %q came with another judgment before", key)
	}
	return id, err
}

// turn is an assignment as a verdict meets it.
type turn struct {
	assignment, task int64
	project          int64
	kind             TaskKind
	aspect           tandem.Aspect
	outcome          string // "", "submitted" or "skipped"
	shown            []int64
	newest           int64 // id of the newest version, 0 before the first
	version          int   // of it
	surplus          bool  // whether it is
}

func openTurn(ctx context.Context, tx pgx.Tx, op string, assignment int64, person pgtype.UUID) (turn, error) {
	return one(ctx, tx, op, "assignment "+idText(assignment), `
		SELECT a.id, a.task_id, t.project_id, t.kind, p.aspect, coalesce(a.outcome, ''), a.shown,
		       coalesce(j.id, 0), coalesce(j.version, 0), coalesce(j.surplus, false)
		FROM assignments a
		JOIN tasks t ON t.id = a.task_id
		JOIN projects p ON p.id = t.project_id
		LEFT JOIN LATERAL (SELECT * FROM judgments WHERE assignment_id = a.id ORDER BY version DESC LIMIT 1) j ON true
		WHERE a.id = @id AND a.annotator_id = @annotator
		FOR UPDATE OF a`,
		pgx.NamedArgs{"id": assignment, "annotator": person},
		func(row pgx.CollectableRow) (turn, error) {
			var t turn
			err := row.Scan(&t.assignment, &t.task, &t.project, &t.kind, &t.aspect, &t.outcome, &t.shown, &t.newest, &t.version, &t.surplus)
			return t, err
		})
}

// admits reports why a verdict does not fit the turn, if it does not.
func (t turn) admits(op string, sub Submission, last int) error {
	switch {
	case last == 0 && t.outcome == "submitted":
		return tandem.Errorf(tandem.Conflict, op, "assignment %s was judged already; a new version replaces version %d", sub.Assignment, t.version)
	case t.outcome == "skipped":
		return tandem.Errorf(tandem.Conflict, op, "assignment %s was skipped", sub.Assignment)
	case last != 0 && t.version != last:
		return tandem.Errorf(tandem.Stale, op, "the newest version of assignment %s is %d, not %d", sub.Assignment, t.version, last)
	}
	if err := sub.Verdict.fits(t.kind, t.aspect, t.shown); err != nil {
		return tandem.Errorf(tandem.Invalid, op, "assignment %s: %w", sub.Assignment, err)
	}
	return nil
}

// fillPlace takes the assignment's slot, or another free one of the task where that was taken over, and
// reports whether there was none.
func fillPlace(ctx context.Context, tx pgx.Tx, assignment, task int64) (surplus bool, err error) {
	args := pgx.NamedArgs{"assignment": assignment, "task": task}
	tag, err := tx.Exec(ctx, `UPDATE slots SET done_at = clock_timestamp() WHERE assignment_id = @assignment AND done_at IS NULL`, args)
	if err != nil || tag.RowsAffected() == 1 {
		return false, err
	}
	tag, err = tx.Exec(ctx, `
		UPDATE slots SET assignment_id = @assignment, lease_until = clock_timestamp(), done_at = clock_timestamp()
		WHERE id = (
			SELECT id FROM slots
			WHERE task_id = @task AND done_at IS NULL AND (lease_until IS NULL OR NOT gold AND lease_until <= clock_timestamp())
			ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
		)`, args)
	return err == nil && tag.RowsAffected() == 0, err
}

// insertJudgment adds the rows of a verdict and closes the assignment and its draft.
func insertJudgment(ctx context.Context, tx pgx.Tx, op string, t turn, sub Submission, version int, surplus bool, hash []byte) (int64, error) {
	v := sub.Verdict
	var pair [2]*int64
	if t.kind == Pairwise {
		ids, err := parseIDs(op, "response", []string{v.Chosen, v.Rejected})
		if err != nil {
			return 0, err
		}
		pair = [2]*int64{&ids[0], &ids[1]}
	}
	var id int64
	err := tx.QueryRow(ctx, `
		INSERT INTO judgments (assignment_id, task_id, project_id, guideline, annotator_id, kind, version, replaces, chosen, rejected, degree, rating, comment,
		                       surplus, shown, duration, idempotency_key, body_hash)
		VALUES (@assignment, @task, @project, nullif(@guideline, 0), @annotator, @kind, @version, nullif(@replaces, 0::bigint), @chosen, @rejected, @degree, nullif(@rating, 0), @comment,
		        @surplus, @shown, @duration, @key, @hash)
		RETURNING id`,
		pgx.NamedArgs{"assignment": t.assignment, "task": t.task, "project": t.project, "guideline": sub.Guideline, "annotator": sub.Annotator, "kind": string(t.kind), "version": version,
			"replaces": t.newest, "chosen": pair[0], "rejected": pair[1], "degree": degreeText(v.Degree), "rating": v.Rating,
			"comment": v.Comment, "surplus": surplus, "shown": t.shown, "duration": nilIfZero(sub.Duration), "key": sub.Key, "hash": hash}).Scan(&id)
	if err != nil {
		return 0, err
	}
	batch := &pgx.Batch{}
	for place, responses := range v.Ranking {
		for _, response := range responses {
			batch.Queue(`INSERT INTO judgment_ranks (judgment_id, task_id, response_id, place) VALUES (@id, @task, @response::text::bigint, @place)`,
				pgx.NamedArgs{"id": id, "task": t.task, "response": response, "place": place + 1})
		}
	}
	for response, label := range v.Labels {
		batch.Queue(`INSERT INTO labels (judgment_id, task_id, response_id, label) VALUES (@id, @task, @response::text::bigint, @label)`,
			pgx.NamedArgs{"id": id, "task": t.task, "response": response, "label": string(label)})
	}
	args := pgx.NamedArgs{"assignment": t.assignment}
	batch.Queue(`UPDATE assignments SET outcome = 'submitted', closed_at = coalesce(closed_at, clock_timestamp()) WHERE id = @assignment`, args)
	batch.Queue(`UPDATE drafts SET closed_at = clock_timestamp() WHERE assignment_id = @assignment AND closed_at IS NULL`, args)
	return id, tx.SendBatch(ctx, batch).Close()
}

// JudgmentQuery selects judgments.
type JudgmentQuery struct {
	Project  string // id; empty for all
	Versions bool   // every version, not the newest alone
	Excluded bool   // those that are excluded too
}

// Judgments streams judgments in the order in which they came. All are of one moment.
func (s *Store) Judgments(ctx context.Context, q JudgmentQuery) iter.Seq2[Judgment, error] {
	const op = "store.Judgments"
	args := pgx.NamedArgs{"project": nil, "versions": q.Versions, "excluded": q.Excluded}
	if q.Project != "" {
		id, err := parseID(op, "project", q.Project)
		if err != nil {
			return func(yield func(Judgment, error) bool) { yield(Judgment{}, err) }
		}
		args["project"] = id
	}
	return stream(ctx, s, op, selectJudgment+`
		JOIN tasks t ON t.id = j.task_id
		WHERE (@project::bigint IS NULL OR t.project_id = @project)
		  AND (@versions OR NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id))
		  AND (@excluded OR NOT coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false))
		ORDER BY j.id`, args, scanJudgment)
}

const selectJudgment = `
	SELECT j.id::text, j.assignment_id::text, j.task_id::text, j.annotator_id::text, j.kind, j.version, coalesce(j.replaces::text, ''),
	       coalesce(j.chosen::text, ''), coalesce(j.rejected::text, ''), j.degree, coalesce(j.rating, 0), j.comment,
	       (SELECT jsonb_agg(place.responses ORDER BY place.place) FROM (
	           SELECT r.place, jsonb_agg(r.response_id::text ORDER BY r.response_id) AS responses
	           FROM judgment_ranks r WHERE r.judgment_id = j.id GROUP BY r.place) place),
	       (SELECT jsonb_object_agg(l.response_id::text, l.label) FROM labels l WHERE l.judgment_id = j.id),
	       j.surplus, j.shown::text[], coalesce(j.duration, '0'), coalesce(j.guideline, 0), j.created_at
	FROM judgments j`

func scanJudgment(row pgx.CollectableRow) (Judgment, error) {
	var j Judgment
	var degree string
	err := row.Scan(&j.ID, &j.Assignment, &j.TaskID, &j.Annotator, &j.Kind, &j.Version, &j.Replaces,
		&j.Verdict.Chosen, &j.Verdict.Rejected, &degree, &j.Verdict.Rating, &j.Verdict.Comment,
		&j.Verdict.Ranking, &j.Verdict.Labels, &j.Surplus, &j.Shown, &j.Duration, &j.Guideline, &j.CreatedAt)
	if err != nil {
		return j, err
	}
	return j, j.Verdict.Degree.UnmarshalText([]byte(degree))
}

// Exclude takes a person's judgment of a task out of what counts, or back in, and keeps why and by whom.
// It is audited in the same transaction.
func (s *Store) Exclude(ctx context.Context, assignment string, excluded bool, reason, by string) error {
	const op = "store.Exclude"
	n, err := parseID(op, "assignment", assignment)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if err := exclude(ctx, tx, n, excluded, reason, by); err != nil {
			return err
		}
		action := "judgment.exclude"
		if !excluded {
			action = "judgment.include"
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: action, Subject: "assignment:" + assignment})
	})
}

func exclude(ctx context.Context, tx pgx.Tx, assignment int64, excluded bool, reason, by string) error {
	_, err := tx.Exec(ctx, `INSERT INTO exclusions (assignment_id, excluded, reason, excluded_by) VALUES (@id, @excluded, @reason, @by)`,
		pgx.NamedArgs{"id": assignment, "excluded": excluded, "reason": reason, "by": by})
	return err
}

// Undo takes a person's last judgment back: it is excluded, the person holds the task again, and draft is
// what they entered, to begin from. The next submit is the judgment's next version. Errors: NotFound when
// the assignment is not theirs, Conflict when it is not their last judgment.
func (s *Store) Undo(ctx context.Context, annotator, assignment string, draft json.RawMessage) error {
	const op = "store.Undo"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		t, err := openTurn(ctx, tx, op, n, person)
		if err != nil {
			return err
		}
		args := pgx.NamedArgs{"id": n, "annotator": person, "newest": t.newest, "draft": draft}
		var last bool
		if err := tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM judgments WHERE annotator_id = @annotator AND id > @newest)`, args).Scan(&last); err != nil {
			return err
		}
		if t.outcome != "submitted" || !last {
			return tandem.Errorf(tandem.Conflict, op, "only the last judgment can be undone; revise this one instead")
		}
		if err := exclude(ctx, tx, n, true, "undone", annotator); err != nil {
			return err
		}
		for _, sql := range []string{
			`UPDATE slots SET done_at = NULL, lease_until = clock_timestamp() + (SELECT lease FROM projects WHERE id = project_id) WHERE assignment_id = @id`,
			`UPDATE assignments SET outcome = NULL, closed_at = NULL WHERE id = @id`,
			`INSERT INTO drafts AS d (assignment_id, revision, body) VALUES (@id, 1, @draft)
			 ON CONFLICT (assignment_id) DO UPDATE SET revision = d.revision + 1, body = @draft, updated_at = clock_timestamp(), closed_at = NULL`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
}
