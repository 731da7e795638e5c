package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Reviewed is a judgment as a reviewer sees it: its newest version, and what became of it.
type Reviewed struct {
	Judgment
	Batch int
	Asked string // the user's last message
	// Gold says whether the task is a gold one, and Right whether what they answered by themselves was right.
	Gold, Right bool
	Excluded    bool
	ExcludedWhy string
	Undone      bool    // its annotator took it back and has it before them again
	Returned    *Return // sent back and not answered yet; nil otherwise
}

// Return is a judgment that was sent back to its annotator. A newer version answers it.
type Return struct {
	ID     string
	Reason string
	By     string // an actor, as the audit log names it
	At     time.Time
}

// ReviewQuery selects judgments of a project in their newest versions.
type ReviewQuery struct {
	Project   string
	Judgments []string // ids; empty for all
	Annotator string   // empty for everyone
	Batch     int      // 0 for every one
	Returned  *bool    // only those that are sent back now, or only others; nil for both
	Excluded  *bool    // only those that are excluded, or only others; nil for both
	Page
}

func (q ReviewQuery) args(op string) (pgx.NamedArgs, error) {
	project, err := parseID(op, "project", q.Project)
	if err != nil {
		return nil, err
	}
	args := pgx.NamedArgs{"project": project, "judgments": nil, "annotator": nil, "batch": q.Batch, "returned": q.Returned, "excluded": q.Excluded,
		"before": nil, "limit": q.limit()}
	if len(q.Judgments) > 0 {
		if args["judgments"], err = parseIDs(op, "judgment", q.Judgments); err != nil {
			return nil, err
		}
	}
	if q.Annotator != "" {
		if args["annotator"], err = parseAnnotator(op, q.Annotator); err != nil {
			return nil, err
		}
	}
	if q.After != "" {
		if args["before"], err = parseID(op, "judgment", q.After); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// withFate joins what became of the judgments j: whether they are excluded as e, and sent back as r.
const withFate = `
	LEFT JOIN LATERAL (SELECT excluded, reason FROM exclusions WHERE assignment_id = j.assignment_id ORDER BY id DESC LIMIT 1) e ON true
	LEFT JOIN LATERAL (
		SELECT id, reason, returned_by, created_at FROM returns
		WHERE judgment_id = j.id AND taken_back IS NULL AND NOT EXISTS (SELECT FROM returns back WHERE back.taken_back = returns.id)
		ORDER BY id DESC LIMIT 1) r ON true`

// reviewable selects judgments j with their tasks t.
const reviewable = `
	FROM judgments j
	JOIN tasks t ON t.id = j.task_id` + withFate + `
	WHERE t.project_id = @project
	  AND (@judgments::bigint[] IS NULL OR j.id = ANY (@judgments))
	  AND (@annotator::uuid IS NULL OR j.annotator_id = @annotator)
	  AND (@batch::integer = 0 OR t.batch = @batch)
	  AND (@returned::boolean IS NULL OR (r.id IS NOT NULL) = @returned)
	  AND (@excluded::boolean IS NULL OR coalesce(e.excluded, false) = @excluded)
	  AND NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)`

// Review lists a project's judgments for a reviewer, the last one first.
func (s *Store) Review(ctx context.Context, q ReviewQuery) ([]Reviewed, error) {
	const op = "store.Review"
	args, err := q.args(op)
	if err != nil {
		return nil, err
	}
	found, err := all(ctx, s.db, op, `
		SELECT j.id::text, t.batch, m.content, EXISTS (SELECT FROM golds WHERE task_id = t.id),
		       coalesce((SELECT correct FROM gold_answers g WHERE g.assignment_id = j.assignment_id), false),
		       coalesce(e.excluded, false), CASE WHEN e.excluded THEN e.reason ELSE '' END,
		       (SELECT closed_at IS NULL FROM assignments WHERE id = j.assignment_id),
		       coalesce(r.id::text, ''), coalesce(r.reason, ''), coalesce(r.returned_by, ''), coalesce(r.created_at, '0001-01-01')
		FROM (SELECT j.id`+reviewable+` AND (@before::bigint IS NULL OR j.id < @before) ORDER BY j.id DESC LIMIT @limit) page
		JOIN judgments j ON j.id = page.id
		JOIN tasks t ON t.id = j.task_id
		JOIN prompts q ON q.id = t.prompt_id
		JOIN messages m ON m.id = q.message_id`+withFate+`
		ORDER BY j.id DESC`, args,
		func(row pgx.CollectableRow) (Reviewed, error) {
			var v Reviewed
			var r Return
			err := row.Scan(&v.ID, &v.Batch, &v.Asked, &v.Gold, &v.Right, &v.Excluded, &v.ExcludedWhy, &v.Undone, &r.ID, &r.Reason, &r.By, &r.At)
			if r.ID != "" {
				v.Returned = &r
			}
			return v, err
		})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ids := make([]string, len(found))
	for i, v := range found {
		ids[i] = v.ID
	}
	judgments, err := all(ctx, s.db, op, selectJudgment+` WHERE j.id = ANY (@ids::text[]::bigint[]) ORDER BY j.id DESC`, pgx.NamedArgs{"ids": ids}, scanJudgment)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].Judgment = judgments[i]
	}
	return found, nil
}

// Material is what a task puts before people.
type Material struct {
	Prompt    tandem.Dialogue
	Responses []tandem.Response // by id, without their models
}

// Materials reads what tasks put before people, by the task's id.
func (s *Store) Materials(ctx context.Context, tasks []string) (map[string]Material, error) {
	const op = "store.Materials"
	ids, err := parseIDs(op, "task", tasks)
	if err != nil {
		return nil, err
	}
	type row struct {
		Task string
		Material
	}
	found, err := all(ctx, s.db, op, `
		SELECT t.id::text, dialogue(q.message_id),`+responsesByID+`
		FROM tasks t JOIN prompts q ON q.id = t.prompt_id WHERE t.id = ANY (@ids)`, pgx.NamedArgs{"ids": ids},
		func(r pgx.CollectableRow) (row, error) {
			var m row
			return m, r.Scan(&m.Task, &m.Prompt, &m.Responses)
		})
	materials := make(map[string]Material, len(found))
	for _, m := range found {
		materials[m.Task] = m.Material
	}
	return materials, err
}

// SendBack sends the judgments that q selects back to their annotators, and says why. They see it when they come
// next, and revise them; those that are sent back already, and undone ones, are left as they are. It is all or
// nothing, audited in the same transaction, and returns how many it sent. Errors: Invalid without a reason,
// NotFound for a judgment that is not the project's, Stale for one that was revised since.
func (s *Store) SendBack(ctx context.Context, q ReviewQuery, reason, by string) (int, error) {
	return s.review(ctx, "store.SendBack", q, reason, by, "judgment.return", `
		INSERT INTO returns (judgment_id, assignment_id, reason, returned_by)
		SELECT j.id, j.assignment_id, @reason, @by `+reviewable+`
		  AND r.id IS NULL AND EXISTS (SELECT FROM assignments WHERE id = j.assignment_id AND closed_at IS NOT NULL)
		RETURNING assignment_id`)
}

// TakeBackAll withdraws what was sent back and not answered yet, of the judgments that q selects, and keeps why. It is
// all or nothing, audited in the same transaction, and returns how many it withdrew. Errors: as SendBack.
func (s *Store) TakeBackAll(ctx context.Context, q ReviewQuery, reason, by string) (int, error) {
	return s.review(ctx, "store.TakeBackAll", q, reason, by, "judgment.take_back", `
		INSERT INTO returns (judgment_id, assignment_id, reason, returned_by, taken_back)
		SELECT j.id, j.assignment_id, @reason, @by, r.id `+reviewable+` AND r.id IS NOT NULL
		RETURNING assignment_id`)
}

// ExcludeAll takes the judgments that q selects out of what counts, or back in, and keeps why. Those that are so
// already are left as they are, and what its annotator undid stays undone. It is all or nothing, audited in the
// same transaction, and returns how many it changed. Errors: as SendBack.
func (s *Store) ExcludeAll(ctx context.Context, q ReviewQuery, excluded bool, reason, by string) (int, error) {
	action, differs := "judgment.exclude", ` AND NOT coalesce(e.excluded, false)`
	if !excluded {
		action, differs = "judgment.include", ` AND e.excluded AND EXISTS (SELECT FROM assignments WHERE id = j.assignment_id AND closed_at IS NOT NULL)`
	}
	return s.review(ctx, "store.ExcludeAll", q, reason, by, action, `
		INSERT INTO exclusions (assignment_id, excluded, reason, excluded_by)
		SELECT j.assignment_id, `+map[bool]string{true: "true", false: "false"}[excluded]+`, @reason, @by `+reviewable+differs+`
		RETURNING assignment_id`)
}

// review does to the judgments that q selects what the statement says, which returns their assignments.
func (s *Store) review(ctx context.Context, op string, q ReviewQuery, reason, by, action, statement string) (int, error) {
	args, err := q.args(op)
	if err != nil {
		return 0, err
	}
	if strings.TrimSpace(reason) == "" {
		return 0, tandem.Errorf(tandem.Invalid, op, "the reason is missing")
	}
	args["reason"], args["by"] = reason, by
	var done []string
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		if _, err := one(ctx, tx, op, "project "+q.Project, `SELECT id FROM projects WHERE id = @project`, args, pgx.RowTo[int64]); err != nil {
			return err
		}
		// Revisions wait until this is done, and it for those that are under way. What it then does sees them.
		if _, err := tx.Exec(ctx, `
			SELECT FROM assignments WHERE id IN (SELECT j.assignment_id`+reviewable+`) ORDER BY id FOR NO KEY UPDATE`, args); err != nil {
			return err
		}
		if err := newestOf(ctx, tx, op, q, args); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `WITH done AS (`+statement+`) SELECT assignment_id::text FROM done`, args)
		if err != nil {
			return err
		}
		if done, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(done) == 0 {
			return err
		}
		detail, err := json.Marshal(map[string]any{"assignments": done, "reason": reason})
		if err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: action, Subject: "project:" + q.Project, Detail: detail})
	})
	return len(done), err
}

// newestOf checks that the judgments that q names are the project's, and the newest versions.
func newestOf(ctx context.Context, tx pgx.Tx, op string, q ReviewQuery, args pgx.NamedArgs) error {
	if len(q.Judgments) == 0 {
		return nil
	}
	type named struct {
		ID     string
		Newest bool
	}
	known, err := all(ctx, tx, op, `
		SELECT j.id::text, NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)
		FROM judgments j JOIN tasks t ON t.id = j.task_id WHERE t.project_id = @project AND j.id = ANY (@judgments)`, args, pgx.RowToStructByPos[named])
	if err != nil {
		return err
	}
	newest := make(map[string]bool, len(known))
	for _, n := range known {
		newest[n.ID] = n.Newest
	}
	for _, id := range q.Judgments {
		if is, ok := newest[id]; !ok {
			return tandem.Errorf(tandem.NotFound, op, "there is no judgment %s in the project %s", id, q.Project)
		} else if !is {
			return tandem.Errorf(tandem.Stale, op, "the judgment %s was revised since; look at the newer version", id)
		}
	}
	return nil
}

// TakeBack withdraws a return that was not answered yet, and keeps why. It is audited in the same transaction.
// Errors: NotFound for no such return; Conflict for one that was taken back, or answered by a newer version.
func (s *Store) TakeBack(ctx context.Context, id, reason, by string) error {
	const op = "store.TakeBack"
	n, err := parseID(op, "return", id)
	if err != nil {
		return err
	}
	args := pgx.NamedArgs{"id": n, "reason": reason, "by": by}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		// The lock is what a revision takes too: one of the two is first.
		assignment, err := one(ctx, tx, op, "return "+id, `
			SELECT a.id::text FROM assignments a
			WHERE a.id = (SELECT assignment_id FROM returns WHERE id = @id AND taken_back IS NULL) FOR NO KEY UPDATE`, args, pgx.RowTo[string])
		if err != nil {
			return err
		}
		var answered, taken bool
		if err := tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM judgments WHERE replaces = r.judgment_id), EXISTS (SELECT FROM returns WHERE taken_back = r.id)
			FROM returns r WHERE r.id = @id`, args).Scan(&answered, &taken); err != nil {
			return err
		}
		switch {
		case taken:
			return tandem.Errorf(tandem.Conflict, op, "the return %s was taken back already", id)
		case answered:
			return tandem.Errorf(tandem.Conflict, op, "the return %s was answered by a newer version already", id)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO returns (judgment_id, assignment_id, reason, returned_by, taken_back)
			SELECT judgment_id, assignment_id, @reason, @by, id FROM returns WHERE id = @id`, args); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "judgment.take_back", Subject: "assignment:" + assignment})
	})
}
