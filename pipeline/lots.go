package pipeline

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"tandem"
)

// drawLots makes judgments know nothing of the answers: of each kind of judgment (degree and labels) exactly half are
// turned round, drawn by lot, and independently of that the labels of half are the opposite ones. Lots drawn one by one
// would agree with the judgments by chance, now and then by enough to teach a small model what they knew.
func drawLots(comparisons []tandem.Comparison, seed uint64) []tandem.Comparison {
	type kind struct {
		degree           tandem.Degree
		chosen, rejected tandem.SafetyLabel
	}
	kinds := make(map[kind][]int)
	for i, c := range comparisons {
		k := kind{c.Degree, c.Chosen.Label, c.Rejected.Label}
		kinds[k] = append(kinds[k], i)
	}
	order := make([]kind, 0, len(kinds))
	for k := range kinds {
		order = append(order, k)
	}
	slices.SortFunc(order, func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.degree, b.degree), cmp.Compare(a.chosen, b.chosen), cmp.Compare(a.rejected, b.rejected))
	})
	rng := rand.New(rand.NewPCG(seed, 0x6c6f7473))
	drawn := slices.Clone(comparisons)
	for _, k := range order {
		members := kinds[k]
		first := rng.IntN(4) // so that the odd ones of small kinds fall either way
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		for n, i := range members {
			c := &drawn[i]
			if (first+n)&1 == 1 {
				c.Chosen, c.Rejected = c.Rejected, c.Chosen
			}
			if (first+n)&2 == 2 {
				c.Chosen.Label, c.Rejected.Label = opposite(c.Chosen.Label), opposite(c.Rejected.Label)
			}
		}
	}
	return drawn
}

func opposite(l tandem.SafetyLabel) tandem.SafetyLabel {
	switch l {
	case tandem.Safe:
		return tandem.Unsafe
	case tandem.Unsafe:
		return tandem.Safe
	}
	return l
}
