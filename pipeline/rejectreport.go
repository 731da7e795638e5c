package pipeline

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/rejection"
	"tandem/report"
)

// Report shows the measures.
func (m RejectionMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: "Rejection sampling",
		Summary: []string{fmt.Sprintf("What the best of K answers gains, for %s, on the same %d prompts and by the same pair of reward models. "+
			"Scores are the combined ones; what they say of real quality is for other judges to tell.", m.names(), m.Prompts)},
		Created: now, Facts: facts,
	}
	for _, p := range m.Policies {
		a := p.Best()
		k := len(a.Curve.Best)
		r.Highlights = append(r.Highlights, report.Highlight{
			Label: fmt.Sprintf("%s, best of %d", p.Name, k), Value: minus(fmt.Sprintf("%.2f", a.Curve.Best[k-1])),
			Note: minus(fmt.Sprintf("at temperature %g; the median answer has %.2f", a.Temperature, a.Curve.Median[k-1])),
		})
	}
	r.Sections = []report.Section{m.byNumber()}
	if slices.ContainsFunc(m.Policies, func(p SampledPolicy) bool { return len(p.Sweep) > 1 }) {
		r.Sections = append(r.Sections, m.byTemperature())
	}
	r.Sections = append(r.Sections, m.numbers())
	return r
}

func (m RejectionMeasures) names() string {
	names := make([]string, len(m.Policies))
	for i, p := range m.Policies {
		names[i] = p.Name
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// minus writes negative numbers as they are printed.
func minus(s string) string { return strings.ReplaceAll(s, "-", "−") }

// around is a mean with its 95 % interval by its standard error.
func around(mean, standardError float64) report.Estimate {
	const z = 1.96
	return report.Between(mean, mean-z*standardError, mean+z*standardError)
}

// byNumber is figure 7's form.
func (m RejectionMeasures) byNumber() report.Section {
	l := &report.Lines{X: report.Axis{Label: "K, answers sampled to each prompt"}, Y: report.Axis{Label: "combined score"}, Band: true, Plain: true}
	var at []string
	for _, p := range m.Policies {
		a := p.Best()
		at = append(at, fmt.Sprintf("%s at temperature %g", p.Name, a.Temperature))
		for _, s := range []struct {
			name          string
			means, errors []float64
		}{{"best", a.Curve.Best, a.Curve.BestError}, {"median", a.Curve.Median, a.Curve.MedianError}} {
			points := make([]report.Point, len(s.means))
			for k := range s.means {
				points[k] = report.Point{X: float64(k + 1), Y: around(s.means[k], s.errors[k])}
			}
			l.Series = append(l.Series, report.Series{Name: p.Name + ", " + s.name, Points: points})
		}
	}
	return report.Section{
		Heading: "The best of K answers",
		Paragraphs: []string{"The gap between best and median is what fine-tuning on the best answers can gain; where the curve goes flat, more answers are " +
			"no longer worth their time. Expectations are over all choices of K of the answers that were sampled, so every point is unbiased."},
		Figures: []report.Figure{{
			Title: "Reward of the best and of the median answer", Wide: true,
			Caption: "Expected best and median combined score among K answers, mean over prompts with 95 % bands (figure 7's form): " + strings.Join(at, ", ") + ".", Lines: l,
		}},
	}
}

// counts are the numbers of answers that curves against temperature are drawn for, the most last.
func counts(most int) (some []int) {
	for _, k := range []int{1, 3, 10, 30, 100, 300, 1000} {
		if k < most {
			some = append(some, k)
		}
	}
	return append(some, most)
}

// byTemperature is figure 8's form: a chart for each policy, all of one scale.
func (m RejectionMeasures) byTemperature() report.Section {
	s := report.Section{Heading: "Temperature", Paragraphs: []string{
		"A higher temperature makes answers more different, and worse on average: the best of many can be best at a higher temperature than a single one is.",
	}}
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range m.Policies {
		for _, a := range p.Sweep {
			k := len(a.Curve.Best) - 1
			for _, e := range []report.Estimate{around(a.Curve.Best[0], a.Curve.BestError[0]), around(a.Curve.Best[k], a.Curve.BestError[k]), around(a.Curve.Median[k], a.Curve.MedianError[k])} {
				low, high = math.Min(low, e.Low), math.Max(high, e.High)
			}
		}
	}
	margin := (high - low) / 20
	for _, p := range m.Policies {
		s.Paragraphs = append(s.Paragraphs, p.verdict())
		l := &report.Lines{X: report.Axis{Label: "temperature"}, Y: report.Axis{Label: "combined score"}}
		if margin > 0 {
			l.Y.Min, l.Y.Max = report.At(low-margin), report.At(high+margin)
		}
		for _, k := range slices.Backward(counts(p.fewest())) {
			l.Series = append(l.Series, p.series(fmt.Sprintf("best of %d", k), func(c rejection.Curve) report.Estimate { return around(c.Best[k-1], c.BestError[k-1]) }))
		}
		l.Series = append(l.Series, p.series("median", func(c rejection.Curve) report.Estimate {
			k := p.fewest()
			return around(c.Median[k-1], c.MedianError[k-1])
		}))
		s.Figures = append(s.Figures, report.Figure{
			Title: p.Name, Caption: "Expected best combined score among so many answers, and the median, by temperature; means over prompts with 95 % intervals (figure 8's form).", Lines: l,
		})
	}
	return s
}

// fewest is the number of answers that every temperature has.
func (p SampledPolicy) fewest() int {
	k := math.MaxInt
	for _, a := range p.Sweep {
		k = min(k, len(a.Curve.Best))
	}
	return k
}

func (p SampledPolicy) series(name string, of func(rejection.Curve) report.Estimate) report.Series {
	s := report.Series{Name: name}
	for _, a := range p.Sweep {
		s.Points = append(s.Points, report.Point{X: a.Temperature, Y: of(a.Curve)})
	}
	return s
}

// verdict says which temperature to take next.
func (p SampledPolicy) verdict() string {
	n := p.Next
	if n == nil {
		return fmt.Sprintf("%s was sampled at one temperature that can be judged.", p.Name)
	}
	text := fmt.Sprintf("For %s the next sampling would take %g: the answers that it keeps score %s above those of %g, the next best.",
		p.Name, n.Temperature, minus(fmt.Sprintf("%.3f [%.3f, %.3f]", n.Lead.Value, n.Lead.Low, n.Lead.High)), n.Over)
	if n.Lead.Contains(0) {
		text += " That may be chance."
	}
	if n.Edge {
		text += " It is at the end of what was tried, and a better one may lie beyond."
	}
	return text
}

// numbers are the same as a table.
func (m RejectionMeasures) numbers() report.Section {
	table := report.Table{
		Caption: "By policy and temperature. Kept is the mean score of the answers that would be fine-tuned on: of those that ended by themselves, the best, any ungated one before any gated one",
		Columns: []string{"policy", "temperature", "answers", "duplicates", "ended", "gated", "mean", "median", "best of K", "kept", "prompts without"},
	}
	for _, p := range m.Policies {
		for _, a := range p.Sweep {
			k, n := len(a.Curve.Best), float64(a.Samples)
			table.Rows = append(table.Rows, []report.Cell{
				report.Text(p.Name), report.Text(strconv.FormatFloat(a.Temperature, 'g', -1, 64)), report.Number(n, 0), report.Number(100*float64(a.Duplicates)/n, 0).In(" %"),
				report.Number(100*float64(a.Ended)/n, 0).In(" %"), report.Number(100*float64(a.Gated)/n, 0).In(" %"), report.Number(a.Curve.Best[0], 2),
				report.Number(a.Curve.Median[k-1], 2), report.Interval(around(a.Curve.Best[k-1], a.Curve.BestError[k-1]), 2), report.Number(a.Kept, 2), report.Number(float64(m.Prompts-a.Targets), 0),
			})
		}
	}
	s := report.Section{Heading: "Numbers", Tables: []report.Table{table}}
	for _, p := range m.Policies[1:] {
		if p.Ahead != nil {
			s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("The answers that %s keeps at its best temperature score %s above those that %s keeps at its own, mean over prompts.",
				p.Name, minus(fmt.Sprintf("%.3f [%.3f, %.3f]", p.Ahead.Value, p.Ahead.Low, p.Ahead.High)), m.Policies[0].Name))
		}
	}
	return s
}
