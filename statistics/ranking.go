package statistics

import (
	"cmp"
	"slices"
)

// Curve is a curve of points in the unit square, from left to right, for plots.
type Curve struct {
	X, Y, Threshold []float64 // Threshold[i]: at point i, scores ≥ it count as positive
}

// ROC is the receiver operating characteristic: X is the false, Y the true positive rate. Equal scores
// are one step. The first point is the origin, where nothing counts as positive; its threshold repeats
// the largest score, since JSON has no infinity.
func ROC(scores []float64, positive []bool) (Curve, error) {
	steps, positives, negatives, err := cuts("statistics.ROC", scores, positive)
	if err != nil {
		return Curve{}, err
	}
	if negatives == 0 {
		return Curve{}, undefined("all %d items are positive", positives)
	}
	curve := Curve{X: []float64{0}, Y: []float64{0}, Threshold: []float64{steps[0].threshold}}
	for _, s := range steps {
		curve.X = append(curve.X, float64(s.falsePositive)/float64(negatives))
		curve.Y = append(curve.Y, float64(s.truePositive)/float64(positives))
		curve.Threshold = append(curve.Threshold, s.threshold)
	}
	return curve, nil
}

// AUC is the area under the ROC curve: the probability that a positive item scores above a negative
// one, ties counting half (Mann and Whitney 1947).
func AUC(scores []float64, positive []bool) (float64, error) {
	curve, err := ROC(scores, positive)
	if err != nil {
		return 0, err
	}
	area := 0.0
	for i := 1; i < len(curve.X); i++ {
		area += (curve.X[i] - curve.X[i-1]) * (curve.Y[i] + curve.Y[i-1]) / 2
	}
	return area, nil
}

// PrecisionRecall is the curve of precision (Y) over recall (X).
func PrecisionRecall(scores []float64, positive []bool) (Curve, error) {
	steps, positives, _, err := cuts("statistics.PrecisionRecall", scores, positive)
	if err != nil {
		return Curve{}, err
	}
	var curve Curve
	for _, s := range steps {
		curve.X = append(curve.X, float64(s.truePositive)/float64(positives))
		curve.Y = append(curve.Y, float64(s.truePositive)/float64(s.truePositive+s.falsePositive))
		curve.Threshold = append(curve.Threshold, s.threshold)
	}
	return curve, nil
}

// AveragePrecision is the area under the precision-recall curve by steps, Σ (R_i − R_{i−1}) P_i, without
// the interpolation that flatters.
func AveragePrecision(scores []float64, positive []bool) (float64, error) {
	curve, err := PrecisionRecall(scores, positive)
	if err != nil {
		return 0, err
	}
	area, recall := 0.0, 0.0
	for i := range curve.X {
		area += (curve.X[i] - recall) * curve.Y[i]
		recall = curve.X[i]
	}
	return area, nil
}

// cut counts the items whose score is at or above a threshold.
type cut struct {
	threshold                   float64
	truePositive, falsePositive int
}

// cuts lists the cuts at every distinct score, the highest first.
func cuts(op string, scores []float64, positive []bool) (steps []cut, positives, negatives int, err error) {
	if err := paired(op, len(scores), len(positive)); err != nil {
		return nil, 0, 0, err
	}
	if err := finite(scores); err != nil {
		return nil, 0, 0, err
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	for at, i := range order {
		if positive[i] {
			positives++
		} else {
			negatives++
		}
		if at+1 == len(order) || scores[order[at+1]] != scores[i] {
			steps = append(steps, cut{scores[i], positives, negatives})
		}
	}
	if positives == 0 {
		return nil, 0, 0, undefined("none of %d items is positive", len(scores))
	}
	return steps, positives, negatives, nil
}

// Confusion counts decisions against the truth.
type Confusion struct {
	TruePositive  int `json:"true_positive"`
	FalsePositive int `json:"false_positive"`
	TrueNegative  int `json:"true_negative"`
	FalseNegative int `json:"false_negative"`
}

// Confuse counts decisions against the truth, item by item.
func Confuse(decided, truth []bool) (Confusion, error) {
	var c Confusion
	if err := paired("statistics.Confuse", len(decided), len(truth)); err != nil {
		return c, err
	}
	for i, positive := range decided {
		switch {
		case positive && truth[i]:
			c.TruePositive++
		case positive:
			c.FalsePositive++
		case truth[i]:
			c.FalseNegative++
		default:
			c.TrueNegative++
		}
	}
	return c, nil
}

// Precision is the share of positive decisions that are true, with Wilson's interval.
func (c Confusion) Precision() (Interval, error) {
	if c.TruePositive+c.FalsePositive == 0 {
		return Interval{}, undefined("nothing was decided to be positive")
	}
	return Wilson(float64(c.TruePositive), c.TruePositive+c.FalsePositive)
}

// Recall is the share of positive items that were decided to be so, with Wilson's interval.
func (c Confusion) Recall() (Interval, error) {
	if c.TruePositive+c.FalseNegative == 0 {
		return Interval{}, undefined("no item is positive")
	}
	return Wilson(float64(c.TruePositive), c.TruePositive+c.FalseNegative)
}
