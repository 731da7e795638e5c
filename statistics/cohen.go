package statistics

import (
	"encoding/binary"
)

// CohenKappa is κ = (p_o − p_e) / (1 − p_e) of two raters: Cohen's with [IdentityWeights] (Cohen 1960), his
// weighted one otherwise (Cohen 1968). Where there are more than two raters it is the pooled κ of all pairs
// who rated least items or more in common: p_o and p_e are the pairs', each weighted by its items (De Vries
// et al. 2008, https://doi.org/10.1177/1525822X08317166). Pairs with few items in common say little of each
// rater's habits, which is why they are left out.
func CohenKappa(w Weights, least int) Coefficient {
	return func(p Panel) (measure, error) {
		pairs, err := p.pairs(least)
		if err != nil {
			return measure{}, err
		}
		weight := w.matrix(p.q)
		agreed := make([]float64, p.q*p.q*len(pairs.number)) // items by pair, first and second rater's category
		first, second := make([]float64, p.q), make([]float64, p.q)
		of := func(times []int) (float64, error) {
			clear(agreed)
			for i, cells := range pairs.cells {
				for _, cell := range cells {
					agreed[cell] += float64(times[i])
				}
			}
			items, observed, expected := 0.0, 0.0, 0.0
			for pair := range len(pairs.number) {
				table := agreed[pair*p.q*p.q : (pair+1)*p.q*p.q]
				clear(first)
				clear(second)
				n := 0.0
				for k := range p.q {
					for l := range p.q {
						count := table[k*p.q+l]
						first[k] += count
						second[l] += count
						n += count
						observed += weight[k][l] * count
					}
				}
				if n == 0 {
					continue
				}
				items += n
				for k := range p.q {
					for l := range p.q {
						expected += weight[k][l] * first[k] * second[l] / n
					}
				}
			}
			if items-expected < 1e-9*items || items == 0 {
				return 0, undefined("both annotators put every item in one category")
			}
			return (observed - expected) / (items - expected), nil
		}
		return measure{pairs.coverage, pairs.times, of}, nil
	}
}

// pair are two raters, the one with the smaller number first.
type pair [2]int

// pairedItems are the items that pairs of raters rated, by how.
type pairedItems struct {
	number   map[pair]int // each pair's
	cells    [][]int      // by pattern: pair · q² + first's category · q + second's
	times    []int        // items by pattern
	coverage Coverage
}

// pairs sorts the items by what pairs of raters said. Errors: Undefined when no pair rated enough in common.
func (p Panel) pairs(least int) (pairedItems, error) {
	shared := make(map[pair]int)
	raters := make(map[int]bool)
	for item := range p.items {
		for i, a := range item {
			raters[a.Rater] = true
			for _, b := range item[i+1:] {
				shared[pair{a.Rater, b.Rater}]++
			}
		}
	}
	if len(shared) == 0 {
		return pairedItems{}, noPairs()
	}
	if len(raters) == 2 {
		least = 1
	}
	out := pairedItems{number: make(map[pair]int)}
	known := make(map[string]int)
	var key []byte
	for item := range p.items {
		var cells []int
		key = key[:0]
		for i, a := range item {
			for _, b := range item[i+1:] {
				who := pair{a.Rater, b.Rater}
				if shared[who] < least {
					continue
				}
				n, ok := out.number[who]
				if !ok {
					n = len(out.number)
					out.number[who] = n
				}
				cell := n*p.q*p.q + a.Category*p.q + b.Category
				cells = append(cells, cell)
				key = binary.AppendUvarint(key, uint64(cell))
			}
		}
		if cells == nil {
			continue
		}
		i, ok := known[string(key)]
		if !ok {
			i = len(out.cells)
			known[string(key)] = i
			out.cells, out.times = append(out.cells, cells), append(out.times, 0)
		}
		out.times[i]++
	}
	if len(out.number) == 0 {
		return pairedItems{}, undefined("no two annotators rated %d items or more in common", least)
	}
	out.coverage = p.coverage(func(item []Rating) bool {
		for i, a := range item {
			for _, b := range item[i+1:] {
				if _, ok := out.number[pair{a.Rater, b.Rater}]; ok {
					return true
				}
			}
		}
		return false
	})
	return out, nil
}
