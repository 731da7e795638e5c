package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tandem"
	"tandem/pipeline"
	"tandem/report"
	"tandem/rewardmodel"
)

// evaluateFoldsCommand cross-validates reward models over all pairs of files. Its defaults are those of the
// demo on real pairs.
type evaluateFoldsCommand struct {
	Helpful            []string `required:"" help:"Files of helpfulness comparisons." placeholder:"FILE"`
	Safety             []string `required:"" help:"Files of safety comparisons." placeholder:"FILE"`
	Format             string   `enum:"tandem,hh,trl,openrlhf,pku,ultrafeedback" default:"hh" help:"Of the files: tandem, hh, trl, openrlhf, pku or ultrafeedback (default: hh)." placeholder:"FORMAT"`
	Folds              int      `default:"5" help:"Parts that the pairs are divided into (default: 5)." placeholder:"N"`
	HelpfulnessMixture string   `default:"own" help:"What helpfulness models learn from of the other folds: own, llama2, all or a file (see tandem reward), whose further sources lose the openings that a fold is measured on (default: own)." placeholder:"NAME|FILE"`
	SafetyMixture      string   `default:"llama2" help:"The same of safety models (default: llama2)." placeholder:"NAME|FILE"`
	Base               string   `type:"path" help:"Folder of a base model to start from, which has not read the pairs (default: a small one is made of each fold's other folds)." placeholder:"DIR"`
	Bases              string   `type:"path" help:"Folder of an earlier run on the same pairs, whose base models are used again." placeholder:"DIR"`
	PretrainSources    bool     `help:"Have the base models read the mixtures' further sources too."`
	FromChat           bool     `help:"Start from a chat model fitted to the other folds' chosen sides, not from the base model."`
	Out                string   `required:"" type:"path" help:"Folder for the models and report.html and report.json; an interrupted run goes on there." placeholder:"DIR"`
	CenterRewards      *float64 `help:"Weight of (r_chosen + r_rejected)², which keeps scores around zero (default: 0)." placeholder:"X" group:"training"`
	L2                 *float64 `help:"Weight of the mean of r² (default: 0)." placeholder:"X" group:"training"`
	MaxTokens          *int     `help:"Tokens of a dialogue to train on; a longer one loses its beginning (default: the model's context)." placeholder:"N" group:"training"`
	fitFlags
	engineFlags
}

// evaluateFoldsReport is its JSON.
type evaluateFoldsReport struct {
	Config   pipeline.CrossValidationConfig       `json:"config"`
	Validity map[tandem.Aspect]pipeline.Validated `json:"validity"`
	Report   string                               `json:"report"`
}

func (c *evaluateFoldsCommand) Run(ctx context.Context, w *world) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	flags := stageFlags{engineFlags: c.engineFlags, DryRun: true} // which opens no database
	return flags.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		v := pipeline.CrossValidation{Folder: c.Out, Base: c.Base, Bases: c.Bases, Read: s.Comparisons, Config: config}
		if v.Pairs, err = c.pairs(ctx, s); err != nil {
			return nil, err
		}
		validity, err := v.Run(ctx, s.Units(func(stage tandem.Stage, done, total int) {
			w.log.Info("cross-validation", "stage", stage, "done", done, "of", total)
		}))
		if err != nil {
			return nil, err
		}
		reply := evaluateFoldsReport{Config: config, Validity: validity}
		facts := []report.Fact{
			{Name: "comparisons of helpfulness", Value: fmt.Sprint(c.Helpful)}, {Name: "comparisons of safety", Value: fmt.Sprint(c.Safety)},
			{Name: "seed", Value: strconv.FormatUint(config.Seed, 10)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(pipeline.ValidityReport(validity, config, facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		return func() error { return w.table(reply, []string{"PAIRS", "RULE", "RIGHT", "MODEL AHEAD"}, reply.rows()) }, nil
	})
}

func (r evaluateFoldsReport) rows() (rows [][]string) {
	for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
		v := r.Validity[aspect]
		rows = append(rows, []string{string(aspect), "reward model", percent(v.Model), ""}, []string{"", "the other model", percent(v.Other), percent(v.AheadOfOther)})
		for _, rule := range v.Rules {
			rows = append(rows, []string{"", rule.Name, percent(rule.Accuracy), percent(rule.Ahead)})
		}
	}
	return rows
}

// config is the demo's with what the flags say otherwise.
func (c *evaluateFoldsCommand) config() (pipeline.CrossValidationConfig, error) {
	seed := uint64(1)
	set(&seed, c.Seed)
	v := pipeline.DefaultCrossValidationConfig(seed)
	v.Folds, v.FromChat, v.PretrainSources = c.Folds, c.FromChat, c.PretrainSources
	if c.Base == "" && c.Bases == "" {
		v.Pretrain = pipeline.DefaultRealPretrain(seed)
	}
	for _, m := range []struct {
		config  *rewardmodel.Config
		mixture string
	}{{&v.Helpfulness, c.HelpfulnessMixture}, {&v.Safety, c.SafetyMixture}} {
		set(&m.config.CenterRewards, c.CenterRewards)
		set(&m.config.L2, c.L2)
		set(&m.config.MaxTokens, c.MaxTokens)
		c.apply(&m.config.Fit)
		var err error
		if m.config.Mixture, err = mixtureOf(m.mixture, m.config.Aspect, seed); err != nil {
			return v, err
		}
	}
	return v, nil
}

// pairs reads all files.
func (c *evaluateFoldsCommand) pairs(ctx context.Context, s *pipeline.Studio) (map[tandem.Aspect][]tandem.Comparison, error) {
	pairs := make(map[tandem.Aspect][]tandem.Comparison)
	for aspect, files := range map[tandem.Aspect][]string{tandem.Helpfulness: c.Helpful, tandem.Safety: c.Safety} {
		for _, file := range files {
			read, err := s.Comparisons(ctx, file, comparisonFormat(c.Format), aspect)
			if err != nil {
				return nil, err
			}
			for _, p := range read {
				if p.Aspect == "" {
					p.Aspect = aspect
				}
				if p.Aspect == aspect { // a file of tandem's own may hold both
					pairs[aspect] = append(pairs[aspect], p)
				}
			}
		}
	}
	return pairs, nil
}
