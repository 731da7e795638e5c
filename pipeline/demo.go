package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/rejection"
	"tandem/report"
	"tandem/statistics"
)

// Demo orders the whole loop as a newcomer sees it: a base model, a chat model, rounds, two controls, and
// an evaluation of all versions on held-out prompts.
type Demo struct {
	Loop   *Loop
	Folder string // where all that it makes lies
	// Base makes the model that everything starts from; nil where Chat.Model names one that is there.
	Base     *Pretrain
	Chat     FineTune // the first chat model, on the demonstrations
	Prompts  Prompts
	HeldOut  string // prompts that versions are evaluated on
	Recipe   Recipe
	Rounds   int  // the last one ends in PPO
	Controls bool // run both beside the first round
	// Promote lets a version serve where it does not lose to the one that does, the first one to begin with, and in the
	// end has all compared with the first one by everybody who may judge them. It needs Recipe.SecondShare.
	Promote bool
	// Sampling of the evaluation.
	Sampling tandem.Sampling
}

// Chapter is one version with what it says to the held-out prompts.
type Chapter struct {
	Version
	Control Control
	Answers []evaluation.Answer
	// Wins over the first version, by aspect, with Demo.Promote; none for the first itself and for controls.
	Wins map[Judge]map[tandem.Aspect]statistics.Outcomes
	// Decision is whether it was promoted; nil where it was not tried.
	Decision *tandem.Decision
}

// Judge is one who says which of two versions answers better.
type Judge string

const (
	NewestJudge  Judge = "the newest reward models" // of the first pair, as in Llama 2's figure 11
	HeldOutJudge Judge = "the held-out judge"       // the newest second pair
	BlindPeople  Judge = "people, blind"            // side by side
)

// Story is what the demo made.
type Story struct {
	Chapters []Chapter // SFT, RLHF-V1 …, then the controls
	Judges   Judges    // the newest pair, which scored all answers
	Curves   []rejection.Curve
	Compared int // comparisons that the last reward models learnt from
	Times    []Time
}

// Time is how long one part took.
type Time struct {
	Part    string  `json:"part"`
	Seconds float64 `json:"seconds"`
}

// TimeSection is the part of a report that says how long everything took.
func TimeSection(times []Time) report.Section {
	table := report.Table{Caption: "Wall-clock time", Columns: []string{"", "seconds"}}
	total := 0.0
	for _, t := range times {
		table.Rows = append(table.Rows, []report.Cell{report.Text(t.Part), report.Number(t.Seconds, 1)})
		total += t.Seconds
	}
	table.Rows = append(table.Rows, []report.Cell{report.Text("all"), report.Number(total, 1)})
	return report.Section{Heading: "Time", Tables: []report.Table{table}}
}

// repeatedAnswers is how many more answers to each prompt a version gives, see evaluation.Repeat.
const repeatedAnswers = 9

// Run goes through the demo. Run again after an interruption, it goes on where it stood.
func (d Demo) Run(ctx context.Context) (Story, error) {
	var story Story
	clock := time.Now()
	lap := func(part string) {
		story.Times = append(story.Times, Time{part, time.Since(clock).Seconds()})
		clock = time.Now()
	}
	rows, err := d.Loop.rows(ctx, d.rounds()...)
	if err != nil {
		return story, err
	}
	sft, err := d.Loop.Begin(ctx, rows["begin"], d.Base, d.Chat)
	if err != nil {
		return story, err
	}
	lap("base and chat model")
	if d.Promote {
		if err := d.Loop.serveFirst(ctx, sft); err != nil {
			return story, err
		}
	}
	versions, controls := []Version{sft}, []Chapter(nil)
	decisions := make(map[string]*tandem.Decision) // by model
	prompts := d.Prompts
	prompts.Trial = d.HeldOut
	var second *Judges
	var archive []string
	for i := range d.Rounds {
		name := fmt.Sprintf("RLHF-V%d", i+1)
		r := Round{
			Number: rows[name], Name: name, Folder: filepath.Join(d.Folder, fmt.Sprintf("v%d", i+1)), Recipe: d.Recipe,
			Base: d.Chat.Model, Demonstrations: d.Chat.Data[0], Archive: archive, Versions: versions, Prompts: prompts,
			PPO: i == d.Rounds-1, Promote: d.Promote,
		}
		outcome, err := d.Loop.Run(ctx, r)
		if err != nil {
			return story, err
		}
		lap(name)
		story.Judges, story.Curves, story.Compared = outcome.Judges, append(story.Curves, outcome.Curve), outcome.Compared
		archive, second = append(archive, outcome.Targets), outcome.Second
		decisions[outcome.Version.ID] = outcome.Decision
		if i == 0 && d.Controls {
			for _, control := range []Control{Shuffled, Random} {
				c := r
				c.Control, c.PPO, c.Promote, c.Name = control, false, false, "control: "+string(control)
				c.Number, c.Folder = rows[c.Name], filepath.Join(d.Folder, "control-"+string(control))
				if control == Random {
					c.Learnt, c.Drawn = &outcome.Judges, outcome.Drawn
				}
				made, err := d.Loop.Run(ctx, c)
				if err != nil {
					return story, err
				}
				controls = append(controls, Chapter{Version: made.Version, Control: control})
				lap(c.Name)
			}
		}
		versions = append(versions, outcome.Sampled)
		if r.PPO {
			versions = append(versions, outcome.Version)
		}
	}
	for _, v := range versions {
		story.Chapters = append(story.Chapters, Chapter{Version: v, Decision: decisions[v.ID]})
	}
	story.Chapters = append(story.Chapters, controls...)
	all := make([]Version, len(story.Chapters))
	for i, c := range story.Chapters {
		all[i] = c.Version
	}
	err = d.Loop.under(ctx, rows["begin"], func(ctx context.Context) error {
		answers, err := d.Loop.Evaluate(ctx, rows["begin"], all, story.Judges, d.HeldOut, d.Sampling, d.Recipe.Seed, repeatedAnswers)
		for i := range answers {
			story.Chapters[i].Answers = answers[i]
		}
		return err
	})
	if err != nil {
		return story, err
	}
	lap("evaluation")
	if d.Promote {
		err := d.Loop.under(ctx, rows[comparisonRound], func(ctx context.Context) error {
			return d.compare(ctx, rows[comparisonRound], versions, second, story.Chapters)
		})
		if err != nil {
			return story, fmt.Errorf("compare with %s: %w", sft.Name, err)
		}
		lap("comparison")
	}
	return story, nil
}

// serveFirst lets the first chat model serve where none does.
func (l *Loop) serveFirst(ctx context.Context, first Version) error {
	if serves, err := l.serving(ctx); err != nil || serves.ID != "" {
		return err
	}
	return l.Store.Promote(ctx, first.ID, "pipeline", "the first chat model, which there is none to try against")
}

// compare counts the wins of every version over the first one by each judge. Chapters are those of the versions first.
func (d Demo) compare(ctx context.Context, round int, versions []Version, second *Judges, chapters []Chapter) error {
	prompts, _, err := heldOutPrompts(ctx, d.Loop.Store, d.HeldOut)
	if err != nil {
		return err
	}
	judged, err := writeJudged(filepath.Join(d.Folder, comparisonRound), prompts, d.Recipe.Trial.Judged)
	if err != nil {
		return err
	}
	answers, err := d.Loop.Evaluate(ctx, round, versions, *second, d.HeldOut, d.Sampling, d.Recipe.Seed, 0)
	if err != nil {
		return err
	}
	var pairings []pairing
	for _, v := range versions[1:] {
		pairings = append(pairings, pairing{v, versions[0]})
	}
	people, err := d.Loop.sideBySide(ctx, round, d.Recipe, judged, pairings...)
	if err != nil {
		return err
	}
	for i := range pairings {
		c := &chapters[i+1]
		c.Wins = map[Judge]map[tandem.Aspect]statistics.Outcomes{NewestJudge: {}, HeldOutJudge: {}, BlindPeople: people[i]}
		for _, aspect := range aspects() {
			if c.Wins[NewestJudge][aspect], err = winsOn(aspect, c.Answers, chapters[0].Answers); err != nil {
				return err
			}
			if c.Wins[HeldOutJudge][aspect], err = winsOn(aspect, answers[i+1], answers[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// comparisonRound is the row under which all versions are compared with the first one.
const comparisonRound = "comparison"

// rounds are the names of the demo's rounds, in the order in which they run.
func (d Demo) rounds() []string {
	names := []string{"begin"}
	for i := range d.Rounds {
		names = append(names, fmt.Sprintf("RLHF-V%d", i+1))
		if i == 0 && d.Controls {
			names = append(names, "control: "+string(Shuffled), "control: "+string(Random))
		}
	}
	if d.Promote {
		names = append(names, comparisonRound)
	}
	return names
}
