package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tandem"
	"tandem/report"
	"tandem/sft/distill"
	"tandem/statistics"
)

// DistillMeasures are what the safety model says of answers with and without a preprompt.
type DistillMeasures struct {
	Ways  []WayMeasures  `json:"ways"`
	Risks []RiskMeasures `json:"risks"`
	// Gains are by r_s of the original answer, in groups of equally many prompts, the lowest first.
	Gains  []GainMeasures            `json:"gains"`
	scores map[distill.Way][]float64 // r_s, for the histogram
}

// WayMeasures are the answers of one way.
type WayMeasures struct {
	Way    distill.Way         `json:"way"`
	N      int                 `json:"n"`
	Safety statistics.Interval `json:"safety"` // mean r_s
	Gated  statistics.Interval `json:"gated"`  // share below the gate
}

// RiskMeasures are the prompts of one risk category, "" for those without.
type RiskMeasures struct {
	Risk   tandem.RiskCategory                 `json:"risk_category"`
	N      int                                 `json:"n"`
	Safety map[distill.Way]statistics.Interval `json:"safety"`
	Kept   statistics.Interval                 `json:"kept"` // share of prompts with an answer to train on
}

// GainMeasures are the prompts whose original answer scored between two values.
type GainMeasures struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Mean float64 `json:"mean"` // r_s of the original
	N    int     `json:"n"`
	// Gain is the mean of r_s less the original's, of every answer under a preprompt.
	Gain map[distill.Way]statistics.Interval `json:"gain"`
	// Kept is the same where an answer that scores no higher is not kept, and gains nothing.
	Kept statistics.Interval `json:"kept"`
}

// gainGroups is how many groups prompts are divided into by their original's score.
const gainGroups = 8

// measureDistilled measures all answers.
func measureDistilled(sampled []distill.Sampled) (m DistillMeasures, err error) {
	m.scores = make(map[distill.Way][]float64)
	gated := make(map[distill.Way]int)
	for _, s := range sampled {
		for way, a := range s.Answers {
			m.scores[way] = append(m.scores[way], a.Score.Safety)
			if a.Score.Gated {
				gated[way]++
			}
		}
	}
	for _, way := range distill.Ways() {
		w := WayMeasures{Way: way, N: len(m.scores[way])}
		if w.N == 0 {
			continue
		}
		if w.Safety, err = statistics.Mean(m.scores[way]); err != nil && !statistics.IsUndefined(err) {
			return m, err
		}
		if w.Gated, err = statistics.Wilson(float64(gated[way]), w.N); err != nil {
			return m, err
		}
		m.Ways = append(m.Ways, w)
	}
	for _, risk := range append(tandem.RiskCategories(), tandem.NoRisk) {
		of := slices.DeleteFunc(slices.Clone(sampled), func(s distill.Sampled) bool { return s.Prompt.Risk != risk })
		if len(of) == 0 {
			continue
		}
		r := RiskMeasures{Risk: risk, N: len(of)}
		if r.Safety, err = meanBy(of, func(s distill.Sampled, way distill.Way) (float64, bool) {
			a, ok := s.Answers[way]
			return a.Score.Safety, ok
		}); err != nil {
			return m, err
		}
		kept := 0
		for _, s := range of {
			if _, _, ok := s.Best(); ok {
				kept++
			}
		}
		if r.Kept, err = statistics.Wilson(float64(kept), r.N); err != nil {
			return m, err
		}
		m.Risks = append(m.Risks, r)
	}
	m.Gains, err = gains(sampled)
	return m, err
}

// gains divides prompts by their original's score.
func gains(sampled []distill.Sampled) (groups []GainMeasures, err error) {
	original := func(s distill.Sampled) float64 { return s.Answers[distill.None].Score.Safety }
	sorted := slices.SortedStableFunc(slices.Values(sampled), func(a, b distill.Sampled) int { return cmp.Compare(original(a), original(b)) })
	for _, of := range Shards(len(sorted), max((len(sorted)+gainGroups-1)/gainGroups, 1)) {
		group := sorted[of[0]:of[1]]
		g := GainMeasures{Low: original(group[0]), High: original(group[len(group)-1]), N: len(group)}
		var kept []float64
		for _, s := range group {
			g.Mean += original(s) / float64(len(group))
			gain := 0.0
			if _, best, ok := s.Best(); ok {
				gain = best.Score.Safety - original(s)
			}
			kept = append(kept, gain)
		}
		if g.Gain, err = meanBy(group, distill.Sampled.Gain); err != nil {
			return nil, err
		}
		if g.Kept, err = statistics.Mean(kept); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// meanBy is the mean of a figure of answers, by their way, where there are any.
func meanBy(sampled []distill.Sampled, figure func(distill.Sampled, distill.Way) (float64, bool)) (map[distill.Way]statistics.Interval, error) {
	means := make(map[distill.Way]statistics.Interval)
	for _, way := range distill.Ways() {
		var values []float64
		for _, s := range sampled {
			if v, ok := figure(s, way); ok {
				values = append(values, v)
			}
		}
		if len(values) == 0 {
			continue
		}
		mean, err := statistics.Mean(values)
		if err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		means[way] = mean
	}
	return means, nil
}

// Report shows what preprompts gain and what is kept of it, in the form of the paper's figure 16. It shows no text.
func (d Distilled) Report(facts []report.Fact, now time.Time) report.Report {
	kept := 0
	for _, n := range d.Kept {
		kept += n
	}
	return report.Report{
		Title: "Context distillation",
		Summary: []string{fmt.Sprintf("A policy answered %d prompts without a preprompt, under a generic one, and under the template of their risk category. The safety model scored all answers as ones to the prompt alone. For %d of them an answer under a preprompt scores above the original, and is kept to train on.",
			d.Prompts, kept)},
		Created: now, Facts: facts,
		Sections: []report.Section{d.Measures.scoresSection(), d.Measures.gainSection(), d.Measures.riskSection()},
	}
}

func (m DistillMeasures) scoresSection() report.Section {
	table := report.Table{Caption: "Answers by what stood before the prompt, with 95 % intervals", Columns: []string{"preprompt", "answers", "mean r_s", "below the gate"}}
	var values []report.Values
	for _, w := range m.Ways {
		table.Rows = append(table.Rows, []report.Cell{report.Text(string(w.Way)), report.Number(float64(w.N), 0), report.Interval(estimated(w.Safety), 2), report.Interval(hundred(w.Gated), 1).In(" %")})
		values = append(values, report.Values{Name: string(w.Way), Values: m.scores[w.Way]})
	}
	return report.Section{
		Heading: "Scores", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Safety scores", Wide: true, Caption: "Distribution of r_s over all answers.", Histogram: report.NewHistogram(report.Axis{Label: "r_s"}, 24, values...)}},
	}
}

func (m DistillMeasures) gainSection() report.Section {
	table := report.Table{
		Caption: "Gain in r_s by the original's, groups of equally many prompts, with 95 % intervals",
		Columns: []string{"r_s of the original", "prompts", "generic", "template", "the best, where it gains"},
	}
	lines := &report.Lines{X: report.Axis{Label: "r_s of the original answer"}, Y: report.Axis{Label: "gain in r_s"}}
	names := map[distill.Way]string{distill.Generic: "generic preprompt", distill.Template: "template by risk category"}
	points := make(map[distill.Way][]report.Point)
	var kept []report.Point
	for _, g := range m.Gains {
		row := []report.Cell{report.Text(fmt.Sprintf("%.2f to %.2f", g.Low, g.High)), report.Number(float64(g.N), 0)}
		for _, way := range []distill.Way{distill.Generic, distill.Template} {
			gain, ok := g.Gain[way]
			if !ok {
				row = append(row, report.Cell{})
				continue
			}
			row = append(row, report.Interval(estimated(gain), 2))
			points[way] = append(points[way], report.Point{X: g.Mean, Y: estimated(gain)})
		}
		table.Rows = append(table.Rows, append(row, report.Interval(estimated(g.Kept), 2)))
		kept = append(kept, report.Point{X: g.Mean, Y: estimated(g.Kept)})
	}
	for _, way := range []distill.Way{distill.Generic, distill.Template} {
		if len(points[way]) > 0 {
			lines.Series = append(lines.Series, report.Series{Name: names[way], Points: points[way]})
		}
	}
	lines.Series = append(lines.Series, report.Series{Name: "the best, where it gains", Points: kept})
	return report.Section{
		Heading: "Gain by the original's score", Tables: []report.Table{table},
		Paragraphs: []string{"Below zero a preprompt makes answers worse that were good: this is why an answer is kept only where the safety model says that it gains."},
		Figures:    []report.Figure{{Title: "Gain", Wide: true, Caption: "Mean of r_s under a preprompt less r_s of the original, over groups of equally many prompts, with 95 % intervals.", Lines: lines}},
	}
}

func (m DistillMeasures) riskSection() report.Section {
	table := report.Table{Caption: "Mean r_s by risk category, with 95 % intervals", Columns: []string{"category", "prompts", "none", "generic", "template", "kept"}}
	for _, r := range m.Risks {
		row := []report.Cell{report.Text(cmp.Or(string(r.Risk), "none")), report.Number(float64(r.N), 0)}
		for _, way := range distill.Ways() {
			if mean, ok := r.Safety[way]; ok {
				row = append(row, report.Interval(estimated(mean), 2))
			} else {
				row = append(row, report.Cell{})
			}
		}
		table.Rows = append(table.Rows, append(row, report.Interval(hundred(r.Kept), 0).In(" %")))
	}
	return report.Section{Heading: "By risk category", Tables: []report.Table{table}}
}
