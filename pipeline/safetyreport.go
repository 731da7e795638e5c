package pipeline

import (
	"fmt"
	"strings"
	"time"

	"tandem/evaluation/safety"
	"tandem/report"
	"tandem/statistics"
)

// fewEntities is below how many entities an interval that resamples them is marked as too narrow.
const fewEntities = 10

// setNames are the sets as people call them.
var setNames = map[safety.Set]string{
	safety.BOLD: "BOLD", safety.ToxiGen: "ToxiGen", safety.AdvBench: "AdvBench", safety.XSTest: "XSTest", safety.Ordinary: "ordinary prompts", safety.Borderline: "borderline prompts",
}

// Report shows the figures, and none of the sets' texts.
func (m SafetyMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	var asked []string
	for _, set := range safety.Sets() {
		if n := m.Asked[set]; n > 0 {
			asked = append(asked, fmt.Sprintf("%s %d of %d", setNames[set], n, m.Of[set]))
		}
	}
	r := report.Report{
		Title: "Safety",
		Summary: []string{
			"Prompts: " + strings.Join(asked, ", ") + ". Prompts and answers are not shown here, since many are harmful; they are in answers.jsonl.",
			"The judges are rules and a reward model, not people: VADER's lexicon for sentiment, phrases for refusals, the safety model for violations and, unless a classifier was given, for toxicity. Intervals say how much the sample of prompts leaves open, and nothing of how often a judge is wrong.",
		},
		Created: now, Facts: facts,
	}
	table := report.Table{Caption: "Shares in %, with 95 % intervals; sentiment from −1 to 1, † on few entities", Columns: []string{""}}
	for _, p := range m.Policies {
		table.Columns = append(table.Columns, p.Name)
	}
	last := m.Policies[len(m.Policies)-1]
	for _, f := range m.summary() {
		table.Rows = append(table.Rows, append([]report.Cell{report.Text(f.name)}, f.cells...))
		if of := f.cells[len(f.cells)-1]; f.main && of.Number != nil {
			value := report.Number(of.Number.Value, of.Decimals).In(of.Unit)
			r.Highlights = append(r.Highlights, report.Highlight{Label: f.name, Value: value.String(), Note: last.Name + ": " + of.String()})
		}
	}
	r.Sections = []report.Section{{Heading: "Summary", Tables: []report.Table{table}}}
	for _, s := range []report.Section{m.refusals(), m.types(), m.toxicity(), m.political(), m.sentiment()} {
		if len(s.Tables) > 0 {
			r.Sections = append(r.Sections, s)
		}
	}
	return r
}

// summed is one figure of all policies.
type summed struct {
	name  string
	main  bool // for a hurried reader
	cells []report.Cell
}

// Summary is the report's first table, for a terminal.
func (m SafetyMeasures) Summary() (header []string, rows [][]string) {
	header = []string{""}
	for _, p := range m.Policies {
		header = append(header, p.Name)
	}
	for _, f := range m.summary() {
		row := []string{f.name}
		for _, c := range f.cells {
			row = append(row, c.String())
		}
		rows = append(rows, row)
	}
	return header, rows
}

func (m SafetyMeasures) summary() (figures []summed) {
	add := func(name string, main bool, cell func(safety.Measures) report.Cell) {
		f := summed{name: name, main: main}
		for _, p := range m.Policies {
			f.cells = append(f.cells, cell(p.Measures))
		}
		figures = append(figures, f)
	}
	for i, r := range m.Policies[0].Refusals { // all were asked the same
		if r.Unsafe != nil {
			add(setNames[r.Set]+": violations", r.Set == safety.AdvBench, func(m safety.Measures) report.Cell { return shareCell(m.Refusals[i].Unsafe.Gated) })
			add(setNames[r.Set]+": unsafe refused", false, func(m safety.Measures) report.Cell { return shareCell(m.Refusals[i].Unsafe.Refused) })
		}
		if r.Safe != nil {
			add(setNames[r.Set]+": falsely refused", r.Set == safety.XSTest, func(m safety.Measures) report.Cell { return shareCell(m.Refusals[i].Safe.Refused) })
		}
	}
	if m.Policies[0].ToxiGen != nil {
		add("ToxiGen: toxic, mean of groups", true, func(m safety.Measures) report.Cell { return shareCell(m.ToxiGen.Mean) })
	}
	if b := m.Policies[0].BOLD; b != nil && b.Political != nil {
		add(few("BOLD: sentiment, right − left wing", wings(*b)), true, func(m safety.Measures) report.Cell { return meanCell(m.BOLD.Political.Whole) })
	}
	return figures
}

// shareCell shows a share in per cent.
func shareCell(i statistics.Interval) report.Cell { return report.Interval(hundred(i), 1).In(" %") }

// optional is an empty cell where there is nothing.
func optional(i *statistics.Interval, cell func(statistics.Interval) report.Cell) report.Cell {
	if i == nil {
		return report.Cell{}
	}
	return cell(*i)
}

// meanCell shows a mean; a level of 0 says that it has no interval.
func meanCell(i statistics.Interval) report.Cell {
	if i.Level == 0 {
		return report.Number(i.Value, 2)
	}
	return report.Interval(estimated(i), 2)
}

// refusals are the sets that want an answer, whole.
func (m SafetyMeasures) refusals() report.Section {
	s := report.Section{
		Heading: "Refusals and violations",
		Paragraphs: []string{
			"An answer refuses in full, or in part where it helps all the same. It is gated where the safety model's r_s is below its gate; on unsafe prompts, that is a violation. Refusing a safe prompt is a false refusal.",
		},
	}
	table := report.Table{Caption: "Shares of answers in %, with 95 % intervals (Wilson), and the mean r_s", Columns: []string{"prompts", "", "n", "refused", "of these in part", "gated", "r_s"}}
	bars := &report.Bars{Y: report.Axis{Label: "refused, %", Min: report.At(0), Max: report.At(100)}}
	for _, p := range m.Policies {
		bars.Series = append(bars.Series, report.BarSeries{Name: p.Name})
	}
	for at, r := range m.Policies[0].Refusals {
		for _, of := range []func(safety.Refusals) *safety.RefusalGroup{
			func(r safety.Refusals) *safety.RefusalGroup { return r.Safe }, func(r safety.Refusals) *safety.RefusalGroup { return r.Unsafe },
		} {
			if of(r) == nil {
				continue
			}
			name := setNames[r.Set]
			if r.Safe != nil && r.Unsafe != nil {
				name += ", " + of(r).Group
			}
			bars.Categories = append(bars.Categories, name)
			for i, p := range m.Policies {
				g := of(p.Refusals[at])
				bars.Series[i].Values = append(bars.Series[i].Values, hundred(g.Refused))
				table.Rows = append(table.Rows, []report.Cell{
					report.Text(name), report.Text(p.Name), report.Number(float64(g.N), 0), shareCell(g.Refused), report.Number(100*g.Partial.Value, 1).In(" %"), shareCell(g.Gated), optional(g.Safety, meanCell),
				})
				if g.Blank > 0 {
					s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("%s said nothing to %d of %d %s; that is no refusal.", p.Name, g.Blank, g.N, name))
				}
			}
		}
	}
	if len(table.Rows) == 0 {
		return report.Section{}
	}
	s.Tables = []report.Table{table}
	s.Figures = []report.Figure{{Title: "Refused", Caption: "Share of answers that refuse, in full or in part, with 95 % intervals. On safe prompts it should be low, on unsafe ones high.", Bars: bars, Wide: true}}
	return s
}

// grouped is a table with a row for each group and a column for each policy, and its chart.
type grouped struct {
	table report.Table
	bars  *report.Bars
}

// group starts a table whose first columns are given.
func (m SafetyMeasures) group(caption, label string, columns ...string) grouped {
	g := grouped{report.Table{Caption: caption, Columns: columns}, &report.Bars{Y: report.Axis{Label: label}}}
	for _, p := range m.Policies {
		g.table.Columns = append(g.table.Columns, p.Name)
		g.bars.Series = append(g.bars.Series, report.BarSeries{Name: p.Name})
	}
	return g
}

// add adds a group by the cells of its first columns and what each policy has.
func (g *grouped) add(name string, first []report.Cell, cell func(policy int) (report.Cell, report.Estimate)) {
	g.bars.Categories = append(g.bars.Categories, name)
	for i := range g.bars.Series {
		c, e := cell(i)
		first, g.bars.Series[i].Values = append(first, c), append(g.bars.Series[i].Values, e)
	}
	g.table.Rows = append(g.table.Rows, first)
}

// types are refusals and violations by XSTest's types and by risk category.
func (m SafetyMeasures) types() report.Section {
	s := report.Section{Heading: "By type of prompt"}
	for at, r := range m.Policies[0].Refusals {
		if len(r.Groups) == 0 {
			continue
		}
		refused := m.group(setNames[r.Set]+": refused, in full or in part, with 95 % intervals (Wilson)", "refused, %", "", "prompts", "n")
		gated := m.group(setNames[r.Set]+": gated, with 95 % intervals (Wilson)", "gated, %", "", "prompts", "n")
		refused.bars.Y.Min, refused.bars.Y.Max = report.At(0), report.At(100)
		any := false
		for g, group := range r.Groups {
			kind := "safe"
			if group.Unsafe {
				kind = "unsafe"
			}
			first := func() []report.Cell {
				return []report.Cell{report.Text(kind), report.Text(spaced(group.Group)), report.Number(float64(group.N), 0)}
			}
			refused.add(spaced(group.Group), first(), func(policy int) (report.Cell, report.Estimate) {
				i := m.Policies[policy].Refusals[at].Groups[g].Refused
				return shareCell(i), hundred(i)
			})
			gated.add(spaced(group.Group), first(), func(policy int) (report.Cell, report.Estimate) {
				i := m.Policies[policy].Refusals[at].Groups[g].Gated
				any = any || i.Value > 0
				return shareCell(i), hundred(i)
			})
		}
		if s.Tables = append(s.Tables, refused.table); any {
			s.Tables = append(s.Tables, gated.table)
		}
		s.Figures = append(s.Figures, report.Figure{
			Title: "Refused, " + setNames[r.Set], Wide: true, Bars: refused.bars, Caption: "Share of answers that refuse, by type, safe prompts first, with 95 % intervals.",
		})
	}
	return s
}

// few marks the name of what rests on few entities.
func few(name string, entities int) string {
	if entities < fewEntities {
		name += " †"
	}
	return name
}

// wings is of how many entities the smaller political group tells.
func wings(s safety.Sentiments) int {
	fewest := fewEntities
	for _, g := range s.Groups {
		if g.Group == safety.LeftWing || g.Group == safety.RightWing {
			fewest = min(fewest, g.Entities)
		}
	}
	return fewest
}

// spaced is a group's name for people.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

func (m SafetyMeasures) toxicity() report.Section {
	if m.Policies[0].ToxiGen == nil {
		return report.Section{}
	}
	by := "A classifier says which are toxic."
	if m.Bound != nil {
		by = fmt.Sprintf("A continuation counts as toxic where the safety model's r_s of it is below %.3g.", *m.Bound)
	}
	s := report.Section{Heading: "Toxicity", Paragraphs: []string{by + " Hateful prompts are lists of toxic statements, neutral ones of harmless statements about the same group."}}
	means := report.Table{Caption: "Toxic continuations in %, means over groups, unweighted, with 95 % intervals (MOVER)", Columns: []string{"", "n", "all groups", "the paper's 13 groups", "hateful prompts", "neutral prompts"}}
	for _, p := range m.Policies {
		t := p.ToxiGen
		if t.Blank > 0 {
			s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("%s said nothing to %d prompts; that counts as not toxic.", p.Name, t.Blank))
		}
		means.Rows = append(means.Rows, []report.Cell{
			report.Text(p.Name), report.Number(float64(t.Mean.N), 0), shareCell(t.Mean), optional(t.PaperMean, shareCell), optional(t.Hateful, shareCell), optional(t.Neutral, shareCell),
		})
	}
	groups := m.group("Toxic continuations in %, by the group that the prompt is about, with 95 % intervals (Wilson)", "toxic, %", "group", "n")
	groups.bars.Y.Min = report.At(0)
	for g, group := range m.Policies[0].ToxiGen.Groups {
		groups.add(spaced(group.Group), []report.Cell{report.Text(spaced(group.Group)), report.Number(float64(group.N), 0)}, func(policy int) (report.Cell, report.Estimate) {
			i := m.Policies[policy].ToxiGen.Groups[g].Toxic
			return shareCell(i), hundred(i)
		})
	}
	s.Tables = []report.Table{means, groups.table}
	s.Figures = []report.Figure{{Title: "Toxic continuations", Caption: "Share of continuations that are toxic, by the group that the prompt is about, with 95 % intervals.", Bars: groups.bars, Wide: true}}
	return s
}

// political compares the political groups that the paper remarks on.
func (m SafetyMeasures) political() report.Section {
	s := report.Section{
		Heading:    "Left wing and right wing",
		Paragraphs: []string{"The paper's base and tuned models differ most here: at 70B, left wing .16 → .34, right wing .21 → .56 (prompt and continuation together). An interval of the difference that holds 0 tells no difference."},
	}
	table := report.Table{
		Caption: "Mean sentiment (VADER's compound), with 95 % intervals by resampling entities; † fewer than 10 of them, the interval is too narrow",
		Columns: []string{"", "group", "entities", "prompt", "continuation", "both together", "continuation − prompt"},
	}
	for _, p := range m.Policies {
		if p.BOLD == nil || p.BOLD.Political == nil {
			continue
		}
		row := func(name string, entities report.Cell, of int, f safety.SentimentFigures) {
			table.Rows = append(table.Rows, []report.Cell{report.Text(p.Name), report.Text(few(name, of)), entities, meanCell(f.Prompt), meanCell(f.Generation), meanCell(f.Whole), meanCell(f.Change)})
		}
		for _, g := range p.BOLD.Groups {
			if g.Group == safety.LeftWing || g.Group == safety.RightWing {
				row(g.Group, report.Number(float64(g.Entities), 0), g.Entities, g.SentimentFigures)
			}
		}
		row("right − left", report.Cell{}, wings(*p.BOLD), *p.BOLD.Political)
	}
	if len(table.Rows) > 0 {
		s.Tables = []report.Table{table}
	}
	return s
}

func (m SafetyMeasures) sentiment() report.Section {
	if m.Policies[0].BOLD == nil {
		return report.Section{}
	}
	s := report.Section{Heading: "Sentiment by group", Paragraphs: []string{
		"VADER's compound figure, from −1 to 1, of BOLD's prompts, of what each policy makes of them, and of both as one text, which the paper reports. Intervals resample entities, the people or things that prompts tell of, since an entity's prompts are alike. † marks groups with fewer than 10 of them, whose intervals are too narrow.",
	}}
	var dropped []string
	for _, g := range m.Policies[0].BOLD.Dropped {
		dropped = append(dropped, fmt.Sprintf("%s (%d prompts)", g.Group, g.Prompts))
	}
	if len(dropped) > 0 {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("Left out, with fewer than %d prompts: %s.", m.Config.MinGroup, strings.Join(dropped, ", ")))
	}
	for _, p := range m.Policies {
		if p.BOLD.Blank > 0 {
			s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("%s said nothing to %d prompts, which counts as 0.", p.Name, p.BOLD.Blank))
		}
	}
	groups := m.Policies[0].BOLD.Groups
	for from := 0; from < len(groups); {
		to := from
		for to < len(groups) && groups[to].Domain == groups[from].Domain {
			to++
		}
		figure, tables := m.domain(from, to)
		s.Figures, s.Tables = append(s.Figures, figure), append(s.Tables, tables...)
		from = to
	}
	return s
}

// domain shows BOLD's groups from to to, which are one domain's.
func (m SafetyMeasures) domain(from, to int) (report.Figure, []report.Table) {
	name := spaced(m.Policies[0].BOLD.Groups[from].Domain)
	var tables []report.Table
	var chart *report.Bars
	for _, f := range []struct {
		caption string
		of      func(safety.SentimentFigures) statistics.Interval
		shown   bool // in the chart, beside the prompts
	}{
		{"of prompts and of continuations", func(f safety.SentimentFigures) statistics.Interval { return f.Generation }, true},
		{"of prompt and continuation together", func(f safety.SentimentFigures) statistics.Interval { return f.Whole }, false},
		{"of the continuation minus that of its prompt", func(f safety.SentimentFigures) statistics.Interval { return f.Change }, false},
	} {
		columns := []string{"group", "prompts", "entities"}
		if f.shown {
			columns = append(columns, "prompt")
		}
		by := m.group("Mean sentiment, "+name+": "+f.caption+", with 95 % intervals", "mean sentiment", columns...)
		prompts := report.BarSeries{Name: "prompt"}
		for g := from; g < to; g++ {
			of := m.Policies[0].BOLD.Groups[g]
			shown := few(spaced(of.Group), of.Entities)
			first := []report.Cell{report.Text(shown), report.Number(float64(of.N), 0), report.Number(float64(of.Entities), 0)}
			if f.shown {
				first = append(first, meanCell(of.Prompt))
			}
			prompts.Values = append(prompts.Values, estimated(of.Prompt))
			by.add(shown, first, func(policy int) (report.Cell, report.Estimate) {
				i := f.of(m.Policies[policy].BOLD.Groups[g].SentimentFigures)
				return meanCell(i), estimated(i)
			})
		}
		tables = append(tables, by.table)
		if f.shown {
			by.bars.Series = append([]report.BarSeries{prompts}, by.bars.Series...)
			chart = by.bars
		}
	}
	return report.Figure{
		Title: "Sentiment, " + name, Wide: true, Bars: chart,
		Caption: "Mean compound figure of the prompts and of each policy's continuations, by group, with 95 % intervals.",
	}, tables
}
