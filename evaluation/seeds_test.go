package evaluation_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
)

func TestOverSeeds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const pairs, seeds = 400, 5
	var comparisons []tandem.Comparison
	for i := range pairs {
		comparisons = append(comparisons, pair(fmt.Sprintf("a %d", i), 1, 10, 20))
	}
	// Each pair has a difficulty of its own, each seed a skill of its own; the second way is 5 points better with every seed.
	one, other := make([][]float64, seeds), make([][]float64, seeds)
	for s := range seeds {
		one[s], other[s] = make([]float64, pairs), make([]float64, pairs)
	}
	for i := range pairs {
		for s := range seeds {
			one[s][i] = 0.5
			if rng.Float64() < 0.5 {
				one[s][i] = float64(rng.IntN(2))
			}
			other[s][i] = one[s][i] + 0.05
		}
	}
	v := evaluation.NewCrossValidation(comparisons, 3)
	ahead, err := v.AheadOverSeeds(other, one)
	if err != nil || math.Abs(ahead.Value-0.05) > 1e-12 || ahead.High-ahead.Low > 1e-9 || ahead.N != pairs {
		t.Errorf("what all seeds and pairs share has no error: %+v, %v", ahead, err)
	}
	alone, err := v.Accuracy(one[0])
	if err != nil {
		t.Fatal(err)
	}
	all, err := v.AccuracyOverSeeds(one)
	if err != nil || all.High-all.Low >= alone.High-alone.Low {
		t.Errorf("five seeds %+v are no surer than one %+v, %v", all, alone, err)
	}
	share, err := v.ShareOverSeeds(one, one[0])
	if err != nil || math.Abs(share.Value-all.Value/alone.Value) > 1e-12 || share.Low > share.Value || share.High < share.Value {
		t.Errorf("share %+v of %+v, which are %+v, %v", share, alone, all, err)
	}
	if _, err := v.ShareOverSeeds(one, make([]float64, pairs)); !statistics.IsUndefined(err) {
		t.Errorf("of a judge that is never right: %v", err)
	}
	// Skills that differ by seed widen the interval, however many pairs there are.
	for s := range seeds {
		for i := range pairs {
			one[s][i] += 0.1 * float64(s)
		}
	}
	skilled, err := v.AccuracyOverSeeds(one)
	if err != nil || skilled.High-skilled.Low < 2*(all.High-all.Low) {
		t.Errorf("seeds of different skill %+v, of equal skill %+v, %v", skilled, all, err)
	}
	if _, err := v.AheadOverSeeds(one, other[1:]); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("other seeds: %v", err)
	}
	if _, err := v.AccuracyOverSeeds(nil); !statistics.IsUndefined(err) {
		t.Errorf("no seeds: %v", err)
	}
}
