package pipeline

import (
	"fmt"
	"strings"
	"time"

	"tandem/evaluation/harness"
	"tandem/evaluation/harness/sandbox"
	"tandem/report"
)

// Report shows an evaluation on benchmarks.
func (m HarnessMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: "Benchmarks: " + m.Model,
		Summary: []string{"Prompts, the cut between a prompt's tokens and an answer's, and metrics are lm-evaluation-harness's. " +
			"Intervals are at 95 %: Wilson's for shares of questions, Student's for means. They say what another sample of questions would change, and nothing of other prompts or examples."},
		Created: now, Facts: facts,
	}
	var choices, code []harness.Result
	for _, result := range m.Results {
		if result.Task.Code() {
			code = append(code, result)
		} else {
			choices = append(choices, result)
		}
	}
	if len(choices) > 0 {
		r.Sections = append(r.Sections, choiceSection(choices))
	}
	for _, result := range choices {
		if len(result.Subjects) > 0 {
			r.Sections = append(r.Sections, subjectSection(result))
		}
	}
	for _, result := range code {
		r.Sections = append(r.Sections, codeSection(result))
	}
	return r
}

func choiceSection(results []harness.Result) report.Section {
	table := report.Table{
		Caption: "Shares of questions whose right choice is the likeliest: as a whole (acc; of truthfulqa_mc2 the probability on right choices) and for each of its characters (acc_norm)",
		Columns: []string{"task", "examples", "questions", "acc", "acc_norm", "chance", "prompts cut"},
	}
	lengths := report.Table{Caption: "The likeliest for each byte and for each token", Columns: []string{"task", "acc_bytes", "acc_tokens"}}
	bars := &report.Bars{Y: report.Axis{Label: "acc, %", Min: report.At(0)}, Series: []report.BarSeries{{Name: "acc"}, {Name: "chance"}}}
	merged := 0
	for _, r := range results {
		cell := func(m harness.Metric) report.Cell {
			e, ok := r.Metrics[m]
			if !ok {
				return report.Cell{}
			}
			return report.Interval(hundred(e.Interval), 1).In(" %")
		}
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(string(r.Task)), report.Number(float64(r.Shots), 0), report.Number(float64(r.Questions), 0),
			cell(harness.Acc), cell(harness.AccNorm), report.Number(100*r.Chance, 1).In(" %"), report.Number(float64(r.Cut), 0),
		})
		if _, ok := r.Metrics[harness.AccBytes]; ok {
			lengths.Rows = append(lengths.Rows, []report.Cell{report.Text(string(r.Task)), cell(harness.AccBytes), cell(harness.AccToken)})
		}
		bars.Categories = append(bars.Categories, string(r.Task))
		bars.Series[0].Values = append(bars.Series[0].Values, hundred(r.Metrics[harness.Acc].Interval))
		bars.Series[1].Values = append(bars.Series[1].Values, report.Exactly(100*r.Chance))
		merged += r.Merged
	}
	s := report.Section{
		Heading: "Multiple choice", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Accuracy beside chance", Caption: "acc of each task with 95 % intervals, and that of a model that knows nothing.", Wide: true, Bars: bars}},
	}
	if len(lengths.Rows) > 0 {
		s.Tables = append(s.Tables, lengths)
	}
	if merged > 0 {
		s.Paragraphs = []string{fmt.Sprintf("Of %d questions the tokenizer makes one token of the prompt's end and a whole choice. That token was scored for the choice; lm-evaluation-harness has no figure for them.", merged)}
	}
	return s
}

func subjectSection(r harness.Result) report.Section {
	categories := report.Table{Caption: "By category: over questions, and as the mean over subjects", Columns: []string{"category", "subjects", "questions", "acc", "mean over subjects"}}
	add := func(name string, subjects, questions int, acc, macro harness.Estimate) {
		categories.Rows = append(categories.Rows, []report.Cell{
			report.Text(name), report.Number(float64(subjects), 0), report.Number(float64(questions), 0),
			report.Interval(hundred(acc.Interval), 1).In(" %"), report.Interval(hundred(macro.Interval), 1).In(" %"),
		})
	}
	for _, c := range r.Categories {
		add(c.Name, c.Subjects, c.Questions, c.Acc, *c.Macro)
	}
	add("all", len(r.Subjects), r.Questions, r.Metrics[harness.Acc], *r.Macro)
	subjects := report.Table{Caption: "By subject", Columns: []string{"subject", "questions", "acc"}}
	for _, s := range r.Subjects {
		subjects.Rows = append(subjects.Rows, []report.Cell{
			report.Text(strings.ReplaceAll(s.Name, "_", " ")), report.Number(float64(s.Questions), 0), report.Interval(hundred(s.Acc.Interval), 1).In(" %"),
		})
	}
	return report.Section{Heading: string(r.Task) + " by subject", Tables: []report.Table{categories, subjects}}
}

func codeSection(r harness.Result) report.Section {
	table := report.Table{
		Caption: fmt.Sprintf("Unbiased estimates of the probability that one of k samples passes its tests, from %d samples of each of %d problems", r.Samples, r.Questions),
		Columns: []string{"metric", "value", "standard error"},
	}
	for _, metric := range r.MetricNames() {
		e := r.Metrics[metric]
		table.Rows = append(table.Rows, []report.Cell{report.Text(string(metric)), report.Interval(hundred(e.Interval), 1).In(" %"), report.Number(100*e.StandardError, 1).In(" %")})
	}
	ends := report.Table{Caption: "How the programs ended", Columns: []string{"end", "samples"}}
	for _, end := range []sandbox.End{sandbox.Passed, sandbox.Raised, sandbox.TimedOut, sandbox.Stopped} {
		ends.Rows = append(ends.Rows, []report.Cell{report.Text(string(end)), report.Number(float64(r.Ends[end]), 0)})
	}
	s := report.Section{Heading: string(r.Task), Tables: []report.Table{table, ends}}
	if r.Cut > 0 {
		s.Paragraphs = []string{fmt.Sprintf("%d prompts lost their beginning, since the model reads no more.", r.Cut)}
	}
	return s
}
