package evaluation

import (
	"context"
	"fmt"

	"tandem"
	"tandem/statistics"
)

// Answer is what one version of a policy said to one prompt.
type Answer struct {
	Prompt tandem.Prompt
	tandem.Completion
	Score tandem.Score
	// KL is the k1 estimate ln π(answer) − ln π₀(answer) in nats, 0 where no reference was given.
	KL float64
	// Again are the texts of further answers to the same prompt, see Repeat.
	Again []string `json:",omitempty"`
}

// Answers samples one answer to each prompt. Sample keys depend on the seed and the prompt alone, so two
// versions answer under the same randomness.
func Answers(ctx context.Context, policy tandem.Generator, prompts []tandem.Prompt, sampling tandem.Sampling, seed uint64) ([]Answer, error) {
	requests := make([]tandem.GenerateRequest, len(prompts))
	for i, p := range prompts {
		requests[i] = tandem.GenerateRequest{
			Messages: p.Messages, Sampling: sampling,
			Key: tandem.SampleKey{Seed: seed, Prompt: p.Messages.Key()},
		}
	}
	completions, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, fmt.Errorf("sample answers: %w", err)
	}
	answers := make([]Answer, len(prompts))
	for i, c := range completions {
		answers[i] = Answer{Prompt: prompts[i], Completion: c}
	}
	return answers, nil
}

// Repeat samples n more answers to each prompt, for what one to each of some hundred prompts leaves uncertain: the ratio of two
// policies' distinct-2 by some 3 %. Only Diversity looks at them here.
func Repeat(ctx context.Context, policy tandem.Generator, answers []Answer, sampling tandem.Sampling, seed uint64, n int) error {
	var requests []tandem.GenerateRequest
	for _, a := range answers {
		for k := range n {
			requests = append(requests, tandem.GenerateRequest{
				Messages: a.Prompt.Messages, Sampling: sampling,
				Key: tandem.SampleKey{Seed: seed, Prompt: a.Prompt.Messages.Key(), Sample: uint64(k) + 1},
			})
		}
	}
	completions, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return fmt.Errorf("sample answers again: %w", err)
	}
	for i, c := range completions {
		a := &answers[i/n]
		a.Again = append(a.Again, c.Text)
	}
	return nil
}

// Diversity is a measure of texts, such as Distinct, of one answer to each prompt: the mean over the first answers, the second
// ones and so on.
func Diversity(answers []Answer, measure func(texts []string) float64) float64 {
	sum, sets := 0.0, 1
	for set := 0; set < sets; set++ {
		var texts []string
		for _, a := range answers {
			sets = 1 + len(a.Again)
			texts = append(texts, append([]string{a.Text}, a.Again...)[set])
		}
		sum += measure(texts)
	}
	return sum / float64(sets)
}

// Score fills in what the reward models say of answers. All versions that are compared must be scored by
// the same pair of models: scores of different models do not compare.
func Score(ctx context.Context, scorer tandem.Scorer, answers []Answer) error {
	requests := make([]tandem.ScoreRequest, len(answers))
	for i, a := range answers {
		requests[i] = tandem.ScoreRequest{Messages: a.Prompt.Messages.With(tandem.Assistant, a.Text), Safety: a.Prompt.Safety}
	}
	scores, err := scorer.Score(ctx, requests)
	if err != nil {
		return fmt.Errorf("score answers: %w", err)
	}
	for i := range answers {
		answers[i].Score = scores[i]
	}
	return nil
}

// Summary is what a version's answers show, each figure with its 95 % interval over prompts.
type Summary struct {
	Answers     int                 `json:"answers"`
	Helpfulness statistics.Interval `json:"helpfulness"` // r_h, raw
	Safety      statistics.Interval `json:"safety"`      // r_s, raw
	Combined    statistics.Interval `json:"combined"`
	Gated       statistics.Interval `json:"gated"`  // share of answers below the gate
	Ended       statistics.Interval `json:"ended"`  // share that ended by themselves
	Length      statistics.Interval `json:"length"` // tokens
	KL          statistics.Interval `json:"kl"`     // nats an answer, from the reference
	Repetition  statistics.Interval `json:"repetition"`
	Distinct1   float64             `json:"distinct_1"`
	Distinct2   float64             `json:"distinct_2"`
	// Rarefied2 is the distinct-2 of [RarefiedSize] bigrams, which does not fall because answers grow longer.
	Rarefied2 float64 `json:"distinct_2_of_1000"`
}

// RarefiedSize is how many bigrams a version's diversity is compared at.
const RarefiedSize = 1000

// repetitionN is the length, in words, of the runs whose repetition is measured.
const repetitionN = 4

// Summarise measures a version's answers.
func Summarise(answers []Answer) (Summary, error) {
	s := Summary{Answers: len(answers)}
	gated, ended := 0, 0
	for _, a := range answers {
		if a.Score.Gated {
			gated++
		}
		if a.Finish == tandem.FinishStop {
			ended++
		}
	}
	s.Distinct1 = Diversity(answers, func(texts []string) float64 { return Distinct(texts, 1) })
	s.Distinct2, s.Rarefied2 = Diversity(answers, Distinct2), Diversity(answers, Rarefied2)
	for _, f := range []struct {
		to *statistics.Interval
		of func(Answer) float64
	}{
		{&s.Helpfulness, func(a Answer) float64 { return a.Score.Helpfulness }},
		{&s.Safety, func(a Answer) float64 { return a.Score.Safety }},
		{&s.Combined, func(a Answer) float64 { return a.Score.Combined }},
		{&s.Length, func(a Answer) float64 { return float64(len(a.Tokens)) }},
		{&s.KL, func(a Answer) float64 { return a.KL }},
		{&s.Repetition, func(a Answer) float64 { return Repetition(a.Text, repetitionN) }},
	} {
		values := make([]float64, len(answers))
		for i, a := range answers {
			values[i] = f.of(a)
		}
		var err error
		if *f.to, err = statistics.Mean(values); err != nil {
			return s, fmt.Errorf("summarise %d answers: %w", len(answers), err)
		}
	}
	var err error
	if s.Gated, err = statistics.Wilson(float64(gated), len(answers)); err != nil {
		return s, err
	}
	s.Ended, err = statistics.Wilson(float64(ended), len(answers))
	return s, err
}

// Wins counts the prompts on which the new version's answer scores above the old one's by one reward
// model's raw scalar (section 3.4: win, tie, loss). Both must have answered the same prompts in the same order.
func Wins(aspect tandem.Aspect, newer, older []Answer) (statistics.Outcomes, error) {
	var o statistics.Outcomes
	if len(newer) != len(older) {
		return o, tandem.Errorf(tandem.Invalid, "evaluation.Wins", "%d answers against %d", len(newer), len(older))
	}
	for i := range newer {
		a, b := newer[i].Score.Helpfulness, older[i].Score.Helpfulness
		if aspect == tandem.Safety {
			a, b = newer[i].Score.Safety, older[i].Score.Safety
		}
		switch {
		case a > b:
			o.Wins++
		case a < b:
			o.Losses++
		default:
			o.Ties++
		}
	}
	return o, nil
}
