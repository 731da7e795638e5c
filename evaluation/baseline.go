package evaluation

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tandem"
	"tandem/statistics"
)

// A reward model has learnt something when it beats rules that understand nothing. Both rules here give,
// like a reward model in cross-validation, one number a pair: 1 where the chosen answer wins, 0 where the
// rejected one does, ½ where the rule cannot tell. Their mean is the accuracy, and two rules on the same
// pairs are compared by a paired bootstrap (package statistics).

// LongerWins is the rule "the longer answer wins", by characters. The rule "the shorter wins" is one
// minus it.
func LongerWins(comparisons []tandem.Comparison) []float64 {
	correct := make([]float64, len(comparisons))
	for i, c := range comparisons {
		correct[i] = wins(float64(utf8.RuneCountInString(c.Chosen.Content) - utf8.RuneCountInString(c.Rejected.Content)))
	}
	return correct
}

// wins is 1, ½ or 0 by the sign of a margin.
func wins(margin float64) float64 {
	switch {
	case margin > 0:
		return 1
	case margin < 0:
		return 0
	}
	return 0.5
}

// BagOfWordsConfig configures BagOfWords.
type BagOfWordsConfig struct {
	// Folds of the cross-validation. Defaults to 5.
	Folds int
	// MinCount is in how many training answers a word must occur to be a feature. Defaults to 5.
	MinCount int
	// Ridge is λ of the penalty λ/2 · |w|², per pair. Defaults to 0.02.
	Ridge float64
}

// DefaultBagOfWordsConfig returns the defaults. [choice] On hh's helpful-base the accuracy is flat in λ
// from .005 to .05; without a ridge the rule over-fits and is 3 points weaker, too easy to beat.
func DefaultBagOfWordsConfig() BagOfWordsConfig {
	return BagOfWordsConfig{Folds: 5, MinCount: 5, Ridge: 0.02}
}

// Validate reports a configuration that fits nothing.
func (c BagOfWordsConfig) Validate() error {
	if c.Folds < 2 || c.MinCount < 1 || !(c.Ridge > 0) {
		return tandem.Errorf(tandem.Invalid, "evaluation.BagOfWordsConfig", "2 folds or more, a count of 1 or more and a ridge above 0 are needed: %+v", c)
	}
	return nil
}

// BagOfWords cross-validates a logistic regression on the words of the answers and their log-length,
//
//	P(chosen wins) = σ(w · (φ(chosen) − φ(rejected))),
//	φ = (ln(1 + count of each word), ln(1 + characters)).
//
// Pairs whose dialogues begin alike are in one fold (see [Folds]); vocabulary and weights of a fold come
// from the others.
func BagOfWords(comparisons []tandem.Comparison, config BagOfWordsConfig) ([]float64, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	pairs := make([]wordPair, len(comparisons))
	for i, c := range comparisons {
		pairs[i] = wordPair{chosen: countWords(c.Chosen.Content), rejected: countWords(c.Rejected.Content)}
	}
	correct := make([]float64, len(comparisons))
	folds := Folds(comparisons, config.Folds)
	for held, test := range folds {
		if len(test) == 0 {
			continue
		}
		var train []int
		for other, at := range folds {
			if other != held {
				train = append(train, at...)
			}
		}
		if len(train) == 0 {
			return nil, tandem.Errorf(tandem.Invalid, "evaluation.BagOfWords", "all %d pairs begin alike and fall into one fold", len(pairs))
		}
		vocabulary := vocabularyOf(pairs, train, config.MinCount)
		differences := make([]statistics.Sparse, len(train))
		for at, i := range train {
			differences[at] = pairs[i].difference(vocabulary)
		}
		weights := statistics.FitLogistic(differences, len(vocabulary)+1, config.Ridge)
		for _, i := range test {
			correct[i] = wins(pairs[i].difference(vocabulary).Dot(weights))
		}
	}
	return correct, nil
}

// wordCount counts an answer's words, and its characters.
type wordCount struct {
	words      map[string]int
	characters int
}

type wordPair struct{ chosen, rejected wordCount }

func countWords(text string) wordCount {
	words := make(map[string]int)
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\''
	}) {
		words[w]++
	}
	return wordCount{words, utf8.RuneCountInString(text)}
}

// vocabularyOf numbers the words of the pairs at the given places; feature 0 is the length.
func vocabularyOf(pairs []wordPair, at []int, minCount int) map[string]int {
	answers := make(map[string]int)
	for _, i := range at {
		for _, count := range []wordCount{pairs[i].chosen, pairs[i].rejected} {
			for w := range count.words {
				answers[w]++
			}
		}
	}
	var kept []string
	for w, n := range answers {
		if n >= minCount {
			kept = append(kept, w)
		}
	}
	slices.Sort(kept)
	vocabulary := make(map[string]int, len(kept))
	for i, w := range kept {
		vocabulary[w] = i + 1
	}
	return vocabulary
}

// difference is φ(chosen) − φ(rejected).
func (p wordPair) difference(vocabulary map[string]int) statistics.Sparse {
	entries := map[int]float64{0: math.Log1p(float64(p.chosen.characters)) - math.Log1p(float64(p.rejected.characters))}
	for w, n := range p.chosen.words {
		if i, ok := vocabulary[w]; ok {
			entries[i] += math.Log1p(float64(n))
		}
	}
	for w, n := range p.rejected.words {
		if i, ok := vocabulary[w]; ok {
			entries[i] -= math.Log1p(float64(n))
		}
	}
	var s statistics.Sparse
	for i, v := range entries {
		if v != 0 {
			s.Index = append(s.Index, i)
		}
	}
	slices.Sort(s.Index)
	for _, i := range s.Index {
		s.Value = append(s.Value, entries[i])
	}
	return s
}
