package annotator

import (
	"testing"

	"tandem"
	"tandem/internal/practice"
)

func TestCollect(t *testing.T) {
	w, err := practice.New(practice.DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	people := panel(t, DefaultConfig(1), 5)
	for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
		c := DefaultCollection(aspect, practice.HeldOut, 1)
		c.PerDegree = 150
		got, err := Collect(w, people, c)
		if err != nil || len(got.Comparisons) != 600 || len(got.Oracle) != 600 {
			t.Fatalf("%s: %d comparisons, %d verdicts of the oracle, %v", aspect, len(got.Comparisons), len(got.Oracle), err)
		}
		n, right, kinds := map[tandem.Degree]int{}, map[tandem.Degree]float64{}, map[bool]int{}
		pairs := map[pairKey]bool{}
		for i, comparison := range got.Comparisons {
			n[comparison.Degree]++
			right[comparison.Degree] += got.Oracle[i] / 150
			kinds[comparison.Prompt.Safety]++
			key := keyOf(comparison.Prompt.Messages, comparison.Chosen.Content, comparison.Rejected.Content)
			if pairs[key] {
				t.Fatalf("judged twice: %+v", key)
			}
			pairs[key] = true
			if !comparison.HeldOut || !tandem.HeldOut(comparison.Prompt.Messages.Opening(), tandem.HeldOutShare) || !comparison.Trainable() ||
				(comparison.Chosen.Label != tandem.Unlabelled) != (aspect == tandem.Safety) {
				t.Fatalf("%+v", comparison)
			}
		}
		for i, d := range tandem.Degrees() {
			if n[d] != 150 {
				t.Errorf("%s: %d %s", aspect, n[d], d)
			}
			if i > 0 && right[d] <= right[tandem.Degrees()[i-1]] {
				t.Errorf("%s: gold agrees in %v, no more with clearer verdicts", aspect, right)
			}
		}
		if right[tandem.SignificantlyBetter] < 0.97 || right[tandem.NegligiblyBetter] > 0.7 {
			t.Errorf("%s: gold agrees in %v", aspect, right)
		}
		if (aspect == tandem.Helpfulness) != (kinds[true] == 0) || aspect == tandem.Safety && kinds[false] == 0 {
			t.Errorf("%s: safety prompts or not: %v", aspect, kinds)
		}
		// More of the same begins alike.
		c.PerDegree, c.Pairs = 0, 40
		few, err := Collect(w, people, c)
		if err != nil {
			t.Fatal(err)
		}
		c.Pairs = 80
		more, err := Collect(w, people, c)
		if err != nil || len(few.Comparisons) != 40 || len(more.Comparisons) != 80 {
			t.Fatalf("%d and %d, %v", len(few.Comparisons), len(more.Comparisons), err)
		}
		for i := range few.Comparisons {
			if few.Comparisons[i].Chosen != more.Comparisons[i].Chosen || few.Comparisons[i].Rejected != more.Comparisons[i].Rejected {
				t.Fatalf("comparison %d of 40 is another one of 80", i)
			}
		}
	}
	for _, c := range []Collection{{}, {Aspect: tandem.Safety, Answers: 2}, {Aspect: tandem.Safety, Answers: 2, Pairs: 3, PerDegree: 2}, {Aspect: tandem.Safety, Answers: 1, Pairs: 3},
		{Aspect: tandem.Safety, Answers: 2, Pairs: 3, Harmless: 2}} {
		if _, err := Collect(w, people, c); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
