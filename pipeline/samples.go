package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tandem"
	"tandem/rejection"
	"tandem/store"
)

// scorers are the ids of the models that samples and scores are kept under.
type scorers struct{ policy, helpfulness, safety string }

// keptAnswer is an answer as it is kept: how it was sampled and what it says, and what the two reward models say of it.
type keptAnswer struct {
	prompt   int            // its place among the prompts
	response store.Response // without prompt and model
	score    tandem.Score
}

// keepAnswers keeps answers to prompts with the policy that gave them, and their scores. What is there already stays.
func keepAnswers(ctx context.Context, st *store.Store, models scorers, prompts []tandem.Prompt, answers []keptAnswer) error {
	kept, err := st.AddPrompts(ctx, prompts)
	if err != nil {
		return err
	}
	responses := make([]store.Response, len(answers))
	for i, a := range answers {
		responses[i] = a.response
		responses[i].PromptID, responses[i].Model = kept[a.prompt].ID, models.policy
	}
	ids, err := st.AddResponses(ctx, responses)
	if err != nil {
		return err
	}
	scores := make([]store.ResponseScore, len(answers))
	for i, a := range answers {
		scores[i] = store.ResponseScore{ResponseID: ids[i], Score: a.score}
	}
	return st.AddScores(ctx, models.helpfulness, models.safety, scores)
}

// keepSamples keeps the answers of rejection sampling.
func keepSamples(ctx context.Context, st *store.Store, models scorers, c rejection.Config, sets []rejection.Set) error {
	prompts := make([]tandem.Prompt, len(sets))
	var answers []keptAnswer
	for i, set := range sets {
		prompts[i] = set.Prompt
		for _, a := range set.Candidates {
			answers = append(answers, keptAnswer{i, store.Response{
				Content: a.Text, Sampling: c.Sampling(a.Temperature), Seed: c.Seed, Sample: uint64(a.Sample), Finish: a.Finish, Tokens: a.Tokens,
			}, a.Score})
		}
	}
	return keepAnswers(ctx, st, models, prompts, answers)
}

// keepRescored keeps what the newest reward models say of best answers of earlier rounds, beside what was said of them
// before.
func keepRescored(ctx context.Context, st *store.Store, models scorers, targets []rejection.Target, scores []tandem.Score) error {
	prompts := make([]tandem.Prompt, len(targets))
	for i, t := range targets {
		prompts[i] = tandem.Prompt{Messages: t.Messages[:len(t.Messages)-1], Safety: t.Safety}
	}
	kept, err := st.AddPrompts(ctx, prompts)
	if err != nil {
		return err
	}
	said := make([]store.SaidScore, len(targets))
	for i, t := range targets {
		said[i] = store.SaidScore{PromptID: kept[i].ID, Content: t.Messages[len(t.Messages)-1].Content, Score: scores[i]}
	}
	return st.RescoreSamples(ctx, models.helpfulness, models.safety, said)
}

// keepTimeout bounds how long sampling waits for the database at once.
const keepTimeout = 30 * time.Second

// keeper keeps the samples of a run outside a round, shard by shard. While the database is away they wait; at the end
// none may be missing. A nil keeper keeps nothing.
type keeper struct {
	store   *store.Store
	log     *slog.Logger
	models  scorers
	config  rejection.Config
	waiting [][]rejection.Set
	warned  bool
}

// keeper keeps a run's samples where there is a database, and first the rows of its models.
func (s *Studio) keeper(ctx context.Context, r Reject) (*keeper, error) {
	if s.Store == nil {
		return nil, nil
	}
	k := &keeper{store: s.Store, log: s.Log, config: r.Config}
	var err error
	if k.models, err = s.judges(ctx, r.Helpfulness, r.Safety); err != nil {
		return nil, err
	}
	k.models.policy, err = s.row(ctx, r.Policy, tandem.PolicyModel)
	return k, err
}

// judges keeps the rows of a pair of reward models, where there is a database.
func (s *Studio) judges(ctx context.Context, helpfulness, safety string) (models scorers, err error) {
	if models.helpfulness, err = s.row(ctx, helpfulness, tandem.HelpfulnessModel); err != nil {
		return models, err
	}
	models.safety, err = s.row(ctx, safety, tandem.SafetyModel)
	return models, err
}

// row keeps the row of a model in a folder, and returns its id; nothing where there is no database.
func (s *Studio) row(ctx context.Context, folder string, kind tandem.ModelKind) (id string, err error) {
	if s.Store == nil {
		return "", nil
	}
	m, err := adopt(ctx, s.Store, folder, kind)
	if err != nil {
		return "", fmt.Errorf("keep the row of %s: %w", folder, err)
	}
	return m.ID, nil
}

// add keeps a shard, and those that wait.
func (k *keeper) add(ctx context.Context, shard []rejection.Set) {
	if k == nil {
		return
	}
	k.waiting = append(k.waiting, shard)
	if err := k.flush(ctx); err != nil && !k.warned && ctx.Err() == nil {
		k.warned = true
		k.log.Warn("the database takes no samples for now; they are kept in it at the end", "error", err)
	}
}

// flush keeps what waits.
func (k *keeper) flush(ctx context.Context) error {
	for len(k.waiting) > 0 {
		within, cancel := context.WithTimeout(ctx, keepTimeout)
		err := keepSamples(within, k.store, k.models, k.config, k.waiting[0])
		cancel()
		if err != nil {
			return err
		}
		k.waiting = k.waiting[1:]
	}
	return nil
}

// end keeps what still waits. Samples that the database does not have are an error: they stand in the file all, and the
// same command done again finds them there.
func (k *keeper) end(ctx context.Context, all string) error {
	if k == nil {
		return nil
	}
	if err := k.flush(ctx); err != nil {
		return fmt.Errorf("the samples stand in %s and not all of them in the database (the same command again keeps them): %w", all, err)
	}
	return nil
}

// keepAgain keeps the samples of a finished run, of which some may not have reached the database.
func (k *keeper) keepAgain(ctx context.Context, all string, shard int) error {
	if k == nil {
		return nil
	}
	sets, err := readLines[rejection.Set](ctx, all)
	if err != nil {
		return err
	}
	k.waiting = slices.Collect(slices.Chunk(sets, shard))
	return k.end(ctx, all)
}
