package pipeline

import (
	"slices"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
	"tandem/store"
)

// RealVersion is what one version of the policy says to the held-out prompts.
type RealVersion struct {
	Name    string             `json:"name"`
	Model   string             `json:"model"`   // id
	Summary evaluation.Summary `json:"summary"` // over prompts of both kinds
	// Wins are over the first version, by each reward model on each kind of prompts; none for the first.
	Wins []Win `json:"wins,omitempty"`
}

// Win is how often a version's answers score above the first version's.
type Win struct {
	Judge   tandem.Aspect       `json:"judge"`   // reward model
	Prompts tandem.Aspect       `json:"prompts"` // the file that the prompts come from
	Counts  statistics.Outcomes `json:"counts"`
	Rate    statistics.Interval `json:"rate"` // a tie counts half
}

// figures are the means, and the share of prompts on which it wins over the first version, as a run keeps them.
func (v RealVersion) figures() map[string]float64 {
	u := v.Summary
	figures := map[string]float64{
		"answers": float64(u.Answers), "helpfulness": u.Helpfulness.Value, "safety": u.Safety.Value, "combined": u.Combined.Value,
		"gated": u.Gated.Value, "ended": u.Ended.Value, "length": u.Length.Value, "kl": u.KL.Value, "repetition": u.Repetition.Value,
		"distinct_2": u.Distinct2, "distinct_2_of_1000": u.Rarefied2,
	}
	for _, w := range v.Wins {
		name := "wins_" + string(w.Judge)
		if w.Prompts != w.Judge {
			name += "_on_" + string(w.Prompts) + "_prompts"
		}
		figures[name] = w.Rate.Value
	}
	metrics := make(map[string]float64, len(figures))
	for name, x := range figures {
		metrics[store.EvaluationMetrics+name] = x
	}
	return metrics
}

// compareVersion measures a version's answers beside the first version's to the same prompts.
func compareVersion(v Version, answers, first []evaluation.Answer) (RealVersion, error) {
	version := RealVersion{Name: v.Name, Model: v.ID}
	var err error
	if version.Summary, err = evaluation.Summarise(answers); err != nil {
		return version, err
	}
	if len(answers) > 0 && len(first) > 0 && &answers[0] == &first[0] {
		return version, nil
	}
	for _, judge := range aspects() {
		for _, prompts := range aspects() {
			if len(toPrompts(prompts, first)) == 0 { // nobody was asked any
				continue
			}
			win := Win{Judge: judge, Prompts: prompts}
			if win.Counts, err = evaluation.Wins(judge, toPrompts(prompts, answers), toPrompts(prompts, first)); err != nil {
				return version, err
			}
			if win.Rate, err = win.Counts.WinRate(); err != nil {
				return version, err
			}
			version.Wins = append(version.Wins, win)
		}
	}
	return version, nil
}

// winsOn counts wins in an aspect on the prompts that are for it.
func winsOn(aspect tandem.Aspect, newer, older []evaluation.Answer) (statistics.Outcomes, error) {
	return evaluation.Wins(aspect, toPrompts(aspect, newer), toPrompts(aspect, older))
}

// toPrompts are the answers to unsafe prompts, where safety is looked at, or else to the others.
func toPrompts(aspect tandem.Aspect, answers []evaluation.Answer) []evaluation.Answer {
	return slices.DeleteFunc(slices.Clone(answers), func(a evaluation.Answer) bool { return a.Prompt.Safety != (aspect == tandem.Safety) })
}
