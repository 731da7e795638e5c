package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem"
	"tandem/dataset"
	"tandem/internal/practice/demo"
	"tandem/pipeline"
	"tandem/report"
	"tandem/sft"
)

// evaluateSafetyDataCommand tunes models on more and more safety data and measures what that does (section 4.2.3).
type evaluateSafetyDataCommand struct {
	Model        string    `type:"path" help:"Folder of the base model that all start from." placeholder:"DIR"`
	HelpfulData  []string  `type:"path" help:"Files of helpfulness dialogues, which every model is tuned on." placeholder:"FILE"`
	SafetyData   []string  `type:"path" help:"Files of safety dialogues, of which each model is tuned on a share." placeholder:"FILE"`
	Format       string    `enum:"messages,self-instruct,dolly,hh-chosen" default:"messages" help:"Of the files: messages, self-instruct, dolly or hh-chosen (default: messages)." placeholder:"FORMAT"`
	HeldOutShare float64   `default:"0.2" help:"Share of openings to leave out, by the one rule that all stages share; 0 for none (default: 0.2)." placeholder:"SHARE"`
	Shares       []float64 `default:"0,1,10,25,50,100" help:"Shares of the safety dialogues, in percent (default: 0,1,10,25,50,100)." placeholder:"X,…"`
	Seeds        int       `default:"1" help:"Models of each share, with consecutive seeds (default: 1)." placeholder:"N"`
	Helpfulness  string    `type:"path" help:"Folder of the helpfulness model that scores." placeholder:"DIR"`
	Safety       string    `type:"path" help:"Folder of the safety model that scores." placeholder:"DIR"`
	Prompts      string    `type:"path" help:"File of prompts to measure on, JSON Lines: safety prompts are marked, the others are ordinary ones." placeholder:"FILE"`
	Borderline   string    `type:"path" help:"File of prompts that sound dangerous and are not (default: none)." placeholder:"FILE"`
	Temperature  float64   `default:"1" help:"Temperature of the answers (default: 1)." placeholder:"X"`
	TopP         float64   `default:"1" help:"Keep the smallest set of tokens with that probability (default: 1)." placeholder:"X"`
	MaxTokens    int       `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	AnswerSeed   uint64    `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Preset       string    `default:"llama2-7b" help:"Configuration of the tuning to start from: llama2-7b, llama2-70b or practice (default: llama2-7b)." placeholder:"NAME"`
	practiceFlags
	fitFlags
	unitFlags
}

// AfterApply refuses flags that do not go together.
func (c *evaluateSafetyDataCommand) AfterApply() error {
	if c.Seeds < 1 {
		return errors.New("--seeds must be at least 1")
	}
	return c.check([]givenFlag{{"--model", c.Model != ""}, {"--helpful-data", len(c.HelpfulData) > 0}, {"--safety-data", len(c.SafetyData) > 0},
		{"--helpfulness", c.Helpfulness != ""}, {"--safety", c.Safety != ""}, {"--prompts", c.Prompts != ""}}, givenFlag{"--share", c.Share})
}

// evaluateSafetyDataReport is its JSON.
type evaluateSafetyDataReport struct {
	pipeline.SafetyDataMeasures
	Gold   []demo.Gold `json:"gold,omitempty"` // with --practice, by share
	Report string      `json:"report"`
}

func (c *evaluateSafetyDataCommand) Run(ctx context.Context, w *world) error {
	if c.Practice {
		return c.practice(ctx, w)
	}
	fit, err := sft.Preset(c.Preset)
	if err != nil {
		return err
	}
	c.apply(&fit)
	spec := pipeline.SafetyData{
		Base: c.Model, Helpful: c.HelpfulData, SafetyFiles: c.SafetyData, Format: dataset.DialogueFormat(c.Format), HeldOutShare: c.HeldOutShare, Shares: c.Shares, FineTune: fit,
		Helpfulness: c.Helpfulness, Safety: c.Safety, Prompts: c.Prompts, Borderline: c.Borderline,
		Sampling: tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}, Seed: c.AnswerSeed, Out: c.Out,
	}
	for i := range c.Seeds {
		spec.Seeds = append(spec.Seeds, fit.Seed+uint64(i))
	}
	return c.run(ctx, w, "evaluate safety-data", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		m, err := s.MeasureSafetyData(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		reply := evaluateSafetyDataReport{SafetyDataMeasures: m}
		facts := []report.Fact{
			{Name: "base model", Value: c.Model}, {Name: "helpfulness model", Value: c.Helpfulness}, {Name: "safety model", Value: c.Safety},
			{Name: "prompts", Value: c.Prompts}, {Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "kernel", Value: s.Kernel},
		}
		reply.Report, err = w.writeReport(m.Report(facts, time.Now()), c.Out)
		return func() error { return w.safetyData(reply) }, err
	})
}

// practice does all of it on the practice world.
func (c *evaluateSafetyDataCommand) practice(ctx context.Context, w *world) error {
	study := demo.SafetyData{Config: demo.DefaultGroundConfig(1), Shares: c.Shares, Seeds: c.Seeds, Helpful: 2500, Safety: 800, Folder: c.Out}
	if c.Miniature {
		study.Config, study.Helpful, study.Safety = demo.MiniatureGround(1), 100, 60
	}
	return c.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		study.Studio = s
		outcome, err := study.Run(ctx)
		if err != nil {
			return nil, err
		}
		reply := evaluateSafetyDataReport{SafetyDataMeasures: outcome.Measures, Gold: outcome.Gold}
		reply.Report, err = w.writeReport(outcome.Report([]report.Fact{{Name: "kernel", Value: s.Kernel}}, time.Now()), c.Out)
		return func() error { return w.safetyData(reply) }, err
	})
}

// safetyData prints the figures by share.
func (w *world) safetyData(reply evaluateSafetyDataReport) error {
	var rows [][]string
	for _, s := range reply.Shares {
		borderline := "–"
		if s.RefusedBorderline != nil {
			borderline = percent(*s.RefusedBorderline)
		}
		rows = append(rows, []string{fmt.Sprintf("%g %%", s.Share), fmt.Sprint(s.Dialogues), s.Safety.String(), s.Tail.String(), percent(s.Gated), s.Help.String(), percent(s.RefusedOrdinary), borderline})
	}
	return w.table(reply, []string{"SHARE", "DIALOGUES", "R_S", "LOWEST 5 %", "GATED", "R_H", "REFUSED, ORDINARY", "REFUSED, BORDERLINE"}, rows)
}
