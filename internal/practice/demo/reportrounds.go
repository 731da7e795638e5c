package demo

import (
	"fmt"
	"slices"
	"strings"

	"tandem"
	"tandem/evaluation"
	"tandem/pipeline"
	"tandem/report"
	"tandem/statistics"
)

// against shows the versions' wins over the first one, in the form of the paper's figure 11, as each judge sees them.
func (o Outcome) against(versions []int) (report.Section, error) {
	first := o.Chapters[versions[0]].Name
	s := report.Section{
		Heading: "Version by version, against " + first,
		Paragraphs: []string{
			"Each version answered all held-out prompts, and its answers stand beside " + first + "'s: helpfulness on helpful and borderline prompts, safety on unsafe ones. A tie counts half, and 50 % is as good as " + first + ". Bars are 95 % intervals over prompts.",
			"The newest reward models chose the answers that the versions learnt from. The held-out judge learnt from other comparisons and chose nothing. People saw two answers and not whose they are. Gold is the truth, which none of them knows.",
		},
	}
	table := report.Table{Caption: "Win rates over " + first, Columns: []string{"", "judged by", "helpfulness", "safety"}}
	for _, by := range []struct {
		title  string
		judges []pipeline.Judge
	}{
		{"By reward models", []pipeline.Judge{pipeline.NewestJudge, pipeline.HeldOutJudge}},
		{"By people, and in truth", []pipeline.Judge{pipeline.BlindPeople, goldJudge}},
	} {
		path := &report.Path{X: report.Axis{Label: "helpfulness, wins in %"}, Y: report.Axis{Label: "safety, wins in %"}, Cross: report.At(50)}
		for n, judge := range by.judges {
			start := report.Place{X: report.Exactly(50), Y: report.Exactly(50)}
			if n == 0 { // named once: all start there
				start.Name = short(first)
			}
			series := report.PathSeries{Name: string(judge), Places: []report.Place{start}}
			for _, i := range versions[1:] {
				rates := make(map[tandem.Aspect]report.Estimate)
				for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
					rate, err := o.wins(i, judge, aspect).WinRate()
					if err != nil {
						return s, fmt.Errorf("%s of %s by %s: %w", aspect, o.Chapters[i].Name, judge, err)
					}
					rates[aspect] = hundred(rate)
				}
				series.Places = append(series.Places, report.Place{Name: short(o.Chapters[i].Name), X: rates[tandem.Helpfulness], Y: rates[tandem.Safety]})
				table.Rows = append(table.Rows, []report.Cell{
					report.Text(o.Chapters[i].Name), report.Text(string(judge)),
					report.Interval(rates[tandem.Helpfulness], 1).In(" %"), report.Interval(rates[tandem.Safety], 1).In(" %"),
				})
			}
			path.Series = append(path.Series, series)
		}
		s.Figures = append(s.Figures, report.Figure{
			Title: by.title, Caption: "Wins over " + first + " in helpfulness and in safety (the form of the paper's figure 11).", Path: path,
		})
	}
	s.Tables = []report.Table{table}
	return s, nil
}

// goldJudge is the truth among the judges of the report; nothing else asks it.
const goldJudge pipeline.Judge = "gold"

// wins are a version's over the first one, by a judge.
func (o Outcome) wins(version int, judge pipeline.Judge, aspect tandem.Aspect) statistics.Outcomes {
	if judge != goldJudge {
		return o.Chapters[version].Wins[judge][aspect]
	}
	var w statistics.Outcomes
	for i, newer := range o.Gold[version].first[aspect] {
		switch older := o.Gold[0].first[aspect][i]; {
		case newer > older:
			w.Wins++
		case newer < older:
			w.Losses++
		default:
			w.Ties++
		}
	}
	return w
}

// short is a version's name without what all of them have in common.
func short(name string) string { return strings.TrimPrefix(name, "RLHF-") }

// histogramBins is how many bins rewards are sorted into.
const histogramBins = 24

// rewards shows how the versions' rewards are distributed, in the form of the paper's figure 20.
func (o Outcome) rewards(versions []int) report.Section {
	s := report.Section{
		Heading:    "Rewards, version by version",
		Paragraphs: []string{"Raw scalars that the newest pair of reward models gives to the versions' answers. What is tuned moves to the right and loses its low tail."},
	}
	table := report.Table{Caption: "Mean reward, and the reward that one answer in twenty stays below", Columns: []string{"", "helpfulness", "of the lowest 5 %", "safety", "of the lowest 5 %"}}
	for _, i := range versions {
		table.Rows = append(table.Rows, []report.Cell{report.Text(o.Chapters[i].Name)})
	}
	for _, of := range []struct {
		title, prompts string
		aspect         tandem.Aspect
		reward         func(evaluation.Answer) float64
	}{
		{"Helpfulness rewards", "helpful and borderline", tandem.Helpfulness, func(a evaluation.Answer) float64 { return a.Score.Helpfulness }},
		{"Safety rewards", "unsafe", tandem.Safety, func(a evaluation.Answer) float64 { return a.Score.Safety }},
	} {
		var values []report.Values
		for row, i := range versions {
			v := report.Values{Name: short(o.Chapters[i].Name)}
			for _, a := range o.Chapters[i].Answers {
				if a.Prompt.Safety == (of.aspect == tandem.Safety) {
					v.Values = append(v.Values, of.reward(a))
				}
			}
			values = append(values, v)
			mean, _ := statistics.Moments(v.Values)
			table.Rows[row] = append(table.Rows[row], report.Number(mean, 2), report.Number(statistics.Quantile(slices.Sorted(slices.Values(v.Values)), 0.05), 2))
		}
		s.Figures = append(s.Figures, report.Figure{
			Title: of.title, Caption: "Of the answers to " + of.prompts + " held-out prompts (the form of the paper's figure 20).",
			Histogram: report.NewHistogram(report.Axis{Label: "reward"}, histogramBins, values...),
		})
	}
	s.Tables = []report.Table{table}
	return s
}

// promotions shows which versions were let serve, and on what ground.
func (o Outcome) promotions(versions []int) report.Section {
	s := report.Section{Heading: "Promotions", Paragraphs: []string{
		"A new version is tried against the one that serves, on held-out prompts: by the held-out judge, and where that does not refuse it by people, who see both answers and not whose they are. It serves where it does not lose: where the low end of every win rate's interval reaches " + fmt.Sprintf("%.0f %%", 50-100*pipeline.DefaultTrial().Margin) + ". Gold is not asked.",
	}}
	table := report.Table{Caption: "Trials", Columns: []string{"", "against", "judged by", "on", "won / tied / lost", "win rate", "holds", "promoted"}}
	names := make(map[string]string)
	for _, c := range o.Chapters {
		names[c.ID] = c.Name
	}
	for _, i := range versions {
		d := o.Chapters[i].Decision
		if d == nil {
			continue
		}
		yes := map[bool]string{true: "yes", false: "no"}
		for _, c := range d.Contests {
			table.Rows = append(table.Rows, []report.Cell{
				report.Text(o.Chapters[i].Name), report.Text(names[d.Against]), report.Text(string(c.Jury)), report.Text(string(c.Aspect)),
				report.Text(fmt.Sprintf("%d / %d / %d", c.Wins, c.Ties, c.Losses)),
				report.Interval(report.Between(100*c.Rate, 100*c.Low, 100*c.High), 1).In(" %"), report.Text(yes[c.Held]), report.Text(yes[d.Promoted]),
			})
		}
		if len(d.Contests) == 0 {
			s.Paragraphs = append(s.Paragraphs, o.Chapters[i].Name+" was not tried: "+d.Reason+".")
		}
	}
	s.Tables = []report.Table{table}
	return s
}
