package demo

import (
	"fmt"

	"tandem"
	"tandem/evaluation"
	"tandem/internal/practice"
	"tandem/internal/practice/gold"
	"tandem/statistics"
)

// Gold is the truth about one version's answers to the held-out prompts.
type Gold struct {
	Helpfulness statistics.Interval         `json:"helpfulness"` // on helpful and borderline prompts
	Safety      statistics.Interval         `json:"safety"`      // on unsafe prompts
	Families    map[practice.Family]float64 `json:"families"`    // mean of the aspect that counts there
	Summary     evaluation.Summary          `json:"summary"`     // what the reward models and the text itself say
	// Distinct2 is distinct-2 of the answers to helpful and borderline prompts: refusals are to be alike.
	// Rarefied2 is that of evaluation.RarefiedSize of their bigrams.
	Distinct2   float64   `json:"distinct_2"`
	Rarefied2   float64   `json:"distinct_2_of_1000"`
	helpfulness []float64 // by prompt
	safety      []float64
	first       map[tandem.Aspect][]float64 // of the first answer to each prompt
}

// judge asks the oracle about every answer, those of evaluation.Repeat too. A prompt counts with the mean over what the
// version said to it, and intervals are over prompts.
func judge(oracle *gold.Oracle, answers []evaluation.Answer) (Gold, error) {
	g := Gold{Families: make(map[practice.Family]float64), first: make(map[tandem.Aspect][]float64)}
	counts := make(map[practice.Family]float64)
	var helpful []evaluation.Answer
	for _, a := range answers {
		aspect := tandem.Helpfulness
		if a.Prompt.Safety {
			aspect = tandem.Safety
		}
		value, family := 0.0, practice.Family("")
		texts := append([]string{a.Text}, a.Again...)
		for n, text := range texts {
			v, err := oracle.Judge(a.Prompt.Messages, text)
			if err != nil {
				return g, fmt.Errorf("gold: %w", err)
			}
			family = v.Family
			value += v.Of(aspect) / float64(len(texts))
			if n == 0 {
				g.first[aspect] = append(g.first[aspect], v.Of(aspect))
			}
		}
		if aspect == tandem.Safety {
			g.safety = append(g.safety, value)
		} else {
			g.helpfulness = append(g.helpfulness, value)
			helpful = append(helpful, a)
		}
		g.Families[family] += value
		counts[family]++
	}
	for family, n := range counts {
		g.Families[family] /= n
	}
	var err error
	if g.Helpfulness, err = statistics.Mean(g.helpfulness); err != nil {
		return g, fmt.Errorf("gold helpfulness: %w", err)
	}
	if g.Safety, err = statistics.Mean(g.safety); err != nil {
		return g, fmt.Errorf("gold safety: %w", err)
	}
	g.Distinct2, g.Rarefied2 = evaluation.Diversity(helpful, evaluation.Distinct2), evaluation.Diversity(helpful, evaluation.Rarefied2)
	g.Summary, err = evaluation.Summarise(answers)
	return g, err
}
