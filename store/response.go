package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Response is an answer to a prompt with how it came about.
type Response struct {
	ID       string
	PromptID string
	Content  string
	// Model is the id of the model that sampled it. Empty for an answer from elsewhere, which has an
	// Origin instead and none of the fields below.
	Model    string
	Origin   string // what is known of where it came from
	Sampling tandem.Sampling
	Seed     uint64
	Sample   uint64 // 0 … K−1
	Finish   tandem.FinishReason
	Tokens   int // new tokens
}

// AddResponses keeps answers and returns their ids, in order. An answer that is there already (the same
// draw of the same model, or the same text from the same origin) keeps its first row.
func (s *Store) AddResponses(ctx context.Context, responses []Response) ([]string, error) {
	const op = "store.AddResponses"
	ids := make([]string, len(responses))
	arguments := make([]pgx.NamedArgs, len(responses))
	for i, r := range responses {
		var err error
		if arguments[i], err = responseArgs(op, r); err != nil {
			return nil, err
		}
	}
	// All in one order: two that bring the same ones in another would wait for each other in a circle.
	order := make([]int, len(responses))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(arguments[a]["prompt"].(int64), arguments[b]["prompt"].(int64)),
			bytes.Compare(arguments[a]["hash"].([]byte), arguments[b]["hash"].([]byte)))
	})
	err := s.within(ctx, op, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for _, i := range order {
			sql := addOther
			if responses[i].Model != "" {
				sql = addSampled
			}
			batch.Queue(sql, arguments[i]).QueryRow(func(row pgx.Row) error {
				var id int64
				err := row.Scan(&id)
				ids[i] = idText(id)
				if errors.Is(err, pgx.ErrNoRows) {
					return errRaced
				}
				return err
			})
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func responseArgs(op string, r Response) (pgx.NamedArgs, error) {
	promptID, err := parseID(op, "prompt", r.PromptID)
	if err != nil {
		return nil, err
	}
	if err := storable(r.Content); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "a response to prompt %s: %w", r.PromptID, err)
	}
	hash := sha256.Sum256([]byte(r.Content))
	args := pgx.NamedArgs{"prompt": promptID, "content": r.Content, "hash": hash[:], "origin": r.Origin}
	if r.Model == "" {
		return args, nil
	}
	sampling, err := json.Marshal(r.Sampling)
	if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "the sampling of a response to prompt %s: %w", r.PromptID, err)
	}
	args["model"], args["sampling"], args["seed"], args["sample"] = r.Model, sampling, int64(r.Seed), int64(r.Sample)
	args["finish"], args["tokens"] = nilIfZero(string(r.Finish)), r.Tokens
	return args, nil
}

// An insert that meets its row returns nothing, and the second half finds what stood before. A row that
// another transaction commits in between is seen by neither half: errRaced, and the transaction is tried again.
const (
	addSampled = `
	WITH added AS (
		INSERT INTO responses (prompt_id, content, content_hash, model_id, sampling, seed, sample, finish, tokens)
		VALUES (@prompt, @content, @hash, @model, @sampling, @seed, @sample, @finish, @tokens)
		ON CONFLICT (prompt_id, model_id, seed, sample, md5(sampling::text)) WHERE model_id IS NOT NULL DO NOTHING
		RETURNING id
	)
	SELECT id FROM added
	UNION ALL
	SELECT id FROM responses
	WHERE prompt_id = @prompt AND model_id = @model AND seed = @seed AND sample = @sample
	  AND md5(sampling::text) = md5(@sampling::jsonb::text)
	LIMIT 1`

	addOther = `
	WITH added AS (
		INSERT INTO responses (prompt_id, content, content_hash, origin)
		VALUES (@prompt, @content, @hash, @origin)
		ON CONFLICT (prompt_id, content_hash, origin) WHERE model_id IS NULL DO NOTHING
		RETURNING id
	)
	SELECT id FROM added
	UNION ALL
	SELECT id FROM responses
	WHERE prompt_id = @prompt AND content_hash = @hash AND origin = @origin AND model_id IS NULL
	LIMIT 1`
)

// ResponseScore is what one pair of reward models says of one answer.
type ResponseScore struct {
	ResponseID string
	tandem.Score
}

// AddScores keeps what the two reward models say. A score that is there already stays: the same models
// say the same. Errors: Invalid names a score that is not finite.
func (s *Store) AddScores(ctx context.Context, helpfulnessModel, safetyModel string, scores []ResponseScore) error {
	const op = "store.AddScores"
	batch := &pgx.Batch{}
	for _, score := range scores {
		id, err := parseID(op, "response", score.ResponseID)
		if err != nil {
			return err
		}
		batch.Queue(`
			INSERT INTO scores (response_id, helpfulness_model, safety_model, helpfulness, safety, combined, gated, branch, uncertainty)
			VALUES (@response, @helpfulness_model, @safety_model, @helpfulness, @safety, @combined, @gated, @branch, @uncertainty)
			ON CONFLICT DO NOTHING`,
			pgx.NamedArgs{"response": id, "helpfulness_model": helpfulnessModel, "safety_model": safetyModel,
				"helpfulness": score.Helpfulness, "safety": score.Safety, "combined": score.Combined,
				"gated": score.Gated, "branch": string(score.Branch), "uncertainty": score.Uncertainty})
	}
	return s.within(ctx, op, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// SaidScore is what one pair of reward models says of an answer that is known by what it says.
type SaidScore struct {
	PromptID string
	Content  string
	tandem.Score
}

// RescoreSamples keeps what the two reward models say of answers that were sampled before, by whichever model: every
// sample of the prompt that says the same gets the score, unless it has one by these models. An answer that no sample
// gave has none. Errors: Invalid names a score that is not finite.
func (s *Store) RescoreSamples(ctx context.Context, helpfulnessModel, safetyModel string, scores []SaidScore) error {
	const op = "store.RescoreSamples"
	batch := &pgx.Batch{}
	for _, score := range scores {
		id, err := parseID(op, "prompt", score.PromptID)
		if err != nil {
			return err
		}
		hash := sha256.Sum256([]byte(score.Content))
		batch.Queue(`
			INSERT INTO scores (response_id, helpfulness_model, safety_model, helpfulness, safety, combined, gated, branch, uncertainty)
			SELECT r.id, @helpfulness_model, @safety_model, @helpfulness, @safety, @combined, @gated, @branch, @uncertainty
			FROM responses r WHERE r.prompt_id = @prompt AND r.content_hash = @hash AND r.model_id IS NOT NULL
			ORDER BY r.id
			ON CONFLICT DO NOTHING`,
			pgx.NamedArgs{"prompt": id, "hash": hash[:], "helpfulness_model": helpfulnessModel, "safety_model": safetyModel,
				"helpfulness": score.Helpfulness, "safety": score.Safety, "combined": score.Combined,
				"gated": score.Gated, "branch": string(score.Branch), "uncertainty": score.Uncertainty})
	}
	return s.within(ctx, op, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// ScoredResponse is a sampled answer, its prompt, and the score by the pair of models that was asked for.
type ScoredResponse struct {
	Response
	Prompt tandem.Prompt
	Score  tandem.Score
}

// ScoredResponses streams every answer that the policy sampled and the two reward models scored, ordered
// by prompt and then by combined score, the best first: what rejection sampling keeps and archives.
func (s *Store) ScoredResponses(ctx context.Context, policy, helpfulnessModel, safetyModel string) iter.Seq2[ScoredResponse, error] {
	return stream(ctx, s, "store.ScoredResponses", `
		SELECT r.id, r.prompt_id, r.content, r.model_id, r.sampling, r.seed, r.sample, coalesce(r.finish, ''), coalesce(r.tokens, 0),
		       dialogue(p.message_id), p.safety, p.risk_category, p.attack_vector, p.source, p.held_out,
		       r.helpfulness, r.score_safety, r.combined, r.gated, r.branch, r.uncertainty
		FROM (
			SELECT r.*, s.helpfulness, s.safety AS score_safety, s.combined, s.gated, s.branch, s.uncertainty
			FROM responses r JOIN scores s ON s.response_id = r.id
			WHERE r.model_id = @policy AND s.helpfulness_model = @helpfulness AND s.safety_model = @safety
			ORDER BY r.prompt_id, s.gated, s.combined DESC, r.id
		) r JOIN prompts p ON p.id = r.prompt_id`,
		pgx.NamedArgs{"policy": policy, "helpfulness": helpfulnessModel, "safety": safetyModel},
		func(row pgx.CollectableRow) (ScoredResponse, error) {
			var r ScoredResponse
			var id, promptID, seed, sample int64
			err := row.Scan(&id, &promptID, &r.Content, &r.Model, &r.Sampling, &seed, &sample, &r.Finish, &r.Tokens,
				&r.Prompt.Messages, &r.Prompt.Safety, &r.Prompt.Risk, &r.Prompt.Vector, &r.Prompt.Source, &r.Prompt.HeldOut,
				&r.Score.Helpfulness, &r.Score.Safety, &r.Score.Combined, &r.Score.Gated, &r.Score.Branch, &r.Score.Uncertainty)
			r.ID, r.PromptID, r.Prompt.ID = idText(id), idText(promptID), idText(promptID)
			r.Seed, r.Sample = uint64(seed), uint64(sample)
			return r, err
		})
}

// stream runs one query and yields its rows as they arrive. All of them are of one moment: a single
// statement sees one snapshot of the database. An error ends the sequence.
func stream[T any](ctx context.Context, s *Store, op, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := s.db.Query(ctx, sql, args)
		if err != nil {
			yield(none, fail(op, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			value, err := scan(rows)
			if err != nil {
				yield(none, fail(op, err))
				return
			}
			if !yield(value, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, fail(op, err))
		}
	}
}
