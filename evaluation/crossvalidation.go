package evaluation

import (
	"tandem"
	"tandem/dataset"
	"tandem/statistics"
)

// Folds divides comparisons for cross-validation: the places of each fold's pairs. Pairs whose dialogues
// begin alike are in one fold (dataset.Fold), so that no opening is both trained on and measured on, and
// everything validated on the same folds can be compared pair by pair.
func Folds(comparisons []tandem.Comparison, folds int) [][]int {
	at := make([][]int, folds)
	for i, c := range comparisons {
		fold := dataset.Fold(c.Prompt.Messages.Opening(), folds)
		at[fold] = append(at[fold], i)
	}
	return at
}

// CrossValidation measures rules by what they said of the same pairs while these were held out: 1 where
// the chosen answer wins, 0 where the rejected one does, ½ where the rule cannot tell. Its intervals
// resample openings, not pairs: pairs of one conversation are right or wrong together.
type CrossValidation struct {
	groups    [][]int // places of the pairs of each opening
	pairs     int
	bootstrap statistics.Bootstrap
}

// NewCrossValidation groups the comparisons that rules are measured on; seed keys the resampling.
func NewCrossValidation(comparisons []tandem.Comparison, seed uint64) CrossValidation {
	v := CrossValidation{pairs: len(comparisons), bootstrap: statistics.Bootstrap{Seed: seed}}
	groupOf := make(map[string]int)
	for i, c := range comparisons {
		opening := c.Prompt.Messages.Opening()
		g, ok := groupOf[opening]
		if !ok {
			g = len(v.groups)
			groupOf[opening] = g
			v.groups = append(v.groups, nil)
		}
		v.groups[g] = append(v.groups[g], i)
	}
	return v
}

// Openings is the number of different openings.
func (v CrossValidation) Openings() int { return len(v.groups) }

// Accuracy is the share of pairs on which a rule is right, with its 95 % interval.
func (v CrossValidation) Accuracy(correct []float64) (statistics.Interval, error) {
	return v.mean(correct)
}

// Ahead is by how much a rule's accuracy exceeds another's, with the 95 % interval of the paired
// difference.
func (v CrossValidation) Ahead(correct, other []float64) (statistics.Interval, error) {
	if len(correct) != len(other) {
		return statistics.Interval{}, tandem.Errorf(tandem.Invalid, "evaluation.Ahead", "%d pairs against %d", len(correct), len(other))
	}
	difference := make([]float64, len(correct))
	for i := range correct {
		difference[i] = correct[i] - other[i]
	}
	return v.mean(difference)
}

// mean is the mean over pairs, with the interval of resampled openings.
func (v CrossValidation) mean(x []float64) (statistics.Interval, error) {
	if len(x) != v.pairs {
		return statistics.Interval{}, tandem.Errorf(tandem.Invalid, "evaluation.CrossValidation", "%d values for %d pairs", len(x), v.pairs)
	}
	sums := make([]float64, len(v.groups))
	for g, group := range v.groups {
		for _, i := range group {
			sums[g] += x[i]
		}
	}
	interval, err := v.bootstrap.Interval(len(v.groups), func(items []int) (float64, error) {
		sum, n := 0.0, 0
		for _, g := range items {
			sum += sums[g]
			n += len(v.groups[g])
		}
		return sum / float64(n), nil
	})
	interval.N = v.pairs
	return interval, err
}

// Correct says of each pair whether scores put the chosen answer above the rejected one: 1, 0, or ½ for a tie.
func Correct(chosen, rejected []float64) ([]float64, error) {
	if len(chosen) != len(rejected) {
		return nil, tandem.Errorf(tandem.Invalid, "evaluation.Correct", "%d chosen answers and %d rejected ones have scores", len(chosen), len(rejected))
	}
	correct := make([]float64, len(chosen))
	for i := range chosen {
		correct[i] = wins(chosen[i] - rejected[i])
	}
	return correct, nil
}
