package statistics

import (
	"math"
	"math/rand/v2"
	"testing"

	"tandem"
)

func TestPublishedCurves(t *testing.T) {
	// The examples of roc_auc_score and average_precision_score in scikit-learn's reference.
	scores, positive := []float64{0.1, 0.4, 0.35, 0.8}, []bool{false, false, true, true}
	auc, err := AUC(scores, positive)
	near(t, "AUC", auc, err, 0.75, 1e-15)
	ap, err := AveragePrecision(scores, positive)
	near(t, "average precision", ap, err, 0.8333333333333333, 1e-15)
}

// TestAUCAgainstPairs compares the curve's area with the probability that it is.
func TestAUCAgainstPairs(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	scores, positive := make([]float64, 80), make([]bool, 80)
	for i := range scores {
		scores[i], positive[i] = float64(draw.IntN(12)), draw.IntN(3) == 0
	}
	above, pairs := 0.0, 0.0
	for i := range scores {
		for j := range scores {
			if positive[i] && !positive[j] {
				pairs++
				above += (1 + sign(scores[i]-scores[j])) / 2
			}
		}
	}
	auc, err := AUC(scores, positive)
	near(t, "AUC", auc, err, above/pairs, 1e-12)
}

func TestUndefinedCurves(t *testing.T) {
	for name, positive := range map[string][]bool{"no positives": {false, false}, "no negatives": {true, true}} {
		if got, err := AUC([]float64{1, 2}, positive); !IsUndefined(err) {
			t.Errorf("%s: got %g, error %v", name, got, err)
		}
	}
	if got, err := AveragePrecision([]float64{1, math.NaN()}, []bool{true, false}); !IsUndefined(err) {
		t.Errorf("NaN: got %g, error %v", got, err)
	}
}

func TestConfusion(t *testing.T) {
	c, err := Confuse([]bool{true, true, true, false, false}, []bool{true, false, true, true, false})
	if err != nil || c != (Confusion{TruePositive: 2, FalsePositive: 1, TrueNegative: 1, FalseNegative: 1}) {
		t.Fatalf("got %+v, error %v", c, err)
	}
	precision, err := c.Precision()
	near(t, "precision", precision.Value, err, 2.0/3, 1e-15)
	recall, err := c.Recall()
	near(t, "recall", recall.Value, err, 2.0/3, 1e-15)
	if _, err := (Confusion{TrueNegative: 3}).Precision(); !IsUndefined(err) {
		t.Errorf("precision of nothing: error %v", err)
	}
	if _, err := (Confusion{TrueNegative: 3}).Recall(); !IsUndefined(err) {
		t.Errorf("recall of nothing: error %v", err)
	}
}

func TestCalibrationError(t *testing.T) {
	// Two bins: .25 and .35 with one positive of two (|.5 − .3| = .2); .9 with a positive (.1).
	ece, err := ExpectedCalibrationError([]float64{0.25, 0.35, 0.9}, []bool{true, false, true}, 2)
	near(t, "ECE", ece, err, (2*0.2+0.1)/3, 1e-12)
	ece, err = ExpectedCalibrationError([]float64{1, 0}, []bool{true, false}, 10)
	near(t, "ECE of certainty", ece, err, 0, 0)
	if _, err := ExpectedCalibrationError(nil, nil, 10); !IsUndefined(err) {
		t.Errorf("no predictions: error %v", err)
	}
	if _, err := ExpectedCalibrationError([]float64{math.NaN()}, []bool{true}, 10); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a prediction that is no probability: error %v", err)
	}
}

// TestFitTemperature: 3 of 4 items with logit z are positive, so σ(z/T) = 3/4 and T = z / ln 3.
func TestFitTemperature(t *testing.T) {
	for _, z := range []float64{0.01, 1, 50} {
		temperature, err := FitTemperature([]float64{z, z, z, z}, []bool{true, true, true, false})
		near(t, "T", temperature, err, z/math.Log(3), 1e-9*z)
	}
	for name, positive := range map[string][]bool{"all right": {true, false}, "all wrong": {false, true}} {
		if got, err := FitTemperature([]float64{1, -1}, positive); !IsUndefined(err) {
			t.Errorf("%s: got %g, error %v", name, got, err)
		}
	}
	if _, err := FitTemperature(nil, nil); !IsUndefined(err) {
		t.Errorf("no predictions: error %v", err)
	}
}
