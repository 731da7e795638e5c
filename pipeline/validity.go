package pipeline

import (
	"fmt"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
)

// Validated is how well a reward model tells the chosen answer of an aspect's pairs, by cross-validation over
// all of them, beside what simpler rules reach on the same folds.
type Validated struct {
	Pairs    int `json:"pairs"`
	Openings int `json:"openings"`
	Cut      int `json:"cut"` // pairs with a dialogue that lost its beginning to the context
	// Model is the accuracy of the aspect's own reward model, Other that of the other aspect's on these pairs.
	Model statistics.Interval `json:"model"`
	Other statistics.Interval `json:"other"`
	// AheadOfOther is Model minus Other, paired.
	AheadOfOther statistics.Interval `json:"ahead_of_other"`
	ByFold       []float64           `json:"by_fold"`
	Rules        []Rule              `json:"rules"`
}

// Rule is something that a reward model has to beat.
type Rule struct {
	Kind     RuleKind            `json:"kind"`
	Name     string              `json:"name"` // "the longer answer"
	Accuracy statistics.Interval `json:"accuracy"`
	// Ahead is the reward model's accuracy minus the rule's, with the paired interval.
	Ahead statistics.Interval `json:"ahead"`
}

// RuleKind is what a rule goes by.
type RuleKind string

const (
	Chance     RuleKind = "chance"
	Length     RuleKind = "length"
	BagOfWords RuleKind = "bag of words"
)

// validity measures what both models said of an aspect's pairs, and the rules.
func (c CrossValidation) validity(aspect tandem.Aspect, own, other *FoldScores) (Validated, error) {
	pairs := c.Pairs[aspect]
	v := evaluation.NewCrossValidation(pairs, c.Config.Seed)
	valid := Validated{Pairs: len(pairs), Openings: v.Openings(), Cut: own.Cut}
	correct, err := evaluation.Correct(own.Chosen, own.Rejected)
	if err != nil {
		return valid, err
	}
	others, err := evaluation.Correct(other.Chosen, other.Rejected)
	if err != nil {
		return valid, err
	}
	if valid.Model, err = v.Accuracy(correct); err != nil {
		return valid, err
	}
	if valid.Other, err = v.Accuracy(others); err != nil {
		return valid, err
	}
	if valid.AheadOfOther, err = v.Ahead(correct, others); err != nil {
		return valid, err
	}
	for _, at := range evaluation.Folds(pairs, c.Config.Folds) {
		right := 0.0
		for _, i := range at {
			right += correct[i] / float64(max(len(at), 1))
		}
		valid.ByFold = append(valid.ByFold, right)
	}
	rules, err := c.rules(aspect)
	if err != nil {
		return valid, err
	}
	for _, rule := range rules {
		measured := Rule{Kind: rule.kind, Name: rule.name}
		if measured.Accuracy, err = v.Accuracy(rule.correct); err != nil {
			return valid, err
		}
		if measured.Ahead, err = v.Ahead(correct, rule.correct); err != nil {
			return valid, err
		}
		valid.Rules = append(valid.Rules, measured)
	}
	return valid, nil
}

// ruled is what a rule says of each pair.
type ruled struct {
	kind    RuleKind
	name    string
	correct []float64
}

// rules are chance, length and a bag of words. The side of the length rule is fixed beforehand: longer
// answers are preferred as helpful, shorter ones as harmless.
func (c CrossValidation) rules(aspect tandem.Aspect) ([]ruled, error) {
	pairs := c.Pairs[aspect]
	chance := make([]float64, len(pairs))
	for i := range chance {
		chance[i] = 0.5
	}
	length := ruled{Length, "the longer answer", evaluation.LongerWins(pairs)}
	if aspect == tandem.Safety {
		length.name = "the shorter answer"
		for i := range length.correct {
			length.correct[i] = 1 - length.correct[i]
		}
	}
	config := evaluation.DefaultBagOfWordsConfig()
	config.Folds = c.Config.Folds
	words, err := evaluation.BagOfWords(pairs, config)
	if err != nil {
		return nil, fmt.Errorf("bag of words: %w", err)
	}
	return []ruled{{Chance, "chance", chance}, length, {BagOfWords, "the bag of words", words}}, nil
}
