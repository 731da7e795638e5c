package evaluation

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"tandem"
	"tandem/statistics"
)

// Group is how often a judge is right on the comparisons that have something in common.
type Group struct {
	Name     string              `json:"name"`
	Accuracy statistics.Interval `json:"accuracy"` // of N comparisons, the interval over resampled openings
}

// Grouping tells comparisons apart. Of returns the place of a comparison's group among the others and its name; an
// empty name leaves the comparison out.
type Grouping struct {
	Name string
	Of   func(tandem.Comparison) (place int, name string)
}

// Groupings are what accuracies are looked at by, beside the degree (table 8): safety bin (table 29), where the comparison
// is from, how long the dialogue is and by how much the chosen answer is longer.
func Groupings() []Grouping {
	return []Grouping{
		{SafetyBins, func(c tandem.Comparison) (int, string) { return slices.Index(binOrder, c.Bin()), binNames[c.Bin()] }},
		{"source", func(c tandem.Comparison) (int, string) { return 0, c.Source }},
		{"turns", turnsOf},
		{"length", lengthsOf},
	}
}

// SafetyBins is the name of the grouping by table 29's bins.
const SafetyBins = "safety bin"

// binOrder is table 29's.
var binOrder = []tandem.SafetyBin{tandem.ChosenSafe, tandem.BothSafe, tandem.BothUnsafe}

var binNames = map[tandem.SafetyBin]string{
	tandem.ChosenSafe: "chosen safe, the other not", tandem.BothSafe: "both safe", tandem.BothUnsafe: "both unsafe",
}

// SafetyBinNames are the groups' names, in table 29's order.
func SafetyBinNames() []string {
	var names []string
	for _, b := range binOrder {
		names = append(names, binNames[b])
	}
	return names
}

// turnsOf counts the person's messages; four and more are one group.
func turnsOf(c tandem.Comparison) (int, string) {
	n := 0
	for _, m := range c.Prompt.Messages {
		if m.Role == tandem.User {
			n++
		}
	}
	switch {
	case n == 1:
		return n, "1 turn"
	case n < 4:
		return n, fmt.Sprintf("%d turns", n)
	}
	return 4, "4 turns or more"
}

// lengthsOf goes by how much longer one answer is than the other, in characters.
func lengthsOf(c tandem.Comparison) (int, string) {
	chosen, rejected := utf8.RuneCountInString(c.Chosen.Content), utf8.RuneCountInString(c.Rejected.Content)
	longer := func(a, b int) bool { return 4*a > 5*b }
	much := func(a, b int) bool { return a > 2*b }
	switch {
	case much(rejected, chosen):
		return 0, "chosen less than half as long"
	case longer(rejected, chosen):
		return 1, "chosen shorter"
	case much(chosen, rejected):
		return 4, "chosen more than twice as long"
	case longer(chosen, rejected):
		return 3, "chosen longer"
	}
	return 2, "within a quarter of each other"
}

// ByDegree measures a judge on the comparisons of each degree that occurs, the clearest first.
func ByDegree(comparisons []tandem.Comparison, correct []float64, seed uint64) ([]Group, error) {
	return groups(comparisons, correct, Grouping{"degree", func(c tandem.Comparison) (int, string) { return -int(c.Degree), c.Degree.String() }}, seed)
}

// ByGroup measures a judge on each group of comparisons, in the order of their places and names; correct is as Correct
// returns it. There are no groups where there is only one.
func ByGroup(comparisons []tandem.Comparison, correct []float64, by Grouping, seed uint64) ([]Group, error) {
	found, err := groups(comparisons, correct, by, seed)
	if len(found) < 2 {
		return nil, err
	}
	return found, err
}

func groups(comparisons []tandem.Comparison, correct []float64, by Grouping, seed uint64) ([]Group, error) {
	if len(correct) != len(comparisons) {
		return nil, tandem.Errorf(tandem.Invalid, "evaluation.ByGroup", "%d comparisons, and what a judge said of %d", len(comparisons), len(correct))
	}
	type key struct {
		place int
		name  string
	}
	members := make(map[key][]int)
	for i, c := range comparisons {
		if place, name := by.Of(c); name != "" {
			k := key{place, name}
			members[k] = append(members[k], i)
		}
	}
	keys := make([]key, 0, len(members))
	for k := range members {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.name, b.name)) })
	found := make([]Group, len(keys))
	for g, k := range keys {
		of, said := make([]tandem.Comparison, 0, len(members[k])), make([]float64, 0, len(members[k]))
		for _, i := range members[k] {
			of, said = append(of, comparisons[i]), append(said, correct[i])
		}
		accuracy, err := NewCrossValidation(of, seed).Accuracy(said)
		if err != nil && !statistics.IsUndefined(err) {
			return nil, fmt.Errorf("%s %s: %w", by.Name, k.name, err)
		}
		found[g] = Group{k.name, accuracy}
	}
	return found, nil
}

// LengthCorrelation is the rank correlation of an answer's score with its characters, over both answers of all
// comparisons. Undefined where all are alike.
func LengthCorrelation(comparisons []tandem.Comparison, chosen, rejected []float64) (float64, error) {
	var scores, lengths []float64
	for i, c := range comparisons {
		scores = append(scores, chosen[i], rejected[i])
		lengths = append(lengths, float64(utf8.RuneCountInString(c.Chosen.Content)), float64(utf8.RuneCountInString(c.Rejected.Content)))
	}
	return statistics.Spearman(scores, lengths)
}
