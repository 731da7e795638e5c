package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"tandem/dataset"
	"tandem/internal/practice/demo"
	"tandem/pipeline"
	"tandem/report"
	"tandem/sft/ghost"
)

// ghostCommand makes dialogues for Ghost Attention (section 3.3).
type ghostCommand struct {
	Model        string   `type:"path" help:"Folder of the policy to sample from, the newest." placeholder:"DIR"`
	Data         []string `type:"path" help:"Files of dialogues, JSON Lines, plain or gzip, whose user messages are answered anew." placeholder:"FILE"`
	Format       string   `enum:"messages,self-instruct,dolly,hh-chosen" default:"messages" help:"Of the files: messages, self-instruct, dolly or hh-chosen (default: messages)." placeholder:"FORMAT"`
	HeldOutShare float64  `default:"0.2" help:"Share of openings to leave out, by the one rule that all stages share; 0 for none (default: 0.2)." placeholder:"SHARE"`
	Constraints  string   `type:"path" help:"File of what instructions ask for, JSON Lines of kind, text, short, keep and avoid (default: hobbies, languages and public figures)." placeholder:"FILE"`
	ShortShare   float64  `default:"0.5" help:"Share of dialogues whose instruction is said in fewer words (default: 0.5)." placeholder:"SHARE" group:"sampling"`
	Temperature  float64  `default:"1" help:"Temperature of sampling (default: 1)." placeholder:"X" group:"sampling"`
	TopP         float64  `default:"1" help:"Keep the smallest set of tokens with that probability (default: 1)." placeholder:"X" group:"sampling"`
	MaxTokens    int      `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N" group:"sampling"`
	Seed         uint64   `help:"Seed of instructions and answers (default: 0)." placeholder:"N" group:"sampling"`
	Shard        int      `default:"64" help:"Dialogues that are one unit of work (default: 64)." placeholder:"N" group:"sampling"`
	practiceFlags
	unitFlags
}

// AfterApply refuses flags that do not go together.
func (c *ghostCommand) AfterApply() error {
	return c.check([]givenFlag{{"--model", c.Model != ""}, {"--data", len(c.Data) > 0}}, givenFlag{"--constraints", c.Constraints != ""}, givenFlag{"--share", c.Share})
}

func (c *ghostCommand) Run(ctx context.Context, w *world) error {
	if c.Practice {
		return c.practice(ctx, w)
	}
	spec := pipeline.Ghost{
		Policy: c.Model, Data: c.Data, Format: dataset.DialogueFormat(c.Format), HeldOutShare: c.HeldOutShare, Constraints: c.Constraints,
		Config: ghost.Config{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens, ShortShare: c.ShortShare, Seed: c.Seed},
		Shard:  c.Shard, Out: c.Out,
	}
	return c.run(ctx, w, "ghost", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		made, err := s.Ghost(ctx, spec, units)
		return func() error {
			kept := "instructions that nothing can check"
			if made.Kept != nil {
				kept = "an instruction kept in " + percent(*made.Kept)
			}
			return w.report(made, "%s: %d of %d dialogues, %s\n%s: the same without Ghost Attention\n", made.Train, made.Usable, made.Dialogues, kept, made.Control)
		}, err
	})
}

// ghostPractice is the JSON of --practice.
type ghostPractice struct {
	demo.GhostOutcome
	Report string `json:"report"`
}

// practice does all of it on the practice world.
func (c *ghostCommand) practice(ctx context.Context, w *world) error {
	config := demo.DefaultGhostConfig(max(c.Seed, 1))
	if c.Miniature {
		config = demo.MiniatureGhost(max(c.Seed, 1))
	}
	return c.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		outcome, err := demo.Ghost{Config: config, Folder: c.Out, Studio: s}.Run(ctx)
		if err != nil {
			return nil, err
		}
		reply := ghostPractice{GhostOutcome: outcome}
		facts := []report.Fact{{Name: "seed", Value: fmt.Sprint(config.Seed)}, {Name: "kernel", Value: s.Kernel}}
		if reply.Report, err = w.writeReport(outcome.Measures.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		return func() error { return w.holding(reply, outcome.Measures) }, nil
	})
}

// evaluateGhostCommand measures how policies hold on to instructions (table 30).
type evaluateGhostCommand struct {
	Models      []string `required:"" type:"path" help:"Folders of the policies; attention is shown on the last one's answers." placeholder:"DIR"`
	Data        []string `required:"" type:"path" help:"Files of dialogues, JSON Lines, plain or gzip, whose user messages are asked." placeholder:"FILE"`
	Format      string   `enum:"messages,self-instruct,dolly,hh-chosen" default:"messages" help:"Of the files: messages, self-instruct, dolly or hh-chosen (default: messages)." placeholder:"FORMAT"`
	Constraints string   `type:"path" help:"File of what instructions ask for, JSON Lines of kind, text, short, keep and avoid (default: hobbies, languages and public figures, of which languages can be checked)." placeholder:"FILE"`
	Turns       []int    `default:"1,2,4,6,20" help:"Turns to show (default: 1,2,4,6,20)." placeholder:"N,…"`
	Temperature float64  `default:"1" help:"Temperature of the answers (default: 1)." placeholder:"X"`
	TopP        float64  `default:"1" help:"Keep the smallest set of tokens with that probability (default: 1)." placeholder:"X"`
	MaxTokens   int      `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	Seed        uint64   `help:"Seed of instructions and answers (default: 0)." placeholder:"N"`
	Shard       int      `default:"64" help:"Dialogues that are one unit of work (default: 64)." placeholder:"N"`
	unitFlags
}

// evaluateGhostReport is its JSON.
type evaluateGhostReport struct {
	pipeline.HoldingMeasures
	Report string `json:"report"`
}

func (c *evaluateGhostCommand) Run(ctx context.Context, w *world) error {
	spec := pipeline.Holding{
		Models: c.Models, Data: c.Data, Format: dataset.DialogueFormat(c.Format), Constraints: c.Constraints, Turns: c.Turns,
		Config: ghost.Config{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens, Seed: c.Seed}, Shard: c.Shard,
	}
	return c.run(ctx, w, "evaluate ghost", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		measures, err := s.MeasureHolding(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		reply := evaluateGhostReport{HoldingMeasures: measures}
		facts := []report.Fact{
			{Name: "dialogues", Value: strings.Join(c.Data, ", ")}, {Name: "constraints", Value: cmp.Or(c.Constraints, "the default ones")},
			{Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(measures.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		return func() error { return w.holding(reply, measures) }, nil
	})
}

// holding prints how policies hold on to instructions.
func (w *world) holding(reply any, m pipeline.HoldingMeasures) error {
	header, rows := []string{"POLICY"}, [][]string(nil)
	for _, p := range m.Policies {
		row := []string{p.Name}
		for _, t := range p.Kept {
			if len(row) == len(header) {
				header = append(header, fmt.Sprintf("TURN %d", t.Turn))
			}
			row = append(row, percent(t.Share))
		}
		rows = append(rows, row)
	}
	return w.table(reply, header, rows)
}
