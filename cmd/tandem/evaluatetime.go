package main

import (
	"context"
	"fmt"
	"time"

	"tandem"
	"tandem/internal/practice/demo"
	"tandem/pipeline"
	"tandem/report"
)

// evaluateTimeCommand asks policies the same questions on several days (section 5.2).
type evaluateTimeCommand struct {
	Models      []string `type:"path" help:"Folders of the policies." placeholder:"DIR"`
	Data        string   `type:"path" help:"File of probes, JSON Lines of question, event_date, before and after (regular expressions of the right answer on either side of that day)." placeholder:"FILE"`
	Days        []int    `default:"-3650,-1825,-365,-30,0,30,365,1825,3650" help:"Days after the event on which each is asked, negative before it; ascending (default: -3650,-1825,-365,-30,0,30,365,1825,3650)." placeholder:"N,…"`
	Temperature float64  `help:"Temperature of the answers; 0 takes the likeliest tokens (default: 0)." placeholder:"X"`
	MaxTokens   int      `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	Seed        uint64   `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Shard       int      `default:"64" help:"Probes that are one unit of work (default: 64)." placeholder:"N"`
	practiceFlags
	unitFlags
}

// AfterApply refuses flags that do not go together.
func (c *evaluateTimeCommand) AfterApply() error {
	return c.check([]givenFlag{{"--models", len(c.Models) > 0}, {"--data", c.Data != ""}}, givenFlag{"--share", c.Share})
}

// evaluateTimeReport is its JSON.
type evaluateTimeReport struct {
	pipeline.TimingMeasures
	Report string `json:"report"`
}

func (c *evaluateTimeCommand) Run(ctx context.Context, w *world) error {
	finish := func(s *pipeline.Studio, m pipeline.TimingMeasures, data string) (func() error, error) {
		reply := evaluateTimeReport{TimingMeasures: m}
		facts := []report.Fact{{Name: "probes", Value: data}, {Name: "seed", Value: fmt.Sprint(m.Config.Seed)}, {Name: "kernel", Value: s.Kernel}}
		var err error
		if reply.Report, err = w.writeReport(m.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		var rows [][]string
		for _, p := range m.Policies {
			rows = append(rows, []string{p.Name, percent(p.Before), percent(p.After), percent(p.Differ)})
		}
		return func() error {
			return w.table(reply, []string{"POLICY", "RIGHT BEFORE", "RIGHT AFTER", "ANSWERED OTHERWISE"}, rows)
		}, nil
	}
	if c.Practice {
		study := demo.Timing{Config: demo.DefaultTimingConfig(max(c.Seed, 1)), Folder: c.Out}
		if c.Miniature {
			study.Config = demo.MiniatureTiming(max(c.Seed, 1))
		}
		return c.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
			study.Studio = s
			m, err := study.Run(ctx)
			if err != nil {
				return nil, err
			}
			return finish(s, m, "the practice world's offices")
		})
	}
	spec := pipeline.Timing{
		Models: c.Models, Data: c.Data, Days: c.Days, Sampling: tandem.Sampling{Temperature: c.Temperature, MaxTokens: c.MaxTokens}, Seed: c.Seed, Shard: c.Shard,
	}
	return c.run(ctx, w, "evaluate time", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		m, err := s.MeasureTiming(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		return finish(s, m, c.Data)
	})
}
