package rewardmodel

import (
	"fmt"

	"tandem"
	"tandem/statistics"
)

// Accuracy is the share of comparisons whose chosen answer a model scores higher, ties counted half, with
// its interval: one cell of table 8.
type Accuracy struct {
	Degree   tandem.Degree // Unrated in the total
	N        int
	Accuracy statistics.Interval
}

// AccuracyByDegree returns the accuracy over all comparisons and that of every degree that occurs, the
// clearest first. chosen and rejected are the raw scalars of the comparisons' answers.
func AccuracyByDegree(comparisons []tandem.Comparison, chosen, rejected []float64) (total Accuracy, byDegree []Accuracy, err error) {
	if len(chosen) != len(comparisons) || len(rejected) != len(comparisons) {
		return total, nil, tandem.Errorf(tandem.Invalid, "rewardmodel.AccuracyByDegree", "%d comparisons, but %d and %d scores",
			len(comparisons), len(chosen), len(rejected))
	}
	hits, n := make(map[tandem.Degree]float64), make(map[tandem.Degree]int)
	all := 0.0
	for i, c := range comparisons {
		hit := correct(chosen[i], rejected[i])
		hits[c.Degree] += hit
		n[c.Degree]++
		all += hit
	}
	if total, err = accuracy(tandem.Unrated, all, len(comparisons)); err != nil {
		return total, nil, err
	}
	for d := tandem.SignificantlyBetter; d >= tandem.Unrated; d-- {
		if n[d] == 0 {
			continue
		}
		a, err := accuracy(d, hits[d], n[d])
		if err != nil {
			return total, nil, err
		}
		byDegree = append(byDegree, a)
	}
	return total, byDegree, nil
}

func accuracy(d tandem.Degree, hits float64, n int) (Accuracy, error) {
	interval, err := statistics.Wilson(hits, n)
	if err != nil {
		return Accuracy{}, fmt.Errorf("accuracy: %w", err)
	}
	return Accuracy{d, n, interval}, nil
}
