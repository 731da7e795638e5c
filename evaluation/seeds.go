package evaluation

import (
	"tandem"
	"tandem/statistics"
)

// AccuracyOverSeeds is the mean accuracy of a model that was trained several times with different seeds. Its 95 % interval
// resamples both seeds and openings.
func (v CrossValidation) AccuracyOverSeeds(correct [][]float64) (statistics.Interval, error) {
	return v.crossed(correct)
}

// AheadOverSeeds is by how much one way of training is more accurate than another, both with the same seeds: its 95 %
// interval resamples seeds and openings, and pairs both.
func (v CrossValidation) AheadOverSeeds(correct, other [][]float64) (statistics.Interval, error) {
	if len(correct) != len(other) {
		return statistics.Interval{}, tandem.Errorf(tandem.Invalid, "evaluation.AheadOverSeeds", "%d seeds against %d", len(correct), len(other))
	}
	difference := make([][]float64, len(correct))
	for s := range correct {
		if len(correct[s]) != len(other[s]) {
			return statistics.Interval{}, tandem.Errorf(tandem.Invalid, "evaluation.AheadOverSeeds", "%d pairs against %d", len(correct[s]), len(other[s]))
		}
		difference[s] = make([]float64, len(correct[s]))
		for i := range correct[s] {
			difference[s][i] = correct[s][i] - other[s][i]
		}
	}
	return v.crossed(difference)
}

// crossed is the mean over seeds and pairs.
func (v CrossValidation) crossed(x [][]float64) (statistics.Interval, error) {
	sums := make([][]float64, len(x)) // by seed and opening
	for s := range x {
		if len(x[s]) != v.pairs {
			return statistics.Interval{}, tandem.Errorf(tandem.Invalid, "evaluation.CrossValidation", "%d values for %d pairs", len(x[s]), v.pairs)
		}
		sums[s] = make([]float64, len(v.groups))
		for g, group := range v.groups {
			for _, i := range group {
				sums[s][g] += x[s][i]
			}
		}
	}
	interval, err := v.bootstrap.Crossed(len(v.groups), len(x), func(openings, seeds []int) (float64, error) {
		sum, n := 0.0, 0
		for _, g := range openings {
			for _, s := range seeds {
				sum += sums[s][g]
			}
			n += len(v.groups[g])
		}
		return sum / float64(n*len(seeds)), nil
	})
	interval.N = v.pairs
	return interval, err
}
