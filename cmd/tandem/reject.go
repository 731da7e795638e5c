package main

import (
	"context"
	"fmt"
	"strings"

	"tandem"
	"tandem/pipeline"
	"tandem/rejection"
	"tandem/sft"
)

// rejectCommand samples K answers to each prompt, keeps the best, and fine-tunes a base model on them
// (section 3.2.3).
type rejectCommand struct {
	Model       string `required:"" type:"path" help:"Folder of the policy to sample from." placeholder:"DIR"`
	Helpfulness string `required:"" type:"path" help:"Folder of the helpfulness model." placeholder:"DIR"`
	Safety      string `required:"" type:"path" help:"Folder of the safety model." placeholder:"DIR"`
	Data        string `required:"" type:"path" help:"File of prompts, JSON Lines; held-out ones are left out." placeholder:"FILE"`

	HeldOutShare float64 `default:"0.2" help:"Share of openings to leave out too, of prompts and demonstrations, by the one rule that all stages share; 0 for none (default: 0.2)." placeholder:"SHARE"`

	Samples      *int      `name:"samples" short:"k" help:"Answers to each prompt, at each temperature (default: 16)." placeholder:"K" group:"sampling"`
	Temperature  []float64 `help:"Temperature of sampling; several, as in 0.7,1,1.2, are a sweep with as many answers at each (default: 1)." placeholder:"X,…" group:"sampling"`
	TopP         *float64  `help:"Keep the smallest set of tokens with that probability (default: 1)." placeholder:"X" group:"sampling"`
	MaxTokens    *int      `help:"Tokens of an answer at most (default: 256)." placeholder:"N" group:"sampling"`
	ShardPrompts int       `default:"32" help:"Prompts after which samples are kept, to resume from (default: 32)." placeholder:"N" group:"sampling"`

	Archive        []string `type:"path" help:"Folders of earlier rejections or rounds, or files of their best answers (targets.jsonl), the oldest first: to fine-tune on with the new ones." placeholder:"DIR,…"`
	ArchivePolicy  string   `enum:"all,newest,best,share" default:"all" help:"Which of them: all, newest (none of them, and the policy forgets), best (of all the best answer to each prompt by these reward models) or share (the best of each earlier one) (default: all)." placeholder:"POLICY"`
	ArchiveShare   float64  `default:"0.5" help:"Share of each earlier one that the policy share keeps (default: 0.5)." placeholder:"SHARE"`
	Base           string   `type:"path" help:"Folder of the model to fine-tune on demonstrations and best answers (default: the answers alone are written)." placeholder:"DIR"`
	Demonstrations []string `type:"path" help:"Files of dialogues in the messages form, for the same." placeholder:"FILE"`
	TargetWeight   int      `default:"1" help:"How often the best answers stand beside the demonstrations (default: 1)." placeholder:"N"`
	Preset         string   `default:"llama2-7b" help:"Configuration of the fine-tuning to start from: llama2-7b, llama2-70b or practice (default: llama2-7b)." placeholder:"NAME"`
	fitFlags
	stageFlags
}

// rejectReport is reject's JSON: with --base the model's lineage, and beside it what was sampled.
type rejectReport struct {
	*tandem.Model
	Rejection pipeline.Rejected `json:"rejection"`
}

func (c *rejectCommand) Run(ctx context.Context, w *world) error {
	config := rejection.DefaultConfig()
	set(&config.K, c.Samples)
	if len(c.Temperature) > 0 {
		config.Temperature = c.Temperature
	}
	set(&config.TopP, c.TopP)
	set(&config.MaxTokens, c.MaxTokens)
	set(&config.Seed, c.Seed)
	fit, err := sft.Preset(c.Preset)
	if err != nil {
		return err
	}
	c.apply(&fit)
	if (c.Base == "") != (len(c.Demonstrations) == 0) {
		return tandem.Errorf(tandem.Invalid, "", "--base and --demonstrations go together")
	}
	spec := pipeline.Reject{
		Policy: c.Model, Helpfulness: c.Helpfulness, Safety: c.Safety, Prompts: c.Data, HeldOutShare: c.HeldOutShare, Config: config, ShardPrompts: c.ShardPrompts, Out: c.Out,
		Archive: c.Archive, ArchivePolicy: rejection.Archive{Policy: rejection.ArchivePolicy(c.ArchivePolicy), Share: c.ArchiveShare},
		Base: c.Base, Demonstrations: c.Demonstrations, TargetWeight: c.TargetWeight, FineTune: fit, Name: c.name(),
	}
	return c.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		if c.DryRun {
			p, err := s.PlanReject(ctx, spec)
			return func() error { return w.reportPlan(p) }, err
		}
		done, m, err := s.Reject(ctx, spec, c.Resume)
		return func() error {
			return w.report(rejectReport{m, done}, "%s: the best of %d answers to %d of %d prompts\n%s: all %d answers, %d of them duplicates\n%s%s",
				done.File, config.Samples(), done.Targets, done.Prompts, done.AllFile, done.Samples, done.Duplicates, sweepLines(done), archiveLines(done.Archive))
		}, err
	})
}

// sweepLines tell a sweep: the rewards at each temperature, and which it speaks for.
func sweepLines(r pipeline.Rejected) string {
	if len(r.Sweep) < 2 {
		return ""
	}
	var b strings.Builder
	for _, a := range r.Sweep {
		k := len(a.Curve.Best)
		if k == 0 {
			continue
		}
		fmt.Fprintf(&b, "temperature %g: best of %d %.3f, median %.3f, kept %.3f; %.0f %% duplicates, %.0f %% ended\n", a.Temperature, k,
			a.Curve.Best[k-1], a.Curve.Median[k-1], a.Kept, 100*float64(a.Duplicates)/float64(a.Samples), 100*float64(a.Ended)/float64(a.Samples))
	}
	if n := r.Next; n != nil {
		fmt.Fprintf(&b, "next temperature: %g, whose kept answers are %s ahead of those at %g", n.Temperature, n.Lead, n.Over)
		if n.Edge {
			b.WriteString("; it is at the end of the sweep, so look beyond it too")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// archiveLines tell what the model is fine-tuned on of each round.
func archiveLines(a *pipeline.Archived) string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d best answers of %d samplings (%s)\n", a.File, a.Targets, len(a.Rounds), a.Policy)
	for _, r := range a.Rounds {
		fmt.Fprintf(&b, "  %d of %d of %s\n", r.Kept, r.Targets, r.File)
	}
	return b.String()
}
