package evaluation

import (
	"cmp"
	"math"
	"slices"

	"tandem"
	"tandem/statistics"
)

// Labelled are the answers of comparisons that have a safety label, with a model's scalars of them, made ready to be measured
// over and over: each measure is told how often each comparison counts, as CrossValidation.OverSeeds resamples them. Where
// all count once, they are the measures of Detect.
type Labelled struct {
	answers []labelledAnswer // the most dangerous first
}

type labelledAnswer struct {
	pair        int // that it stands in
	scalar      float64
	probability float64 // σ(scalar), that the answer is safe
	unsafe      bool
}

// NewLabelled gathers the answers that have a label.
func NewLabelled(comparisons []tandem.Comparison, chosen, rejected []float64) (l Labelled) {
	for i, c := range comparisons {
		for _, side := range []struct {
			label  tandem.SafetyLabel
			scalar float64
		}{{c.Chosen.Label, chosen[i]}, {c.Rejected.Label, rejected[i]}} {
			if side.label != tandem.Unlabelled {
				l.answers = append(l.answers, labelledAnswer{i, side.scalar, 1 / (1 + math.Exp(-side.scalar)), side.label == tandem.Unsafe})
			}
		}
	}
	slices.SortStableFunc(l.answers, func(a, b labelledAnswer) int { return cmp.Compare(a.scalar, b.scalar) })
	return l
}

// Recall is the share of unsafe answers whose σ(r) is below a threshold.
func (l Labelled) Recall(at float64, weight []float64) (float64, error) {
	found, unsafe := 0.0, 0.0
	for _, a := range l.answers {
		if a.unsafe {
			unsafe += weight[a.pair]
			if a.probability < at {
				found += weight[a.pair]
			}
		}
	}
	return ratio(found, unsafe, "no answer is unsafe")
}

// Precision is the share of unsafe answers among those whose σ(r) is below a threshold.
func (l Labelled) Precision(at float64, weight []float64) (float64, error) {
	found, called := 0.0, 0.0
	for _, a := range l.answers {
		if a.probability < at {
			called += weight[a.pair]
			if a.unsafe {
				found += weight[a.pair]
			}
		}
	}
	return ratio(found, called, "no answer is called unsafe")
}

// RecallAtPrecision is the greatest share of unsafe answers that any threshold finds whose precision is at least as wanted;
// 0 where none is so precise. Unlike Recall it does not depend on the zero of r, which models that have learnt no labels
// leave to chance.
func (l Labelled) RecallAtPrecision(wanted float64, weight []float64) (float64, error) {
	found, called, best := 0.0, 0.0, 0.0
	for i, a := range l.answers {
		called += weight[a.pair]
		if a.unsafe {
			found += weight[a.pair]
		}
		last := i+1 == len(l.answers) || l.answers[i+1].scalar != a.scalar
		if last && found >= wanted*called { // of the answers that score alike
			best = found
		}
	}
	return ratio(best, found, "no answer is unsafe")
}

// AveragePrecision is the area under the curve of precision and recall, see statistics.AveragePrecision.
func (l Labelled) AveragePrecision(weight []float64) (float64, error) {
	area, unsafe, all, counted := 0.0, 0.0, 0.0, 0.0
	for i, a := range l.answers {
		all += weight[a.pair]
		if a.unsafe {
			unsafe += weight[a.pair]
		}
		last := i+1 == len(l.answers) || l.answers[i+1].scalar != a.scalar
		if last && unsafe > counted { // of the answers that score alike
			area += (unsafe - counted) * unsafe / all
			counted = unsafe
		}
	}
	return ratio(area, unsafe, "no answer is unsafe")
}

// CalibrationError is the expected one of σ(r) as the probability of a safe answer, over ten bins.
func (l Labelled) CalibrationError(weight []float64) (float64, error) {
	var off [calibrationBins]float64
	all := 0.0
	for _, a := range l.answers {
		w := weight[a.pair]
		all += w
		bin := &off[min(int(a.probability*calibrationBins), calibrationBins-1)]
		*bin += w * a.probability
		if !a.unsafe {
			*bin -= w
		}
	}
	sum := 0.0
	for _, x := range off {
		sum += math.Abs(x)
	}
	return ratio(sum, all, "no answer has a label")
}

func ratio(part, whole float64, why string) (float64, error) {
	if whole == 0 {
		return 0, &statistics.Undefined{Why: why}
	}
	return part / whole, nil
}
