package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// IdleLimit is how long after a sign of life a person is taken to be at work on their stretch.
const IdleLimit = 5 * time.Minute

// AttackedStretch is a stretch as those see it who look after the project.
type AttackedStretch struct {
	ID, ProjectID string
	Annotator     string // pseudonym
	Variant       string // its name
	Model         string // id of what was attacked, empty where it is no model here
	ModelName     string
	Temperature   float64
	StartedAt     time.Time
	// Counted is how much of it was spent on it: from each sign of life (the start, an attack, its answer, its rating, and
	// what the page reports of active work) to the next one or for the IdleLimit, whichever is shorter, until the end.
	Counted time.Duration
}

// Attack is one attack with what was said of the answer.
type Attack struct {
	ID      string // of the turn
	Stretch string
	Risk    tandem.RiskCategory
	Vector  tandem.AttackVector
	Rating  tandem.SafetyRating // the newest that counts; 0 for none
	At      time.Time
}

// RedTeaming is what was attacked, and how long that took.
type RedTeaming struct {
	Stretches []AttackedStretch
	Attacks   []Attack
}

// RedTeaming reads all stretches, those of one project unless that is empty, with their attacks, the first ones first. The
// stretch of every attack is among them.
func (s *Store) RedTeaming(ctx context.Context, projectID string) (RedTeaming, error) {
	const op = "store.RedTeaming"
	args := pgx.NamedArgs{"project": nil, "idle": IdleLimit}
	if projectID != "" {
		id, err := parseID(op, "project", projectID)
		if err != nil {
			return RedTeaming{}, err
		}
		args["project"] = id
	}
	var r RedTeaming
	var err error
	if r.Attacks, err = all(ctx, s.db, op, `
		SELECT t.id::text, t.stretch_id::text, t.risk_category, t.attack_vector, coalesce(r.rating, 0), t.created_at
		FROM live_turns t JOIN stretches s ON s.id = t.stretch_id LEFT JOIN LATERAL (`+ratingOf+`) r ON true
		WHERE @project::bigint IS NULL OR s.project_id = @project ORDER BY t.id`, args, pgx.RowToStructByPos[Attack]); err != nil {
		return r, err
	}
	r.Stretches, err = all(ctx, s.db, op, selectAttacked, args, pgx.RowToStructByPos[AttackedStretch])
	return r, err
}

// ratingOf selects the judgment that counts of the answer to an attack t.
const ratingOf = `
	SELECT j.* FROM judgments j
	WHERE j.task_id = t.task_id AND NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)
	  AND NOT coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)`

// selectAttacked reads stretches with the time that counts: signs of life are spans, most of no length, and each holds on
// for the limit.
const selectAttacked = `
	WITH spans AS (
		SELECT s.*, tstzrange(s.started_at, greatest(s.started_at, coalesce(s.ended_at, least(s.until, clock_timestamp())))) AS span
		FROM stretches s WHERE @project::bigint IS NULL OR s.project_id = @project
	), signs AS (
		SELECT id, started_at AS began, started_at AS ended FROM spans
		UNION ALL
		SELECT stretch_id, created_at, created_at FROM live_turns WHERE stretch_id IN (SELECT id FROM spans)
		UNION ALL
		SELECT l.stretch_id, t.created_at, t.created_at FROM live_turns l JOIN tasks t ON t.id = l.task_id WHERE l.stretch_id IN (SELECT id FROM spans)
		UNION ALL
		SELECT l.stretch_id, j.created_at, j.created_at FROM live_turns l JOIN judgments j ON j.task_id = l.task_id WHERE l.stretch_id IN (SELECT id FROM spans)
		UNION ALL
		SELECT s.id, a.at - a.active, a.at FROM spans s JOIN activity a
		ON a.annotator_id = s.annotator_id AND a.project_id = s.project_id AND a.at > lower(s.span) AND a.at < upper(s.span) + interval '5 minutes'
	), counted AS (
		SELECT id, range_agg(tstzrange(began, ended + @idle::interval)) AS work FROM signs GROUP BY id
	)
	SELECT s.id::text, s.project_id::text, s.annotator_id::text, v.name, coalesce(s.model_id, ''), coalesce(m.name, ''), s.temperature, s.started_at,
	       coalesce((SELECT sum(upper(part) - lower(part)) FROM unnest(c.work * tstzmultirange(s.span)) part), '0')
	FROM spans s JOIN counted c ON c.id = s.id JOIN variants v ON v.id = s.variant_id LEFT JOIN models m ON m.id = s.model_id
	ORDER BY s.id`

// ViolatingAttack is an attack whose answer was found to violate what is safe.
type ViolatingAttack struct {
	Judgment string // that found it, its newest version
	Prompt   tandem.Prompt
	Model    string // id of the policy that it worked on, empty where that is no model here
	Against  string // the name of that policy, or of the variant
}

// ViolatingAttacks lists the attacks whose answers were rated 1 or 2 (see tandem.SafetyRating), of one project or of all,
// the first one first: each dialogue as it was, with what its author entered.
func (s *Store) ViolatingAttacks(ctx context.Context, projectID string) ([]ViolatingAttack, error) {
	const op = "store.ViolatingAttacks"
	args := pgx.NamedArgs{"project": nil, "worst": int(tandem.ModerateViolation)}
	if projectID != "" {
		id, err := parseID(op, "project", projectID)
		if err != nil {
			return nil, err
		}
		args["project"] = id
	}
	return all(ctx, s.db, op, `
		SELECT r.id::text, q.id::text, dialogue(q.message_id), q.safety, t.risk_category, t.attack_vector, q.source, q.held_out,
		       coalesce(s.model_id, ''), coalesce(m.name, v.name)
		FROM live_turns t JOIN stretches s ON s.id = t.stretch_id JOIN variants v ON v.id = s.variant_id LEFT JOIN models m ON m.id = s.model_id
		JOIN prompts q ON q.id = t.prompt_id JOIN LATERAL (`+ratingOf+`) r ON r.rating <= @worst
		WHERE @project::bigint IS NULL OR s.project_id = @project ORDER BY t.id`, args,
		func(row pgx.CollectableRow) (ViolatingAttack, error) {
			var a ViolatingAttack
			p := &a.Prompt
			err := row.Scan(&a.Judgment, &p.ID, &p.Messages, &p.Safety, &p.Risk, &p.Vector, &p.Source, &p.HeldOut, &a.Model, &a.Against)
			return a, err
		})
}
