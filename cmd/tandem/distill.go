package main

import (
	"context"
	"fmt"
	"time"

	"tandem"
	"tandem/internal/practice/demo"
	"tandem/pipeline"
	"tandem/report"
	"tandem/sft/distill"
)

// distillCommand makes dialogues for context distillation (section 4.2.4).
type distillCommand struct {
	Model        string  `type:"path" help:"Folder of the policy to sample from." placeholder:"DIR"`
	Helpfulness  string  `type:"path" help:"Folder of the helpfulness model." placeholder:"DIR"`
	Safety       string  `type:"path" help:"Folder of the safety model, which chooses." placeholder:"DIR"`
	Data         string  `type:"path" help:"File of prompts, JSON Lines; those that are marked as safety prompts are answered, held-out ones left out." placeholder:"FILE"`
	All          bool    `help:"Answer the other prompts too, under the generic preprompt."`
	HeldOutShare float64 `default:"0.2" help:"Share of openings to leave out too, by the one rule that all stages share; 0 for none (default: 0.2)." placeholder:"SHARE"`
	Preprompts   string  `type:"path" help:"JSON file of the preprompts: generic, and templates by risk category (default: the project's)." placeholder:"FILE"`
	Temperature  float64 `default:"1" help:"Temperature of sampling (default: 1)." placeholder:"X" group:"sampling"`
	TopP         float64 `default:"1" help:"Keep the smallest set of tokens with that probability (default: 1)." placeholder:"X" group:"sampling"`
	MaxTokens    int     `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N" group:"sampling"`
	Seed         uint64  `help:"Seed of the answers (default: 0)." placeholder:"N" group:"sampling"`
	Shard        int     `default:"64" help:"Prompts that are one unit of work (default: 64)." placeholder:"N" group:"sampling"`
	practiceFlags
	unitFlags
}

// AfterApply refuses flags that do not go together.
func (c *distillCommand) AfterApply() error {
	err := c.check([]givenFlag{{"--model", c.Model != ""}, {"--helpfulness", c.Helpfulness != ""}, {"--safety", c.Safety != ""}, {"--data", c.Data != ""}},
		givenFlag{"--preprompts", c.Preprompts != ""}, givenFlag{"--share", c.Share})
	if err != nil {
		return err
	}
	return checkSampling(c.sampling(), func(name string) string {
		return map[string]string{"temperature": "--temperature", "top_p": "--top-p", "max_tokens": "--max-tokens"}[name]
	})
}

func (c *distillCommand) sampling() tandem.Sampling {
	return tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}
}

// distillReport is its JSON.
type distillReport struct {
	pipeline.Distilled
	Report string `json:"report"`
}

func (c *distillCommand) Run(ctx context.Context, w *world) (err error) {
	if c.Practice {
		return c.practice(ctx, w)
	}
	spec := pipeline.Distill{
		Policy: c.Model, Helpfulness: c.Helpfulness, Safety: c.Safety, Prompts: c.Data, All: c.All, HeldOutShare: c.HeldOutShare,
		Preprompts: distill.DefaultPreprompts(), Sampling: c.sampling(), Seed: c.Seed, Shard: c.Shard, Out: c.Out,
	}
	if c.Preprompts != "" {
		if spec.Preprompts, err = pipeline.ReadPreprompts(c.Preprompts); err != nil {
			return err
		}
	}
	return c.run(ctx, w, "distill", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		made, err := s.Distill(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		reply := distillReport{Distilled: made}
		facts := []report.Fact{
			{Name: "policy", Value: c.Model}, {Name: "safety model", Value: c.Safety}, {Name: "prompts", Value: c.Data},
			{Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(made.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		return func() error {
			return w.report(reply, "%s: %d of %d prompts, %d by a template and %d by the generic preprompt\n", made.Train,
				made.Kept[distill.Template]+made.Kept[distill.Generic], made.Prompts, made.Kept[distill.Template], made.Kept[distill.Generic])
		}, nil
	})
}

// distillPractice is the JSON of --practice.
type distillPractice struct {
	demo.DistillOutcome
	Report string `json:"report"`
}

// practice does all of it on the practice world.
func (c *distillCommand) practice(ctx context.Context, w *world) error {
	config := demo.DefaultGroundConfig(max(c.Seed, 1))
	if c.Miniature {
		config = demo.MiniatureGround(max(c.Seed, 1))
	}
	return c.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		outcome, err := demo.Distill{Config: config, Folder: c.Out, Studio: s}.Run(ctx)
		if err != nil {
			return nil, err
		}
		reply := distillPractice{DistillOutcome: outcome}
		facts := []report.Fact{{Name: "seed", Value: fmt.Sprint(config.Seed)}, {Name: "kernel", Value: s.Kernel}}
		if reply.Report, err = w.writeReport(outcome.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		var rows [][]string
		for i, v := range outcome.Policies.Versions {
			g := outcome.Gold[i]
			rows = append(rows, []string{v.Name, v.Summary.Safety.String(), percent(v.Summary.Gated), g.Safety.String(), g.Helpfulness.String()})
		}
		return func() error {
			return w.table(reply, []string{"POLICY", "R_S", "GATED", "GOLD SAFETY", "GOLD HELPFULNESS"}, rows)
		}, nil
	})
}
