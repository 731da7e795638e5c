package demo

import (
	"context"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/annotator"
	"tandem/internal/practice/gold"
	"tandem/pipeline"
	"tandem/rewardmodel"
	"tandem/sft"
	"tandem/sft/distill"
)

// GroundConfig sizes the models that studies of safety begin with. All numbers are choices.
type GroundConfig struct {
	Seed           uint64 `json:"seed"`
	Texts          int    `json:"texts"`          // pretraining documents, five in six of them dialogues
	Demonstrations int    `json:"demonstrations"` // of plain answers
	Careful        int    `json:"careful"`        // of answers under a preprompt
	// Comparisons that the reward models learn from, collected without a server.
	HelpfulnessPairs int `json:"helpfulness_pairs"`
	SafetyPairs      int `json:"safety_pairs"`
	// Prompts by use: to calibrate with, to make dialogues from, and held out to measure on.
	ReferenceHelpful  int            `json:"reference_helpful"`
	ReferenceUnsafe   int            `json:"reference_unsafe"`
	Unsafe            int            `json:"unsafe"`
	HeldOutHelpful    int            `json:"held_out_helpful"`
	HeldOutBorderline int            `json:"held_out_borderline"`
	HeldOutUnsafe     int            `json:"held_out_unsafe"`
	MaxTokens         int            `json:"max_tokens"`
	Shape             pipeline.Shape `json:"shape"`
	Vocabulary        int            `json:"vocabulary"`
}

// DefaultGroundConfig takes some eight minutes on two cores.
func DefaultGroundConfig(seed uint64) GroundConfig {
	c := DefaultConfig(seed)
	return GroundConfig{
		Seed: seed, Texts: 36000, Demonstrations: 3500, Careful: 2500, HelpfulnessPairs: 8000, SafetyPairs: 4000,
		ReferenceHelpful: 200, ReferenceUnsafe: 200, Unsafe: 600, HeldOutHelpful: 300, HeldOutBorderline: 100, HeldOutUnsafe: 250,
		MaxTokens: c.MaxTokens, Shape: c.Shape, Vocabulary: c.Vocabulary,
	}
}

// MiniatureGround is the same in seconds, without a claim.
func MiniatureGround(seed uint64) GroundConfig {
	c, small := DefaultGroundConfig(seed), Miniature(seed)
	c.Texts, c.Demonstrations, c.Careful, c.HelpfulnessPairs, c.SafetyPairs = 400, 300, 200, 200, 200
	c.ReferenceHelpful, c.ReferenceUnsafe, c.Unsafe, c.HeldOutHelpful, c.HeldOutBorderline, c.HeldOutUnsafe = 20, 20, 40, 20, 10, 20
	c.MaxTokens, c.Shape, c.Vocabulary = small.MaxTokens, small.Shape, small.Vocabulary
	return c
}

// ground are those models, and the world's files.
type ground struct {
	config                          GroundConfig
	folder                          string
	studio                          *pipeline.Studio
	world                           *practice.World
	oracle                          *gold.Oracle
	base, chat, helpfulness, safety string // folders
	demonstrations                  string // of plain answers
	unsafe, heldOut                 string // prompts
}

// lay makes them, or goes on where an interrupted one stood.
func lay(ctx context.Context, s *pipeline.Studio, c GroundConfig, folder string) (*ground, error) {
	world, err := practice.New(practice.DefaultConfig(c.Seed))
	if err != nil {
		return nil, err
	}
	in := func(name string) string { return filepath.Join(folder, "world", name) }
	g := &ground{
		config: c, folder: folder, studio: s, world: world, oracle: gold.New(),
		demonstrations: in("demonstrations.jsonl"), unsafe: in("prompts-unsafe.jsonl"), heldOut: in("held-out.jsonl"),
		helpfulness: filepath.Join(folder, "helpfulness"), safety: filepath.Join(folder, "safety"),
	}
	texts, careful, reference := in("texts.jsonl"), in("careful.jsonl"), in("prompts-reference.jsonl")
	if err := g.write(texts, careful, reference); err != nil {
		return nil, err
	}
	pairs := make(map[tandem.Aspect]string)
	for aspect, n := range map[tandem.Aspect]int{tandem.Helpfulness: c.HelpfulnessPairs, tandem.Safety: c.SafetyPairs} {
		pairs[aspect] = in("comparisons-" + string(aspect) + ".jsonl")
		if err := g.collect(pairs[aspect], aspect, n); err != nil {
			return nil, err
		}
	}
	base := Config{Seed: c.Seed, Shape: c.Shape, Vocabulary: c.Vocabulary}.base(folder, texts)
	if _, err := s.Pretrain(ctx, base, true); err != nil {
		return nil, err
	}
	g.base = base.Out
	if g.chat, err = g.tune(ctx, g.base, "sft", g.demonstrations, careful); err != nil {
		return nil, err
	}
	reward := func(aspect tandem.Aspect, out string) pipeline.Reward {
		fit := must(rewardmodel.Preset("practice", aspect))
		fit.Margin, fit.Fit.Seed, fit.Mixture.Seed, fit.Fit.Epochs = rewardmodel.SmallMargin, c.Seed, c.Seed, 1
		return pipeline.Reward{Model: g.chat, Data: pairs[aspect], Config: fit, Out: out, Name: string(aspect)}
	}
	if _, err := s.Reward(ctx, reward(tandem.Helpfulness, g.helpfulness), true); err != nil {
		return nil, err
	}
	_, err = s.Kept(filepath.Join(folder, "units"))(ctx, tandem.StageRewardSafety, pipeline.RewardSafety{
		Reward: reward(tandem.Safety, g.safety),
		Calibration: pipeline.Calibration{
			Helpfulness: g.helpfulness, Policy: g.chat, Prompts: reference, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: c.MaxTokens}, Seed: c.Seed,
		},
	})
	return g, err
}

// tune fine-tunes a model by the practice preset.
func (g *ground) tune(ctx context.Context, from, name string, data ...string) (string, error) {
	fit := must(sft.Preset("practice"))
	fit.Seed = g.config.Seed
	out := filepath.Join(g.folder, name)
	_, err := g.studio.FineTune(ctx, pipeline.FineTune{Model: from, Data: data, Stage: tandem.StageSFT, Config: fit, Out: out, Name: name}, true)
	return out, err
}

// preprompts are the project's, as the world's people know them.
func preprompts() practice.Preprompts {
	p := distill.DefaultPreprompts()
	return practice.Preprompts{Generic: p.Generic, Templates: p.Templates}
}

func (g *ground) write(texts, careful, reference string) error {
	c := g.config
	for _, file := range []struct {
		path string
		n    int
		line func(i uint64) any
	}{
		{texts, c.Texts, func(i uint64) any {
			switch i % 6 {
			case 0:
				return map[string]string{"text": g.world.Text(i)}
			case 1, 2:
				return map[string]string{"text": transcript(g.world.Careful(uint64(c.Careful)+i, preprompts()))}
			}
			return map[string]string{"text": transcript(g.world.Demonstration(uint64(c.Demonstrations) + i))}
		}},
		{g.demonstrations, c.Demonstrations, func(i uint64) any { return map[string]tandem.Dialogue{"messages": g.world.Demonstration(i)} }},
		{careful, c.Careful, func(i uint64) any { return map[string]tandem.Dialogue{"messages": g.world.Careful(i, preprompts())} }},
	} {
		if err := writeFile(file.path, file.n, file.line); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		path                        string
		split                       practice.Split
		helpful, borderline, unsafe int
	}{
		{reference, practice.Train, c.ReferenceHelpful, 0, c.ReferenceUnsafe},
		{g.unsafe, practice.Train, 0, 0, c.Unsafe},
		{g.heldOut, practice.HeldOut, c.HeldOutHelpful, c.HeldOutBorderline, c.HeldOutUnsafe},
	} {
		prompts, err := g.prompts(file.split, file.helpful, file.borderline, file.unsafe)
		if err != nil {
			return err
		}
		if err := writeFile(file.path, len(prompts), func(i uint64) any { return prompts[i] }); err != nil {
			return err
		}
	}
	return nil
}

// heldOutPrompts are those that are measured on: ordinary, borderline and unsafe ones.
func (g *ground) heldOutPrompts() ([]tandem.Prompt, error) {
	return g.prompts(practice.HeldOut, g.config.HeldOutHelpful, g.config.HeldOutBorderline, g.config.HeldOutUnsafe)
}

// prompts are so many of each kind.
func (g *ground) prompts(split practice.Split, helpful, borderline, unsafe int) (prompts []tandem.Prompt, err error) {
	for _, of := range []struct {
		families []practice.Family
		n        int
	}{{plainFamilies(), helpful}, {practice.BorderlineFamilies(), borderline}, {practice.UnsafeFamilies(), unsafe}} {
		some, err := g.world.Prompts(split, of.families, of.n)
		if err != nil {
			return nil, err
		}
		prompts = append(prompts, some...)
	}
	return prompts, nil
}

// plainFamilies are the helpful ones without those that sound dangerous.
func plainFamilies() []practice.Family {
	return slices.DeleteFunc(slices.Clone(practice.HelpfulFamilies()), func(f practice.Family) bool { return slices.Contains(practice.BorderlineFamilies(), f) })
}

// collect has a panel judge pairs of the world's answers.
func (g *ground) collect(path string, aspect tandem.Aspect, n int) error {
	var panel []*annotator.Annotator
	for i := range uint64(5) {
		person, err := annotator.New(annotator.DefaultConfig(g.config.Seed), i, g.oracle)
		if err != nil {
			return err
		}
		panel = append(panel, person)
	}
	collection := annotator.DefaultCollection(aspect, practice.Train, g.config.Seed)
	collection.Pairs = n
	judged, err := annotator.Collect(g.world, panel, collection)
	if err != nil {
		return err
	}
	return writeFile(path, len(judged.Comparisons), func(i uint64) any { return judged.Comparisons[i] })
}
