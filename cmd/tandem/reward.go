package main

import (
	"context"
	"fmt"

	"tandem"
	"tandem/dataset"
	"tandem/pipeline"
	"tandem/rewardmodel"
)

// rewardCommand fits a reward model to comparisons (section 3.2.2).
type rewardCommand struct {
	Aspect       string  `arg:"" enum:"helpfulness,safety" help:"What it judges: helpfulness or safety."`
	Model        string  `required:"" type:"path" help:"Folder of the chat model to start from." placeholder:"DIR"`
	FromScratch  bool    `help:"Take of --model the shape, tokenizer and template alone and start from random weights: what a judge knows without what the policy knows."`
	Data         string  `required:"" help:"File of comparisons, or snapshot:ID of the database." placeholder:"FILE"`
	Format       string  `enum:"tandem,hh,trl,openrlhf,pku,ultrafeedback" default:"tandem" help:"Of the file: tandem (a comparison a line, as its API writes them), hh, trl, openrlhf, pku or ultrafeedback (default: tandem)." placeholder:"FORMAT"`
	HeldOut      string  `help:"File of comparisons to measure accuracy on, in the same format (default: by the split rule)." placeholder:"FILE"`
	HeldOutShare float64 `default:"0.2" help:"Share of openings to measure on and not to train on, by the one rule that all stages share; not used beside --held-out (default: 0.2)." placeholder:"SHARE"`
	Mixture      string  `default:"llama2" help:"What it learns from: llama2, the paper's mixes (helpfulness: all comparisons of it in the data and as many of safety; safety: 90 to 10); own, those of its aspect alone; all, everything in the data; or a YAML or JSON file with parts, sources and seed (default: llama2)." placeholder:"NAME|FILE"`
	Members      int     `default:"1" help:"Models to fit, by as many seeds, which score together as an ensemble and tell where they disagree (default: 1)." placeholder:"N"`
	Preset       string  `default:"llama2-7b" help:"Configuration to start from: llama2-7b, llama2-70b or practice (default: llama2-7b)." placeholder:"NAME"`

	Margin          *string  `help:"Margins by degree, of the paper's tables: none, small or large (default: the preset's)." placeholder:"TABLE" group:"training"`
	AuxiliaryWeight *float64 `help:"Weight of the safety labels' loss; 0 for the helpfulness model (default: the preset's)." placeholder:"X" group:"training"`
	CenterRewards   *float64 `help:"Weight of (r_chosen + r_rejected)², which keeps scores around zero (default: the preset's, 0)." placeholder:"X" group:"training"`
	L2              *float64 `help:"Weight of the mean of r² (default: the preset's, 0)." placeholder:"X" group:"training"`
	MaxTokens       *int     `help:"Tokens of a dialogue; a longer one loses its beginning (default: the model's context)." placeholder:"N" group:"training"`
	fitFlags

	ReferencePolicy      string  `type:"path" help:"Policy that the loop starts from; its answers calibrate the model." placeholder:"DIR" group:"calibration"`
	ReferencePrompts     string  `type:"path" help:"Prompts to answer for it, of both kinds, JSON Lines." placeholder:"FILE" group:"calibration"`
	ReferenceTemperature float64 `default:"1" help:"Temperature of those answers (default: 1)." placeholder:"X" group:"calibration"`
	ReferenceMaxTokens   int     `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N" group:"calibration"`
	stageFlags
}

func (c *rewardCommand) Run(ctx context.Context, w *world) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	if (c.ReferencePolicy == "") != (c.ReferencePrompts == "") {
		return tandem.Errorf(tandem.Invalid, "", "--reference-policy and --reference-prompts go together")
	}
	data := []string{spec.Data, spec.HeldOut}
	for _, source := range spec.Config.Mixture.Sources {
		data = append(data, source.Data)
	}
	return c.make(ctx, w, data,
		func(s *pipeline.Studio) (pipeline.Plan, error) { return s.PlanReward(ctx, spec) },
		func(s *pipeline.Studio) (tandem.Model, error) {
			m, err := s.Reward(ctx, spec, c.Resume)
			switch {
			case err != nil:
				return m, err
			case c.ReferencePolicy != "":
				return s.CalibrateOn(ctx, c.Out, pipeline.Reference{
					Policy: c.ReferencePolicy, Prompts: c.ReferencePrompts, Seed: spec.Config.Fit.Seed,
					Sampling: tandem.Sampling{Temperature: c.ReferenceTemperature, MaxTokens: c.ReferenceMaxTokens},
				})
			case m.Calibration == nil:
				w.log.Warn("the model is not calibrated yet, so its scores cannot be combined with another's: run the same command again with --reference-policy and --reference-prompts", "model", c.Out)
			}
			return m, nil
		})
}

// Validate refuses an ensemble of nobody.
func (c *rewardCommand) Validate() error {
	if c.Members < 1 {
		return fmt.Errorf("--members is %d, less than 1", c.Members)
	}
	return nil
}

// spec resolves the preset, the flags and the files.
func (c *rewardCommand) spec() (pipeline.Reward, error) {
	config, err := rewardmodel.Preset(c.Preset, tandem.Aspect(c.Aspect))
	if err != nil {
		return pipeline.Reward{}, err
	}
	if c.Margin != nil {
		config.Margin = rewardmodel.MarginTable(*c.Margin)
	}
	set(&config.AuxiliaryWeight, c.AuxiliaryWeight)
	set(&config.CenterRewards, c.CenterRewards)
	set(&config.L2, c.L2)
	set(&config.MaxTokens, c.MaxTokens)
	c.apply(&config.Fit)
	if config.Mixture, err = mixtureOf(c.Mixture, config.Aspect, config.Fit.Seed); err != nil {
		return pipeline.Reward{}, err
	}
	spec := pipeline.Reward{
		Model: c.Model, FromScratch: c.FromScratch, Format: comparisonFormat(c.Format), HeldOutShare: c.HeldOutShare, Config: config, Out: c.Out, Name: c.name(),
	}
	if c.Members > 1 {
		spec.Members = c.Members
	}
	if spec.Data, err = dataPath(c.Data); err != nil {
		return spec, err
	}
	if spec.HeldOut, err = dataPath(c.HeldOut); err != nil {
		return spec, err
	}
	if spec.HeldOut != "" {
		spec.HeldOutShare = 0
	}
	return spec, nil
}

// comparisonFormat is the format of a flag's name; tandem's own has none.
func comparisonFormat(name string) dataset.Format {
	if name == "tandem" {
		return ""
	}
	return dataset.Format(name)
}
