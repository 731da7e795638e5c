package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/ppo"
	"tandem/rewardmodel"
)

// expecting adds up what loads take one after the other on a machine whose matrix product has that rate.
type expecting struct {
	product float64
	all     *Expectation
}

// add adds a load, or passes on why it is not known.
func (e *expecting) add(l load, err error) error {
	if err == nil {
		e.all = l.expect(e.product, 1).after(e.all)
	}
	return err
}

// foreseen is the data of a round that is to be.
type foreseen struct {
	compared       map[tandem.Aspect][]tandem.Comparison // to learn from
	demonstrations []tandem.Dialogue
	prompts        []tandem.Prompt // to improve on
	archive        int             // targets of earlier rounds
}

// expectRound adds what a round's stages would take one after the other, its evaluation left out.
func (s *Studio) expectRound(ctx context.Context, e *expecting, r Round, data foreseen) error {
	newest, err := s.open(ctx, r.Versions[len(r.Versions)-1].URL)
	if err != nil {
		return err
	}
	if err := s.expectJudges(ctx, e, r, newest, data.compared); err != nil {
		return fmt.Errorf("reward models: %w", err)
	}
	var judges []*llama.Weights
	judge := newest.Weights.ToClassifier(rand.New(rand.NewPCG(r.Recipe.Seed, 0))) // of a reward model's shape
	for range 2 * max(r.Recipe.Members, 1) {
		judges = append(judges, judge)
	}
	if err := e.add(s.samplingLoad(ctx, r.Versions[len(r.Versions)-1].URL, judges, data.prompts, r.Recipe.Rejection)); err != nil {
		return fmt.Errorf("rejection sampling: %w", err)
	}
	if err := e.add(s.imitationLoad(ctx, r.Base, data.demonstrations, r.Recipe.TargetWeight*(len(data.prompts)+data.archive), r.Recipe.FineTune)); err != nil {
		return fmt.Errorf("fine-tuning: %w", err)
	}
	if !r.PPO {
		return nil
	}
	base, err := s.open(ctx, r.Base)
	if err != nil {
		return err
	}
	c := r.Recipe.PPO
	environment, err := ppo.NewDialogues(ctx, base.Template, base.Tokenizer, nil, data.prompts, nil, base.Weights.Config.MaxPositionEmbeddings-c.MaxTokens, c.Seed)
	if err != nil {
		return fmt.Errorf("ppo: %w", err)
	}
	c.PtxCoefficient = 0 // counted with neither: it comes to little beside
	models, err := ppo.NewModels(base.Weights, judge, c)
	if err != nil {
		return fmt.Errorf("ppo: %w", err)
	}
	return e.add(s.ppoLoad(models, environment, judges, c))
}

// expectJudges adds the fits of a round's reward models, of the first pair and of the second.
func (s *Studio) expectJudges(ctx context.Context, e *expecting, r Round, policy *chat.Policy, compared map[tandem.Aspect][]tandem.Comparison) error {
	pairs := [2]map[tandem.Aspect][]tandem.Comparison{{}, {}}
	for _, aspect := range aspects() {
		pairs[0][aspect], pairs[1][aspect] = splitForSecond(compared[aspect], r.Recipe.SecondShare)
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
				if err := e.add(s.fitLoad(policy.Weights.ToClassifier(rand.New(rand.NewPCG(c.Fit.Seed, 1))), task, nil, c.Fit)); err != nil {
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
