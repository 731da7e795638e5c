package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
	"tandem/llama/train"
	"tandem/ppo"
	"tandem/pretrain"
	"tandem/rejection"
	"tandem/rewardmodel"
)

// Real orders the loop on human comparisons that come as files: import, a chat model, both reward models,
// rejection sampling, PPO and an evaluation on held-out prompts, and beside the loop a cross-validation of
// the reward models over all pairs.
//
// The loop obeys the store's train / held-out split throughout. Cross-validation has folds instead, since
// a fifth of a few thousand pairs measures an accuracy to ±4 points only: its models are fitted to all
// pairs but a fold's, whichever side of the split they are on, and serve for nothing else.
type Real struct {
	Loop   *Loop
	Folder string // where all that it makes lies
	// Helpful and Safety are the files of comparisons. A pair's file says whether its prompt is a safety prompt.
	Helpful, Safety []string
	// Format of the files. Defaults to dataset.HH.
	Format dataset.Format
	// Base is the folder of the model that everything starts from. Not needed with Config.Pretrain.
	Base   string
	Config RealConfig
}

// RealConfig sizes a run on human comparisons.
type RealConfig struct {
	Recipe Recipe `json:"recipe"`
	// Improve is how many prompts of each kind the policy is improved on, Reference on how many of each the
	// reward models are calibrated, HeldOut on how many of each versions are evaluated.
	Improve   int `json:"improve"`
	Reference int `json:"reference"`
	HeldOut   int `json:"held_out"`
	// Sampling of the evaluation's answers.
	Sampling tandem.Sampling `json:"sampling"`
	// Folds of the cross-validation; 0 leaves it out.
	Folds int `json:"folds"`
	// FoldsFromChat has the reward models of a fold start from a chat model, fitted to the chosen sides of
	// the other folds, as the loop's do (section 3.2.2: the reward model knows what the chat model knows).
	// Otherwise they start from the base model. Neither has seen the fold's dialogues.
	FoldsFromChat bool `json:"folds_from_chat"`
	// Pretrain, if not nil, makes the base model and its tokenizer of the dialogues themselves: of the
	// training side for the loop, of the other folds for a fold. Texts, Format, Rendered, Out and Name are
	// filled in.
	Pretrain *Pretrain `json:"pretrain,omitempty"`
}

// DefaultRealConfig is for a model of a million parameters, some thousand pairs, two cores and a quarter of
// an hour. All its numbers are choices.
func DefaultRealConfig(seed uint64) RealConfig {
	fine := train.DefaultConfig()
	fine.LearningRate, fine.Batch, fine.Epochs, fine.Seed = 1e-3, 32, 1, seed
	r := Recipe{
		Seed: seed, Helpfulness: realReward(tandem.Helpfulness, seed), Safety: realReward(tandem.Safety, seed),
		Rejection: rejection.DefaultConfig(), Archive: rejection.DefaultArchive(), ShardPrompts: 50, TargetWeight: 1, FineTune: fine, PPO: ppo.DefaultConfig(),
	}
	r.Rejection.K, r.Rejection.MaxTokens, r.Rejection.Seed = 8, 96, seed
	r.PPO.Iterations, r.PPO.BatchSize, r.PPO.MinibatchSize, r.PPO.CriticWarmup = 25, 64, 16, 4
	r.PPO.LearningRate, r.PPO.FinalLearningRate, r.PPO.CriticLearningRate = 3e-4, 3e-4, 3e-4
	r.PPO.Beta, r.PPO.MaxTokens, r.PPO.EvaluateEvery, r.PPO.Seed = 0.02, 96, 0, seed
	return RealConfig{
		Recipe: r, Improve: 150, Reference: 100, HeldOut: 150, Sampling: tandem.Sampling{Temperature: 1, MaxTokens: 96},
		Folds: 5,
	}
}

// DefaultRealPretrain is the base model of a run that is given none: a million parameters and a vocabulary of
// 2,048 tokens, made of the dialogues in two passes. All its numbers are choices.
func DefaultRealPretrain(seed uint64) *Pretrain {
	c := pretrain.Config{Context: 256, Fit: train.DefaultConfig()}
	c.Fit.LearningRate, c.Fit.Batch, c.Fit.Epochs, c.Fit.Seed = 3e-3, 8, 2, seed
	t := tokenizer.DefaultTrainConfig()
	t.VocabSize, t.ChatTemplate = 2048, chat.Compact
	return &Pretrain{
		Tokenizer: t, Config: c,
		Shape: Shape{HiddenSize: 128, IntermediateSize: 352, Layers: 4, Heads: 4, KeyValueHeads: 4, Context: 512, Tied: true},
	}
}

// realReward is a reward model's configuration. The pairs are unrated, so there is no margin; they carry
// no safety labels, so the safety model stays uncalibrated. The helpfulness model learns from its own pairs
// alone: in the paper's mix, half safety data, it does not even reach the rule that the longer answer wins
// (docs/real-data.md); the safety model keeps the paper's mix. At a third of the rate, and twice the pairs a
// step, one epoch over some thousand pairs leaves a model of this size where it began.
func realReward(aspect tandem.Aspect, seed uint64) rewardmodel.Config {
	c := rewardmodel.DefaultConfig(aspect)
	c.Margin = rewardmodel.NoMargin
	if aspect == tandem.Helpfulness {
		c.Mixture = rewardmodel.OwnMixture(aspect, seed)
	}
	c.Fit.LearningRate, c.Fit.Batch, c.Fit.Seed, c.Mixture.Seed = 1e-3, 16, seed, seed
	return c
}

// RealOutcome is what a run on human comparisons came to.
type RealOutcome struct {
	Imports  []Imported            `json:"imports"`
	Versions []RealVersion         `json:"versions"` // SFT, RLHF-V1, RLHF-V1 (PPO)
	Answers  [][]evaluation.Answer `json:"-"`        // of each version to the held-out prompts
	Judges   Judges                `json:"-"`
	Curve    rejection.Curve       `json:"-"`
	Compared int                   `json:"compared"` // training comparisons of both kinds
	// Imitated is how many of their chosen sides the chat model was fitted to; the others are longer than
	// the model's context.
	Imitated int                         `json:"imitated"`
	Validity map[tandem.Aspect]Validated `json:"validity,omitempty"`
	Times    []Time                      `json:"times"`
}

// Run goes through everything. Run again after an interruption, it goes on where it stood.
func (r Real) Run(ctx context.Context) (RealOutcome, error) {
	var o RealOutcome
	if err := r.validate(); err != nil {
		return o, err
	}
	clock := time.Now()
	lap := func(part string) {
		o.Times = append(o.Times, Time{part, time.Since(clock).Seconds()})
		clock = time.Now()
	}
	rows, err := r.Loop.rows(ctx, realBegin, realRound, realValidation)
	if err != nil {
		return o, err
	}
	if o.Imports, err = r.importFiles(ctx); err != nil {
		return o, err
	}
	pairs, err := r.pairs(ctx)
	if err != nil {
		return o, err
	}
	files, err := r.writeFiles(pairs)
	if err != nil {
		return o, err
	}
	lap("import")
	if err := r.loop(ctx, rows, files, &o, lap); err != nil {
		return o, err
	}
	if r.Config.Folds > 0 {
		err := r.Loop.under(ctx, rows[realValidation], func(ctx context.Context) (err error) {
			o.Validity, err = r.crossValidation(pairs).Run(ctx, r.Loop.units(rows[realValidation]))
			return err
		})
		if err != nil {
			return o, fmt.Errorf("cross-validation: %w", err)
		}
		lap("cross-validation")
	}
	return o, nil
}

func (r Real) validate() error {
	const op = "pipeline.Real"
	switch {
	case len(r.Helpful) == 0 || len(r.Safety) == 0:
		return tandem.Errorf(tandem.Invalid, op, "files of both helpfulness and safety comparisons are needed")
	case r.Base == "" && r.Config.Pretrain == nil:
		return tandem.Errorf(tandem.Invalid, op, "there is no base model to start from")
	case r.Config.Improve < 1 || r.Config.Reference < 1 || r.Config.HeldOut < 1:
		return tandem.Errorf(tandem.Invalid, op, "prompts of each kind are needed to improve on, to calibrate with and to evaluate on")
	case r.Config.Folds == 1 || r.Config.Folds < 0:
		return tandem.Errorf(tandem.Invalid, op, "folds is %d, neither 0 nor 2 or more", r.Config.Folds)
	}
	return nil
}

// loop makes and evaluates the versions.
func (r Real) loop(ctx context.Context, rows map[string]int, f realFiles, o *RealOutcome, lap func(string)) error {
	recipe := r.Config.Recipe
	base, pretrain := r.Base, (*Pretrain)(nil)
	if r.Config.Pretrain != nil {
		p := r.Config.Pretrain.of(r.Folder, "base", f.texts)
		base, pretrain = p.Out, &p
	}
	sft, err := r.Loop.Begin(ctx, rows[realBegin], pretrain, FineTune{
		Model: base, Data: []string{f.demonstrations}, Stage: tandem.StageSFT, Config: recipe.FineTune,
		Out: filepath.Join(r.Folder, "sft"), Name: "SFT",
	})
	if err != nil {
		return err
	}
	lap("chat model")
	made, err := r.Loop.Run(ctx, Round{
		Number: rows[realRound], Name: realRound, Folder: filepath.Join(r.Folder, "v1"), Recipe: recipe,
		Base: base, Demonstrations: f.demonstrations, Versions: []Version{sft}, Prompts: f.prompts, PPO: true,
	})
	if err != nil {
		return err
	}
	lap(realRound)
	o.Judges, o.Curve, o.Compared, o.Imitated = made.Judges, made.Curve, made.Compared, int(sft.Metrics["dialogues"])
	versions := []Version{sft, made.Sampled, made.Version}
	err = r.Loop.under(ctx, rows[realBegin], func(ctx context.Context) (err error) {
		o.Answers, err = r.Loop.Evaluate(ctx, rows[realBegin], versions, made.Judges, f.heldOut, r.Config.Sampling, recipe.Seed, repeatedAnswers)
		return err
	})
	if err != nil {
		return err
	}
	for i, v := range versions {
		version, err := compareVersion(v, o.Answers[i], o.Answers[0])
		if err != nil {
			return fmt.Errorf("evaluate %s: %w", v.Name, err)
		}
		o.Versions = append(o.Versions, version)
	}
	lap("evaluation")
	return nil
}

// crossValidation is of all pairs, with the loop's mixes and configuration.
func (r Real) crossValidation(pairs map[tandem.Aspect][]tandem.Comparison) CrossValidation {
	c := CrossValidation{
		Folder: r.Folder, Pairs: pairs, Config: r.Config.crossValidation(),
		Read: (&Studio{Store: r.Loop.Store, Log: r.Loop.Log}).Comparisons,
	}
	if c.Config.Pretrain == nil {
		c.Base = r.Base
	}
	return c
}

// DefaultCrossValidationConfig is that of the loop on human comparisons.
func DefaultCrossValidationConfig(seed uint64) CrossValidationConfig {
	return DefaultRealConfig(seed).crossValidation()
}

func (c RealConfig) crossValidation() CrossValidationConfig {
	return CrossValidationConfig{
		Folds: c.Folds, Seed: c.Recipe.Seed, Helpfulness: c.Recipe.Helpfulness, Safety: c.Recipe.Safety,
		Pretrain: c.Pretrain, FromChat: c.FoldsFromChat, FineTune: c.Recipe.FineTune,
	}
}

// of specifies a base model of dialogues.
func (p Pretrain) of(folder, name, texts string) Pretrain {
	p.Texts, p.Format, p.Rendered = []string{texts}, dataset.TextLines, true
	p.Out, p.Name = filepath.Join(folder, "base"), name
	return p
}

// The rounds that stand for the parts of a run.
const (
	realBegin      = "begin"
	realRound      = "RLHF-V1"
	realValidation = "cross-validation"
)
