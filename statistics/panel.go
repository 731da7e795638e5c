package statistics

import (
	"cmp"
	"encoding/binary"
	"slices"

	"tandem"
)

// Rating says that a rater put an item into a category. Items and raters are numbered as the caller likes.
type Rating struct {
	Item, Rater int
	Category    int // 0 … q−1; ordered ones by what they mean for the answers, never by left and right
}

// Panel is what raters said of items. Items may have different numbers of ratings: anybody may have left
// anything out.
type Panel struct {
	q       int
	ratings []Rating // by item, then by rater
}

// NewPanel gathers ratings into q categories. Errors: Invalid when one is outside them, or a rater rated an
// item twice.
func NewPanel(q int, ratings []Rating) (Panel, error) {
	const op = "statistics.NewPanel"
	if q < 2 {
		return Panel{}, tandem.Errorf(tandem.Invalid, op, "agreement needs 2 categories and there are %d", q)
	}
	p := Panel{q, slices.Clone(ratings)}
	slices.SortFunc(p.ratings, func(a, b Rating) int {
		return cmp.Or(cmp.Compare(a.Item, b.Item), cmp.Compare(a.Rater, b.Rater))
	})
	for i, r := range p.ratings {
		if r.Category < 0 || r.Category >= q {
			return Panel{}, tandem.Errorf(tandem.Invalid, op, "item %d has category %d of %d", r.Item, r.Category, q)
		}
		if i > 0 && p.ratings[i-1].Item == r.Item && p.ratings[i-1].Rater == r.Rater {
			return Panel{}, tandem.Errorf(tandem.Invalid, op, "rater %d rated item %d twice", r.Rater, r.Item)
		}
	}
	return p, nil
}

// items yields the ratings of one item after the other.
func (p Panel) items(yield func([]Rating) bool) {
	for start := 0; start < len(p.ratings); {
		end := start + 1
		for end < len(p.ratings) && p.ratings[end].Item == p.ratings[start].Item {
			end++
		}
		if !yield(p.ratings[start:end]) {
			return
		}
		start = end
	}
}

// Coverage says what a measure of agreement rests on.
type Coverage struct {
	Items   int `json:"items"`   // rated by two raters or more
	Raters  int `json:"raters"`  // of those items
	Ratings int `json:"ratings"` // of those items: the pairable ones
}

// Coverage counts what can be compared.
func (p Panel) Coverage() Coverage { return p.coverage(func([]Rating) bool { return true }) }

// coverage counts the items with two ratings or more that a measure takes.
func (p Panel) coverage(takes func([]Rating) bool) Coverage {
	var c Coverage
	raters := make(map[int]bool)
	for item := range p.items {
		if len(item) < 2 || !takes(item) {
			continue
		}
		c.Items++
		c.Ratings += len(item)
		for _, r := range item {
			raters[r.Rater] = true
		}
	}
	c.Raters = len(raters)
	return c
}

// counted is a category with how many raters of an item chose it.
type counted struct{ category, times int }

// pattern is a way in which items were rated, when it does not matter by whom.
type pattern struct {
	ratings []counted // by category, none of them zero times
	n       int       // ratings in all
}

// patterns are the distinct ways in which items with least ratings or more were rated, and how many items
// were rated in each. Their number does not grow with the items', which keeps resampling cheap.
func (p Panel) patterns(least int) ([]pattern, []int) {
	var patterns []pattern
	var times []int
	known := make(map[string]int)
	counts := make([]int, p.q)
	var key []byte
	for item := range p.items {
		if len(item) < least {
			continue
		}
		clear(counts)
		for _, r := range item {
			counts[r.Category]++
		}
		key = key[:0]
		for _, n := range counts {
			key = binary.AppendUvarint(key, uint64(n))
		}
		i, ok := known[string(key)]
		if !ok {
			i = len(patterns)
			known[string(key)] = i
			made := pattern{n: len(item)}
			for k, n := range counts {
				if n > 0 {
					made.ratings = append(made.ratings, counted{k, n})
				}
			}
			patterns, times = append(patterns, made), append(times, 0)
		}
		times[i]++
	}
	return patterns, times
}
