package evaluation_test

import (
	"math"
	"strings"
	"testing"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
)

// pair is a comparison after so many turns, with answers of so many characters.
func pair(opening string, turns, chosen, rejected int) tandem.Comparison {
	var d tandem.Dialogue
	for i := range turns {
		if i > 0 {
			d = append(d, tandem.Message{Role: tandem.Assistant, Content: "Well."})
		}
		d = append(d, tandem.Message{Role: tandem.User, Content: opening})
	}
	return tandem.Comparison{Prompt: tandem.Prompt{Messages: d}, Source: opening[:1],
		Chosen: tandem.Response{Content: strings.Repeat("é", chosen)}, Rejected: tandem.Response{Content: strings.Repeat("x", rejected)}}
}

func grouping(t *testing.T, name string) evaluation.Grouping {
	t.Helper()
	for _, g := range evaluation.Groupings() {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("there is no grouping %q", name)
	return evaluation.Grouping{}
}

func TestByGroup(t *testing.T) {
	comparisons := []tandem.Comparison{
		pair("a 1", 1, 100, 100), pair("a 2", 2, 100, 40), pair("b 1", 3, 80, 100), pair("b 2", 4, 100, 70), pair("b 3", 5, 20, 100), pair("b 4", 1, 70, 100),
	}
	correct := []float64{1, 0, 1, 0.5, 0, 1}
	for name, want := range map[string][]struct {
		name string
		n    int
		mean float64
	}{
		"turns": {{"1 turn", 2, 1}, {"2 turns", 1, 0}, {"3 turns", 1, 1}, {"4 turns or more", 2, 0.25}},
		"length": {{"chosen less than half as long", 1, 0}, {"chosen shorter", 1, 1}, {"within a quarter of each other", 2, 1}, {"chosen longer", 1, 0.5},
			{"chosen more than twice as long", 1, 0}},
		"source":     {{"a", 2, 0.5}, {"b", 4, 0.625}},
		"safety bin": nil, // there are no labels
	} {
		groups, err := evaluation.ByGroup(comparisons, correct, grouping(t, name), 1)
		if err != nil || len(groups) != len(want) {
			t.Errorf("%s: %+v, %v", name, groups, err)
			continue
		}
		for i, w := range want {
			if g := groups[i]; g.Name != w.name || g.Accuracy.N != w.n || g.Accuracy.Value != w.mean || g.Accuracy.Low > w.mean || g.Accuracy.High < w.mean {
				t.Errorf("%s: %+v, want %+v", name, g, w)
			}
		}
	}
	if _, err := evaluation.ByGroup(comparisons, correct[1:], grouping(t, "turns"), 1); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("too few verdicts: %v", err)
	}
	for i, d := range []tandem.Degree{tandem.Better, tandem.NegligiblyBetter, tandem.Better, tandem.Unrated, tandem.Better, tandem.SignificantlyBetter} {
		comparisons[i].Degree = d
	}
	degrees, err := evaluation.ByDegree(comparisons, correct, 1)
	if err != nil || len(degrees) != 4 {
		t.Fatalf("by degree: %+v, %v", degrees, err)
	}
	for i, want := range []evaluation.Group{{"significantly_better", statistics.Interval{Value: 1, N: 1}}, {"better", statistics.Interval{Value: 2. / 3, N: 3}},
		{"negligibly_better", statistics.Interval{N: 1}}, {"unrated", statistics.Interval{Value: 0.5, N: 1}}} {
		if g := degrees[i]; g.Name != want.Name || g.Accuracy.N != want.Accuracy.N || g.Accuracy.Value != want.Accuracy.Value {
			t.Errorf("by degree: %+v, want %+v", g, want)
		}
	}
	rho, err := evaluation.LengthCorrelation(comparisons[1:3], []float64{9, 5}, []float64{1, 9}) // characters 100, 40, 80, 100
	if err != nil || math.Abs(rho-1) > 1e-12 {
		t.Errorf("scores in the order of lengths: %g, %v", rho, err)
	}
}

func TestDetect(t *testing.T) {
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	labelled := func(chosen, rejected tandem.SafetyLabel) tandem.Comparison {
		return tandem.Comparison{Chosen: tandem.Response{Label: chosen}, Rejected: tandem.Response{Label: rejected}}
	}
	comparisons := []tandem.Comparison{
		labelled(tandem.Safe, tandem.Unsafe), labelled(tandem.Safe, tandem.Unsafe), labelled(tandem.Safe, tandem.Safe), labelled(tandem.Unsafe, tandem.Unsafe), labelled("", ""),
	}
	chosen := []float64{logit(.9), logit(.4), logit(.95), logit(.12), 0}
	rejected := []float64{logit(.04), logit(.14), logit(.13), logit(.7), 0}
	// By σ(r), unsafe ones in brackets: [.04] [.12] .13 [.14] .4 [.7] .9 .95
	d, err := evaluation.Detect(comparisons, chosen, rejected)
	if err != nil || d.Answers != 8 || d.Unsafe != 4 {
		t.Fatalf("%+v, %v", d, err)
	}
	if want := 13.0 / 16; math.Abs(d.AUC-want) > 1e-12 { // pairs of an unsafe and a safe one in order
		t.Errorf("AUC %g, want %g", d.AUC, want)
	}
	if want := (1 + 1 + 3.0/4 + 4.0/6) / 4; math.Abs(d.AveragePrecision-want) > 1e-12 {
		t.Errorf("average precision %g, want %g", d.AveragePrecision, want)
	}
	for _, want := range []evaluation.Threshold{
		{At: 0.01, Recall: statistics.Interval{N: 4}},
		{At: 0.15, Precision: statistics.Interval{N: 4, Value: 3.0 / 4}, Recall: statistics.Interval{N: 4, Value: 3.0 / 4}},
		{At: 0.5, Precision: statistics.Interval{N: 5, Value: 3.0 / 5}, Recall: statistics.Interval{N: 4, Value: 3.0 / 4}},
	} {
		for _, got := range d.Thresholds {
			if got.At == want.At && (got.Precision.N != want.Precision.N || got.Precision.Value != want.Precision.Value || got.Recall.N != want.Recall.N || got.Recall.Value != want.Recall.Value) {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
	for precision, want := range map[float64][2]float64{1: {.12, 2.0 / 4}, .75: {.14, 3.0 / 4}, .6: {.7, 1}} {
		at, recall, err := d.Recommended(precision)
		if err != nil || math.Abs(at-want[0]) > 1e-9 || recall != want[1] {
			t.Errorf("for a precision of %g the threshold %g with recall %g, want %v, %v", precision, at, recall, want, err)
		}
	}
	if _, _, err := d.Recommended(1.1); !statistics.IsUndefined(err) {
		t.Errorf("an impossible precision: %v", err)
	}
	if _, err := evaluation.Detect(comparisons[2:3], chosen[2:3], rejected[2:3]); !statistics.IsUndefined(err) {
		t.Errorf("without unsafe answers: %v", err)
	}
}
