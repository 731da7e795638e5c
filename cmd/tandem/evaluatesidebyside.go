package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tandem"
	"tandem/pipeline"
	"tandem/report"
	"tandem/store"
)

// evaluateSideBySideCommand has people compare two policies (section 3.4.2, appendix A.3.7).
type evaluateSideBySideCommand struct {
	Models      []string        `required:"" type:"path" help:"Folders of two policies; wins are the first one's." placeholder:"DIR,DIR"`
	Prompts     string          `required:"" type:"path" help:"File of prompts, JSON Lines." placeholder:"FILE"`
	Raters      int             `default:"3" help:"People who judge each pair (default: 3)." placeholder:"N"`
	Aspects     []tandem.Aspect `default:"helpfulness" help:"What they look at: helpfulness, safety or both, each in a project of its own (default: helpfulness)." placeholder:"ASPECT,…"`
	Name        string          `help:"Name of the projects, which raters see (default: one that tells nothing)." placeholder:"NAME"`
	Temperature float64         `default:"1" help:"Temperature of the policies' answers (default: 1)." placeholder:"X"`
	TopP        float64         `help:"Keep the smallest set of tokens with that probability (default: all)." placeholder:"X"`
	MaxTokens   int             `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	Seed        uint64          `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Shard       int             `default:"64" help:"Prompts that are one unit of work (default: 64)." placeholder:"N"`
	unitFlags
}

// Validate wants two.
func (c *evaluateSideBySideCommand) Validate() error {
	if len(c.Models) != 2 {
		return errors.New("--models: exactly two are compared")
	}
	return nil
}

// evaluateSideBySideReport is its JSON.
type evaluateSideBySideReport struct {
	pipeline.SideBySideOutcome
	Report string `json:"report"`
}

func (c *evaluateSideBySideCommand) Run(ctx context.Context, w *world) error {
	spec := pipeline.SideBySide{
		Models: [2]string(c.Models), Prompts: c.Prompts, Seed: c.Seed, Shard: c.Shard, Out: c.Out, Aspects: c.Aspects, Raters: c.Raters, Name: c.Name,
		Sampling: tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens},
	}
	return c.databaseFlags.use(ctx, w, func(st *store.Store) error {
		return c.run(ctx, w, "evaluate side-by-side", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
			outcome, err := s.SideBySide(ctx, st, spec, units)
			if err != nil {
				return nil, err
			}
			reply := evaluateSideBySideReport{SideBySideOutcome: outcome}
			facts := []report.Fact{
				{Name: "prompts", Value: c.Prompts}, {Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
			}
			for i, name := range outcome.Names {
				facts = append(facts, report.Fact{Name: name, Value: c.Models[i]})
			}
			for _, a := range outcome.Aspects {
				facts = append(facts, report.Fact{Name: "project of " + string(a.Aspect), Value: a.Project})
			}
			if reply.Report, err = w.writeReport(outcome.Report(facts, time.Now()), c.Out); err != nil {
				return nil, err
			}
			return func() error { return w.sideBySide(reply) }, nil
		})
	})
}

// sideBySide prints how far people are and what came out.
func (w *world) sideBySide(reply evaluateSideBySideReport) error {
	var rows [][]string
	for _, a := range reply.Aspects {
		rate, mean, ac2 := "–", "–", "–"
		if a.WinRate != nil {
			rate = percent(*a.WinRate)
		}
		if a.Mean != nil {
			mean = fmt.Sprintf("%+.2f [%+.2f, %+.2f]", a.Mean.Value, a.Mean.Low, a.Mean.High)
		}
		if a.AC2 != nil {
			ac2 = fmt.Sprintf("%.2f", a.AC2.Value)
		}
		rows = append(rows, []string{
			string(a.Aspect), a.Project, strconv.Itoa(a.Pairs), fmt.Sprintf("%d of %d", a.Judgments, a.Wanted),
			strconv.Itoa(a.Outcomes.Wins), strconv.Itoa(a.Outcomes.Ties), strconv.Itoa(a.Outcomes.Losses), rate, mean, ac2,
		})
	}
	return w.table(reply, []string{"ASPECT", "PROJECT", "PAIRS", "JUDGMENTS", "WINS", "TIES", "LOSSES", "WIN RATE", "MEAN", "AC2"}, rows)
}
