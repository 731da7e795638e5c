package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/train"
	"tandem/ppo"
	"tandem/rewardmodel"
	"tandem/store"
)

// expectRound is what a round's stages would take one after the other on this machine, its evaluation left out; comparisons that
// people are still to make are not in it. archive is how many targets there are of earlier rounds.
func (s *Studio) expectRound(ctx context.Context, r Round, demonstrations []tandem.Dialogue, prompts []tandem.Prompt, archive int) (all *Expectation, err error) {
	newest, err := s.open(ctx, r.Versions[len(r.Versions)-1].URL)
	if err != nil {
		return nil, err
	}
	product := train.DeviceProduct(s.Device)
	add := func(l load, err error) error {
		if err == nil {
			all = l.expect(product, 1).after(all)
		}
		return err
	}
	if err := s.expectJudges(ctx, r, newest, add); err != nil {
		return nil, fmt.Errorf("reward models: %w", err)
	}
	var judges []*llama.Weights
	judge := newest.Weights.ToClassifier(rand.New(rand.NewPCG(r.Recipe.Seed, 0))) // of a reward model's shape
	for range 2 * max(r.Recipe.Members, 1) {
		judges = append(judges, judge)
	}
	if err := add(s.samplingLoad(ctx, r.Versions[len(r.Versions)-1].URL, judges, prompts, r.Recipe.Rejection)); err != nil {
		return nil, fmt.Errorf("rejection sampling: %w", err)
	}
	if err := add(s.imitationLoad(ctx, r.Base, demonstrations, r.Recipe.TargetWeight*(len(prompts)+archive), r.Recipe.FineTune)); err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	if !r.PPO {
		return all, nil
	}
	base, err := s.open(ctx, r.Base)
	if err != nil {
		return nil, err
	}
	c := r.Recipe.PPO
	environment, err := ppo.NewDialogues(ctx, base.Template, base.Tokenizer, nil, prompts, nil, base.Weights.Config.MaxPositionEmbeddings-c.MaxTokens, c.Seed)
	if err != nil {
		return nil, fmt.Errorf("ppo: %w", err)
	}
	c.PtxCoefficient = 0 // counted with neither: it comes to little beside
	models, err := ppo.NewModels(base.Weights, judge, c)
	if err != nil {
		return nil, fmt.Errorf("ppo: %w", err)
	}
	return all, add(s.ppoLoad(models, environment, judges, c))
}

// expectJudges adds the fits of a round's reward models, of the first pair and of the second.
func (s *Studio) expectJudges(ctx context.Context, r Round, policy *chat.Policy, add func(load, error) error) error {
	pairs := [2]map[tandem.Aspect][]tandem.Comparison{{}, {}}
	for _, aspect := range aspects() {
		judged, err := collect(s.Store.Comparisons(ctx, store.ComparisonQuery{Aspect: aspect, Split: store.TrainData, Snapshot: r.Snapshot}))
		if err != nil {
			return err
		}
		pairs[0][aspect], pairs[1][aspect] = splitForSecond(judged, r.Recipe.SecondShare)
	}
	for _, of := range pairs {
		for _, c := range []rewardmodel.Config{r.Recipe.Helpfulness, r.Recipe.Safety} {
			training, err := mixed(of, c)
			if err != nil {
				return err
			}
			if len(training) == 0 {
				continue
			}
			task, _, err := rewardmodel.NewTask(ctx, policy.Template, training, c, policy.Weights.Config)
			if err != nil {
				return err
			}
			for range max(r.Recipe.Members, 1) {
				if err := add(s.fitLoad(policy.Weights.ToClassifier(rand.New(rand.NewPCG(c.Fit.Seed, 1))), task, nil, c.Fit)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// mixed are the comparisons that a model would learn from, of those in the database; what a mixture takes from elsewhere is not
// among them.
func mixed(of map[tandem.Aspect][]tandem.Comparison, c rewardmodel.Config) (training []tandem.Comparison, err error) {
	if len(c.Mixture.Parts) == 0 {
		return slices.Concat(of[tandem.Helpfulness], of[tandem.Safety]), nil
	}
	sizes := make(map[string]int)
	for _, part := range c.Mixture.Parts {
		for _, name := range part.Sources {
			sizes[name] = len(of[tandem.Aspect(name)])
		}
	}
	picks, err := c.Mixture.Order(sizes)
	for _, p := range picks {
		training = append(training, of[tandem.Aspect(p.Source)][p.Index])
	}
	return training, err
}
