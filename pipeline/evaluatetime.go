package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/report"
	"tandem/statistics"
)

// Timing specifies whether policies answer by the date (section 5.2, figure 22).
type Timing struct {
	Models   []string        `json:"models"` // folders of policies
	Data     string          `json:"data"`   // file of probes, evaluation.TimeProbe a line
	Days     []int           `json:"days"`   // after the event on which each is asked, negative before it; ascending
	Sampling tandem.Sampling `json:"sampling"`
	Seed     uint64          `json:"seed"`
	Shard    int             `json:"shard"` // probes of a unit
}

// TimingUnit specifies one policy's answers to the probes From to To.
type TimingUnit struct {
	Timing
	Policy   string `json:"policy"`
	PolicyID string `json:"policy_id"`
	Snapshot string `json:"snapshot"`
	From     int    `json:"from"`
	To       int    `json:"to"`
}

// TimingMeasures is what came of it.
type TimingMeasures struct {
	Config   Timing        `json:"config"`
	Snapshot string        `json:"snapshot"`
	Probes   int           `json:"probes"`
	Policies []TimedPolicy `json:"policies"`
}

// TimedPolicy is how one policy answers.
type TimedPolicy struct {
	Name   string              `json:"name"`
	ID     string              `json:"id,omitempty"`
	Right  []TimedShare        `json:"right"`  // by the day
	Before statistics.Interval `json:"before"` // right answers of all days before the event; over probes
	After  statistics.Interval `json:"after"`
	// Differ is the share of probes answered otherwise on the last day before the event than on the first from it on.
	Differ   statistics.Interval      `json:"differ"`
	Examples []evaluation.TimeAnswers `json:"examples"`
}

// TimedShare is the share of right answers on a day.
type TimedShare struct {
	Days  int                 `json:"days"`
	Share statistics.Interval `json:"share"`
}

// Validate reports the first thing that makes no sense.
func (t Timing) Validate() error {
	const op = "pipeline.Timing"
	if !slices.IsSorted(t.Days) || len(t.Days) == 0 || t.Days[0] >= 0 || t.Days[len(t.Days)-1] < 0 {
		return tandem.Errorf(tandem.Invalid, op, "days are %v: ascending ones are wanted, some before the event (negative) and some from it on", t.Days)
	}
	return nil
}

// timingUnit does one unit.
func (s *Studio) timingUnit(ctx context.Context, u TimingUnit) ([]evaluation.TimeAnswers, error) {
	probes, snapshot, err := readProbes(ctx, u.Data)
	if err != nil {
		return nil, err
	}
	if snapshot != u.Snapshot || u.To > len(probes) {
		return nil, tandem.Errorf(tandem.Conflict, "pipeline.Timing", "%s holds other probes now than when the work was divided", u.Data)
	}
	policy, err := s.open(ctx, u.Policy)
	if err != nil {
		return nil, err
	}
	return evaluation.AskTime(ctx, tallied{policy, tallyOf(ctx)}, probes[u.From:u.To], u.Days, u.Sampling, u.Seed)
}

func readProbes(ctx context.Context, path string) (probes []evaluation.TimeProbe, snapshot string, err error) {
	if snapshot, err = HashFiles(path); err != nil {
		return nil, "", err
	}
	if probes, err = readLines[evaluation.TimeProbe](ctx, path); err != nil {
		return nil, "", err
	}
	for i, p := range probes {
		if err := p.Validate(); err != nil {
			return nil, "", fmt.Errorf("%s: record %d: %w", path, i+1, err)
		}
	}
	if len(probes) == 0 {
		return nil, "", tandem.Errorf(tandem.Invalid, "pipeline.Timing", "%s has no probes", path)
	}
	return probes, snapshot, nil
}

// MeasureTiming measures all policies; do does the shards.
func (s *Studio) MeasureTiming(ctx context.Context, t Timing, do Units) (TimingMeasures, error) {
	m := TimingMeasures{Config: t}
	if err := t.Validate(); err != nil {
		return m, err
	}
	probes, snapshot, err := readProbes(ctx, t.Data)
	if err != nil {
		return m, err
	}
	m.Snapshot, m.Probes = snapshot, len(probes)
	for _, folder := range t.Models {
		version, err := versionIn(ctx, folder)
		if err != nil {
			return m, err
		}
		answers, err := sharded[evaluation.TimeAnswers](ctx, do, tandem.StageEvaluate, len(probes), t.Shard, func(from, to int) any {
			return Evaluation{Timing: &TimingUnit{Timing: t, Policy: folder, PolicyID: version.ID, Snapshot: snapshot, From: from, To: to}}
		})
		if err != nil {
			return m, err
		}
		policy := TimedPolicy{Name: version.Name, ID: version.ID, Examples: answers[:min(len(answers), shownSamples)]}
		if err := policy.measure(answers, t.Days); err != nil {
			return m, err
		}
		m.Policies = append(m.Policies, policy)
	}
	return m, nil
}

// measure counts right answers. Days of one probe are not independent: over several days, each probe counts with its mean.
func (p *TimedPolicy) measure(answers []evaluation.TimeAnswers, days []int) (err error) {
	first := slices.IndexFunc(days, func(d int) bool { return d >= 0 }) // of the days from the event on
	side := func(from, to int) (statistics.Interval, error) {
		var means []float64
		for _, a := range answers {
			right := 0.0
			for _, answer := range a.Answers[from:to] {
				right += indicator(answer.Right) / float64(to-from)
			}
			means = append(means, right)
		}
		sum := 0.0
		for _, v := range means {
			sum += v
		}
		return statistics.Wilson(sum, len(means))
	}
	for i, day := range days {
		share, err := side(i, i+1)
		if err != nil {
			return err
		}
		p.Right = append(p.Right, TimedShare{day, share})
	}
	if p.Before, err = side(0, first); err != nil {
		return err
	}
	if p.After, err = side(first, len(days)); err != nil {
		return err
	}
	differ := 0
	for _, a := range answers {
		if a.Differ(first-1, first) {
			differ++
		}
	}
	p.Differ, err = statistics.Wilson(float64(differ), len(answers))
	return err
}

// Report shows how policies answer by the date.
func (m TimingMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	table := report.Table{
		Caption: "Answers that are right on the day on which they are given, in %, and questions that are answered otherwise after the event than before it, with 95 % intervals over questions",
		Columns: []string{"", "before the event", "from it on", "answered otherwise"},
	}
	lines := &report.Lines{X: report.Axis{Label: "days after the event"}, Y: report.Axis{Label: "right answers", Min: report.At(0), Max: report.At(1)}}
	for _, day := range m.Config.Days {
		lines.X.Ticks = append(lines.X.Ticks, fmt.Sprintf("%+d", day))
	}
	examples := report.Section{Heading: "Answers"}
	for _, p := range m.Policies {
		table.Rows = append(table.Rows, []report.Cell{report.Text(p.Name), report.Interval(hundred(p.Before), 1), report.Interval(hundred(p.After), 1), report.Interval(hundred(p.Differ), 1)})
		series := report.Series{Name: p.Name}
		for i, share := range p.Right {
			series.Points = append(series.Points, report.Point{X: float64(i), Y: estimated(share.Share)})
		}
		lines.Series = append(lines.Series, series)
		for _, e := range p.Examples[:min(len(p.Examples), 3)] {
			sample := report.Sample{
				Title: fmt.Sprintf("%s, an event of %s", p.Name, e.Probe.EventDate.Format("2 January 2006")), Prompt: tandem.Dialogue{{Role: tandem.User, Content: e.Probe.Question}},
				Answers: []report.Answer{{Name: "without a date", Text: e.Undated}},
			}
			for _, a := range e.Answers {
				sample.Answers = append(sample.Answers, report.Answer{Name: fmt.Sprintf("%+d days", a.Days), Text: a.Text, Notes: []report.Fact{{Name: "right", Value: map[bool]string{true: "yes", false: "no"}[a.Right]}}})
			}
			examples.Samples = append(examples.Samples, sample)
		}
	}
	return report.Report{
		Title: "Answers by the date", Created: now, Facts: facts,
		Summary: []string{fmt.Sprintf("%d questions whose answer changed on a day were asked on days before and after it, the date in front as a system message (Llama 2, section 5.2).", m.Probes)},
		Sections: []report.Section{{
			Heading: "Before and after", Tables: []report.Table{table},
			Figures: []report.Figure{{Title: "Right answers by the day", Wide: true, Caption: "Share of questions answered as is right on that day, with 95 % intervals over questions.", Lines: lines}},
		}, examples},
	}
}
