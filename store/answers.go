package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Judges is a pair of reward models that scored answers.
type Judges struct {
	Helpfulness, Safety string // ids
	Scores              int    // how many answers it scored
}

// JudgesOf lists the pairs of reward models that scored answers of one of the models given, that with the most scores first.
func (s *Store) JudgesOf(ctx context.Context, models ...string) ([]Judges, error) {
	return all(ctx, s.db, "store.JudgesOf", `
		SELECT s.helpfulness_model, s.safety_model, count(*)
		FROM responses r JOIN scores s ON s.response_id = r.id
		WHERE r.model_id = ANY (@models)
		GROUP BY 1, 2 ORDER BY count(DISTINCT r.model_id) DESC, 3 DESC, max(s.created_at) DESC, 1, 2`,
		pgx.NamedArgs{"models": models}, pgx.RowToStructByPos[Judges])
}

// Answered is a policy with the number of prompts that it answered.
type Answered struct {
	Model   string // id
	Prompts int
}

// AnsweredWith lists the other policies that answered prompts which a model answered, the oldest first.
func (s *Store) AnsweredWith(ctx context.Context, model string) ([]Answered, error) {
	return all(ctx, s.db, "store.AnsweredWith", `
		SELECT r.model_id, count(DISTINCT r.prompt_id)
		FROM responses r JOIN models m ON m.id = r.model_id
		WHERE r.model_id <> @model AND r.prompt_id IN (SELECT prompt_id FROM responses WHERE model_id = @model)
		GROUP BY r.model_id, m.created_at ORDER BY m.created_at, r.model_id`,
		pgx.NamedArgs{"model": model}, pgx.RowToStructByPos[Answered])
}

// AnswerPair is an answer of one policy beside another's to the same prompt.
type AnswerPair struct {
	Prompt  string
	Answers int    // that the first policy gave to the prompt
	Ours    string // response ids
	Theirs  string // empty where the other policy did not answer
	// SameDraw says that both were drawn under the same randomness: seed, sample and sampling.
	SameDraw bool
	// By the pair of reward models that was asked for; nil where it did not score the answer.
	OurScore, TheirScore *tandem.Score
}

// AnswerPairs pairs a policy's answers with another's, one pair for each prompt that the first answered: two of the same
// draw if there are, else the first answers of each.
func (s *Store) AnswerPairs(ctx context.Context, model, other string, j Judges) ([]AnswerPair, error) {
	return all(ctx, s.db, "store.AnswerPairs", `
		SELECT p.prompt_id::text, p.answers, ours.id::text, coalesce(theirs.id::text, ''), ours.same,
		       a.helpfulness, a.safety, a.combined, a.gated, a.branch, a.uncertainty,
		       b.helpfulness, b.safety, b.combined, b.gated, b.branch, b.uncertainty
		FROM (SELECT prompt_id, count(*) AS answers FROM responses WHERE model_id = @model GROUP BY prompt_id) p
		CROSS JOIN LATERAL (
			SELECT r.id, t.id AS theirs, t.id IS NOT NULL AS same
			FROM responses r
			LEFT JOIN responses t ON t.prompt_id = r.prompt_id AND t.model_id = @other AND t.seed = r.seed AND t.sample = r.sample AND t.sampling = r.sampling
			WHERE r.model_id = @model AND r.prompt_id = p.prompt_id
			ORDER BY t.id IS NULL, r.sample, r.id LIMIT 1
		) ours
		LEFT JOIN LATERAL (
			SELECT t.id FROM responses t
			WHERE t.model_id = @other AND t.prompt_id = p.prompt_id AND (ours.theirs IS NULL OR t.id = ours.theirs)
			ORDER BY t.sample, t.id LIMIT 1
		) theirs ON true
		LEFT JOIN scores a ON a.response_id = ours.id AND a.helpfulness_model = @helpfulness AND a.safety_model = @safety
		LEFT JOIN scores b ON b.response_id = theirs.id AND b.helpfulness_model = @helpfulness AND b.safety_model = @safety
		ORDER BY p.prompt_id`,
		pgx.NamedArgs{"model": model, "other": other, "helpfulness": j.Helpfulness, "safety": j.Safety},
		func(row pgx.CollectableRow) (p AnswerPair, err error) {
			var ours, theirs maybeScore
			err = row.Scan(append(append([]any{&p.Prompt, &p.Answers, &p.Ours, &p.Theirs, &p.SameDraw}, ours.into()...), theirs.into()...)...)
			p.OurScore, p.TheirScore = ours.score(), theirs.score()
			return p, err
		})
}

// maybeScore is a score of an outer join.
type maybeScore struct {
	helpfulness, safety, combined, uncertainty *float64
	gated                                      *bool
	branch                                     *tandem.Branch
}

func (m *maybeScore) into() []any {
	return []any{&m.helpfulness, &m.safety, &m.combined, &m.gated, &m.branch, &m.uncertainty}
}

func (m *maybeScore) score() *tandem.Score {
	if m.combined == nil {
		return nil
	}
	return &tandem.Score{Helpfulness: *m.helpfulness, Safety: *m.safety, Combined: *m.combined, Gated: *m.gated, Branch: *m.branch, Uncertainty: *m.uncertainty}
}

// ReadAnswer is an answer to read, with its prompt and its score by the pair of reward models that was asked for.
type ReadAnswer struct {
	Response
	Prompt tandem.Prompt
	Score  *tandem.Score // nil for none
}

const selectReadAnswer = `
	SELECT r.id::text, r.prompt_id::text, r.content, r.model_id, r.sampling, r.seed, r.sample, coalesce(r.finish, ''), coalesce(r.tokens, 0),
	       dialogue(p.message_id), p.safety, p.risk_category, p.attack_vector, p.source, p.held_out,
	       s.helpfulness, s.safety, s.combined, s.gated, s.branch, s.uncertainty
	FROM responses r JOIN prompts p ON p.id = r.prompt_id
	LEFT JOIN scores s ON s.response_id = r.id AND s.helpfulness_model = @helpfulness AND s.safety_model = @safety
	WHERE r.model_id IS NOT NULL`

func scanReadAnswer(row pgx.CollectableRow) (a ReadAnswer, err error) {
	var seed, sample int64
	var score maybeScore
	err = row.Scan(append([]any{&a.ID, &a.PromptID, &a.Content, &a.Model, &a.Sampling, &seed, &sample, &a.Finish, &a.Tokens,
		&a.Prompt.Messages, &a.Prompt.Safety, &a.Prompt.Risk, &a.Prompt.Vector, &a.Prompt.Source, &a.Prompt.HeldOut}, score.into()...)...)
	a.Seed, a.Sample, a.Prompt.ID, a.Score = uint64(seed), uint64(sample), a.PromptID, score.score()
	return a, err
}

// AnswersByID finds sampled answers by their ids.
func (s *Store) AnswersByID(ctx context.Context, j Judges, ids ...string) (map[string]ReadAnswer, error) {
	const op = "store.AnswersByID"
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		var err error
		if numbers[i], err = parseID(op, "response", id); err != nil {
			return nil, err
		}
	}
	rows, err := all(ctx, s.db, op, selectReadAnswer+` AND r.id = ANY (@ids)`,
		pgx.NamedArgs{"ids": numbers, "helpfulness": j.Helpfulness, "safety": j.Safety}, scanReadAnswer)
	answers := make(map[string]ReadAnswer, len(rows))
	for _, a := range rows {
		answers[a.ID] = a
	}
	return answers, err
}

// AnswersTo lists all answers of a policy to one prompt, the best by the pair of reward models first and those without a
// score last.
func (s *Store) AnswersTo(ctx context.Context, prompt, model string, j Judges) ([]ReadAnswer, error) {
	const op = "store.AnswersTo"
	id, err := parseID(op, "prompt", prompt)
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, selectReadAnswer+` AND r.prompt_id = @prompt AND r.model_id = @model
		ORDER BY s.gated, s.combined DESC NULLS LAST, r.sample, r.id`,
		pgx.NamedArgs{"prompt": id, "model": model, "helpfulness": j.Helpfulness, "safety": j.Safety}, scanReadAnswer)
}
