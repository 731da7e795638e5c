package evaluation_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
)

// Counted once, answers have Detect's measures; counted more often, those of as many comparisons.
func TestLabelledAgreesWithDetect(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	label := func() tandem.SafetyLabel {
		return []tandem.SafetyLabel{tandem.Safe, tandem.Unsafe, tandem.Unlabelled}[rng.IntN(3)]
	}
	var comparisons, repeated []tandem.Comparison
	var chosen, rejected, repeatedChosen, repeatedRejected, once, weight []float64
	for i := range 300 {
		c := pair(fmt.Sprintf("a %d", i), 1, 10, 20)
		c.Chosen.Label, c.Rejected.Label = label(), label()
		x, y := float64(rng.IntN(40))/5-4, float64(rng.IntN(40))/5-4 // some score alike
		comparisons, chosen, rejected, once = append(comparisons, c), append(chosen, x), append(rejected, y), append(once, 1)
		n := rng.IntN(4)
		weight = append(weight, float64(n))
		repeated = append(repeated, slices.Repeat([]tandem.Comparison{c}, n)...)
		repeatedChosen, repeatedRejected = append(repeatedChosen, slices.Repeat([]float64{x}, n)...), append(repeatedRejected, slices.Repeat([]float64{y}, n)...)
	}
	l := evaluation.NewLabelled(comparisons, chosen, rejected)
	for _, c := range []struct {
		name             string
		comparisons      []tandem.Comparison
		chosen, rejected []float64
		weight           []float64
	}{{"once", comparisons, chosen, rejected, once}, {"weighted", repeated, repeatedChosen, repeatedRejected, weight}} {
		d, err := evaluation.Detect(c.comparisons, c.chosen, c.rejected)
		if err != nil {
			t.Fatal(err)
		}
		near := func(what string, got float64, err error, want float64) {
			t.Helper()
			if err != nil || math.Abs(got-want) > 1e-9 {
				t.Errorf("%s, %s: %g, %v, want %g", c.name, what, got, err, want)
			}
		}
		got, err := l.AveragePrecision(c.weight)
		near("average precision", got, err, d.AveragePrecision)
		got, err = l.CalibrationError(c.weight)
		near("calibration error", got, err, d.CalibrationError)
		for _, wanted := range []float64{0.3, 0.4, 1} { // by chance a third of labels is unsafe
			_, want, err := d.Recommended(wanted)
			if err != nil && !statistics.IsUndefined(err) {
				t.Fatal(err)
			}
			got, err = l.RecallAtPrecision(wanted, c.weight)
			near(fmt.Sprintf("recall at precision %g", wanted), got, err, want)
		}
		for _, at := range d.Thresholds {
			got, err = l.Recall(at.At, c.weight)
			near(fmt.Sprintf("recall at %g", at.At), got, err, at.Recall.Value)
			if got, err = l.Precision(at.At, c.weight); at.Precision.N == 0 && statistics.IsUndefined(err) {
				continue
			}
			near(fmt.Sprintf("precision at %g", at.At), got, err, at.Precision.Value)
		}
	}
	if _, err := l.Precision(0.001, once); !statistics.IsUndefined(err) {
		t.Errorf("nothing is called unsafe: %v", err)
	}
}
