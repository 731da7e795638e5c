package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/internal/practice"
	"tandem/pipeline"
	"tandem/report"
	"tandem/sft"
)

// SafetyData is the study of the share of safety data on the practice world: helpfulness dialogues as they are demonstrated,
// and safety dialogues whose answers mostly refuse with a reason and a better idea.
type SafetyData struct {
	Config          GroundConfig
	Helpful, Safety int // dialogues
	Shares          []float64
	Seeds           int
	Folder          string
	Studio          *pipeline.Studio
}

// SafetyDataOutcome is what came of it, with gold's view.
type SafetyDataOutcome struct {
	Measures pipeline.SafetyDataMeasures `json:"measures"`
	Gold     []Gold                      `json:"gold"` // by share
}

// Run goes through it; an interrupted one goes on where it stood.
func (d SafetyData) Run(ctx context.Context) (SafetyDataOutcome, error) {
	var o SafetyDataOutcome
	g, err := lay(ctx, d.Studio, d.Config, d.Folder)
	if err != nil {
		return o, err
	}
	in := func(name string) string { return filepath.Join(d.Folder, "world", name) }
	helpful, safety, held, borderline := in("helpful.jsonl"), in("safety.jsonl"), in("measured.jsonl"), in("borderline.jsonl")
	if err := g.writeSafetyData(helpful, d.Helpful, safety, d.Safety); err != nil {
		return o, err
	}
	if err := g.divideHeldOut(held, borderline); err != nil {
		return o, err
	}
	spec := pipeline.SafetyData{
		Base: g.base, Helpful: []string{helpful}, SafetyFiles: []string{safety}, Shares: d.Shares, FineTune: must(sft.Preset("practice")),
		Helpfulness: g.helpfulness, Safety: g.safety, Prompts: held, Borderline: borderline,
		Sampling: tandem.Sampling{Temperature: 1, MaxTokens: d.Config.MaxTokens}, Seed: d.Config.Seed, Out: filepath.Join(d.Folder, "shares"),
	}
	for i := range d.Seeds {
		spec.Seeds = append(spec.Seeds, d.Config.Seed+uint64(i))
	}
	if o.Measures, err = d.Studio.MeasureSafetyData(ctx, spec, d.Studio.Kept(filepath.Join(spec.Out, "units"))); err != nil {
		return o, err
	}
	for _, answers := range o.Measures.Answers {
		var all []evaluation.Answer
		for _, a := range answers {
			all = append(all, a.Answer)
		}
		gold, err := judge(g.oracle, all)
		if err != nil {
			return o, err
		}
		o.Gold = append(o.Gold, gold)
	}
	return o, nil
}

// writeSafetyData writes dialogues of both kinds. Neither has prompts that sound dangerous and are not: that nothing among them
// says what is only borderline is what makes for false refusals.
func (g *ground) writeSafetyData(helpful string, helpfuls int, safety string, safeties int) error {
	marked := func(p tandem.Prompt, answer string) any {
		d := p.Messages.With(tandem.Assistant, answer)
		d[len(d)-1].Train = true
		return map[string]tandem.Dialogue{"messages": d}
	}
	var plain []any
	for i := uint64(0); len(plain) < helpfuls; i++ {
		p := g.world.Prompt(practice.Train, plainFamilies(), i)
		answer, err := g.world.Answer(p.Messages, practice.Quality(1+i%2), i)
		if err != nil {
			return err
		}
		plain = append(plain, marked(p, answer))
	}
	var safe []any
	for i := uint64(0); len(safe) < safeties; i++ {
		p := g.world.Prompt(practice.Train, practice.UnsafeFamilies(), i)
		quality := practice.Good
		if i%4 == 0 {
			quality = practice.Middling
		}
		answer, err := g.world.Answer(p.Messages, quality, i)
		if err != nil {
			return err
		}
		safe = append(safe, marked(p, answer))
	}
	if err := writeFile(helpful, len(plain), func(i uint64) any { return plain[i] }); err != nil {
		return err
	}
	return writeFile(safety, len(safe), func(i uint64) any { return safe[i] })
}

// divideHeldOut puts the borderline prompts among the held-out ones into a file of their own.
func (g *ground) divideHeldOut(others, borderline string) error {
	prompts, err := g.heldOutPrompts()
	if err != nil {
		return err
	}
	parts := map[string][]tandem.Prompt{}
	for _, p := range prompts {
		path := others
		if slices.Contains(practice.BorderlineFamilies(), practice.FamilyOf(p)) {
			path = borderline
		}
		parts[path] = append(parts[path], p)
	}
	for path, of := range parts {
		if err := writeFile(path, len(of), func(i uint64) any { return of[i] }); err != nil {
			return err
		}
	}
	return nil
}

// Report shows the study, gold beside it.
func (o SafetyDataOutcome) Report(facts []report.Fact, now time.Time) report.Report {
	r := o.Measures.Report(facts, now)
	r.Title = "How much safety data, on the practice world"
	table := report.Table{
		Caption: "The world's truth (gold, 0 to 1), which no model knows, with 95 % intervals",
		Columns: []string{"share", "gold safety, unsafe prompts", "gold helpfulness", "of it on borderline prompts"},
	}
	for i, s := range o.Measures.Shares {
		g := o.Gold[i]
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(fmt.Sprintf("%g %%", s.Share)), report.Interval(estimate(g.Safety), 3), report.Interval(estimate(g.Helpfulness), 3), report.Number(g.Families[practice.BorderlineFamilies()[0]], 3),
		})
	}
	r.Sections = append(r.Sections, report.Section{Heading: "In truth", Tables: []report.Table{table}})
	return r
}
