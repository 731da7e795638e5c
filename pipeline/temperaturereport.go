package pipeline

import (
	"fmt"
	"strconv"
	"time"

	"tandem/report"
)

// Report shows the curves of figure 21.
func (m RescalingMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: "Diversity by temperature",
		Summary: []string{fmt.Sprintf("Each policy answered each prompt %d times at each temperature. Self-BLEU is how much the answers to a prompt resemble each other: the mean BLEU-4 of each against the others; the lower, the more diverse. In Llama 2's figure 21 RLHF makes answers to factual prompts stay alike as the temperature rises, while those to creative prompts keep spreading.",
			m.Config.K)},
		Created: now, Facts: facts,
	}
	curves, table := report.Section{Heading: "Self-BLEU by temperature"}, report.Table{
		Caption: "Means over prompts with 95 % intervals (Student's t)", Columns: []string{"", "prompts", "T", "Self-BLEU", "different answers", "tokens"},
	}
	falls := report.Table{
		Caption: fmt.Sprintf("Fall of Self-BLEU from T = %g to T = %g, paired by prompt, and by how much more it falls on creative prompts (over resampled prompts), with 95 %% intervals", m.Config.Temperatures[0], m.Config.Temperatures[len(m.Config.Temperatures)-1]),
		Columns: []string{"", "factual", "creative", "difference"},
	}
	both := make([]*report.Lines, 2)
	for i := range both {
		both[i] = &report.Lines{X: report.Axis{Label: "temperature"}, Y: report.Axis{Label: "Self-BLEU", Min: report.At(0), Max: report.At(1)}}
	}
	answers := report.Section{Heading: "Answers", Paragraphs: []string{"The first prompt of each kind, with three answers at each end of the temperatures."}}
	for _, p := range m.Policies {
		lines := &report.Lines{X: report.Axis{Label: "temperature"}, Y: report.Axis{Label: "Self-BLEU", Min: report.At(0), Max: report.At(1)}}
		for i, set := range p.Sets {
			series := report.Series{Name: set.Name}
			for _, point := range set.Curve {
				series.Points = append(series.Points, report.Point{X: point.Temperature, Y: estimated(point.SelfBLEU)})
				table.Rows = append(table.Rows, []report.Cell{
					report.Text(p.Name + ", " + set.Name), report.Number(float64(set.Prompts), 0), report.Number(point.Temperature, 2), report.Interval(estimated(point.SelfBLEU), 3),
					report.Interval(hundred(point.Distinct), 0).In(" %"), report.Interval(estimated(point.Tokens), 1),
				})
			}
			lines.Series = append(lines.Series, series)
			both[i].Series = append(both[i].Series, report.Series{Name: p.Name, Points: series.Points})
			answers.Samples = append(answers.Samples, set.sample(p.Name))
		}
		curves.Figures = append(curves.Figures, report.Figure{Title: p.Name, Caption: "Mean Self-BLEU over prompts, with 95 % intervals.", Lines: lines})
		falls.Rows = append(falls.Rows, []report.Cell{report.Text(p.Name), report.Interval(estimated(p.Sets[0].Fall), 3), report.Interval(estimated(p.Sets[1].Fall), 3), report.Interval(estimated(p.Narrower), 3)})
	}
	for i, name := range []string{"factual", "creative"} {
		curves.Figures = append(curves.Figures, report.Figure{Title: "All policies, " + name + " prompts", Caption: "Mean Self-BLEU over prompts, with 95 % intervals.", Lines: both[i]})
	}
	r.Sections = []report.Section{curves, {Heading: "Figures", Tables: []report.Table{falls, table}}, answers}
	return r
}

// sample shows some answers to the first prompt.
func (of RescaledSet) sample(policy string) report.Sample {
	const shown = 3
	s := report.Sample{Title: policy + ", " + of.Name, Prompt: of.prompt}
	for _, i := range []int{0, len(of.example) - 1} {
		for _, text := range of.example[i][:min(shown, len(of.example[i]))] {
			s.Answers = append(s.Answers, report.Answer{Name: "T = " + strconv.FormatFloat(of.Curve[i].Temperature, 'g', -1, 64), Text: text})
		}
	}
	return s
}
