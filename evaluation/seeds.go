package evaluation

import (
	"tandem"
	"tandem/statistics"
)

// OverSeeds is the mean of a statistic over models that were trained alike but for their seed, with a 95 % interval that
// resamples both seeds and openings. The statistic is told which model is meant and how often each pair counts. Where it is
// the difference of two ways of training with the same seed, seeds and pairs are paired.
func (v CrossValidation) OverSeeds(seeds int, statistic func(seed int, weight []float64) (float64, error)) (statistics.Interval, error) {
	weight := make([]float64, v.pairs)
	values, known := make([]float64, seeds), make([]bool, seeds)
	interval, err := v.bootstrap.Crossed(len(v.groups), seeds, func(openings, drawn []int) (float64, error) {
		clear(weight)
		clear(known)
		for _, g := range openings {
			for _, i := range v.groups[g] {
				weight[i]++
			}
		}
		sum := 0.0
		for _, s := range drawn {
			if !known[s] {
				var err error
				if values[s], err = statistic(s, weight); err != nil {
					return 0, err
				}
				known[s] = true
			}
			sum += values[s]
		}
		return sum / float64(len(drawn)), nil
	})
	interval.N = v.pairs
	return interval, err
}

// AccuracyOverSeeds is the mean accuracy of models that were trained with different seeds, see OverSeeds.
func (v CrossValidation) AccuracyOverSeeds(correct [][]float64) (statistics.Interval, error) {
	return v.OverSeeds(len(correct), func(s int, weight []float64) (float64, error) { return weightedMean(correct[s], weight) })
}

// AheadOverSeeds is by how much one way of training is more accurate than another, both with the same seeds.
func (v CrossValidation) AheadOverSeeds(correct, other [][]float64) (statistics.Interval, error) {
	if len(correct) != len(other) {
		return statistics.Interval{}, tandem.Errorf(tandem.Invalid, "evaluation.AheadOverSeeds", "%d seeds against %d", len(correct), len(other))
	}
	return v.OverSeeds(len(correct), func(s int, weight []float64) (float64, error) {
		one, err := weightedMean(correct[s], weight)
		if err != nil {
			return 0, err
		}
		two, err := weightedMean(other[s], weight)
		return one - two, err
	})
}

// ShareOverSeeds is the ratio of the accuracy of models to that of another judge of the same pairs, such as one that knows
// the truth behind noisy verdicts.
func (v CrossValidation) ShareOverSeeds(correct [][]float64, judge []float64) (statistics.Interval, error) {
	return v.OverSeeds(len(correct), func(s int, weight []float64) (float64, error) {
		one, err := weightedMean(correct[s], weight)
		if err != nil {
			return 0, err
		}
		whole, err := weightedMean(judge, weight)
		if err == nil && whole == 0 {
			err = &statistics.Undefined{Why: "the judge is never right"}
		}
		return one / whole, err
	})
}

// weightedMean is the mean of x, each value counted by its weight.
func weightedMean(x, weight []float64) (float64, error) {
	if len(x) != len(weight) {
		return 0, tandem.Errorf(tandem.Invalid, "evaluation.OverSeeds", "%d values for %d pairs", len(x), len(weight))
	}
	sum, n := 0.0, 0.0
	for i, w := range weight {
		sum += w * x[i]
		n += w
	}
	return sum / n, nil
}
