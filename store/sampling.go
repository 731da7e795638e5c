package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// LiveJob is one answer of a live turn for a server to sample, which holds it until a moment.
type LiveJob struct {
	Turn     string
	Number   int // 1 or 2
	Variant  Variant
	Messages tandem.Dialogue
	Sampling tandem.Sampling
	Seed     uint64
	Failures int       // earlier tries that failed
	Until    time.Time // when the lease runs out; it also tells this holding from any other of the same answer
}

// Key names the answer's randomness.
func (j LiveJob) Key() tandem.SampleKey {
	return tandem.SampleKey{Seed: j.Seed, Prompt: j.Messages.Key(), Sample: uint64(j.Number)}
}

// TakeAnswer hands a server the first answer that waits, for as long as the lease, which RenewAnswer makes
// longer: first come, first served. An answer whose holder let its lease run out has failed once more and waits
// again. Errors: NotFound when nothing waits.
func (s *Store) TakeAnswer(ctx context.Context, lease time.Duration) (LiveJob, error) {
	const op = "store.TakeAnswer"
	return one(ctx, s.db, op, "answer that waits", `
		WITH taken AS (
			UPDATE live_answers a SET lease_until = clock_timestamp() + @lease, error = '',
				failures = a.failures + CASE WHEN a.lease_until IS NOT NULL AND a.error = '' THEN 1 ELSE 0 END
			FROM (
				SELECT a.turn_id, a.number FROM live_turns t JOIN live_answers a ON a.turn_id = t.id
				WHERE`+openTurns+`AND a.response_id IS NULL AND a.failures < @tries
				  AND (a.lease_until IS NULL OR a.lease_until <= clock_timestamp())
				ORDER BY t.id, a.number LIMIT 1
				FOR UPDATE OF a SKIP LOCKED
			) first
			WHERE a.turn_id = first.turn_id AND a.number = first.number
			RETURNING a.*
		)
		SELECT a.turn_id::text, a.number, dialogue(q.message_id), a.temperature, p.answer_tokens, a.seed, a.failures, a.lease_until,
		       v.id::text, v.name, v.kind, v.url, v.model_name, v.key_env, v.created_by, v.created_at, v.retired_at IS NOT NULL
		FROM taken a
		JOIN live_turns t ON t.id = a.turn_id
		JOIN projects p ON p.id = t.project_id
		JOIN prompts q ON q.id = t.prompt_id
		JOIN variants v ON v.id = a.variant_id`,
		pgx.NamedArgs{"lease": lease, "tries": LiveTries},
		func(row pgx.CollectableRow) (LiveJob, error) {
			var j LiveJob
			var seed int64
			v := &j.Variant
			err := row.Scan(&j.Turn, &j.Number, &j.Messages, &j.Sampling.Temperature, &j.Sampling.MaxTokens, &seed, &j.Failures, &j.Until,
				&v.ID, &v.Name, &v.Kind, &v.URL, &v.ModelName, &v.KeyEnv, &v.CreatedBy, &v.CreatedAt, &v.Retired)
			j.Seed = uint64(seed)
			return j, err
		})
}

// args name a job and its holding.
func (j LiveJob) args(op string) (pgx.NamedArgs, error) {
	turn, err := parseID(op, "turn", j.Turn)
	return pgx.NamedArgs{"turn": turn, "number": j.Number, "until": j.Until}, err
}

// stillHeld keeps the answer a for its holder.
const stillHeld = ` a.turn_id = @turn AND a.number = @number AND a.lease_until = @until AND a.response_id IS NULL `

// change updates the answer that a job holds. Errors: Stale when it is held no more.
func (s *Store) change(ctx context.Context, op string, j LiveJob, sql string, more pgx.NamedArgs) error {
	args, err := j.args(op)
	if err != nil {
		return err
	}
	for name, value := range more {
		args[name] = value
	}
	tag, err := s.db.Exec(ctx, sql, args)
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.Stale, op, "answer %d of turn %s is no longer held", j.Number, j.Turn)
	}
	return fail(op, err)
}

// RenewAnswer holds a job for another lease, and returns it so. Errors: Stale when another took it over or its
// turn was given up.
func (s *Store) RenewAnswer(ctx context.Context, j LiveJob, lease time.Duration) (LiveJob, error) {
	const op = "store.RenewAnswer"
	args, err := j.args(op)
	if err != nil {
		return j, err
	}
	args["lease"] = lease
	until, err := one(ctx, s.db, op, "answer held", `
		UPDATE live_answers a SET lease_until = clock_timestamp() + @lease
		FROM live_turns t WHERE t.id = a.turn_id AND t.abandoned_at IS NULL AND`+stillHeld+`
		RETURNING a.lease_until`, args, pgx.RowTo[time.Time])
	if tandem.CodeOf(err) == tandem.NotFound {
		return j, tandem.Errorf(tandem.Stale, op, "answer %d of turn %s is no longer held", j.Number, j.Turn)
	}
	j.Until = until
	return j, err
}

// ReleaseAnswer gives a job back untried, as a server that stops does. Errors: Stale when it is held no more.
func (s *Store) ReleaseAnswer(ctx context.Context, j LiveJob) error {
	return s.change(ctx, "store.ReleaseAnswer", j, `UPDATE live_answers a SET lease_until = NULL WHERE`+stillHeld, nil)
}

// Failure is what came of a try that brought no answer.
type Failure struct {
	Reason string        // led by its code; annotators are not shown it
	Final  bool          // trying again will not help
	Pause  time.Duration // before the next try
	Seed   uint64        // of the next try
}

// FailAnswer notes a try that failed. Errors: Stale when the job is held no more.
func (s *Store) FailAnswer(ctx context.Context, j LiveJob, f Failure) error {
	return s.change(ctx, "store.FailAnswer", j, `
		UPDATE live_answers a SET error = @reason, seed = @seed, lease_until = clock_timestamp() + @pause,
			failures = CASE WHEN @final THEN greatest(@tries, a.failures + 1) ELSE a.failures + 1 END
		WHERE`+stillHeld,
		pgx.NamedArgs{"reason": f.Reason, "seed": int64(f.Seed), "pause": f.Pause, "final": f.Final, "tries": LiveTries})
}

// FinishAnswer keeps the answer that a job brought. With the last answer of a turn its task is made, a comparison or, of an
// attack, a rating, whose one place its author has, the sides as they were drawn when the turn began, so that what
// one watched stays where it was. An answer of a folder that is registered as a model names the model; others
// have the origin "variant:NAME". Errors: Stale when the job is held no more or its turn was given up; Conflict
// when the answer says the same as the other one, so that there would be nothing to compare.
func (s *Store) FinishAnswer(ctx context.Context, j LiveJob, c tandem.Completion) error {
	const op = "store.FinishAnswer"
	args, err := j.args(op)
	if err != nil {
		return err
	}
	type state struct {
		Prompt    string
		Abandoned bool
		Held      bool
		Alone     bool   // there is no other answer
		Other     *int64 // the other answer's response
		Says      *string
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		// The lock comes first, by itself: what is read after it knows of the other answer if that was faster.
		if _, err := tx.Exec(ctx, `SELECT FROM live_turns WHERE id = @turn FOR UPDATE`, args); err != nil {
			return err
		}
		now, err := one(ctx, tx, op, "turn "+j.Turn, `
			SELECT t.prompt_id::text, t.abandoned_at IS NOT NULL,
			       EXISTS (SELECT FROM live_answers a WHERE`+stillHeld+`), o.turn_id IS NULL, o.response_id, r.content
			FROM live_turns t
			LEFT JOIN live_answers o ON o.turn_id = t.id AND o.number <> @number
			LEFT JOIN responses r ON r.id = o.response_id
			WHERE t.id = @turn`, args, pgx.RowToStructByPos[state])
		switch {
		case err != nil:
			return err
		case now.Abandoned || !now.Held:
			return tandem.Errorf(tandem.Stale, op, "answer %d of turn %s is no longer held", j.Number, j.Turn)
		case now.Says != nil && *now.Says == c.Text:
			return tandem.Errorf(tandem.Conflict, op, "both answers of turn %s say the same", j.Turn)
		}
		response, err := addAnswer(ctx, tx, op, now.Prompt, j, c)
		if err != nil {
			return err
		}
		args["response"] = response
		if _, err := tx.Exec(ctx, `UPDATE live_answers a SET response_id = @response, lease_until = NULL, error = '' WHERE`+stillHeld, args); err != nil {
			return err
		}
		args["kind"] = string(Pairwise)
		switch {
		case now.Alone:
			args["kind"], args["answers"] = string(Rating), []int64{response}
		case now.Other == nil:
			return nil
		case j.Number == 2:
			args["answers"] = []int64{*now.Other, response}
		default:
			args["answers"] = []int64{response, *now.Other}
		}
		return makeTask(ctx, tx, args)
	})
}

// addAnswer keeps the text of a job.
func addAnswer(ctx context.Context, tx pgx.Tx, op, prompt string, j LiveJob, c tandem.Completion) (id int64, err error) {
	r := Response{PromptID: prompt, Content: c.Text, Origin: "variant:" + j.Variant.Name}
	if j.Variant.Kind == FolderVariant {
		model, err := all(ctx, tx, op, `SELECT id FROM models WHERE kind = 'policy' AND url IN (@url, 'file://' || @url) ORDER BY created_at DESC LIMIT 1`,
			pgx.NamedArgs{"url": j.Variant.URL}, pgx.RowTo[string])
		if err != nil {
			return 0, err
		}
		if len(model) == 1 {
			r = Response{PromptID: prompt, Content: c.Text, Model: model[0], Sampling: j.Sampling, Seed: j.Seed, Sample: uint64(j.Number),
				Finish: c.Finish, Tokens: len(c.Tokens)}
		}
	}
	args, err := responseArgs(op, r)
	if err != nil {
		return 0, err
	}
	sql := addOther
	if r.Model != "" {
		sql = addSampled
	}
	if err = tx.QueryRow(ctx, sql, args).Scan(&id); errors.Is(err, pgx.ErrNoRows) {
		err = errRaced
	}
	return id, err
}

// makeTask makes the task of the turn @turn, a @kind of @answers, and gives its one place to the turn's author.
func makeTask(ctx context.Context, tx pgx.Tx, args pgx.NamedArgs) error {
	// The same prompt with the same answers may be another turn's: the key is the turn's own.
	key := sha256.Sum256(fmt.Appendf(nil, "live %d", args["turn"]))
	args["key"] = key[:]
	_, err := tx.Exec(ctx, `
		WITH turn AS (
			SELECT t.*, p.lease, coalesce((SELECT max(b.number) FROM batches b WHERE b.project_id = t.project_id), 0) AS batch
			FROM live_turns t JOIN projects p ON p.id = t.project_id WHERE t.id = @turn
		), task AS (
			INSERT INTO tasks (project_id, prompt_id, kind, batch, content_key)
			SELECT project_id, prompt_id, @kind, batch, @key FROM turn RETURNING id, project_id, prompt_id
		), answers AS (
			INSERT INTO task_responses (task_id, prompt_id, response_id, position)
			SELECT task.id, task.prompt_id, r.id, r.n - 1 FROM task, unnest(@answers::bigint[]) WITH ORDINALITY r (id, n)
		), place AS (
			INSERT INTO assignments (task_id, annotator_id, shown)
			SELECT task.id, turn.annotator_id, @answers FROM task, turn RETURNING id
		), slot AS (
			INSERT INTO slots (task_id, project_id, number, assignment_id, lease_until)
			SELECT task.id, task.project_id, 1, place.id, clock_timestamp() + turn.lease FROM task, place, turn
		)
		UPDATE live_turns SET task_id = (SELECT id FROM task) WHERE id = @turn`, args)
	return err
}
