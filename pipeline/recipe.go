package pipeline

import (
	"context"
	"time"

	"tandem"
	"tandem/ppo"
	"tandem/rejection"
	"tandem/rewardmodel"
	"tandem/sft"
	"tandem/store"
)

// DefaultSecondShare is a recipe's SecondShare unless it says otherwise. [choice] A fifth is enough to tell two versions
// apart, and costs the first pair less than a point of accuracy (docs/promotion.md).
const DefaultSecondShare = 0.2

// RecipePresets are the names that RecipePreset knows.
func RecipePresets() []string { return []string{"llama2-7b", "llama2-70b", "practice"} }

// RecipePreset returns a round's configuration by name: "llama2-7b" and "llama2-70b" are made of the paper's presets of each
// stage, "practice" of those that move a model of a million parameters.
func RecipePreset(name string) (Recipe, error) {
	r := Recipe{
		CollectTemperatures: [2]float64{1, 0.8}, PairsPerPrompt: 1, Rejection: rejection.DefaultConfig(), Archive: rejection.DefaultArchive(), ShardPrompts: 100, TargetWeight: 1,
		SecondShare: DefaultSecondShare, Trial: DefaultTrial(),
	}
	var err error
	if r.Helpfulness, err = rewardmodel.Preset(name, tandem.Helpfulness); err != nil { // the same names everywhere
		return r, err
	}
	if r.Safety, err = rewardmodel.Preset(name, tandem.Safety); err != nil {
		return r, err
	}
	if r.FineTune, err = sft.Preset(name); err != nil {
		return r, err
	}
	r.PPO, err = ppo.Preset(name)
	return r, err
}

// Reseed gives every stage of the recipe one seed.
func (r *Recipe) Reseed(seed uint64) {
	r.Seed, r.Rejection.Seed, r.PPO.Seed = seed, seed, seed
	r.Helpfulness.Fit.Seed, r.Safety.Fit.Seed, r.FineTune.Seed = seed, seed, seed
	r.Helpfulness.Mixture.Seed, r.Safety.Mixture.Seed = seed, seed
}

// Validate reports the first stage that could not be run so.
func (r Recipe) Validate() error {
	if r.PairsPerPrompt < 1 || r.ShardPrompts < 1 || r.TargetWeight < 1 {
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "pairs_per_prompt, shard_prompts and target_weight are %d, %d and %d, not all positive",
			r.PairsPerPrompt, r.ShardPrompts, r.TargetWeight)
	}
	switch {
	case !(r.SecondShare >= 0 && r.SecondShare < 1):
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "second_share is %g, not at least 0 and less than 1", r.SecondShare)
	case r.Members < 0:
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "members is %d, not 0 or more", r.Members)
	case r.PPO.UncertaintyPenalty > 0 && r.Members < 2:
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "ppo.uncertainty_penalty is %g, and single models never say how uncertain they are: let members be at least 2", r.PPO.UncertaintyPenalty)
	}
	for _, err := range []error{r.Helpfulness.Validate(), r.Safety.Validate(), r.Rejection.Validate(), r.Archive.Validate(), r.FineTune.Validate(), r.PPO.Validate(), r.Trial.Validate()} {
		if err != nil {
			return err
		}
	}
	return nil
}

// People are annotators who take their time: they find the tasks on the annotation site.
type People struct {
	Store *store.Store
	// Waiting, if not nil, is told from time to time how many judgments there are of those that are wanted.
	Waiting func(project string, done, wanted int)
}

// peopleInterval is the time between two looks at what people have judged.
const peopleInterval = 5 * time.Second

// Annotate waits until every task of the project has its judgments.
func (p People) Annotate(ctx context.Context, project string) error {
	look := time.NewTicker(peopleInterval)
	defer look.Stop()
	for {
		progress, err := p.Store.Progress(ctx, project)
		if err != nil {
			return err
		}
		if p.Waiting != nil {
			p.Waiting(project, progress.Done, progress.Slots)
		}
		if progress.Done == progress.Slots {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}
