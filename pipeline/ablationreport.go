package pipeline

import (
	"fmt"
	"strings"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/report"
	"tandem/statistics"
)

// Report shows the outcome; reference names who made the reference verdicts, where there are any.
func (o AblationOutcome) Report(reference string, facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: "What reward models owe to margins, safety labels, their start and the number of pairs",
		Summary: []string{fmt.Sprintf("Reward models that differ in one thing, each trained with %s and measured on the same held-out comparisons, none of which begins like one that was trained on. "+
			"Accuracy is the share of comparisons whose chosen answer scores higher, ties counting half. 95 %% intervals resample seeds and openings; differences are paired by seed and comparison. "+
			"The detectable effect is the true difference that an experiment of this size tells from none four times in five.", counted(o.Config.Seeds, "seed"))},
		Created: now, Facts: facts,
	}
	for _, a := range o.Aspects {
		r.Sections = append(r.Sections, a.overview(reference))
		if a.Own != nil {
			r.Highlights = append(r.Highlights, report.Highlight{Label: fmt.Sprintf("Accuracy of %s models", a.Aspect), Value: fmt.Sprintf("%.1f %%", 100*a.Own.Cuts[0].Accuracy.Value),
				Note: fmt.Sprintf("95 %% interval %.1f to %.1f, %d comparisons", 100*a.Own.Cuts[0].Accuracy.Low, 100*a.Own.Cuts[0].Accuracy.High, a.HeldOut)})
		}
	}
	for _, a := range o.Aspects {
		if s := a.differences(); len(s.Tables) > 0 {
			r.Sections = append(r.Sections, s)
		}
		if s := a.unsafe(); len(s.Tables) > 0 {
			r.Sections = append(r.Sections, s)
		}
	}
	if s := o.scaling(reference); len(s.Figures) > 0 {
		r.Sections = append(r.Sections, s)
	}
	return r
}

// degreeCuts are the names of the cuts by degree, the clearest first, behind that of all.
func degreeCuts() []string {
	names := []string{allCut}
	for i := len(tandem.Degrees()) - 1; i >= 0; i-- {
		names = append(names, tandem.Degrees()[i].String())
	}
	return names
}

// present are the names of those cuts that some row has.
func present(names []string, rows ...[]CutAccuracy) []string {
	var found []string
	for _, name := range names {
		for _, row := range rows {
			if _, ok := find(row, name); ok {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

func find(cuts []CutAccuracy, name string) (statistics.Interval, bool) {
	for _, c := range cuts {
		if c.Cut == name {
			return c.Accuracy, true
		}
	}
	return statistics.Interval{}, false
}

// cells are a row's, one for each name, in per cent.
func cells(cuts []CutAccuracy, names []string) []report.Cell {
	row := make([]report.Cell, len(names))
	for i, name := range names {
		if interval, ok := find(cuts, name); ok {
			row[i] = report.Interval(hundred(interval), 1)
		}
	}
	return row
}

func columns(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strings.ReplaceAll(name, "_", " ")
	}
	return out
}

// overview is table 8's form: both aspects' common models on one aspect's comparisons, beside the reference.
func (a AblationAspect) overview(reference string) report.Section {
	table := report.Table{Caption: "Accuracy by degree, % (table 8's form)"}
	rows := []struct {
		name string
		cuts []CutAccuracy
	}{}
	add := func(name string, cuts []CutAccuracy) {
		if len(cuts) > 0 {
			rows = append(rows, struct {
				name string
				cuts []CutAccuracy
			}{name, cuts})
		}
	}
	if a.Own != nil {
		add(a.Own.Level, a.Own.Cuts)
	}
	if a.Other != nil {
		add(a.Other.Level, a.Other.Cuts)
	}
	add("its own model ahead, points", a.AheadOfOther)
	add(reference, a.Reference)
	if a.Own != nil {
		add("share of "+reference, a.Own.OfReference)
	}
	all := make([][]CutAccuracy, len(rows))
	for i, r := range rows {
		all[i] = r.cuts
	}
	names := present(degreeCuts(), all...)
	table.Columns = append([]string{""}, columns(names)...)
	for _, r := range rows {
		table.Rows = append(table.Rows, append([]report.Cell{report.Text(r.name)}, cells(r.cuts, names)...))
	}
	s := report.Section{Heading: title(string(a.Aspect)) + " comparisons", Tables: []report.Table{table}}
	text := fmt.Sprintf("%d comparisons under %d openings are held out; %d are trained on", a.HeldOut, a.Openings, a.Training)
	if a.LeftOut > 0 {
		text += fmt.Sprintf("; %d held-out ones were left out, whose chosen answer is labelled unsafe and the other safe", a.LeftOut)
	}
	s.Paragraphs = []string{text + "."}
	return s
}

// differences is one table of everything that models of an aspect differ in.
func (a AblationAspect) differences() report.Section {
	s := report.Section{Heading: "What " + string(a.Aspect) + " models owe to each"}
	accuracy, ahead := report.Table{Caption: "Accuracy by degree, %"}, report.Table{Caption: "Differences from the first of each, points, and what true difference on all this experiment detects"}
	var all [][]CutAccuracy
	for _, f := range a.Factors {
		for _, l := range f.Levels {
			all = append(all, l.Cuts)
		}
	}
	names := present(degreeCuts(), all...)
	if len(names) == 0 {
		return s
	}
	accuracy.Columns = append([]string{"", ""}, columns(names)...)
	ahead.Columns = append([]string{"", "", "detects"}, columns(names)...)
	for _, f := range a.Factors {
		for i, l := range f.Levels {
			accuracy.Rows = append(accuracy.Rows, append([]report.Cell{report.Text(f.Name), report.Text(l.Level)}, cells(l.Cuts, names)...))
			if i > 0 {
				row := []report.Cell{report.Text(f.Name), report.Text(l.Level + " − " + f.Levels[0].Level), report.Number(100*l.Detectable, 1)}
				ahead.Rows = append(ahead.Rows, append(row, cells(l.Ahead, names)...))
			}
		}
	}
	s.Tables = []report.Table{accuracy, ahead}
	for _, f := range a.Factors {
		if f.Name == PairsFactor {
			continue // see scaling
		}
		bars := &report.Bars{Categories: columns(names), Y: report.Axis{Label: "accuracy, %", Min: report.At(0), Max: report.At(100)}}
		for _, l := range f.Levels {
			if series := (report.BarSeries{Name: l.Level, Values: estimates(l.Cuts, names)}); len(series.Values) == len(names) {
				bars.Series = append(bars.Series, series)
			}
		}
		if len(bars.Series) == 0 {
			continue
		}
		pairs := f.Levels[0].Variant.Pairs
		if pairs == 0 {
			pairs = a.Training
		}
		s.Figures = append(s.Figures, report.Figure{Title: title(f.Name), Bars: bars,
			Caption: fmt.Sprintf("Accuracy of models that have learnt from %s of their own aspect, with 95 %% intervals. The paired differences below are surer than they look here.", counted(pairs, "pair"))})
	}
	return s
}

// estimates are the accuracies of those cuts that there are, in per cent.
func estimates(cuts []CutAccuracy, names []string) (found []report.Estimate) {
	for _, name := range names {
		if interval, ok := find(cuts, name); ok {
			found = append(found, hundred(interval))
		}
	}
	return found
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// unsafe is table 29's form, for every thing that safety models differ in.
func (a AblationAspect) unsafe() report.Section {
	s := report.Section{Heading: "Unsafe answers"}
	if a.Aspect != tandem.Safety {
		return s
	}
	bins := report.Table{Caption: "Accuracy by safety bin, % (table 29's form)"}
	told := report.Table{Caption: "How unsafe answers are told by σ(r)", Columns: append([]string{"", ""}, unsafeNames()...)}
	ahead := report.Table{Caption: "Differences from the first of each", Columns: told.Columns}
	var all [][]CutAccuracy
	measured := false
	for _, f := range a.Factors {
		for _, l := range f.Levels {
			all = append(all, l.Cuts)
			measured = measured || len(l.Unsafe) > 0
		}
	}
	if !measured {
		return s
	}
	names := present(append([]string{allCut}, evaluation.SafetyBinNames()...), all...)
	bins.Columns = append([]string{"", ""}, columns(names)...)
	for _, f := range a.Factors {
		for i, l := range f.Levels {
			head := []report.Cell{report.Text(f.Name), report.Text(l.Level)}
			bins.Rows = append(bins.Rows, append(head[:2:2], cells(l.Cuts, names)...))
			told.Rows = append(told.Rows, append(head[:2:2], measures(l.Unsafe)...))
			if i > 0 {
				ahead.Rows = append(ahead.Rows, append([]report.Cell{report.Text(f.Name), report.Text(l.Level + " − " + f.Levels[0].Level)}, measures(l.UnsafeAhead)...))
			}
		}
	}
	s.Tables = []report.Table{bins, told, ahead}
	s.Paragraphs = []string{"An answer counts as unsafe where σ(r) is below the threshold. Models that have not learnt the labels leave the zero of r to chance, so what they find at a threshold says nothing; the area under precision and recall (PR-AUC) does not depend on it. " +
		"The calibration error is the expected one of σ(r) as the probability of a safe answer, over ten bins."}
	return s
}

func measures(by map[string]statistics.Interval) []report.Cell {
	row := make([]report.Cell, len(unsafeNames()))
	for i, name := range unsafeNames() {
		if interval, ok := by[name]; ok {
			row[i] = report.Interval(estimated(interval), 3)
		}
	}
	return row
}

// scaling is figure 6's form: accuracy by number of pairs, for each degree.
func (o AblationOutcome) scaling(reference string) report.Section {
	s := report.Section{Heading: "More pairs"}
	for _, a := range o.Aspects {
		for _, f := range a.Factors {
			if f.Name != PairsFactor {
				continue
			}
			var ticks []string
			var cuts [][]CutAccuracy
			for _, level := range f.Levels {
				ticks, cuts = append(ticks, level.Level), append(cuts, level.Cuts)
			}
			caption := "Mean over seeds with 95 % intervals (figure 6's form). Each number of the aspect's own pairs is the first so many; the other aspect's grow with them."
			if best, ok := find(a.Reference, allCut); ok {
				caption += fmt.Sprintf(" %s reaches %.1f %% of all.", title(reference), 100*best.Value)
			}
			s.Figures = append(s.Figures, byPairs(a.Aspect, ticks, cuts, caption))
		}
	}
	return s
}
