package evaluation

import (
	"fmt"
	"math"
	"testing"

	"tandem"
)

// No opening stands in two folds, and every pair in exactly one.
func TestFoldsKeepOpeningsTogether(t *testing.T) {
	var comparisons []tandem.Comparison
	for i := range 200 {
		comparisons = append(comparisons, pair(fmt.Sprint("Opening ", i%60), fmt.Sprint("a", i), fmt.Sprint("b", i)))
	}
	foldOf, seen := make(map[string]int), make(map[int]bool)
	for fold, at := range Folds(comparisons, 5) {
		if len(at) == 0 {
			t.Errorf("fold %d is empty", fold)
		}
		for _, i := range at {
			if seen[i] {
				t.Errorf("pair %d stands twice", i)
			}
			seen[i] = true
			opening := comparisons[i].Prompt.Messages.Opening()
			if f, ok := foldOf[opening]; ok && f != fold {
				t.Errorf("%q stands in folds %d and %d", opening, f, fold)
			}
			foldOf[opening] = fold
		}
	}
	if len(seen) != len(comparisons) {
		t.Errorf("%d of %d pairs have a fold", len(seen), len(comparisons))
	}
}

func TestCrossValidationAccuracy(t *testing.T) {
	var comparisons []tandem.Comparison
	var rule, other []float64
	for i := range 400 {
		comparisons = append(comparisons, pair(fmt.Sprint("q", i/2), "a", "b")) // two pairs an opening
		rule = append(rule, float64(min(i%4, 1)))                               // right on three of four
		other = append(other, 0.5)
	}
	v := NewCrossValidation(comparisons, 1)
	if v.Openings() != 200 {
		t.Errorf("%d openings", v.Openings())
	}
	a, err := v.Accuracy(rule)
	if err != nil {
		t.Fatal(err)
	}
	if a.Value != 0.75 || a.N != 400 || a.Low > 0.75 || a.High < 0.75 || a.High-a.Low > 0.15 {
		t.Errorf("accuracy %+v", a)
	}
	ahead, err := v.Ahead(rule, other)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(ahead.Value-0.25) > 1e-12 || ahead.Contains(0) {
		t.Errorf("ahead %+v", ahead)
	}
	if _, err := v.Accuracy(rule[:3]); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("too few values: error %v", err)
	}
	if _, err := v.Ahead(rule, other[:3]); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("unequal rules: error %v", err)
	}
}

// Pairs that are right or wrong together make the interval wider than as many that are independent.
func TestIntervalResamplesOpenings(t *testing.T) {
	var together, apart []tandem.Comparison
	var correct []float64
	for i := range 400 {
		together = append(together, pair(fmt.Sprint("q", i/20), "a", "b"))
		apart = append(apart, pair(fmt.Sprint("q", i), "a", "b"))
		correct = append(correct, float64(i/20%2))
	}
	wide, err := NewCrossValidation(together, 1).Accuracy(correct)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := NewCrossValidation(apart, 1).Accuracy(correct)
	if err != nil {
		t.Fatal(err)
	}
	if wide.High-wide.Low < 3*(narrow.High-narrow.Low) {
		t.Errorf("%v of 20 openings, %v of 400", wide, narrow)
	}
}

func TestCorrect(t *testing.T) {
	got, err := Correct([]float64{1, 0, 2}, []float64{0, 1, 2})
	if err != nil || fmt.Sprint(got) != "[1 0 0.5]" {
		t.Errorf("got %v, error %v", got, err)
	}
	if _, err := Correct([]float64{1}, nil); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("error %v", err)
	}
}
