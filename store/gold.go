package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// Gold is a pairwise task whose right answer is known. It is handed to everyone who works in its project, mixed
// in so that nobody can tell, and what is judged of it is no data to learn from.
type Gold struct {
	TaskID string
	Chosen string // the id of the better response
	// Labels are the right safety labels by response, in a safety project; none where they do not matter.
	Labels map[string]tandem.SafetyLabel
	Reason string // told to who gets it wrong in a qualification

	// Given by the store.
	Answered  int // people's answers that count
	Right     int // of them
	Retired   bool
	CreatedAt time.Time
}

// AddGold marks tasks of a project as gold. Marking one again in the same way does nothing. It is audited in the
// same transaction. Errors: NotFound for a task that is not the project's; Invalid for one that is not pairwise
// or has no such response; Conflict for one that has another right answer already.
func (s *Store) AddGold(ctx context.Context, projectID string, golds []Gold, by string) error {
	const op = "store.AddGold"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		aspect, err := one(ctx, tx, op, "project "+projectID, `SELECT aspect FROM projects WHERE id = @id FOR NO KEY UPDATE`,
			pgx.NamedArgs{"id": project}, pgx.RowTo[tandem.Aspect])
		if err != nil {
			return err
		}
		tasks := make([]string, len(golds))
		for i, g := range golds {
			if err := addGold(ctx, tx, op, project, aspect, g, by); err != nil {
				return err
			}
			tasks[i] = g.TaskID
		}
		if _, err := tx.Exec(ctx, `UPDATE slots SET gold = true WHERE task_id = ANY (@tasks::text[]::bigint[]) AND NOT gold`, pgx.NamedArgs{"tasks": tasks}); err != nil {
			return err
		}
		detail, err := json.Marshal(map[string][]string{"tasks": tasks})
		if err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "gold.add", Subject: "project:" + projectID, Detail: detail})
	})
}

// addGold adds the row of one gold task.
func addGold(ctx context.Context, tx pgx.Tx, op string, project int64, aspect tandem.Aspect, g Gold, by string) error {
	task, err := parseID(op, "task", g.TaskID)
	if err != nil {
		return err
	}
	type pair struct {
		Kind      TaskKind
		Responses []string
	}
	// The lock waits for a claim that makes a place on the task at this moment.
	of, err := one(ctx, tx, op, "task "+g.TaskID+" in the project", `
		SELECT t.kind, ARRAY(SELECT r.response_id::text FROM task_responses r WHERE r.task_id = t.id ORDER BY r.position)
		FROM tasks t WHERE t.id = @task AND t.project_id = @project FOR NO KEY UPDATE`,
		pgx.NamedArgs{"task": task, "project": project}, pgx.RowToStructByPos[pair])
	if err != nil {
		return err
	}
	if of.Kind != Pairwise {
		return tandem.Errorf(tandem.Invalid, op, "the task %s is a %s task; only pairs can be gold", g.TaskID, of.Kind)
	}
	rejected := of.Responses[0]
	if rejected == g.Chosen {
		rejected = of.Responses[1]
	} else if g.Chosen != of.Responses[1] {
		return tandem.Errorf(tandem.Invalid, op, "the response %q is not of the task %s", g.Chosen, g.TaskID)
	}
	for response, label := range g.Labels {
		if aspect != tandem.Safety || response != g.Chosen && response != rejected || label != tandem.Safe && label != tandem.Unsafe {
			return tandem.Errorf(tandem.Invalid, op, "the task %s has the label %q on response %q; labels are safe or unsafe, on the task's own responses, in safety projects",
				g.TaskID, label, response)
		}
	}
	args := pgx.NamedArgs{"task": task, "project": project, "chosen": g.Chosen, "rejected": rejected,
		"chosen_label": string(g.Labels[g.Chosen]), "rejected_label": string(g.Labels[rejected]), "reason": g.Reason, "by": by}
	tag, err := tx.Exec(ctx, `
		INSERT INTO golds (task_id, project_id, chosen, rejected, chosen_label, rejected_label, reason, created_by)
		VALUES (@task, @project, @chosen::text::bigint, @rejected::text::bigint, @chosen_label, @rejected_label, @reason, @by)
		ON CONFLICT (task_id) DO NOTHING`, args)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	same, err := one(ctx, tx, op, "gold task", `
		SELECT chosen = @chosen::text::bigint AND chosen_label = @chosen_label AND rejected_label = @rejected_label AND reason = @reason
		FROM golds WHERE task_id = @task`, args, pgx.RowTo[bool])
	if err == nil && !same {
		return tandem.Errorf(tandem.Conflict, op, "the task %s is gold already, with another right answer; retire it and use another task", g.TaskID)
	}
	return err
}

// RetireGold ends a gold task whose right answer turned out not to be: it is handed out no more, and what was
// answered to it says nothing of anybody. It is audited in the same transaction.
func (s *Store) RetireGold(ctx context.Context, projectID, taskID, by string) error {
	const op = "store.RetireGold"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return err
	}
	task, err := parseID(op, "task", taskID)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE tasks SET closed_at = coalesce(closed_at, clock_timestamp())
			WHERE id = @task AND project_id = @project AND EXISTS (SELECT FROM golds WHERE task_id = @task)`,
			pgx.NamedArgs{"task": task, "project": project})
		if err == nil && tag.RowsAffected() == 0 {
			return tandem.Errorf(tandem.NotFound, op, "the task %s is no gold task of the project %s", taskID, projectID)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "gold.retire", Subject: "task:" + taskID})
	})
}

// Golds lists a project's gold tasks, the first one first.
func (s *Store) Golds(ctx context.Context, projectID string, page Page) ([]Gold, error) {
	const op = "store.Golds"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	after := int64(0)
	if page.After != "" {
		if after, err = parseID(op, "task", page.After); err != nil {
			return nil, err
		}
	}
	return all(ctx, s.db, op, `
		SELECT g.task_id::text, g.chosen::text, g.rejected::text, g.chosen_label, g.rejected_label, g.reason,
		       r.answered, r.correct, t.closed_at IS NOT NULL, g.created_at
		FROM golds g JOIN tasks t ON t.id = g.task_id
		CROSS JOIN LATERAL (SELECT count(*) AS answered, count(*) FILTER (WHERE correct) AS correct FROM gold_answers WHERE task_id = g.task_id) r
		WHERE g.project_id = @project AND g.task_id > @after
		ORDER BY g.task_id LIMIT @limit`,
		pgx.NamedArgs{"project": project, "after": after, "limit": page.limit()},
		func(row pgx.CollectableRow) (Gold, error) {
			var g Gold
			var rejected string
			var chosenLabel, rejectedLabel tandem.SafetyLabel
			err := row.Scan(&g.TaskID, &g.Chosen, &rejected, &chosenLabel, &rejectedLabel, &g.Reason, &g.Answered, &g.Right, &g.Retired, &g.CreatedAt)
			for response, label := range map[string]tandem.SafetyLabel{g.Chosen: chosenLabel, rejected: rejectedLabel} {
				if label != tandem.Unlabelled {
					if g.Labels == nil {
						g.Labels = make(map[string]tandem.SafetyLabel)
					}
					g.Labels[response] = label
				}
			}
			return g, err
		})
}

// goldTurn returns a place on a gold task for the person, 0 where it is not time for one or none is left. Of every
// so many judgments of a person's day one is gold, at a place that is drawn.
func goldTurn(ctx context.Context, tx pgx.Tx, args pgx.NamedArgs, every int) (slot int64, err error) {
	if every == 0 {
		return 0, nil
	}
	round := 0 // of so many judgments: which of today's the person is in
	if every > 1 {
		var judged, gold int
		var drawn float64
		if err := tx.QueryRow(ctx, `
			SELECT count(*), count(g.task_id), random()
			FROM judgments j LEFT JOIN golds g ON g.task_id = j.task_id
			WHERE j.annotator_id = @annotator AND j.project_id = @project AND j.version = 1 AND j.created_at >= `+today,
			args).Scan(&judged, &gold, &drawn); err != nil {
			return 0, err
		}
		round = judged / every
		// Each place of the round is as likely: at the first the chance is one in so many, at the last it is certain.
		if gold > round || drawn*float64(every-judged%every) >= 1 {
			return 0, nil
		}
	}
	// A gold task that was skipped, or given up, was the round's.
	var task int64
	err = tx.QueryRow(ctx, `
		SELECT g.task_id FROM golds g JOIN tasks t ON t.id = g.task_id
		WHERE g.project_id = @project AND t.closed_at IS NULL
		  AND NOT EXISTS (SELECT FROM assignments mine WHERE mine.task_id = g.task_id AND mine.annotator_id = @annotator AND mine.closed_at IS NOT NULL)
		  AND (@every::bigint = 1 OR @round >= (
		       SELECT count(*) FROM golds had JOIN assignments a ON a.task_id = had.task_id AND a.annotator_id = @annotator
		       WHERE had.project_id = @project AND a.claimed_at >= `+today+`))
		ORDER BY random() LIMIT 1`,
		pgx.NamedArgs{"project": args["project"], "annotator": args["annotator"], "every": every, "round": round}).Scan(&task)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return goldSlot(ctx, tx, task, args["annotator"])
}

// goldSlot finds a place on a gold task that nobody has, or makes one. It locks the task, so that two people who
// come at once do not give theirs the same number.
func goldSlot(ctx context.Context, tx pgx.Tx, task int64, annotator any) (slot int64, err error) {
	args := pgx.NamedArgs{"task": task, "annotator": annotator}
	if _, err := tx.Exec(ctx, `SELECT FROM tasks WHERE id = @task FOR NO KEY UPDATE`, args); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		SELECT s.id FROM slots s LEFT JOIN assignments a ON a.id = s.assignment_id
		WHERE s.task_id = @task AND s.gold AND s.done_at IS NULL AND (a.id IS NULL OR a.annotator_id = @annotator)
		ORDER BY a.id NULLS LAST, s.number LIMIT 1
		FOR UPDATE OF s SKIP LOCKED`, args).Scan(&slot)
	if !errors.Is(err, pgx.ErrNoRows) {
		return slot, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO slots (task_id, project_id, number, gold)
		SELECT t.id, t.project_id, coalesce((SELECT max(number) FROM slots WHERE task_id = t.id), 0) + 1, true FROM tasks t WHERE t.id = @task
		RETURNING id`, args).Scan(&slot)
	return slot, err
}

// GoldResult is how a person does on a project's gold tasks.
type GoldResult struct {
	Annotator string // pseudonym
	Answered  int
	Right     int
	// Of the last ones, as many as the project's window holds.
	RecentAnswered int
	RecentRight    int
	Warned         bool // the window is full, and fewer of these were right than the project wants
}

// selectGoldResults reads how people do on gold; @annotator is one of them, or null for all.
const selectGoldResults = `
	SELECT annotator_id::text, count(*), count(*) FILTER (WHERE correct),
	       count(*) FILTER (WHERE recent <= p.gold_window), count(*) FILTER (WHERE correct AND recent <= p.gold_window),
	       count(*) >= p.gold_window AND count(*) FILTER (WHERE correct AND recent <= p.gold_window) < p.gold_floor * p.gold_window - 1e-9
	FROM (
		SELECT annotator_id, correct, row_number() OVER (PARTITION BY annotator_id ORDER BY judgment_id DESC) AS recent
		FROM gold_answers WHERE project_id = @project::text::bigint AND (@annotator::uuid IS NULL OR annotator_id = @annotator)
	) answers, projects p
	WHERE p.id = @project::text::bigint
	GROUP BY annotator_id, p.gold_window, p.gold_floor
	ORDER BY annotator_id`

// GoldResults lists how everyone does on a project's gold tasks who answered one.
func (s *Store) GoldResults(ctx context.Context, projectID string) ([]GoldResult, error) {
	const op = "store.GoldResults"
	if _, err := s.Project(ctx, projectID); err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, selectGoldResults, pgx.NamedArgs{"project": projectID, "annotator": nil}, pgx.RowToStructByPos[GoldResult])
}

// warned reports whether a person does too badly on a project's gold tasks. In a qualification they are told
// after each answer, and nobody is warned.
func warned(ctx context.Context, db querier, op string, person pgtype.UUID, projectID string) (bool, error) {
	result, err := one(ctx, db, op, "answer to gold",
		`SELECT r.* FROM (`+selectGoldResults+`) r WHERE EXISTS (SELECT FROM projects WHERE id = @project::text::bigint AND gold_every > 0)`,
		pgx.NamedArgs{"project": projectID, "annotator": person}, pgx.RowToStructByPos[GoldResult])
	if tandem.CodeOf(err) == tandem.NotFound {
		return false, nil
	}
	return result.Warned, err
}

// GoldAnswer is what a person is told of their answer to a gold task.
type GoldAnswer struct {
	Right  bool
	Reason string // why another answer is right; empty where theirs is
}

// GoldAnswer finds what a person is told of their judgment on an assignment: only in a qualification are they told
// anything. Errors: NotFound where there is nothing to tell.
func (s *Store) GoldAnswer(ctx context.Context, annotator, assignment string) (GoldAnswer, error) {
	const op = "store.GoldAnswer"
	person, n, err := parseTurn(op, annotator, assignment)
	if err != nil {
		return GoldAnswer{}, err
	}
	return one(ctx, s.db, op, "word on the assignment "+assignment, `
		SELECT r.correct, CASE WHEN r.correct THEN '' ELSE g.reason END
		FROM gold_answers r JOIN golds g ON g.task_id = r.task_id
		WHERE r.assignment_id = @id AND r.annotator_id = @annotator
		  AND EXISTS (SELECT FROM projects q WHERE q.qualification_id = r.project_id)`,
		pgx.NamedArgs{"id": n, "annotator": person}, pgx.RowToStructByPos[GoldAnswer])
}
