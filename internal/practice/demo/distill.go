package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tandem"
	"tandem/internal/practice"
	"tandem/pipeline"
	"tandem/report"
	"tandem/sft/distill"
	"tandem/statistics"
)

// Distill is context distillation on the practice world: a policy that takes care under a preprompt, tuned on what it says
// there where the safety model finds it better, and as a control on all that it says there.
type Distill struct {
	Config GroundConfig
	Folder string
	Studio *pipeline.Studio
}

// DistillOutcome is what came of it.
type DistillOutcome struct {
	Made     pipeline.Distilled        `json:"made"`
	Policies pipeline.PolicyComparison `json:"policies"`
	Gold     []Gold                    `json:"gold"` // of each policy
}

// Run goes through it; an interrupted one goes on where it stood.
func (d Distill) Run(ctx context.Context) (DistillOutcome, error) {
	var o DistillOutcome
	g, err := lay(ctx, d.Studio, d.Config, d.Folder)
	if err != nil {
		return o, err
	}
	out := filepath.Join(d.Folder, "distill")
	sampling := tandem.Sampling{Temperature: 1, MaxTokens: d.Config.MaxTokens}
	o.Made, err = d.Studio.Distill(ctx, pipeline.Distill{
		Policy: g.chat, Helpfulness: g.helpfulness, Safety: g.safety, Prompts: g.unsafe, Preprompts: distill.DefaultPreprompts(),
		Sampling: sampling, Seed: d.Config.Seed, Shard: 100, Out: out,
	}, d.Studio.Kept(filepath.Join(out, "units")))
	if err != nil {
		return o, err
	}
	harmless, err := g.harmless()
	if err != nil {
		return o, err
	}
	distilled, err := g.tune(ctx, g.chat, "distilled", o.Made.Train, harmless)
	if err != nil {
		return o, err
	}
	again, err := g.tune(ctx, g.chat, "control", harmless)
	if err != nil {
		return o, err
	}
	o.Policies, o.Gold, err = g.compare(ctx, g.chat, again, distilled)
	return o, err
}

// harmless writes the demonstrations again, without those of unsafe prompts, which would teach half of the time what
// distillation is to take away.
func (g *ground) harmless() (path string, err error) {
	path = filepath.Join(g.folder, "world", "harmless.jsonl")
	var kept []any
	for i := range uint64(g.config.Demonstrations) {
		d := g.world.Demonstration(i)
		verdict, err := g.oracle.Judge(d[:len(d)-1], d[len(d)-1].Content)
		if err != nil {
			return path, err
		}
		if !slices.Contains(practice.UnsafeFamilies(), verdict.Family) {
			kept = append(kept, map[string]tandem.Dialogue{"messages": d})
		}
	}
	return path, writeFile(path, len(kept), func(i uint64) any { return kept[i] })
}

// compare has policies answer the held-out prompts, and gold look on.
func (g *ground) compare(ctx context.Context, models ...string) (pipeline.PolicyComparison, []Gold, error) {
	compared, err := g.studio.ComparePolicies(ctx, pipeline.Policies{
		Models: models, Helpfulness: g.helpfulness, Safety: g.safety, Prompts: g.heldOut,
		Sampling: tandem.Sampling{Temperature: 1, MaxTokens: g.config.MaxTokens}, Seed: g.config.Seed,
	})
	if err != nil {
		return compared, nil, err
	}
	var truth []Gold
	for _, answers := range compared.Answers {
		gold, err := judge(g.oracle, answers)
		if err != nil {
			return compared, nil, err
		}
		truth = append(truth, gold)
	}
	return compared, truth, nil
}

// Report shows the making of the dialogues and what they did to the policy.
func (o DistillOutcome) Report(facts []report.Fact, now time.Time) report.Report {
	r := o.Made.Report(facts, now)
	r.Title = "Context distillation on the practice world"
	table := report.Table{
		Caption: "Held-out prompts without a preprompt: the reward models' view and the world's truth (gold, 0 to 1), with 95 % intervals",
		Columns: []string{"policy", "r_s, all prompts", "below the gate", "gold safety, unsafe prompts", "gold helpfulness", "of it on borderline prompts"},
	}
	for i, v := range o.Policies.Versions {
		g := o.Gold[i]
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(v.Name), report.Interval(estimate(v.Summary.Safety), 2), report.Interval(hundred(v.Summary.Gated), 1).In(" %"),
			report.Interval(estimate(g.Safety), 3), report.Interval(estimate(g.Helpfulness), 3), report.Number(g.Families[practice.BorderlineFamilies()[0]], 3),
		})
	}
	r.Sections = slices.Insert(r.Sections, 0, report.Section{
		Heading:    "Tuned without the preprompt",
		Paragraphs: []string{fmt.Sprintf("%q is %q tuned on the answers that were kept, beside its harmless demonstrations; %q was tuned on those demonstrations alone.", o.Policies.Versions[2].Name, o.Policies.Versions[0].Name, o.Policies.Versions[1].Name)},
		Tables:     []report.Table{table},
	})
	return r
}

func hundred(i statistics.Interval) report.Estimate {
	return report.Between(100*i.Value, 100*i.Low, 100*i.High)
}
