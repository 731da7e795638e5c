package pipeline

import (
	"cmp"
	"fmt"
	"time"

	"tandem/evaluation"
	"tandem/report"
	"tandem/statistics"
)

// Report shows what a model says of two policies.
func (j JudgedByModel) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: fmt.Sprintf("%s against %s, by %s", j.Names[0], j.Names[1], j.Config.Judge),
		Summary: []string{fmt.Sprintf("A model saw the answers of %s and %s to %d prompts, each pair twice, with the order swapped, and said which is better in %s. A pair of which it changed its mind with the order is a tie; one of which a reply has no verdict is in no figure but the count of them.",
			j.Names[0], j.Names[1], j.Pairs, j.Config.Config.Aspect)},
		Created: now, Facts: facts,
	}
	if j.WinRate != nil {
		r.Highlights = append(r.Highlights, report.Highlight{Label: "Wins of " + j.Names[0], Value: percent(j.WinRate.Value), Note: "a tie counts half; 95 % interval: " + between(*j.WinRate)})
	}
	if j.Changed != nil {
		r.Highlights = append(r.Highlights, report.Highlight{Label: "Changed with the order", Value: percent(j.Changed.Value), Note: "95 % interval: " + between(*j.Changed)})
	}
	share := func(i *statistics.Interval) report.Cell {
		if i == nil {
			return report.Cell{}
		}
		return report.Interval(hundred(*i), 1).In(" %")
	}
	count := func(n int) report.Cell { return report.Number(float64(n), 0) }
	r.Sections = []report.Section{
		outcomesSection("Verdicts", j.Names, []string{string(j.Config.Config.Aspect)}, []statistics.Outcomes{j.Outcomes}),
		{Heading: "The judge", Tables: []report.Table{{
			Caption: "How far its verdicts can be relied on",
			Columns: []string{"", "value"},
			Rows: [][]report.Cell{
				{report.Text("pairs"), count(j.Pairs)},
				{report.Text("pairs of equal answers, which nobody is asked about"), count(j.Alike)},
				{report.Text("replies"), count(j.Replies)},
				{report.Text("replies without a verdict"), count(j.Unparsable)},
				{report.Text("pairs without a verdict"), count(j.Unjudged)},
				{report.Text("pairs whose verdict changed with the order"), share(j.Changed)},
				{report.Text("verdicts for the answer that stood first; 50 % leans to neither place"), share(j.First)},
			},
		}}},
		{Heading: "Answers", Samples: j.samples()},
	}
	return r
}

// between is the interval of a share, in words.
func between(i statistics.Interval) string { return percent(i.Low) + " to " + percent(i.High) }

func (j JudgedByModel) samples() (samples []report.Sample) {
	for _, p := range j.Judged[:min(shownSamples, len(j.Judged))] {
		s := report.Sample{Prompt: p.Prompt, Answers: []report.Answer{
			{Name: j.Names[0], Text: p.A}, {Name: j.Names[1], Text: p.B},
		}}
		of := map[evaluation.Side]string{evaluation.SideA: j.Names[0], evaluation.SideB: j.Names[1], evaluation.Tie: "neither", evaluation.NoSide: "no verdict"}
		for order, how := range []string{"in this order", "with the order swapped"} {
			if !p.Alike {
				s.Answers = append(s.Answers, report.Answer{Name: "The judge, " + how, Text: cmp.Or(p.Replies[order], "…"), Notes: []report.Fact{{Name: "better", Value: of[p.Sides[order]]}}})
			}
		}
		samples = append(samples, s)
	}
	return samples
}

// outcomesSection shows wins, ties and losses of the first of two policies, a row for each view.
func outcomesSection(heading string, names [2]string, views []string, outcomes []statistics.Outcomes) report.Section {
	table := report.Table{
		Caption: fmt.Sprintf("Answers of %s that are better than, as good as and worse than %s's; the win rate counts a tie half, with 95 %% intervals", names[0], names[1]),
		Columns: []string{"", "pairs", "wins", "ties", "losses", "win rate"},
	}
	bars := &report.Bars{Y: report.Axis{Label: "share of pairs, %", Min: report.At(0), Max: report.At(100)}, Categories: views}
	series := []report.BarSeries{{Name: names[0] + " better"}, {Name: "neither"}, {Name: names[1] + " better"}}
	for i, o := range outcomes {
		rate := report.Cell{}
		if i, err := o.WinRate(); err == nil {
			rate = report.Interval(hundred(i), 1).In(" %")
		}
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(views[i]), report.Number(float64(o.N()), 0), report.Number(float64(o.Wins), 0), report.Number(float64(o.Ties), 0), report.Number(float64(o.Losses), 0), rate,
		})
		for k, n := range []int{o.Wins, o.Ties, o.Losses} {
			value := report.Exactly(0)
			if share, err := statistics.Wilson(float64(n), o.N()); err == nil {
				value = hundred(share)
			}
			series[k].Values = append(series[k].Values, value)
		}
	}
	bars.Series = series
	return report.Section{
		Heading: heading, Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Win, tie, loss", Caption: "Shares of the pairs, with 95 % intervals (Wilson).", Bars: bars}},
	}
}
