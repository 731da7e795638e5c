package pipeline

import (
	"fmt"
	"time"

	"tandem/report"
)

// Report shows what more safety data does to safety, helpfulness and false refusals (section 4.2.3 and figure 15).
func (m SafetyDataMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	return report.Report{
		Title: "How much safety data",
		Summary: []string{fmt.Sprintf("One base model, tuned on the same %d helpfulness dialogues and a growing share of %d safety dialogues, %d times for each share. All models answered the same prompts under the same randomness, and one pair of reward models scored all answers.",
			m.Helpful, m.Safety, len(m.Config.Seeds))},
		Created: now, Facts: facts,
		Sections: []report.Section{m.frontier(), m.scores(), m.refusals()},
	}
}

// series is one figure by share.
func (m SafetyDataMeasures) series(name string, figure func(ShareMeasures) report.Estimate) report.Series {
	s := report.Series{Name: name}
	for i, share := range m.Shares {
		s.Points = append(s.Points, report.Point{X: float64(i), Y: figure(share)})
	}
	return s
}

// ticks are the shares: even steps, as they are chosen to be.
func (m SafetyDataMeasures) ticks() report.Axis {
	axis := report.Axis{Label: "share of the safety dialogues"}
	for _, share := range m.Shares {
		axis.Ticks = append(axis.Ticks, fmt.Sprintf("%g %%", share.Share))
	}
	return axis
}

func (m SafetyDataMeasures) frontier() report.Section {
	path := &report.Path{X: report.Axis{Label: "helpfulness: mean r_h on ordinary prompts"}, Y: report.Axis{Label: "safety: mean r_s on safety prompts"}, Series: []report.PathSeries{{Name: "by share of safety data"}}}
	for _, share := range m.Shares {
		path.Series[0].Places = append(path.Series[0].Places, report.Place{Name: fmt.Sprintf("%g %%", share.Share), X: estimated(share.Help), Y: estimated(share.Safety)})
	}
	return report.Section{
		Heading: "Helpfulness against safety",
		Figures: []report.Figure{{Title: "The frontier", Wide: true, Caption: "Each point is a share of the safety data; upwards is safer, to the right more helpful. Bars are 95 % intervals over prompts.", Path: path}},
	}
}

func (m SafetyDataMeasures) scores() report.Section {
	table := report.Table{
		Caption: "Scores by share of safety data, with 95 % intervals over prompts",
		Columns: []string{"share", "safety dialogues", "mean r_s, safety prompts", "its lowest twentieth", "below the gate", "mean r_h, ordinary prompts"},
	}
	for _, s := range m.Shares {
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(fmt.Sprintf("%g %%", s.Share)), report.Number(float64(s.Dialogues), 0), report.Interval(estimated(s.Safety), 2), report.Interval(estimated(s.Tail), 2),
			report.Interval(hundred(s.Gated), 1).In(" %"), report.Interval(estimated(s.Help), 2),
		})
	}
	var values []report.Values
	for i, share := range m.Shares {
		v := report.Values{Name: fmt.Sprintf("%g %%", share.Share)}
		for _, a := range m.Answers[i] {
			if a.kind() == unsafePrompts {
				v.Values = append(v.Values, a.Score.Safety)
			}
		}
		values = append(values, v)
	}
	lines := &report.Lines{X: m.ticks(), Y: report.Axis{Label: "score"}, Series: []report.Series{
		m.series("mean r_s, safety prompts", func(s ShareMeasures) report.Estimate { return estimated(s.Safety) }),
		m.series("its lowest twentieth", func(s ShareMeasures) report.Estimate { return estimated(s.Tail) }),
		m.series("mean r_h, ordinary prompts", func(s ShareMeasures) report.Estimate { return estimated(s.Help) }),
	}}
	return report.Section{
		Heading: "Scores", Tables: []report.Table{table},
		Figures: []report.Figure{
			{Title: "Scores by share", Caption: "Means over prompts, and the score that a twentieth of the answers to safety prompts fall below, with 95 % intervals.", Lines: lines},
			{Title: "Safety scores of answers to safety prompts", Caption: "Distribution of r_s by share of safety data: the left tail is what more data is for.", Histogram: report.NewHistogram(report.Axis{Label: "r_s"}, 20, values...)},
		},
	}
}

func (m SafetyDataMeasures) refusals() report.Section {
	table := report.Table{Caption: "Answers that refuse, in %, with 95 % intervals over prompts; on ordinary and borderline prompts they are false refusals", Columns: []string{"share", "safety prompts", "ordinary prompts", "borderline prompts"}}
	lines := &report.Lines{X: m.ticks(), Y: report.Axis{Label: "refusals, %"}, Series: []report.Series{
		m.series("safety prompts", func(s ShareMeasures) report.Estimate { return hundred(s.RefusedUnsafe) }),
		m.series("ordinary prompts", func(s ShareMeasures) report.Estimate { return hundred(s.RefusedOrdinary) }),
	}}
	for _, s := range m.Shares {
		row := []report.Cell{report.Text(fmt.Sprintf("%g %%", s.Share)), report.Interval(hundred(s.RefusedUnsafe), 1), report.Interval(hundred(s.RefusedOrdinary), 1), {}}
		if s.RefusedBorderline != nil {
			row[3] = report.Interval(hundred(*s.RefusedBorderline), 1)
		}
		table.Rows = append(table.Rows, row)
	}
	if m.Config.Borderline != "" {
		lines.Series = append(lines.Series, m.series("borderline prompts", func(s ShareMeasures) report.Estimate { return hundred(*s.RefusedBorderline) }))
	}
	return report.Section{
		Heading: "Refusals", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Refusals by share", Wide: true, Caption: "Share of answers that the refusal classifier finds to refuse, with 95 % intervals over prompts.", Lines: lines}},
	}
}
