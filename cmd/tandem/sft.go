package main

import (
	"context"

	"tandem"
	"tandem/dataset"
	"tandem/pipeline"
	"tandem/sft"
)

// sftCommand fits a policy to dialogues (section 3.1).
type sftCommand struct {
	Model        string   `required:"" type:"path" help:"Folder of the policy to start from." placeholder:"DIR"`
	Data         []string `required:"" type:"path" help:"Files of dialogues, JSON Lines, plain or gzip." placeholder:"FILE"`
	Format       string   `enum:"messages,self-instruct,dolly,hh-chosen,dated" default:"messages" help:"Of the files: messages, self-instruct, dolly, hh-chosen or dated, with the day of the question and of the event (default: messages)." placeholder:"FORMAT"`
	HeldOutShare float64  `default:"0.2" help:"Share of openings to leave out, by the one rule that all stages share, and to measure the loss on; 0 trains on all (default: 0.2)." placeholder:"SHARE"`
	Preset       string   `default:"llama2-7b" help:"Configuration to start from: llama2-7b, llama2-70b or practice (default: llama2-7b)." placeholder:"NAME"`
	fitFlags
	stageFlags
}

func (c *sftCommand) Run(ctx context.Context, w *world) error {
	config, err := sft.Preset(c.Preset)
	if err != nil {
		return err
	}
	c.apply(&config)
	spec := pipeline.FineTune{
		Model: c.Model, Data: c.Data, HeldOutShare: c.HeldOutShare, Stage: tandem.StageSFT, Config: config, Out: c.Out, Name: c.name(),
		Format: dataset.DialogueFormat(c.Format),
	}
	return c.make(ctx, w, nil,
		func(s *pipeline.Studio) (pipeline.Plan, error) { return s.Plan(ctx, spec) },
		func(s *pipeline.Studio) (tandem.Model, error) { return s.FineTune(ctx, spec, c.Resume) })
}
