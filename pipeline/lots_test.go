package pipeline

import (
	"fmt"
	"testing"

	"tandem"
)

// Whoever learns from judgments by lot can learn nothing of the true ones: of every kind as many agree with them as not,
// in side and in labels, and both together.
func TestLotsAreBalanced(t *testing.T) {
	type kind struct {
		degree           tandem.Degree
		chosen, rejected tandem.SafetyLabel
	}
	sizes := map[kind]int{
		{tandem.Better, tandem.Safe, tandem.Unsafe}:         40,
		{tandem.Better, tandem.Safe, tandem.Safe}:           12,
		{tandem.SlightlyBetter, tandem.Unsafe, tandem.Safe}: 7,
		{tandem.NegligiblyBetter, "", ""}:                   1001,
	}
	var given []tandem.Comparison
	for k, n := range sizes {
		for i := range n {
			given = append(given, tandem.Comparison{Degree: k.degree,
				Chosen: tandem.Response{Content: fmt.Sprint("good ", i), Label: k.chosen}, Rejected: tandem.Response{Content: fmt.Sprint("bad ", i), Label: k.rejected}})
		}
	}
	turned := func(drawn []tandem.Comparison) map[kind][4]int {
		counts := make(map[kind][4]int)
		for i, c := range drawn {
			was, n := given[i], 0
			k := kind{was.Degree, was.Chosen.Label, was.Rejected.Label}
			if c.Degree != was.Degree {
				t.Fatalf("the degree became %v", c.Degree)
			}
			if c.Chosen.Content != was.Chosen.Content {
				c.Chosen, c.Rejected = c.Rejected, c.Chosen
				n++
			}
			if c.Chosen.Content != was.Chosen.Content || c.Rejected.Content != was.Rejected.Content {
				t.Fatalf("%+v became %+v", was, c)
			}
			if c.Chosen.Label != was.Chosen.Label {
				if c.Rejected.Label == was.Rejected.Label {
					t.Fatalf("%+v became %+v", was, c)
				}
				n += 2
			}
			count := counts[k]
			count[n]++
			counts[k] = count
		}
		return counts
	}
	counts := turned(drawLots(given, 1))
	for k, n := range sizes {
		got := counts[k]
		if k.chosen == "" { // nothing to turn but the side
			if d := got[0] - got[1]; got[0]+got[1] != n || d < -1 || d > 1 {
				t.Errorf("of %d without labels %v", n, got)
			}
			continue
		}
		for _, c := range got {
			if c < n/4 || c > n/4+1 {
				t.Errorf("%v: of %d %v", k, n, got)
			}
		}
	}
	again, other := drawLots(given, 1), drawLots(given, 2)
	same, different := 0, 0
	for i, c := range drawLots(given, 1) {
		if c.Chosen == again[i].Chosen {
			same++
		}
		if c.Chosen != other[i].Chosen {
			different++
		}
	}
	if same != len(given) || different < len(given)/3 {
		t.Errorf("of %d, %d are the same with one seed, %d others with another", len(given), same, different)
	}
}
