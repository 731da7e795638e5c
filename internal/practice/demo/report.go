package demo

import (
	"fmt"
	"time"

	"tandem/internal/practice"
	"tandem/pipeline"
	"tandem/report"
	"tandem/statistics"
)

// Report shows the outcome: gold of every version beside what the reward models believe.
func (o Outcome) Report(c Config, facts []report.Fact, now time.Time) (report.Report, error) {
	versions := o.versions()
	first, last := o.Gold[versions[0]], o.Gold[versions[len(versions)-1]]
	r := report.Report{
		Title: "The loop on the practice world",
		Summary: []string{
			fmt.Sprintf("A model of %d layers was pretrained, fine-tuned on demonstrations and improved in %d rounds: simulated annotators compared answers, a helpfulness and a safety reward model learnt from %d comparisons, rejection sampling kept the best of %d answers, and PPO tuned the last version.",
				c.Shape.Layers, c.Rounds, o.Compared, c.recipe().Rejection.Samples()),
			fmt.Sprintf("Gold scores are the practice world's truth, on average over %d answers to each held-out prompt. No model, selection or promotion saw them. All versions were scored by the same, newest pair of reward models.",
				1+len(o.Chapters[0].Answers[0].Again)),
		},
		Created: now,
		Highlights: []report.Highlight{
			highlight("Gold helpfulness", first.Helpfulness, last.Helpfulness),
			highlight("Gold safety", first.Safety, last.Safety),
		},
		Facts: facts,
	}
	r.Sections = []report.Section{o.progress(versions)}
	if c.Promote {
		against, err := o.against(versions)
		if err != nil {
			return r, err
		}
		r.Sections = append(r.Sections, against, o.promotions(versions), o.rewards(versions))
	}
	r.Sections = append(r.Sections, o.beliefs(versions))
	if c.Controls {
		r.Sections = append(r.Sections, o.controls())
	}
	r.Sections = append(r.Sections, o.health(), o.sampling(), o.samples(versions), pipeline.TimeSection(o.Times))
	return r, nil
}

// versions are the chapters that are no controls.
func (o Outcome) versions() []int {
	var at []int
	for i, c := range o.Chapters {
		if c.Control == pipeline.NoControl {
			at = append(at, i)
		}
	}
	return at
}

func estimate(i statistics.Interval) report.Estimate { return report.Between(i.Value, i.Low, i.High) }

func highlight(label string, before, after statistics.Interval) report.Highlight {
	note := "the intervals do not overlap"
	if before.Overlaps(after) {
		note = "the intervals overlap"
	}
	return report.Highlight{
		Label: label, Value: fmt.Sprintf("%.2f → %.2f", before.Value, after.Value),
		Note: fmt.Sprintf("from [%.2f, %.2f] to [%.2f, %.2f]: %s", before.Low, before.High, after.Low, after.High, note),
	}
}

// lines draws figures of some chapters over their names.
func (o Outcome) lines(title, caption, label string, chapters []int, series ...line) report.Figure {
	l := &report.Lines{Y: report.Axis{Label: label}}
	for _, i := range chapters {
		l.X.Ticks = append(l.X.Ticks, o.Chapters[i].Name)
	}
	for _, s := range series {
		points := make([]report.Point, len(chapters))
		for x, i := range chapters {
			points[x] = report.Point{X: float64(x), Y: estimate(s.of(o.Gold[i]))}
		}
		l.Series = append(l.Series, report.Series{Name: s.name, Points: points})
	}
	return report.Figure{Title: title, Caption: caption, Lines: l}
}

// line is one quantity of every version.
type line struct {
	name string
	of   func(Gold) statistics.Interval
}

func (o Outcome) progress(versions []int) report.Section {
	g := o.Gold[versions[0]]
	figure := o.lines("Gold by version",
		fmt.Sprintf("Means with 95 %% intervals: helpfulness over %d helpful and borderline held-out prompts, safety over %d unsafe ones. 1 is the best there is.", g.Helpfulness.N, g.Safety.N),
		"gold", versions,
		line{"helpfulness", func(g Gold) statistics.Interval { return g.Helpfulness }},
		line{"safety", func(g Gold) statistics.Interval { return g.Safety }})
	figure.Wide = true
	figure.Lines.Y.Min, figure.Lines.Y.Max = report.At(0), report.At(1)
	table := report.Table{Caption: "Gold by family of prompts", Columns: []string{"family"}}
	for _, i := range versions {
		table.Columns = append(table.Columns, o.Chapters[i].Name)
	}
	for _, family := range practice.Families() {
		row := []report.Cell{report.Text(string(family))}
		for _, i := range versions {
			row = append(row, report.Number(o.Gold[i].Families[family], 2))
		}
		table.Rows = append(table.Rows, row)
	}
	return report.Section{Heading: "What the loop reached", Figures: []report.Figure{figure}, Tables: []report.Table{table}}
}

func (o Outcome) beliefs(versions []int) report.Section {
	return report.Section{
		Heading: "What the reward models believe",
		Paragraphs: []string{
			"Raw scalars of the newest pair of reward models over all held-out prompts. Where belief rises and gold does not, the policy has learnt to please the judge.",
		},
		Figures: []report.Figure{
			o.lines("Helpfulness model", "Mean r_h with 95 % intervals.", "r_h", versions,
				line{"r_h", func(g Gold) statistics.Interval { return g.Summary.Helpfulness }}),
			o.lines("Safety model", "Mean r_s with 95 % intervals.", "r_s", versions,
				line{"r_s", func(g Gold) statistics.Interval { return g.Summary.Safety }}),
		},
	}
}

func (o Outcome) controls() report.Section {
	s := report.Section{Heading: "Controls"}
	table := report.Table{Caption: "Gold of the controls beside the version that they start from and the one that they imitate", Columns: []string{"", "helpfulness", "safety"}}
	for i, c := range o.Chapters {
		if c.Control != pipeline.NoControl || i <= 1 {
			table.Rows = append(table.Rows, []report.Cell{
				report.Text(c.Name), report.Interval(estimate(o.Gold[i].Helpfulness), 2), report.Interval(estimate(o.Gold[i].Safety), 2),
			})
		}
	}
	s.Paragraphs = []string{"Neither may rise above the first version beyond its interval: judgments drawn by lot teach nothing, and a random answer of K is no better than one."}
	s.Tables = []report.Table{table}
	return s
}

func (o Outcome) health() report.Section {
	table := report.Table{
		Caption: "Answers to the held-out prompts",
		Columns: []string{"", "tokens", "ended", "distinct-1", "distinct-2", "distinct-2, helpful", "of 1,000 bigrams", "repeated 4-grams", "KL from SFT, nats"},
	}
	for i, c := range o.Chapters {
		s := o.Gold[i].Summary
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(c.Name), report.Number(s.Length.Value, 1), report.Number(100*s.Ended.Value, 0).In(" %"),
			report.Number(s.Distinct1, 3), report.Number(s.Distinct2, 3), report.Number(o.Gold[i].Distinct2, 3), report.Number(o.Gold[i].Rarefied2, 3),
			report.Number(100*s.Repetition.Value, 1).In(" %"),
			report.Interval(estimate(s.KL), 1),
		})
	}
	return report.Section{Heading: "Length, diversity and drift", Tables: []report.Table{table}}
}

func (o Outcome) sampling() report.Section {
	l := &report.Lines{X: report.Axis{Label: "answers sampled"}, Y: report.Axis{Label: "combined score"}}
	for i, c := range o.Curves {
		for _, s := range []struct {
			name   string
			values []float64
		}{{"best", c.Best}, {"median", c.Median}} {
			points := make([]report.Point, len(s.values))
			for k, v := range s.values {
				points[k] = report.Point{X: float64(k + 1), Y: report.Exactly(v)}
			}
			l.Series = append(l.Series, report.Series{Name: fmt.Sprintf("round %d, %s", i+1, s.name), Points: points})
		}
	}
	return report.Section{Heading: "Rejection sampling", Figures: []report.Figure{{
		Title: "The best of K answers", Caption: "Expected best and median combined score among K answers, mean over prompts (figure 7 of the paper).", Lines: l,
	}}}
}

// samplesShown is how many prompts the report shows answers to, of each kind.
const samplesShown = 3

func (o Outcome) samples(versions []int) report.Section {
	s := report.Section{Heading: "Answers", Paragraphs: []string{"The first held-out prompts, not chosen ones, with every version's answer."}}
	shown := map[bool]int{}
	for p, a := range o.Chapters[0].Answers {
		if shown[a.Prompt.Safety] == samplesShown {
			continue
		}
		shown[a.Prompt.Safety]++
		sample := report.Sample{Prompt: a.Prompt.Messages}
		for _, i := range versions {
			answer := o.Chapters[i].Answers[p]
			sample.Answers = append(sample.Answers, report.Answer{Name: o.Chapters[i].Name, Text: answer.Text})
		}
		s.Samples = append(s.Samples, sample)
	}
	return s
}
