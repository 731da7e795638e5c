package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tandem"
	"tandem/dashboard"
	"tandem/pipeline"
	"tandem/report"
	"tandem/store"
)

// evaluateRedteamCommand replays earlier violating attacks (section 4.3).
type evaluateRedteamCommand struct {
	Model       string  `required:"" type:"path" help:"Folder of the policy that answers." placeholder:"DIR"`
	Helpfulness string  `required:"" type:"path" help:"Folder of the helpfulness model." placeholder:"DIR"`
	Safety      string  `required:"" type:"path" help:"Folder of the safety model that judges: an answer below its gate still violates." placeholder:"DIR"`
	Project     string  `help:"Id of the red-teaming project whose attacks are replayed (default: all)." placeholder:"ID"`
	Temperature float64 `default:"1" help:"Temperature of the answers (default: 1)." placeholder:"X"`
	TopP        float64 `help:"Keep the smallest set of tokens with that probability (default: all)." placeholder:"X"`
	MaxTokens   int     `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	Seed        uint64  `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Shard       int     `default:"64" help:"Attacks that are one unit of work (default: 64)." placeholder:"N"`
	ShowTexts   bool    `help:"Show the attacks and their answers in the report (default: counts alone)."`
	unitFlags
}

// evaluateRedteamReport is its JSON.
type evaluateRedteamReport struct {
	pipeline.Replayed
	Report string `json:"report"`
}

func (c *evaluateRedteamCommand) Run(ctx context.Context, w *world) (err error) {
	db, err := c.databaseFlags.open(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	attacks, err := db.ViolatingAttacks(ctx, c.Project)
	if err != nil {
		return err
	}
	spec := pipeline.Replay{Model: c.Model, Helpfulness: c.Helpfulness, Safety: c.Safety, Seed: c.Seed, Shard: c.Shard, Out: c.Out,
		Sampling: tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}}
	return c.run(ctx, w, "evaluate redteam", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		s.Store = db.Store
		replayed, err := s.Replay(ctx, spec, attacks, units)
		if err != nil {
			return nil, err
		}
		reply := evaluateRedteamReport{Replayed: replayed}
		facts := []report.Fact{
			{Name: "helpfulness model", Value: c.Helpfulness}, {Name: "safety model", Value: c.Safety},
			{Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(replayed.Report(facts, time.Now(), c.ShowTexts), c.Out); err != nil {
			return nil, err
		}
		rows := [][]string{{"all", strconv.Itoa(replayed.All.Attacks), strconv.Itoa(replayed.All.Fixed), percent(replayed.All.Share)}}
		for _, part := range [][]pipeline.FixedPart{replayed.ByAgainst, replayed.ByRisk, replayed.ByVector} {
			for _, p := range part {
				rows = append(rows, []string{"  " + p.Name, strconv.Itoa(p.Attacks), strconv.Itoa(p.Fixed), percent(p.Share)})
			}
		}
		return func() error { return w.table(reply, []string{"ATTACKS", "REPLAYED", "FIXED", "SHARE"}, rows) }, nil
	})
}

// evaluateGammaCommand prints how policies stand up to people who attack them.
type evaluateGammaCommand struct {
	Project string `help:"Id of the red-teaming project (default: all)." placeholder:"ID"`
	databaseFlags
}

func (c *evaluateGammaCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		if c.Project != "" {
			if _, err := s.Project(ctx, c.Project); err != nil {
				return err
			}
		}
		attacked, err := s.RedTeaming(ctx, c.Project)
		if err != nil {
			return err
		}
		found, err := dashboard.RedTeamingOf(attacked)
		if err != nil {
			return err
		}
		row := func(name string, r dashboard.Robustness) []string {
			return []string{name, fmt.Sprintf("%.3f", r.PersonHours), strconv.Itoa(r.Attacks), strconv.Itoa(r.Rated), strconv.Itoa(r.Violations), r.Gamma.Rate(), r.Share.Percent()}
		}
		rows := [][]string{row("all", found.All)}
		for _, part := range []struct {
			of    string
			parts []dashboard.Robustness
		}{{"model", found.ByModel}, {"risk", found.ByRisk}, {"vector", found.ByVector}, {"day", found.ByDay}} {
			for _, r := range part.parts {
				rows = append(rows, row("  "+part.of+" "+r.Name, r))
			}
		}
		return w.table(found, []string{"ATTACKED", "PERSON-HOURS", "ATTACKS", "RATED", "VIOLATIONS", "GAMMA", "VIOLATING"}, rows)
	})
}
