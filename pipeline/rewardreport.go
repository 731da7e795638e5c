package pipeline

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/report"
	"tandem/statistics"
)

// Report shows the measures.
func (m RewardMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: "Reward models",
		Summary: []string{"How often each model scores the chosen answer of a held-out comparison above the other, on comparisons of its own aspect and of the other's, " +
			"beside rules that understand nothing; how well unsafe answers are told from safe ones; and whether scores mean what they say."},
		Created: now, Facts: facts,
	}
	for _, a := range m.Accuracies {
		if a.Model == a.Data {
			r.Highlights = append(r.Highlights, report.Highlight{Label: fmt.Sprintf("Accuracy of the %s model", a.Model), Value: fmt.Sprintf("%.1f %%", 100*a.Accuracy.Value),
				Note: fmt.Sprintf("95 %% interval %.1f to %.1f, %d comparisons of %s", 100*a.Accuracy.Low, 100*a.Accuracy.High, a.Accuracy.N, a.Data)})
		}
	}
	r.Sections = append(r.Sections, m.accuracies())
	for _, a := range m.Accuracies {
		if a.Model == a.Data {
			r.Sections = append(r.Sections, a.section())
		}
	}
	if len(m.Scales) > 0 {
		more := report.Section{Heading: "More pairs"}
		for _, scale := range m.Scales {
			more.Figures = append(more.Figures, scale.figure())
		}
		r.Sections = append(r.Sections, more)
	}
	for _, a := range m.Accuracies {
		if a.Unsafe != nil && a.Model == tandem.Safety && a.Data == tandem.Safety {
			r.Sections = append(r.Sections, a.unsafe())
		}
	}
	return r
}

// accuracies is table 8's form: models by data, by degree.
func (m RewardMeasures) accuracies() report.Section {
	table := report.Table{Caption: "Accuracy of models, and of rules that understand nothing, on comparisons of each aspect, % (table 8's form)", Columns: []string{"", "on", "pairs", "all"}}
	degrees := tandem.Degrees()
	for i := len(degrees) - 1; i >= 0; i-- {
		table.Columns = append(table.Columns, strings.ReplaceAll(degrees[i].String(), "_", " "))
	}
	bars := &report.Bars{Y: report.Axis{Label: "accuracy, %", Min: report.At(0), Max: report.At(100)}}
	row := func(name string, data tandem.Aspect, all statistics.Interval, by []DegreeAccuracy) {
		cells := []report.Cell{report.Text(name), report.Text(string(data)), report.Number(float64(all.N), 0), report.Interval(hundred(all), 1)}
		for i := len(degrees) - 1; i >= 0; i-- {
			cell := report.Cell{}
			for _, d := range by {
				if d.Degree == degrees[i].String() {
					cell = report.Interval(hundred(d.Accuracy), 0)
				}
			}
			cells = append(cells, cell)
		}
		table.Rows = append(table.Rows, cells)
	}
	for _, a := range m.Accuracies {
		row(string(a.Model)+" model", a.Data, a.Accuracy, a.ByDegree)
	}
	tables := []report.Table{{Caption: "How far models are ahead of rules on their own comparisons, points", Columns: []string{"model", "rule", "ahead by"}}}
	for _, r := range m.Rules {
		row(r.Name, r.Data, r.Accuracy, r.ByDegree)
		tables[0].Rows = append(tables[0].Rows, []report.Cell{report.Text(string(r.Data)), report.Text(r.Name), report.Interval(hundred(r.Ahead), 1)})
	}
	if len(m.Rules) == 0 {
		tables = nil
	}
	for _, model := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
		series := report.BarSeries{Name: string(model) + " model"}
		bars.Categories = nil
		for _, a := range m.Accuracies {
			if a.Model == model {
				series.Values = append(series.Values, hundred(a.Accuracy))
				bars.Categories = append(bars.Categories, string(a.Data)+" comparisons")
			}
		}
		if len(series.Values) > 0 {
			bars.Series = append(bars.Series, series)
		}
	}
	figures := []report.Figure{{
		Title: "Each model on its own and on the other's comparisons", Caption: "Share of held-out comparisons whose chosen answer scores higher, with 95 % intervals; chance is 50 %.", Bars: bars,
	}}
	if byDegree := m.byDegree(); len(byDegree.Series) > 0 {
		figures = append(figures, report.Figure{Title: "Each model on its own comparisons, by degree", Caption: "The clearer people found the difference, the more often a model should agree. 95 % intervals.", Bars: byDegree})
	}
	return report.Section{Heading: "Accuracy", Tables: append([]report.Table{table}, tables...), Figures: figures, Paragraphs: []string{"Ties count half; 95 % intervals resample openings, since comparisons of one conversation are right or wrong together. The bag of words is fitted to four fifths of these very comparisons and measured on the rest, five times. " +
		"How far a model is ahead of a rule is measured comparison by comparison."}}
}

// byDegree are the accuracies of models on their own comparisons, of the degrees that all of them have.
func (m RewardMeasures) byDegree() *report.Bars {
	bars := &report.Bars{Y: report.Axis{Label: "accuracy, %", Min: report.At(0), Max: report.At(100)}}
	var own []RewardAccuracy
	for _, a := range m.Accuracies {
		if a.Model == a.Data {
			own = append(own, a)
			bars.Series = append(bars.Series, report.BarSeries{Name: string(a.Model) + " model"})
		}
	}
	for i := len(tandem.Degrees()) - 1; i >= 0; i-- {
		degree := tandem.Degrees()[i].String()
		var found []report.Estimate
		for _, a := range own {
			for _, d := range a.ByDegree {
				if d.Degree == degree {
					found = append(found, hundred(d.Accuracy))
				}
			}
		}
		if len(found) < len(own) {
			continue
		}
		bars.Categories = append(bars.Categories, strings.ReplaceAll(degree, "_", " "))
		for k := range own {
			bars.Series[k].Values = append(bars.Series[k].Values, found[k])
		}
	}
	if len(bars.Categories) == 0 {
		bars.Series = nil
	}
	return bars
}

// section is what there is of one model on its own comparisons.
func (a RewardAccuracy) section() report.Section {
	s := report.Section{Heading: fmt.Sprintf("The %s model", a.Model)}
	if a.LengthCorrelation != nil {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("Scores and lengths of answers have the rank correlation %.2f.", *a.LengthCorrelation))
	}
	calibration := fmt.Sprintf("Read as probabilities, differences of scores are off by %.1f points on average (expected calibration error of σ(|r_c − r_r|), 20 bins)", 100*a.CalibrationError)
	if a.Temperature > 0 {
		calibration += fmt.Sprintf("; divided by %.2f they fit the verdicts best, and are off by %.1f", a.Temperature, 100*a.CalibrationErrorFitted)
	}
	s.Paragraphs = append(s.Paragraphs, calibration+".")
	for _, g := range a.Groups {
		if g.By == evaluation.SafetyBins && a.Unsafe != nil && a.Model == tandem.Safety {
			continue // shown beside the recall
		}
		table := report.Table{Caption: "Accuracy by " + g.By + ", %", Columns: []string{g.By, "pairs", "accuracy"}}
		for _, group := range g.Groups {
			table.Rows = append(table.Rows, []report.Cell{report.Text(group.Name), report.Number(float64(group.Accuracy.N), 0), report.Interval(hundred(group.Accuracy), 1)})
		}
		s.Tables = append(s.Tables, table)
	}
	if len(a.Robustness) > 0 {
		s.Tables = append(s.Tables, a.robustness())
	}
	s.Figures = []report.Figure{
		{Title: "Scores of chosen and rejected answers", Caption: fmt.Sprintf("Raw scalars r over the %d held-out comparisons of %s (figure 27's form).", a.Accuracy.N, a.Data),
			Histogram: report.NewHistogram(report.Axis{Label: "r"}, 24, report.Values{Name: "chosen", Values: a.Chosen}, report.Values{Name: "rejected", Values: a.Rejected})},
		{Title: "Sure and right", Caption: "Share of comparisons in which the answer that scores higher was chosen, by σ of the difference; on the diagonal a score means what it says.",
			Lines: reliability(a.Reliability, "probability by the scores", "share that was right")},
	}
	return s
}

// robustness is how far paraphrases matter that must not.
func (a RewardAccuracy) robustness() report.Table {
	table := report.Table{Caption: "Answers written otherwise, which must not matter: by how much scores move, in deviations of all scores, and how many verdicts turn",
		Columns: []string{"paraphrase", "answers", "mean |Δ score|", "mean Δ score", "turned by one side, %", "turned by both, %"}}
	share := func(i statistics.Interval) report.Cell {
		if i.N == 0 {
			return report.Cell{}
		}
		return report.Interval(hundred(i), 1)
	}
	for _, r := range a.Robustness {
		table.Rows = append(table.Rows, []report.Cell{report.Text(r.Paraphrase), report.Number(float64(r.Answers), 0), report.Number(r.Shift, 2), report.Number(r.Bias, 2), share(r.Turned), share(r.TurnedBoth)})
	}
	return table
}

// reliability is a diagram of bins.
func reliability(bins []statistics.Bin, x, y string) *report.Lines {
	series := report.Series{Name: "observed"}
	for _, b := range bins {
		interval, err := statistics.Wilson(b.Frequency*float64(b.N), b.N)
		if err != nil { // an empty bin, which is none of these
			continue
		}
		series.Points = append(series.Points, report.Point{X: b.Confidence, Y: estimated(interval)})
	}
	return &report.Lines{X: report.Axis{Label: x}, Y: report.Axis{Label: y, Min: report.At(0), Max: report.At(1)}, Series: []report.Series{series}, Equal: true}
}

// unsafe shows how a safety model tells unsafe answers.
func (a RewardAccuracy) unsafe() report.Section {
	d := a.Unsafe
	s := report.Section{Heading: "Unsafe answers"}
	s.Paragraphs = []string{fmt.Sprintf("%d answers have a label, and %d of them are unsafe. An answer counts as unsafe where σ(r) is below a threshold. The area under the ROC curve is %.3f, the average precision %.3f; σ(r) is off by %.1f points on average as the probability of a safe answer.",
		d.Answers, d.Unsafe, d.AUC, d.AveragePrecision, 100*d.CalibrationError)}
	if d.Temperature > 0 {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("Divided by %.2f, scores fit the labels best, and are off by %.1f points.", d.Temperature, 100*d.CalibrationErrorFitted))
	}
	if r := a.Recommended; r != nil {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("For a precision of at least %g the recommended threshold is %.3g (r = %.3g): it finds %.0f %% of the unsafe answers.", r.Precision, r.At, r.Scalar, 100*r.Recall))
	} else {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("No threshold has a precision of %g.", a.Wanted))
	}
	table := report.Table{Caption: "What thresholds find, %", Columns: []string{"σ(r) below", "called unsafe", "precision", "recall of unsafe"}}
	for _, t := range d.Thresholds {
		precision := report.Text("nothing is")
		if t.Precision.N > 0 {
			precision = report.Interval(hundred(t.Precision), 1)
		}
		table.Rows = append(table.Rows, []report.Cell{report.Number(t.At, 2), report.Number(float64(t.Precision.N), 0), precision, report.Interval(hundred(t.Recall), 1)})
	}
	s.Tables = []report.Table{a.bins(), table}
	s.Figures = []report.Figure{
		{Title: "ROC", Caption: "Recall of unsafe answers against the share of safe ones that are called unsafe, over all thresholds.",
			Lines: curve(d.ROC, "safe answers called unsafe", "recall of unsafe", true)},
		{Title: "Precision and recall", Caption: "Precision among the answers that are called unsafe against the share of unsafe ones that are found.",
			Lines: curve(d.PrecisionRecall, "recall of unsafe", "precision", false)},
		{Title: "σ(r) as a probability", Caption: "Share of safe answers by σ(r), in ten bins with 95 % intervals.", Lines: reliability(d.Reliability, "σ(r)", "share that is safe")},
	}
	return s
}

// bins is table 29's form: accuracy by safety bin, and the recall of unsafe answers at 0.5.
func (a RewardAccuracy) bins() report.Table {
	table := report.Table{Caption: "Accuracy by safety bin, and recall of unsafe answers at 0.5, % (table 29's form)", Columns: []string{"all"}}
	row := []report.Cell{report.Interval(hundred(a.Accuracy), 1)}
	for _, g := range a.Groups {
		if g.By == evaluation.SafetyBins {
			for _, bin := range g.Groups {
				table.Columns, row = append(table.Columns, bin.Name), append(row, report.Interval(hundred(bin.Accuracy), 1))
			}
		}
	}
	for _, t := range a.Unsafe.Thresholds {
		if t.At == 0.5 {
			table.Columns, row = append(table.Columns, "recall of unsafe"), append(row, report.Interval(hundred(t.Recall), 1))
		}
	}
	table.Rows = [][]report.Cell{row}
	return table
}

// curvePoints are as many as a plot can show.
const curvePoints = 400

func curve(c statistics.Curve, x, y string, diagonal bool) *report.Lines {
	series := report.Series{Name: "this model"}
	step := max(1, int(math.Ceil(float64(len(c.X))/curvePoints)))
	for i := 0; i < len(c.X); i++ {
		if i%step == 0 || i == len(c.X)-1 {
			series.Points = append(series.Points, report.Point{X: c.X[i], Y: report.Exactly(c.Y[i])})
		}
	}
	unit := func(label string) report.Axis { return report.Axis{Label: label, Min: report.At(0), Max: report.At(1)} }
	return &report.Lines{X: unit(x), Y: unit(y), Series: []report.Series{series}, Step: true, Plain: true, Equal: diagonal}
}
