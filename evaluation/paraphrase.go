package evaluation

import (
	"context"
	"fmt"
	"math"
	"strings"

	"tandem"
	"tandem/statistics"
)

// Paraphrase writes an answer another way that must not matter to a judge: the words and their order stay.
type Paraphrase struct {
	Name string
	Of   func(answer string) string
}

// Paraphrases are those that judges are tried with.
func Paraphrases() []Paraphrase {
	return []Paraphrase{
		{"trailing spaces", func(a string) string { return a + "   " }},
		{"a trailing empty line", func(a string) string { return a + "\n\n" }},
		{"a leading empty line", func(a string) string { return "\n\n" + a }},
		{"two spaces after each sentence", func(a string) string { return strings.Join(sentences(a), "  ") }},
		{"an empty line after each sentence", func(a string) string { return strings.Join(sentences(a), "\n\n") }},
		{"Markdown: the first sentence in bold", func(a string) string {
			s := sentences(a)
			if len(s) > 0 {
				s[0] = "**" + s[0] + "**"
			}
			return strings.Join(s, " ")
		}},
		{"Markdown: a list of sentences", func(a string) string {
			s := sentences(a)
			for i := range s {
				s[i] = "- " + s[i]
			}
			return strings.Join(s, "\n")
		}},
	}
}

// sentences splits at single spaces behind full stops, question marks and exclamation marks. Joined by spaces again they
// are the answer.
func sentences(answer string) []string {
	var out []string
	start := 0
	for i := 1; i+1 < len(answer); i++ {
		if answer[i] == ' ' && answer[i+1] != ' ' && strings.IndexByte(".?!", answer[i-1]) >= 0 {
			out, start = append(out, answer[start:i]), i+1
		}
	}
	if start < len(answer) {
		out = append(out, answer[start:])
	}
	return out
}

// Robustness is how far a judge minds a paraphrase.
type Robustness struct {
	Paraphrase string `json:"paraphrase"`
	Answers    int    `json:"answers"` // that it changes
	// Shift is the mean |Δ score| of those answers, Bias the mean Δ score, both in units of the deviation of all scores.
	Shift float64 `json:"shift"`
	Bias  float64 `json:"bias"`
	// Turned is the share of verdicts that turn when one of the two answers is written so, TurnedBoth when both are.
	// Verdicts that become or were ties count half.
	Turned     statistics.Interval `json:"turned"`
	TurnedBoth statistics.Interval `json:"turned_both"`
}

// Judge scores dialogues: rewardmodel's Judge.
type Judge interface {
	Scores(ctx context.Context, dialogues []tandem.Dialogue) (scores []float32, cut int, err error)
}

// Robust tries a judge with every paraphrase of the comparisons' answers. Its intervals resample openings. Undefined where
// all scores are alike.
func Robust(ctx context.Context, judge Judge, comparisons []tandem.Comparison, seed uint64) ([]Robustness, error) {
	before, err := scalars(ctx, judge, comparisons, func(a string) string { return a }, nil)
	if err != nil {
		return nil, err
	}
	_, deviation := statistics.Moments(before)
	if deviation == 0 {
		return nil, &statistics.Undefined{Why: "the judge gives every answer the same score"}
	}
	var found []Robustness
	for _, p := range Paraphrases() {
		after, err := scalars(ctx, judge, comparisons, p.Of, before)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		r := Robustness{Paraphrase: p.Name}
		var one, both []float64
		var oneOf, bothOf []tandem.Comparison
		for i, c := range comparisons {
			chosen, rejected := before[2*i], before[2*i+1]
			changed := 0
			for side, answer := range []string{c.Chosen.Content, c.Rejected.Content} {
				if p.Of(answer) == answer {
					continue
				}
				changed++
				r.Answers++
				shift := (after[2*i+side] - before[2*i+side]) / deviation
				r.Shift, r.Bias = r.Shift+math.Abs(shift), r.Bias+shift
				said := [2]float64{chosen, rejected}
				said[side] = after[2*i+side]
				one, oneOf = append(one, turned(chosen-rejected, said[0]-said[1])), append(oneOf, c)
			}
			if changed == 2 {
				both, bothOf = append(both, turned(chosen-rejected, after[2*i]-after[2*i+1])), append(bothOf, c)
			}
		}
		if r.Answers > 0 {
			r.Shift, r.Bias = r.Shift/float64(r.Answers), r.Bias/float64(r.Answers)
		}
		if r.Turned, err = NewCrossValidation(oneOf, seed).mean(one); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		if r.TurnedBoth, err = NewCrossValidation(bothOf, seed).mean(both); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}

// turned is 1 where two margins point different ways, 0 where they point the same way.
func turned(before, after float64) float64 { return math.Abs(wins(before) - wins(after)) }

// scalars are the scores of both answers of each comparison, written another way. An answer that stays as it is keeps the
// score that it had before, if there are any: a judge would say the same again.
func scalars(ctx context.Context, judge Judge, comparisons []tandem.Comparison, write func(string) string, before []float64) ([]float64, error) {
	var dialogues []tandem.Dialogue
	var at []int // the places of their scores
	out := make([]float64, 2*len(comparisons))
	copy(out, before)
	for i, c := range comparisons {
		for side, answer := range []string{c.Chosen.Content, c.Rejected.Content} {
			if written := write(answer); before == nil || written != answer {
				dialogues, at = append(dialogues, c.Prompt.Messages.With(tandem.Assistant, written)), append(at, 2*i+side)
			}
		}
	}
	scores, _, err := judge.Scores(ctx, dialogues)
	for i, r := range scores {
		out[at[i]] = float64(r)
	}
	return out, err
}
