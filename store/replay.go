package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Replay is a policy that answered earlier violating attacks again.
type Replay struct {
	ID                  string
	Model               string // ids
	Helpfulness, Safety string
	Gate                float64 // the raw r_s from which an answer counts as safe
	Sampling            tandem.Sampling
	Seed                uint64
	CreatedAt           time.Time
	Attacks             []ReplayedAttack
}

// ReplayedAttack is what came of one attack.
type ReplayedAttack struct {
	Judgment string // that found the attack (see ViolatingAttack)
	Response string // id of the answer; empty where it is not kept
	Safety   float64
	// What it was, and whether it works no more: the store's.
	Risk    tandem.RiskCategory
	Vector  tandem.AttackVector
	Against string // the policy or variant that it worked on
	Fixed   bool
}

// AddReplay keeps a replay. Keeping the same again changes nothing. Errors: NotFound for a model, judgment or response that
// is not there, Invalid for one without attacks.
func (s *Store) AddReplay(ctx context.Context, r Replay) error {
	const op = "store.AddReplay"
	if len(r.Attacks) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "no attack was replayed")
	}
	judgments, responses, safety := make([]int64, len(r.Attacks)), make([]*int64, len(r.Attacks)), make([]float64, len(r.Attacks))
	for i, a := range r.Attacks {
		var err error
		if judgments[i], err = parseID(op, "judgment", a.Judgment); err != nil {
			return err
		}
		if a.Response != "" {
			id, err := parseID(op, "response", a.Response)
			if err != nil {
				return err
			}
			responses[i] = &id
		}
		safety[i] = a.Safety
	}
	content, err := json.Marshal([]any{r.Model, r.Helpfulness, r.Safety, r.Gate, r.Sampling, r.Seed, judgments, safety})
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "%w", err)
	}
	key := sha256.Sum256(content)
	_, err = s.db.Exec(ctx, `
		WITH replay AS (
			INSERT INTO replays (model_id, helpfulness_model, safety_model, gate, sampling, seed, content_key)
			VALUES (@model, @helpfulness, @safety_model, @gate, @sampling, @seed, @key) ON CONFLICT (content_key) DO NOTHING RETURNING id, gate
		)
		INSERT INTO replay_attacks (replay_id, gate, judgment_id, response_id, safety)
		SELECT replay.id, replay.gate, a.judgment, a.response, a.safety
		FROM replay, unnest(@judgments::bigint[], @responses::bigint[], @safety::double precision[]) a (judgment, response, safety)`,
		pgx.NamedArgs{"model": r.Model, "helpfulness": r.Helpfulness, "safety_model": r.Safety, "gate": r.Gate, "sampling": r.Sampling,
			"seed": int64(r.Seed), "key": key[:], "judgments": judgments, "responses": responses, "safety": safety})
	return fail(op, err)
}

// Replays lists a policy's replays, the last one first.
func (s *Store) Replays(ctx context.Context, model string, page Page) ([]Replay, error) {
	const op = "store.Replays"
	var before *int64
	if page.After != "" {
		n, err := parseID(op, "replay", page.After)
		if err != nil {
			return nil, err
		}
		before = &n
	}
	replays, err := all(ctx, s.db, op, `
		SELECT r.id::text, r.model_id, r.helpfulness_model, r.safety_model, r.gate, r.sampling, r.seed, r.created_at
		FROM replays r WHERE r.model_id = @model AND (@before::bigint IS NULL OR r.id < @before) ORDER BY r.id DESC LIMIT @limit`,
		pgx.NamedArgs{"model": model, "before": before, "limit": page.limit()},
		func(row pgx.CollectableRow) (r Replay, err error) {
			var seed int64
			err = row.Scan(&r.ID, &r.Model, &r.Helpfulness, &r.Safety, &r.Gate, &r.Sampling, &seed, &r.CreatedAt)
			r.Seed = uint64(seed)
			return r, err
		})
	if err != nil {
		return nil, err
	}
	for i, r := range replays {
		if replays[i].Attacks, err = all(ctx, s.db, op, `
			SELECT a.judgment_id::text, coalesce(a.response_id::text, ''), a.safety, t.risk_category, t.attack_vector, coalesce(m.name, v.name), a.fixed
			FROM replay_attacks a JOIN judgments j ON j.id = a.judgment_id JOIN live_turns t ON t.task_id = j.task_id
			JOIN stretches s ON s.id = t.stretch_id JOIN variants v ON v.id = s.variant_id LEFT JOIN models m ON m.id = s.model_id
			WHERE a.replay_id = @replay::text::bigint ORDER BY a.judgment_id`, pgx.NamedArgs{"replay": r.ID}, pgx.RowToStructByPos[ReplayedAttack]); err != nil {
			return nil, err
		}
	}
	return replays, nil
}
