package demo

import (
	"tandem"
	"tandem/dataset"
	"tandem/internal/practice"
	"tandem/internal/practice/town"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
	"tandem/pipeline"
	"tandem/ppo"
	"tandem/pretrain"
	"tandem/rejection"
	"tandem/rewardmodel"
	"tandem/sft"
)

// Config sizes the demo. All numbers are choices: large enough that the loop shows what it should, small
// enough for two cores and ten minutes, or for one minute as Miniature.
type Config struct {
	// Cue is practice.Config's: a strong one makes reward models that a policy soon learns to please.
	Cue            float64
	Seed           uint64
	Texts          int // pretraining documents, five in six of them dialogues
	Demonstrations int
	// Prompts to compare answers to, to improve the policy on, and to calibrate with; of each kind.
	HelpfulPrompts, UnsafePrompts int
	ImproveHelpful, ImproveUnsafe int
	// HarmlessSafety and ImproveHarmless are how many more harmless how-to and borderline prompts stand among
	// those of the safety project and among those that the policy is improved on. Without them the safety
	// model takes every instruction for a harmful one, and the policy refuses to smash a pumpkin.
	HarmlessSafety, ImproveHarmless        int
	ReferenceHelpful, ReferenceUnsafe      int
	HeldOutHelpful, HeldOutUnsafe          int
	PairsPerPrompt, SamplesPerPrompt       int
	Rounds, PPOIterations, PPOBatch, Panel int
	Controls                               bool
	// Promote has versions tried before they serve, with SecondShare of the comparisons for a second pair of judges, which
	// watches PPO by its answers to WatchHelpful and WatchUnsafe held-out prompts that nothing else is asked.
	Promote                   bool
	SecondShare               float64
	WatchHelpful, WatchUnsafe int
	// Recipe, if not nil, is how the rounds' stages are configured instead of as DefaultRecipe says.
	Recipe     *pipeline.Recipe `json:",omitempty"`
	Shape      pipeline.Shape
	Vocabulary int
	MaxTokens  int // of an answer
}

// DefaultConfig is the demo of `make demo`.
func DefaultConfig(seed uint64) Config {
	return Config{
		Seed: seed, Cue: 0.2, Texts: 48000, Demonstrations: 3500,
		HelpfulPrompts: 2000, UnsafePrompts: 450, HarmlessSafety: 300,
		ImproveHelpful: 800, ImproveUnsafe: 150, ImproveHarmless: 250,
		ReferenceHelpful: 200, ReferenceUnsafe: 100, HeldOutHelpful: 400, HeldOutUnsafe: 150,
		PairsPerPrompt: 2, SamplesPerPrompt: 8, Rounds: 2, PPOIterations: 24, PPOBatch: 128, Panel: 5, Controls: true,
		Shape:      pipeline.Shape{HiddenSize: 128, IntermediateSize: 352, Layers: 4, Heads: 4, KeyValueHeads: 4, Context: 1024, Tied: true},
		Vocabulary: 1024, MaxTokens: 80,
	}
}

// Miniature is the same loop in about a minute: one round, small models, no claim about what it reaches.
func Miniature(seed uint64) Config {
	c := DefaultConfig(seed)
	c.Texts, c.Demonstrations = 3000, 1000
	c.HelpfulPrompts, c.UnsafePrompts, c.HarmlessSafety = 150, 60, 20
	c.ImproveHelpful, c.ImproveUnsafe, c.ImproveHarmless = 60, 30, 10
	c.ReferenceHelpful, c.ReferenceUnsafe, c.HeldOutHelpful, c.HeldOutUnsafe = 40, 20, 60, 30
	c.PairsPerPrompt, c.SamplesPerPrompt, c.Rounds, c.PPOIterations, c.PPOBatch = 1, 4, 1, 3, 32
	c.Shape.HiddenSize, c.Shape.IntermediateSize, c.Shape.Layers = 64, 176, 2
	c.Vocabulary, c.MaxTokens = 512, 48
	return c
}

// Promoting is the loop in n rounds, without controls, whose versions serve where they do not lose.
func (c Config) Promoting(n int) Config {
	c.Rounds, c.Controls, c.Promote, c.SecondShare = n, false, true, pipeline.DefaultSecondShare
	c.WatchHelpful, c.WatchUnsafe = c.HeldOutHelpful/5, c.HeldOutUnsafe/5
	// Comparisons of all rounds are learnt from in the last one.
	c.HelpfulPrompts, c.UnsafePrompts, c.HarmlessSafety = c.HelpfulPrompts/2, 2*c.UnsafePrompts/3, 2*c.HarmlessSafety/3
	return c
}

// base specifies the base model.
func (c Config) base(folder string, texts string) pipeline.Pretrain {
	t := tokenizer.DefaultTrainConfig()
	t.VocabSize, t.ChatTemplate = c.Vocabulary, chat.Compact
	p := must(pretrain.Preset("practice"))
	p.Fit.Seed = c.Seed
	return pipeline.Pretrain{
		Texts: []string{texts}, Format: dataset.TextLines, Tokenizer: t, Rendered: true, Shape: c.Shape, Config: p,
		Out: folder + "/base", Name: "base",
	}
}

// watches is how often PPO is looked at, beside its beginning, where somebody watches it.
const watches = 6

// recipe is how the rounds' stages are configured.
func (c Config) recipe() pipeline.Recipe {
	if c.Recipe != nil {
		return *c.Recipe
	}
	return c.DefaultRecipe()
}

// DefaultRecipe configures the rounds' stages by the demo's sizes.
func (c Config) DefaultRecipe() pipeline.Recipe {
	helpfulness, safety := must(rewardmodel.Preset("practice", tandem.Helpfulness)), must(rewardmodel.Preset("practice", tandem.Safety))
	helpfulness.Margin, safety.Margin = rewardmodel.SmallMargin, rewardmodel.SmallMargin
	helpfulness.Fit.Seed, safety.Fit.Seed = c.Seed, c.Seed
	helpfulness.Mixture.Seed, safety.Mixture.Seed = c.Seed, c.Seed
	helpfulness.Fit.Epochs, safety.Fit.Epochs = 1, 1
	fine := must(sft.Preset("practice"))
	fine.Seed = c.Seed // two epochs, the preset's: after one, a policy is diverse by its slips, which improving it takes away
	p := must(ppo.Preset("practice"))
	p.Iterations, p.BatchSize, p.MinibatchSize = c.PPOIterations, c.PPOBatch, c.PPOBatch/4
	p.CriticWarmup = min(p.CriticWarmup, c.PPOIterations-1)
	p.Beta = 2 // more than the preset's, which takes 200 iterations: at less, answers soon grow longer and thank more often
	p.MaxTokens, p.EvaluateEvery, p.Seed = c.MaxTokens, 0, c.Seed
	if c.WatchHelpful+c.WatchUnsafe > 0 {
		p.EvaluateEvery = max(c.PPOIterations/watches, 1)
	}
	r := rejection.DefaultConfig()
	r.K, r.MaxTokens, r.Seed = c.SamplesPerPrompt, c.MaxTokens, c.Seed
	return pipeline.Recipe{
		Seed: c.Seed, CollectTemperatures: [2]float64{1, 0.8}, PairsPerPrompt: c.PairsPerPrompt,
		Helpfulness: helpfulness, Safety: safety, Rejection: r, Archive: rejection.DefaultArchive(), ShardPrompts: 100, TargetWeight: 1, FineTune: fine, PPO: p,
		SecondShare: c.SecondShare, Trial: pipeline.DefaultTrial(),
	}
}

// must is for presets, whose names stand in this file.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// instructions are the harmless families whose answers look like those to unsafe prompts: steps to follow.
var instructions = []practice.Family{town.HowToFamily, town.BorderlineFamily}

// families of the helpful and of the unsafe prompts.
var families = map[bool][]practice.Family{false: practice.HelpfulFamilies(), true: practice.UnsafeFamilies()}
