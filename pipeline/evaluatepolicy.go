package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/llama/checkpoint"
	"tandem/report"
	"tandem/store"
)

// Policies specifies a comparison of policies outside a round: all answer the same prompts under the same
// randomness and are scored by one pair of reward models, since scores of different models do not compare.
// The first is what wins and KL are measured against.
type Policies struct {
	Models      []string        `json:"models"` // folders
	Helpfulness string          `json:"helpfulness"`
	Safety      string          `json:"safety"`
	Prompts     string          `json:"prompts"` // file, see dataset.ReadPrompts
	Sampling    tandem.Sampling `json:"sampling"`
	Seed        uint64          `json:"seed"`
}

// PolicyComparison is what the policies came to.
type PolicyComparison struct {
	Config   Policies              `json:"config"`
	Prompts  int                   `json:"prompts"`
	Versions []RealVersion         `json:"versions"`
	Answers  [][]evaluation.Answer `json:"-"` // of each policy to every prompt
}

// ComparePolicies evaluates policies side by side. Where there is a database, it keeps a run of each with its figures, and the
// answers with their scores.
func (s *Studio) ComparePolicies(ctx context.Context, p Policies) (PolicyComparison, error) {
	c := PolicyComparison{Config: p}
	models, err := s.judges(ctx, p.Helpfulness, p.Safety)
	if err != nil {
		return c, err
	}
	for i, path := range p.Models {
		if models.policy, err = s.row(ctx, path, tandem.PolicyModel); err != nil {
			return c, err
		}
		if err := s.comparePolicy(ctx, &c, path, models); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
		s.observe(Observation{Stage: tandem.StageEvaluate, Step: i + 1, Steps: len(p.Models)})
	}
	return c, nil
}

// comparePolicy adds one policy to a comparison.
func (s *Studio) comparePolicy(ctx context.Context, c *PolicyComparison, path string, models scorers) error {
	version, err := versionIn(ctx, path)
	if err != nil {
		return err
	}
	spec := Answer{
		PolicyID: models.policy, HelpfulnessID: models.helpfulness, SafetyID: models.safety,
		Policy: path, Reference: c.Config.Models[0], Helpfulness: c.Config.Helpfulness, Safety: c.Config.Safety,
		Prompts: c.Config.Prompts, Sampling: c.Config.Sampling, Seed: c.Config.Seed,
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("the specification as JSON: %w", err)
	}
	result, err := s.recorded(func(ctx context.Context, _ tandem.Unit, _ json.RawMessage) (Result, error) {
		answers, err := s.Answer(ctx, spec)
		if err != nil {
			return Result{}, err
		}
		c.Answers, c.Prompts = append(c.Answers, answers), len(answers)
		standing, err := compareVersion(version, answers, c.Answers[0])
		c.Versions = append(c.Versions, standing)
		tallyOf(ctx).find(standing.figures())
		return Result{Write: func(ctx context.Context, st *store.Store) error { return keepEvaluated(ctx, st, spec, answers) }}, err
	})(ctx, tandem.Unit{Stage: tandem.StageEvaluate, Shard: len(c.Versions)}, text)
	if err != nil || s.Store == nil {
		return err
	}
	if err := s.Store.Together(ctx, func(ctx context.Context) error { return result.Write(ctx, s.Store) }); err != nil {
		s.Log.Warn("an evaluation is not kept in the database", "policy", path, "error", err)
	}
	return ctx.Err()
}

// versionIn names the model in a folder by its lineage, or by the folder where tandem has not made it.
func versionIn(ctx context.Context, path string) (Version, error) {
	lineage, err := checkpoint.ReadLineage(ctx, path)
	if err != nil || lineage == nil {
		return Version{Name: filepath.Base(path)}, err
	}
	return Version{lineage.Name, *lineage}, nil
}

// shownSamples is how many prompts the report shows with every policy's answer.
const shownSamples = 12

// Report shows the comparison.
func (c PolicyComparison) Report(facts []report.Fact, now time.Time) report.Report {
	first := c.Versions[0].Name
	r := report.Report{
		Title: "Policies side by side",
		Summary: []string{fmt.Sprintf("%d policies answered the same %d prompts under the same randomness; one pair of reward models scored all answers. Wins and KL are measured against the first, %s.",
			len(c.Versions), c.Prompts, first)},
		Created: now, Facts: facts,
	}
	r.Sections = []report.Section{c.scores(), c.wins(first), c.samples()}
	return r
}

func (c PolicyComparison) scores() report.Section {
	table := report.Table{
		Caption: "Means over prompts with 95 % intervals; r_h and r_s are raw scalars",
		Columns: []string{"", "r_h", "r_s", "combined", "gated", "ended", "tokens", "KL, nats", "repeated 4-grams", "distinct-2", "of 1,000 bigrams"},
	}
	lines := &report.Lines{Y: report.Axis{Label: "combined score"}}
	points := make([]report.Point, len(c.Versions))
	for i, v := range c.Versions {
		u := v.Summary
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(v.Name), report.Interval(estimated(u.Helpfulness), 2), report.Interval(estimated(u.Safety), 2), report.Interval(estimated(u.Combined), 2),
			report.Interval(hundred(u.Gated), 0).In(" %"), report.Interval(hundred(u.Ended), 0).In(" %"), report.Interval(estimated(u.Length), 1),
			report.Interval(estimated(u.KL), 2), report.Interval(hundred(u.Repetition), 1).In(" %"), report.Number(u.Distinct2, 3), report.Number(u.Rarefied2, 3),
		})
		lines.X.Ticks = append(lines.X.Ticks, v.Name)
		points[i] = report.Point{X: float64(i), Y: estimated(u.Combined)}
	}
	lines.Series = []report.Series{{Name: "combined", Points: points}}
	return report.Section{
		Heading: "Scores", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Combined score", Caption: "Mean R_c over all prompts, with 95 % intervals.", Lines: lines}},
	}
}

func (c PolicyComparison) wins(first string) report.Section {
	table := report.Table{
		Caption: "Share of prompts on which a policy's answer scores above " + first + "'s, a tie counting half, with 95 % intervals",
		Columns: []string{"", "judge", "prompts", "wins", "ties", "losses", "win rate"},
	}
	for _, v := range c.Versions {
		for _, w := range v.Wins {
			table.Rows = append(table.Rows, []report.Cell{
				report.Text(v.Name), report.Text(string(w.Judge)), report.Text(string(w.Prompts)),
				report.Number(float64(w.Counts.Wins), 0), report.Number(float64(w.Counts.Ties), 0), report.Number(float64(w.Counts.Losses), 0),
				report.Interval(hundred(w.Rate), 1).In(" %"),
			})
		}
	}
	s := report.Section{Heading: "Wins over " + first}
	if len(table.Rows) == 0 {
		s.Paragraphs = []string{"There is no other policy."}
		return s
	}
	s.Tables = []report.Table{table}
	return s
}

func (c PolicyComparison) samples() report.Section {
	s := report.Section{Heading: "Answers"}
	for i := range min(shownSamples, c.Prompts) {
		sample := report.Sample{Prompt: c.Answers[0][i].Prompt.Messages}
		for j, v := range c.Versions {
			a := c.Answers[j][i]
			sample.Answers = append(sample.Answers, report.Answer{Name: v.Name, Text: a.Text, Notes: []report.Fact{
				{Name: "combined", Value: strconv.FormatFloat(a.Score.Combined, 'f', 2, 64)},
			}})
		}
		s.Samples = append(s.Samples, sample)
	}
	return s
}
