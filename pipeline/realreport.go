package pipeline

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"tandem/report"
	"tandem/statistics"
)

// Report shows the outcome. Texts of the files, or answers to them, are not in it: safety data is
// offensive on purpose, and no report is the place for it.
func (o RealOutcome) Report(c RealConfig, facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title:   "The loop on real comparisons",
		Summary: o.summary(c),
		Created: now,
		Facts:   facts,
	}
	for _, aspect := range aspects() {
		if v, ok := o.Validity[aspect]; ok {
			r.Highlights = append(r.Highlights, report.Highlight{
				Label: title(string(aspect)) + " model", Value: percent(v.Model.Value) + " right",
				Note: fmt.Sprintf("95 %% interval %s to %s over %d pairs", percent(v.Model.Low), percent(v.Model.High), v.Pairs),
			})
		}
	}
	if len(o.Validity) > 0 {
		r.Sections = append(r.Sections, validitySections(o.Validity, c.crossValidation())...)
	}
	r.Sections = append(r.Sections, o.improvement(), o.drift(), o.sampled(), o.data(c), TimeSection(o.Times))
	return r
}

func (o RealOutcome) summary(c RealConfig) []string {
	start := "A base model that was there"
	if c.Pretrain != nil {
		start = "A model and a tokenizer made of the training side's dialogues"
	}
	paragraphs := []string{fmt.Sprintf(
		"%s was fine-tuned on the chosen sides of the training pairs; a helpfulness and a safety reward model learnt from %d training comparisons that people made; rejection sampling kept the best of %d answers, and PPO tuned the result. "+
			"No opening of the held-out side was seen by any of them.", start, o.Compared, c.Recipe.Rejection.Samples())}
	for _, aspect := range aspects() {
		if v, ok := o.Validity[aspect]; ok {
			paragraphs = append(paragraphs, v.verdict(aspect))
		}
	}
	return paragraphs
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// points is a difference of shares in percentage points.
func points(i statistics.Interval) string {
	return strings.ReplaceAll(fmt.Sprintf("%+.1f points [%+.1f, %+.1f]", 100*i.Value, 100*i.Low, 100*i.High), "-", "−")
}

// hundred is an interval of a share as per cent.
func hundred(i statistics.Interval) report.Estimate {
	return report.Between(100*i.Value, 100*i.Low, 100*i.High)
}

func estimated(i statistics.Interval) report.Estimate {
	return report.Between(i.Value, i.Low, i.High)
}

func (o RealOutcome) improvement() report.Section {
	rewards := report.Table{Caption: "Mean raw scores of answers to held-out prompts", Columns: []string{"version", "helpfulness r_h", "safety r_s", "combined", "gated, %"}}
	for _, v := range o.Versions {
		rewards.Rows = append(rewards.Rows, []report.Cell{
			report.Text(v.Name), report.Interval(estimated(v.Summary.Helpfulness), 2), report.Interval(estimated(v.Summary.Safety), 2),
			report.Interval(estimated(v.Summary.Combined), 2), report.Interval(hundred(v.Summary.Gated), 0),
		})
	}
	wins := report.Table{Caption: "Win rate over SFT, in %", Columns: []string{"version", "judged by", "prompts of", "won", "won / tied / lost"}}
	for _, v := range o.Versions {
		for _, w := range v.Wins {
			wins.Rows = append(wins.Rows, []report.Cell{
				report.Text(v.Name), report.Text(string(w.Judge)), report.Text(string(w.Prompts)), report.Interval(hundred(w.Rate), 1),
				report.Text(fmt.Sprintf("%d / %d / %d", w.Counts.Wins, w.Counts.Ties, w.Counts.Losses)),
			})
		}
	}
	return report.Section{
		Heading: "What the loop did to the policy",
		Paragraphs: []string{
			"All versions were scored by the same pair of reward models, which are also what the policy was tuned against: a rise says that tuning works, not that people would agree. How far the models can be believed is above. " +
				"The pairs carry no safety labels, so the safety model is uncalibrated: its gate is the score below which 15 % of SFT's answers to safety prompts fall.",
		},
		Tables: []report.Table{rewards, wins},
	}
}

func (o RealOutcome) drift() report.Section {
	table := report.Table{Caption: "Answers to held-out prompts", Columns: []string{"version", "KL from SFT, nats", "tokens", "ended, %", "repeated 4-grams, %", "distinct-1", "distinct-2", "of 1,000 bigrams"}}
	for _, v := range o.Versions {
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(v.Name), report.Interval(estimated(v.Summary.KL), 1), report.Interval(estimated(v.Summary.Length), 1), report.Interval(hundred(v.Summary.Ended), 0),
			report.Interval(hundred(v.Summary.Repetition), 1), report.Number(v.Summary.Distinct1, 3), report.Number(v.Summary.Distinct2, 3), report.Number(v.Summary.Rarefied2, 3),
		})
	}
	return report.Section{Heading: "Drift, length and diversity", Tables: []report.Table{table}}
}

func (o RealOutcome) sampled() report.Section {
	l := &report.Lines{X: report.Axis{Label: "answers sampled"}, Y: report.Axis{Label: "combined score"}}
	for _, s := range []struct {
		name   string
		values []float64
	}{{"best", o.Curve.Best}, {"median", o.Curve.Median}} {
		points := make([]report.Point, len(s.values))
		for k, v := range s.values {
			points[k] = report.Point{X: float64(k + 1), Y: report.Exactly(v)}
		}
		l.Series = append(l.Series, report.Series{Name: s.name, Points: points})
	}
	return report.Section{Heading: "Rejection sampling", Figures: []report.Figure{{
		Title: "The best of K answers", Caption: "Expected best and median combined score among K answers, mean over prompts (figure 7 of the paper).", Lines: l,
	}}}
}

func (o RealOutcome) data(c RealConfig) report.Section {
	table := report.Table{Caption: "Imported files", Columns: []string{"file", "as", "comparisons", "duplicates", "left out"}}
	for _, f := range o.Imports {
		var out []string
		for _, reason := range []string{"ties", "contradictions", "prompts_differ", "sides_equal", "duplicates"} {
			if n := f.Skipped[reason]; n > 0 {
				out = append(out, fmt.Sprintf("%d %s", n, strings.ReplaceAll(reason, "_", " ")))
			}
		}
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(filepath.Base(f.File)), report.Text(string(f.Aspect)), report.Number(float64(f.Records), 0), report.Number(float64(f.Duplicates), 0),
			report.Text(strings.Join(out, ", ")),
		})
	}
	s := report.Section{Heading: "Data", Tables: []report.Table{table}}
	for _, aspect := range aspects() {
		if v, ok := o.Validity[aspect]; ok {
			s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("Of %d pairs for %s, under %d openings, %d have a dialogue longer than the model's context; it loses its beginning.",
				v.Pairs, aspect, v.Openings, v.Cut))
		}
	}
	s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("The chat model was fitted to the chosen sides of %d of %d training pairs; the others are longer than the context and were left out.", o.Imitated, o.Compared))
	s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("The policy was improved on %d training prompts of each kind and evaluated on %d held-out ones of each.", c.Improve, c.HeldOut))
	return s
}
