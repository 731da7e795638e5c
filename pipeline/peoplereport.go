package pipeline

import (
	"fmt"
	"strconv"
	"time"

	"tandem/report"
	"tandem/statistics"
)

// Report shows what people say of two policies.
func (o SideBySideOutcome) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: fmt.Sprintf("%s against %s, by people", o.Names[0], o.Names[1]),
		Summary: []string{fmt.Sprintf("People saw the answers of %s and %s to %d prompts beside each other, in an order drawn for each of them and without their names, and judged them on seven points, each pair by %d (Llama 2, section 3.4.2 and appendix A.3.7).",
			o.Names[0], o.Names[1], len(o.Pairs), o.Config.Raters)},
		Created: now, Facts: facts,
	}
	var views []string
	var outcomes []statistics.Outcomes
	for _, a := range o.Aspects {
		views, outcomes = append(views, string(a.Aspect)), append(outcomes, a.Outcomes)
		if a.WinRate != nil {
			r.Highlights = append(r.Highlights, report.Highlight{
				Label: fmt.Sprintf("Wins of %s, %s", o.Names[0], a.Aspect), Value: percent(a.WinRate.Value), Note: "a tie counts half; 95 % interval: " + between(*a.WinRate),
			})
		}
		if a.Judgments < a.Wanted {
			r.Highlights = append(r.Highlights, report.Highlight{Label: fmt.Sprintf("Judgments so far, %s", a.Aspect), Value: fmt.Sprintf("%d of %d", a.Judgments, a.Wanted)})
		}
	}
	majority := outcomesSection("By majority", o.Names, views, outcomes)
	majority.Paragraphs = []string{"A pair is won by the side that more than half of its raters prefer, by whatever degree, and a tie where neither side has so many. Pairs that lack a rater are left out. Pairs of equal answers are ties, and are left out until all others are judged."}
	r.Sections = []report.Section{majority, o.points(), o.agreement(), {Heading: "Answers", Samples: o.samples()}}
	return r
}

// points shows how often each of the seven was chosen.
func (o SideBySideOutcome) points() report.Section {
	table := report.Table{
		Caption: fmt.Sprintf("Mean rating, from −3 (%s much better) to 3 (%s much better), over the same pairs, with 95 %% intervals (Student's t)", o.Names[1], o.Names[0]),
		Columns: []string{"", "pairs", "mean"},
	}
	bars := &report.Bars{Y: report.Axis{Label: "share of judgments, %", Min: report.At(0)}}
	for i := range 7 {
		words := [...]string{"much better", "better", "slightly better", "about the same", "slightly better", "better", "much better"}[i]
		if i != 3 {
			words = o.Names[i/4] + " " + words
		}
		bars.Categories = append(bars.Categories, words)
	}
	for _, a := range o.Aspects {
		mean := report.Cell{}
		if a.Mean != nil {
			mean = report.Interval(estimated(*a.Mean), 2)
		}
		table.Rows = append(table.Rows, []report.Cell{report.Text(string(a.Aspect)), report.Number(float64(a.Outcomes.N()), 0), mean})
		series := report.BarSeries{Name: string(a.Aspect)}
		for _, n := range a.Points {
			value := report.Exactly(0)
			if share, err := statistics.Wilson(float64(n), a.Judgments); err == nil {
				value = hundred(share)
			}
			series.Values = append(series.Values, value)
		}
		bars.Series = append(bars.Series, series)
	}
	return report.Section{
		Heading: "On seven points", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "What raters chose", Caption: "Shares of all judgments so far, with 95 % intervals (Wilson) as if each were of a pair of its own.", Bars: bars, Wide: true}},
	}
}

// agreement shows whether raters say the same, and how far they are.
func (o SideBySideOutcome) agreement() report.Section {
	table := report.Table{
		Caption: "Gwet's AC2 with ordinal weights on the seven points, with 95 % intervals over resampled pairs; and how far people are",
		Columns: []string{"", "AC2", "pairs with two ratings or more", "people", "judgments", "wanted", "pairs judged by all", "pairs of equal answers"},
	}
	count := func(n int) report.Cell { return report.Number(float64(n), 0) }
	for _, a := range o.Aspects {
		ac2, items := report.Cell{}, 0
		if a.AC2 != nil {
			ac2, items = report.Number(a.AC2.Value, 2), a.AC2.Items
			if a.AC2.Interval != nil {
				ac2 = report.Interval(estimated(*a.AC2.Interval), 2)
			}
		}
		table.Rows = append(table.Rows, []report.Cell{report.Text(string(a.Aspect)), ac2, count(items), count(a.Raters), count(a.Judgments), count(a.Wanted), count(a.Judged), count(a.Alike)})
	}
	return report.Section{Heading: "Agreement", Tables: []report.Table{table}}
}

func (o SideBySideOutcome) samples() (samples []report.Sample) {
	for i, p := range o.Pairs[:min(shownSamples, len(o.Pairs))] {
		s := report.Sample{Prompt: p.Prompt, Answers: []report.Answer{{Name: o.Names[0], Text: p.Answers[0]}, {Name: o.Names[1], Text: p.Answers[1]}}}
		for _, a := range o.Aspects {
			if mean := a.Means[i]; mean != nil {
				s.Answers[0].Notes = append(s.Answers[0].Notes, report.Fact{Name: "mean rating, " + string(a.Aspect), Value: strconv.FormatFloat(*mean, 'f', 2, 64)})
			}
		}
		samples = append(samples, s)
	}
	return samples
}
