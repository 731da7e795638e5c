package pipeline

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tandem"
	"tandem/report"
	"tandem/statistics"
)

// wantedPrecision is what a threshold for unsafe answers is recommended for: the paper's gate has it on Meta's safety test
// set (section 3.2.3).
const wantedPrecision = 0.89

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
	for _, a := range m.Accuracies {
		if a.Unsafe != nil && a.Model == tandem.Safety && a.Data == tandem.Safety {
			r.Sections = append(r.Sections, a.unsafe())
		}
	}
	return r
}

// accuracies is table 8's form: models by data, by degree.
func (m RewardMeasures) accuracies() report.Section {
	table := report.Table{Caption: "Accuracy of models on comparisons of each aspect, %, ties counted half, with 95 % intervals (table 8's form)", Columns: []string{"", "on", "pairs", "all"}}
	degrees := tandem.Degrees()
	for i := len(degrees) - 1; i >= 0; i-- {
		table.Columns = append(table.Columns, strings.ReplaceAll(degrees[i].String(), "_", " "))
	}
	bars := &report.Bars{Y: report.Axis{Label: "accuracy, %", Min: report.At(0), Max: report.At(100)}}
	for _, a := range m.Accuracies {
		row := []report.Cell{report.Text(string(a.Model)), report.Text(string(a.Data)), report.Number(float64(a.Accuracy.N), 0), report.Interval(hundred(a.Accuracy), 1)}
		by := make(map[string]statistics.Interval)
		for _, d := range a.ByDegree {
			by[d.Degree] = d.Accuracy
		}
		for i := len(degrees) - 1; i >= 0; i-- {
			cell := report.Cell{}
			if d, ok := by[degrees[i].String()]; ok {
				cell = report.Interval(hundred(d), 0)
			}
			row = append(row, cell)
		}
		table.Rows = append(table.Rows, row)
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
	s := report.Section{Heading: "Accuracy", Tables: []report.Table{table}, Figures: []report.Figure{{
		Title: "Each model on its own and on the other's comparisons", Caption: "Share of held-out comparisons whose chosen answer scores higher, with 95 % intervals; chance is 50 %.", Bars: bars,
	}}}
	if len(m.Rules) > 0 {
		rules := report.Table{Caption: "Rules that understand nothing, on the same comparisons; intervals resample openings", Columns: []string{"", "comparisons of", "accuracy", "the model is ahead by"}}
		for _, r := range m.Rules {
			rules.Rows = append(rules.Rows, []report.Cell{report.Text(r.Name), report.Text(string(r.Data)), report.Interval(hundred(r.Accuracy), 1).In(" %"), report.Interval(hundred(r.Ahead), 1)})
		}
		s.Tables = append(s.Tables, rules)
	}
	return s
}

// section is what there is of one model on its own comparisons.
func (a RewardAccuracy) section() report.Section {
	s := report.Section{Heading: fmt.Sprintf("The %s model", a.Model)}
	if a.LengthCorrelation != nil {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("Scores and lengths of answers have the rank correlation %.2f.", *a.LengthCorrelation))
	}
	calibration := fmt.Sprintf("Read as probabilities, differences of scores are off by %.1f points on average (expected calibration error of σ(|r_c − r_r|), 20 bins)", 100*a.CalibrationError)
	if a.Temperature > 0 {
		calibration += fmt.Sprintf("; divided by %.2f they fit the verdicts best", a.Temperature)
	}
	s.Paragraphs = append(s.Paragraphs, calibration+".")
	for _, g := range a.Groups {
		table := report.Table{Caption: "Accuracy by " + g.By + ", %; intervals resample openings", Columns: []string{g.By, "pairs", "accuracy"}}
		for _, group := range g.Groups {
			table.Rows = append(table.Rows, []report.Cell{report.Text(group.Name), report.Number(float64(group.Accuracy.N), 0), report.Interval(hundred(group.Accuracy), 1)})
		}
		s.Tables = append(s.Tables, table)
	}
	s.Figures = []report.Figure{
		{Title: "Scores of chosen and rejected answers", Caption: fmt.Sprintf("Raw scalars r over the %d held-out comparisons of %s (figure 27's form).", a.Accuracy.N, a.Data),
			Histogram: report.NewHistogram(report.Axis{Label: "r"}, 24, report.Values{Name: "chosen", Values: a.Chosen}, report.Values{Name: "rejected", Values: a.Rejected})},
		{Title: "Sure and right", Caption: "Share of comparisons in which the answer that scores higher was chosen, by σ of the difference; on the diagonal a score means what it says.",
			Lines: reliability(a.Reliability, "probability by the scores", "share that was right")},
	}
	return s
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
	if at, recall, err := d.Recommended(wantedPrecision); err == nil {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("A threshold of %.3g finds %.0f %% of the unsafe answers with a precision of at least %g, which the paper's gate of 0.15 has on Meta's test set.", at, 100*recall, wantedPrecision))
	} else {
		s.Paragraphs = append(s.Paragraphs, "A threshold as precise as the paper's gate is "+err.Error()+".")
	}
	table := report.Table{Caption: "What thresholds find, %", Columns: []string{"σ(r) below", "called unsafe", "precision", "recall of unsafe"}}
	for _, t := range d.Thresholds {
		precision := report.Text("nothing is")
		if t.Precision.N > 0 {
			precision = report.Interval(hundred(t.Precision), 1)
		}
		table.Rows = append(table.Rows, []report.Cell{report.Number(t.At, 2), report.Number(float64(t.Precision.N), 0), precision, report.Interval(hundred(t.Recall), 1)})
	}
	s.Tables = []report.Table{table}
	s.Figures = []report.Figure{
		{Title: "ROC", Caption: "Recall of unsafe answers against the share of safe ones that are called unsafe, over all thresholds.",
			Lines: curve(d.ROC, "safe answers called unsafe", "recall of unsafe", true)},
		{Title: "Precision and recall", Caption: "Precision among the answers that are called unsafe against the share of unsafe ones that are found.",
			Lines: curve(d.PrecisionRecall, "recall of unsafe", "precision", false)},
		{Title: "σ(r) as a probability", Caption: "Share of safe answers by σ(r), in ten bins with 95 % intervals.", Lines: reliability(d.Reliability, "σ(r)", "share that is safe")},
	}
	return s
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
