package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem"
	"tandem/dataset"
	"tandem/report"
)

// ValidityReport shows what a cross-validation found.
func ValidityReport(validity map[tandem.Aspect]Validated, c CrossValidationConfig, facts []report.Fact, now time.Time) report.Report {
	r := report.Report{Title: "Reward models by cross-validation", Created: now, Facts: facts, Sections: validitySections(validity, c)}
	for _, aspect := range aspects() {
		r.Summary = append(r.Summary, validity[aspect].verdict(aspect))
	}
	return r
}

func validitySections(validity map[tandem.Aspect]Validated, c CrossValidationConfig) []report.Section {
	return []report.Section{accuracySection(validity, c), crossSection(validity)}
}

// verdict says plainly what a reward model has learnt.
func (v Validated) verdict(aspect tandem.Aspect) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The %s model is right on %s of the pairs that it has not seen [%s, %s].", aspect, percent(v.Model.Value), percent(v.Model.Low), percent(v.Model.High))
	for _, rule := range v.Rules {
		how := "cannot be told apart from"
		switch {
		case rule.Ahead.Low > 0:
			how = "beats"
		case rule.Ahead.High < 0:
			how = "does not reach"
		}
		fmt.Fprintf(&b, " It %s %s (%s; the difference is %s).", how, rule.Name, percent(rule.Accuracy.Value), points(rule.Ahead))
	}
	return b.String()
}

// parts are a mixture's, as "90 safety to 10 helpfulness".
func parts(m dataset.Mixture) string {
	if len(m.Parts) == 0 {
		return "everything"
	}
	var texts []string
	whole := 0.0
	for _, p := range m.Parts {
		whole += p.Weight
	}
	for _, p := range m.Parts {
		texts = append(texts, fmt.Sprintf("%.0f %s", 100*p.Weight/whole, strings.Join(p.Sources, " or ")))
	}
	return strings.Join(texts, " to ")
}

func accuracySection(validity map[tandem.Aspect]Validated, c CrossValidationConfig) report.Section {
	start := "the base model"
	if c.Pretrain != nil {
		start = "a model pretrained on the other folds' dialogues"
	}
	if c.FromChat {
		start += ", fine-tuned on the other folds' chosen sides"
	}
	s := report.Section{
		Heading: "Do the reward models know what people chose?",
		Paragraphs: []string{fmt.Sprintf(
			"Accuracy by cross-validation in %d folds over all pairs of each kind. Pairs that begin with the same human turn are in one fold, of both kinds of data alike, so no opening is both learnt from and measured on. "+
				"Each fold has its own reward models, which start from %s and learn from the other folds (helpfulness: %s; safety: %s); the bag of words (a logistic regression on the answers' words and length) learns from the same folds. "+
				"Intervals resample openings; differences are paired.", c.Folds, start, parts(c.Helpfulness.Mixture), parts(c.Safety.Mixture))},
	}
	bars := &report.Bars{Y: report.Axis{Label: "% of pairs right", Min: report.At(0)}}
	table := report.Table{Caption: "Accuracy, and how far the reward model is ahead", Columns: []string{"pairs", "rule", "right, %", "model ahead by, points"}}
	model := report.BarSeries{Name: "reward model"}
	rules := []report.BarSeries{{Name: string(Chance)}, {Name: string(Length)}, {Name: string(BagOfWords)}}
	for _, aspect := range aspects() {
		v := validity[aspect]
		bars.Categories = append(bars.Categories, string(aspect))
		model.Values = append(model.Values, hundred(v.Model))
		table.Rows = append(table.Rows, []report.Cell{report.Text(string(aspect)), report.Text("reward model"), report.Interval(hundred(v.Model), 1), {}})
		for _, rule := range v.Rules {
			i := slices.IndexFunc(rules, func(s report.BarSeries) bool { return s.Name == string(rule.Kind) })
			rules[i].Values = append(rules[i].Values, hundred(rule.Accuracy))
			table.Rows = append(table.Rows, []report.Cell{
				report.Text(string(aspect)), report.Text(rule.Name), report.Interval(hundred(rule.Accuracy), 1), report.Interval(hundred(rule.Ahead), 1),
			})
		}
	}
	bars.Series = append([]report.BarSeries{model}, rules...)
	s.Figures = []report.Figure{{
		Title: "Reward models and simple rules", Caption: "Share of pairs whose chosen answer wins, with 95 % intervals; the length rule is longer for helpfulness and shorter for safety.", Wide: true, Bars: bars,
	}}
	s.Tables = []report.Table{table}
	return s
}

// cross is the paper's comparison of each model on the other's data (table 8).
func crossSection(validity map[tandem.Aspect]Validated) report.Section {
	table := report.Table{Caption: "Right, in % of the pairs", Columns: []string{"pairs", "own model", "the other model", "own ahead by, points"}}
	for _, aspect := range aspects() {
		v := validity[aspect]
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(string(aspect)), report.Interval(hundred(v.Model), 1), report.Interval(hundred(v.Other), 1), report.Interval(hundred(v.AheadOfOther), 1),
		})
	}
	return report.Section{
		Heading:    "Each model on the other's data",
		Paragraphs: []string{"In the paper each model is the best on its own data (table 8)."},
		Tables:     []report.Table{table},
	}
}
