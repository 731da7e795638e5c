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
	Guideline  int  // the version that was shown, 0 for none
	RedTeam    bool // its rating is a tandem.SafetyRating of an answer to an attack
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

	var earlier int64
	var t turn
	var j Judgment
	const keys = "judgments_annotator_id_idempotency_key_key"
	err = s.pipelined(ctx, op, func(b *pgx.Batch) {
		earlier = 0
		queueEnter(b, op, person)
		queueTurn(b, op, assignment, person, &t)
	}, func(tx pgx.Tx) (*pgx.Batch, error) {
		if last != 0 || !t.open() || t.version > 0 { // else nothing of this turn was kept yet, under no key
			if earlier, err = replayed(ctx, tx, op, person, sub.Key, hash[:]); err != nil || earlier != 0 {
				return nil, err
			}
		}
		if err := t.admits(op, sub, last); err != nil {
			return nil, err
		}
		b := &pgx.Batch{}
		if t.open() && t.version > 0 { // it was undone, and counts again
			b.Queue(insertExclusion, pgx.NamedArgs{"id": assignment, "excluded": false, "reason": "judged again", "by": sub.Annotator})
		}
		return b, queueJudgment(b, op, t, sub, t.open(), hash[:], &j)
	})
	if violates(err, keys) { // it came with another assignment
		return Judgment{}, keyTaken(op, sub.Key)
	}
	if err != nil {
		return Judgment{}, err
	}
	if earlier == 0 && t.kind != Ranking { // whose ties the database puts into an order
		return j, nil
	}
	if earlier != 0 {
		j.ID = idText(earlier)
	}
	j, err = one(ctx, s.db, op, "judgment", selectJudgment+` WHERE j.id = @id::text::bigint`, pgx.NamedArgs{"id": j.ID}, scanJudgment)
	j.Replayed = earlier != 0
	return j, err
}

// replayed finds the judgment that a submission with this key made, 0 where there is none.
func replayed(ctx context.Context, tx pgx.Tx, op string, person pgtype.UUID, key string, hash []byte) (id int64, err error) {
	var same bool
	err = tx.QueryRow(ctx, `SELECT id, body_hash = @hash FROM judgments WHERE annotator_id = @annotator AND idempotency_key = @key`,
		pgx.NamedArgs{"annotator": person, "key": key, "hash": hash}).Scan(&id, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, nil
	case err == nil && !same:
		return 0, keyTaken(op, key)
	}
	return id, err
}

func keyTaken(op, key string) error {
	return tandem.Errorf(tandem.Conflict, op, "the idempotency key %q came with another judgment before", key)
}

// turn is an assignment as a verdict meets it.
type turn struct {
	assignment, task int64
	project          int64
	kind             TaskKind
	aspect           tandem.Aspect
	source           Source
	outcome          string // "", "submitted" or "skipped"
	shown            []int64
	newest           int64 // id of the newest version, 0 before the first
	version          int   // of it
	surplus          bool  // whether it is
}

// open reports whether a verdict fills a place and counts: there is none yet, or it was undone. Whoever undid it in one tab
// may revise it in another, which is the same as judging it again.
func (t turn) open() bool { return t.outcome == "" }

const selectTurn = `
	SELECT a.id, a.task_id, t.project_id, t.kind, p.aspect, p.source, coalesce(a.outcome, ''), a.shown,
	       coalesce(j.id, 0), coalesce(j.version, 0), coalesce(j.surplus, false)
	FROM assignments a
	JOIN tasks t ON t.id = a.task_id
	JOIN projects p ON p.id = t.project_id
	LEFT JOIN LATERAL (SELECT * FROM judgments WHERE assignment_id = a.id ORDER BY version DESC LIMIT 1) j ON true
	WHERE a.id = @id AND a.annotator_id = @annotator
	FOR UPDATE OF a`

func scanTurn(row pgx.CollectableRow) (turn, error) {
	var t turn
	err := row.Scan(&t.assignment, &t.task, &t.project, &t.kind, &t.aspect, &t.source, &t.outcome, &t.shown, &t.newest, &t.version, &t.surplus)
	return t, err
}

func openTurn(ctx context.Context, tx pgx.Tx, op string, assignment int64, person pgtype.UUID) (turn, error) {
	return one(ctx, tx, op, "assignment "+idText(assignment), selectTurn, pgx.NamedArgs{"id": assignment, "annotator": person}, scanTurn)
}

// queueTurn queues what openTurn does.
func queueTurn(b *pgx.Batch, op string, assignment int64, person pgtype.UUID, t *turn) {
	b.Queue(selectTurn, pgx.NamedArgs{"id": assignment, "annotator": person}).Query(func(rows pgx.Rows) (err error) {
		*t, err = pgx.CollectOneRow(rows, scanTurn)
		if errors.Is(err, pgx.ErrNoRows) {
			return tandem.Errorf(tandem.NotFound, op, "there is no assignment %d", assignment)
		}
		return err
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
	if err := sub.Verdict.fits(t.kind, t.aspect, t.source, t.shown); err != nil {
		return tandem.Errorf(tandem.Invalid, op, "assignment %s: %w", sub.Assignment, err)
	}
	return nil
}

// insertJudgment adds a verdict's rows, fills the assignment's place and closes it and its draft, in one statement: those of
// ranks and labels only where there are some, since Postgres makes ready for each table that is named.
// Where the place was taken over, another free one of the task is filled; where there is none, the judgment is surplus.
func insertJudgment(ranked, labelled bool) string {
	sql := `
	WITH own AS (
		UPDATE slots SET done_at = clock_timestamp() WHERE @fills::boolean AND assignment_id = @assignment AND done_at IS NULL RETURNING id
	), other AS (
		UPDATE slots SET assignment_id = @assignment, lease_until = clock_timestamp(), done_at = clock_timestamp()
		WHERE id = (
			SELECT id FROM slots
			WHERE @fills::boolean AND NOT EXISTS (SELECT FROM own)
			  AND task_id = @task AND done_at IS NULL AND (lease_until IS NULL OR NOT gold AND lease_until <= clock_timestamp())
			ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
		) RETURNING id
	), kept AS (
		INSERT INTO judgments (assignment_id, task_id, project_id, guideline, annotator_id, kind, version, replaces, chosen, rejected, degree, rating, comment,
		                       surplus, shown, duration, idempotency_key, body_hash)
		VALUES (@assignment, @task, @project, nullif(@guideline, 0), @annotator, @kind, @version, nullif(@replaces, 0::bigint), @chosen, @rejected, @degree, nullif(@rating, 0), @comment,
		        CASE WHEN @fills::boolean THEN NOT EXISTS (SELECT FROM own) AND NOT EXISTS (SELECT FROM other) ELSE @surplus::boolean END,
		        @shown, @duration, @key, @hash)
		RETURNING id, surplus, created_at
	), closed AS (
		UPDATE assignments SET outcome = 'submitted', closed_at = coalesce(closed_at, clock_timestamp()) WHERE id = @assignment
	), entered AS (
		UPDATE drafts SET closed_at = clock_timestamp() WHERE assignment_id = @assignment AND closed_at IS NULL
	)`
	if ranked {
		sql += `, ranked AS (
		INSERT INTO judgment_ranks (judgment_id, task_id, response_id, place)
		SELECT kept.id, @task, r.response::bigint, r.place FROM kept, unnest(@ranked::text[], @places::integer[]) r (response, place)
	)`
	}
	if labelled {
		sql += `, labelled AS (
		INSERT INTO labels (judgment_id, task_id, response_id, label)
		SELECT kept.id, @task, l.response::bigint, l.label FROM kept, unnest(@labelled::text[], @labels::text[]) l (response, label)
	)`
	}
	return sql + ` SELECT id, surplus, created_at FROM kept`
}

// queueJudgment queues keeping a verdict as the turn's next version; fills says whether it takes a place. The judgment
// is then in j.
func queueJudgment(b *pgx.Batch, op string, t turn, sub Submission, fills bool, hash []byte, j *Judgment) error {
	v := sub.Verdict
	var pair [2]*int64
	if t.kind == Pairwise {
		ids, err := parseIDs(op, "response", []string{v.Chosen, v.Rejected})
		if err != nil {
			return err
		}
		pair = [2]*int64{&ids[0], &ids[1]}
	}
	var ranked, labelled, labels []string
	var places []int
	for i, tied := range v.Ranking {
		for _, response := range tied {
			ranked, places = append(ranked, response), append(places, i+1)
		}
	}
	for response, label := range v.Labels {
		labelled, labels = append(labelled, response), append(labels, string(label))
	}
	*j = Judgment{Assignment: idText(t.assignment), TaskID: idText(t.task), Annotator: sub.Annotator, Kind: t.kind, Version: t.version + 1, Verdict: v,
		Duration: sub.Duration.Truncate(time.Microsecond), Guideline: sub.Guideline, RedTeam: t.source == RedTeam}
	if t.newest != 0 {
		j.Replaces = idText(t.newest)
	}
	for _, id := range t.shown {
		j.Shown = append(j.Shown, idText(id))
	}
	b.Queue(insertJudgment(ranked != nil, labelled != nil), pgx.NamedArgs{"assignment": t.assignment, "task": t.task, "project": t.project, "guideline": sub.Guideline, "annotator": sub.Annotator,
		"kind": string(t.kind), "version": j.Version, "replaces": t.newest, "chosen": pair[0], "rejected": pair[1], "degree": degreeText(v.Degree), "rating": v.Rating,
		"comment": v.Comment, "fills": fills, "surplus": t.surplus, "shown": t.shown, "duration": nilIfZero(sub.Duration), "key": sub.Key, "hash": hash,
		"ranked": ranked, "places": places, "labelled": labelled, "labels": labels}).QueryRow(func(row pgx.Row) error {
		var id int64
		err := row.Scan(&id, &j.Surplus, &j.CreatedAt)
		j.ID = idText(id)
		return err
	})
	return nil
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
	       j.surplus, j.shown::text[], coalesce(j.duration, '0'), coalesce(j.guideline, 0),
	       (SELECT p.source = 'red_team' FROM projects p WHERE p.id = j.project_id), j.created_at
	FROM judgments j`

func scanJudgment(row pgx.CollectableRow) (Judgment, error) {
	var j Judgment
	var degree string
	err := row.Scan(&j.ID, &j.Assignment, &j.TaskID, &j.Annotator, &j.Kind, &j.Version, &j.Replaces,
		&j.Verdict.Chosen, &j.Verdict.Rejected, &degree, &j.Verdict.Rating, &j.Verdict.Comment,
		&j.Verdict.Ranking, &j.Verdict.Labels, &j.Surplus, &j.Shown, &j.Duration, &j.Guideline, &j.RedTeam, &j.CreatedAt)
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

const insertExclusion = `INSERT INTO exclusions (assignment_id, excluded, reason, excluded_by) VALUES (@id, @excluded, @reason, @by)`

func exclude(ctx context.Context, tx pgx.Tx, assignment int64, excluded bool, reason, by string) error {
	_, err := tx.Exec(ctx, insertExclusion,
		pgx.NamedArgs{"id": assignment, "excluded": excluded, "reason": reason, "by": by})
	return err
}

// Undo takes a person's last judgment back: it is excluded, the person holds the task again, and draft is
// what they entered, to begin from. The next submit is the judgment's next version. Errors: NotFound when
// the assignment is not theirs, Conflict when it is not their last judgment, or a reviewer excluded it: judging it again would
// put it back in.
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
		var last, excluded bool
		if err := tx.QueryRow(ctx, `
			SELECT NOT EXISTS (SELECT FROM judgments WHERE annotator_id = @annotator AND id > @newest),
			       coalesce((SELECT excluded FROM exclusions WHERE assignment_id = @id ORDER BY id DESC LIMIT 1), false)`, args).Scan(&last, &excluded); err != nil {
			return err
		}
		switch {
		case t.outcome != "submitted" || !last:
			return tandem.Errorf(tandem.Conflict, op, "only the last judgment can be undone; revise this one instead")
		case excluded:
			return tandem.Errorf(tandem.Conflict, op, "a reviewer took this judgment out of what counts; revise it instead")
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
