package pipeline

import (
	"fmt"
	"time"

	"tandem"
	"tandem/pretrain/corpus"
	"tandem/report"
)

// Report shows what the text was made of, what went out and why and, where a model was fitted to it, its loss and cost.
func (c Corpus) Report(spent *Spent, facts []report.Fact, now time.Time) report.Report {
	read, kept, mixed := 0, 0, 0
	for _, s := range c.Sources {
		read, kept, mixed = read+s.Read, kept+s.Kept, mixed+s.Mixed
	}
	r := report.Report{
		Title:   "What a base model was fitted to",
		Summary: []string{fmt.Sprintf("Of %d documents of %d sources %d were kept; with those that stand there more than once the mixture has %d.", read, len(c.Sources), kept, mixed)},
		Created: now, Facts: facts, Sections: []report.Section{c.sources(), c.cleaning()},
	}
	if spent != nil {
		r.Sections = append(r.Sections, spent.section())
	}
	return r
}

func (c Corpus) sources() report.Section {
	table := report.Table{Caption: "Sources", Columns: []string{"", "documents", "kept", "characters kept", "repeat", "in the mixture", "share of its characters"}}
	bars := &report.Bars{Y: report.Axis{Label: "share of characters, %"}, Series: []report.BarSeries{{Name: "as kept"}, {Name: "in the mixture"}}}
	total := 0
	for _, s := range c.Sources {
		total += s.Characters
	}
	for _, s := range c.Sources {
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(s.Name), report.Number(float64(s.Read), 0), report.Number(float64(s.Kept), 0), report.Number(float64(s.Characters), 0),
			report.Number(s.Repeat, 2), report.Number(float64(s.Mixed), 0), report.Number(100*s.Share, 1).In(" %"),
		})
		bars.Categories = append(bars.Categories, s.Name)
		bars.Series[0].Values = append(bars.Series[0].Values, report.Exactly(100*float64(s.Characters)/float64(max(total, 1))))
		bars.Series[1].Values = append(bars.Series[1].Values, report.Exactly(100*s.Share))
	}
	return report.Section{
		Heading: "Sources", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Shares of the sources", Caption: "Characters by source, before and after some of them are repeated.", Bars: bars}},
	}
}

func (c Corpus) cleaning() report.Section {
	table := report.Table{Caption: "Documents that went out, by the first filter that they failed", Columns: []string{"", "read"}}
	for _, reason := range corpus.Reasons() {
		table.Columns = append(table.Columns, string(reason))
	}
	table.Columns = append(table.Columns, "kept")
	for _, s := range c.Sources {
		row := []report.Cell{report.Text(s.Name), report.Number(float64(s.Read), 0)}
		for _, reason := range corpus.Reasons() {
			row = append(row, report.Number(float64(s.Out[reason]), 0))
		}
		table.Rows = append(table.Rows, append(row, report.Number(float64(s.Kept), 0)))
	}
	section := report.Section{Heading: "Cleaning", Tables: []report.Table{table}}
	if len(c.Examples) > 0 {
		shown := report.Table{Caption: "The first of each source and reason, by how they begin", Columns: []string{"source", "reason", "document", "nearly the same as"}}
		for _, e := range c.Examples {
			shown.Rows = append(shown.Rows, []report.Cell{report.Text(e.Source), report.Text(string(e.Reason)), report.Text(e.Text), report.Text(e.Like)})
		}
		section.Tables = append(section.Tables, shown)
	}
	return section
}

func (s Spent) section() report.Section {
	joules := tandem.Joules(s.CPUSeconds)
	table := report.Table{
		Caption: fmt.Sprintf("Cost; energy is estimated at %d W a busy core, carbon at %d g CO₂e a kilowatt-hour", tandem.WattsPerCore, tandem.GramsPerKilowattHour),
		Columns: []string{"tokens", "FLOPs", "processor time, s", "energy, Wh", "carbon, g CO₂e"},
		Rows: [][]report.Cell{{
			report.Number(s.Tokens, 0), report.Text(fmt.Sprintf("%.3g", s.Flops)), report.Number(s.CPUSeconds, 0), report.Number(joules/3600, 2), report.Number(tandem.GramsCO2(joules), 2),
		}},
	}
	series := report.Series{Name: "loss"}
	const most = 400 // points of a curve
	for i := 0; i < len(s.Loss); i += max(1, len(s.Loss)/most) {
		series.Points = append(series.Points, report.Point{X: s.Loss[i].Tokens, Y: report.Exactly(s.Loss[i].Loss)})
	}
	section := report.Section{Heading: "Training", Tables: []report.Table{table}}
	if len(series.Points) > 0 {
		section.Figures = []report.Figure{{
			Title: "Loss", Wide: true, Caption: "Cross-entropy of each step's batch, in nats a token, by the tokens seen.",
			Lines: &report.Lines{X: report.Axis{Label: "tokens seen"}, Y: report.Axis{Label: "loss"}, Series: []report.Series{series}, Plain: true},
		}}
	}
	return section
}
