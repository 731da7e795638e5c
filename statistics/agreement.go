package statistics

import (
	"tandem"
)

// Ratings counts, for each item i and each of q categories k, the annotators r_ik who put i in k. The
// categories are ordered by what they mean for the responses (by response id), never by left and right.
// Items may have different numbers of annotators.
type Ratings [][]int

// Tally counts labels: labels[i] are the categories, 0 … q−1, that item i's annotators chose.
func Tally(labels [][]int, q int) (Ratings, error) {
	ratings := make(Ratings, len(labels))
	for i, item := range labels {
		ratings[i] = make([]int, q)
		for _, k := range item {
			if k < 0 || k >= q {
				return nil, tandem.Errorf(tandem.Invalid, "statistics.Tally", "item %d has category %d of %d", i, k, q)
			}
			ratings[i][k]++
		}
	}
	return ratings, nil
}

// Weights are w_kl of q × q: the credit for two ratings k and l of one item, 1 on the diagonal.
type Weights [][]float64

// IdentityWeights give credit to equal categories alone.
func IdentityWeights(q int) Weights {
	return weights(q, func(k, l int) float64 {
		if k == l {
			return 1
		}
		return 0
	})
}

// OrdinalWeights are w_kl = 1 − C(|k−l|+1, 2) / C(q, 2) (Gwet, Handbook of Inter-Rater Reliability).
func OrdinalWeights(q int) Weights {
	return weights(q, func(k, l int) float64 {
		return 1 - float64(pairsOf(max(k-l, l-k)+1))/float64(pairsOf(q))
	})
}

func weights(q int, w func(k, l int) float64) Weights {
	out := make(Weights, q)
	for k := range out {
		out[k] = make([]float64, q)
		for l := range out[k] {
			out[k][l] = w(k, l)
		}
	}
	return out
}

// GwetAC is Gwet's agreement coefficient (p_a − p_e) / (1 − p_e) with
//
//	p_a = mean over items with r_i ≥ 2 of Σ_kl w_kl r_ik (r_il − [k=l]) / (r_i (r_i − 1))
//	p_e = T_w / (q (q − 1)) · Σ_k π_k (1 − π_k),  T_w = Σ_kl w_kl,
//
// where π_k is the mean of r_ik / r_i over all rated items: AC1 with identity weights, AC2 with ordinal
// ones (Gwet 2008, https://doi.org/10.1348/000711006X126600).
func GwetAC(r Ratings, w Weights) (float64, error) {
	q, err := r.categories()
	if err != nil {
		return 0, err
	}
	if len(w) != q {
		return 0, tandem.Errorf(tandem.Invalid, "statistics.GwetAC", "weights of %d categories for ratings of %d", len(w), q)
	}
	observed, several, rated := 0.0, 0, 0
	share := make([]float64, q) // π_k × rated
	for _, item := range r {
		n := sum(item)
		if n == 0 {
			continue
		}
		rated++
		for k, count := range item {
			share[k] += float64(count) / float64(n)
		}
		if n < 2 {
			continue
		}
		several++
		agreeing := 0.0
		for k, count := range item {
			for l, other := range item {
				if k == l {
					other--
				}
				agreeing += w[k][l] * float64(count*other)
			}
		}
		observed += agreeing / float64(n*(n-1))
	}
	if several == 0 {
		return 0, undefined("no item was rated by two annotators")
	}
	spread, total := 0.0, 0.0
	for k := range q {
		p := share[k] / float64(rated)
		spread += p * (1 - p)
		for l := range q {
			total += w[k][l]
		}
	}
	expected := total / float64(q*(q-1)) * spread
	if expected == 1 {
		return 0, undefined("agreement by chance is certain")
	}
	return (observed/float64(several) - expected) / (1 - expected), nil
}

// AC1 is Gwet's coefficient for categories without an order.
func AC1(r Ratings) (float64, error) {
	q, err := r.categories()
	if err != nil {
		return 0, err
	}
	return GwetAC(r, IdentityWeights(q))
}

// AC2 is Gwet's coefficient for ordered categories.
func AC2(r Ratings) (float64, error) {
	q, err := r.categories()
	if err != nil {
		return 0, err
	}
	return GwetAC(r, OrdinalWeights(q))
}

// OrdinalAlpha is Krippendorff's α with the ordinal metric
//
//	δ²_ck = (Σ_{g=c…k} n_g − (n_c + n_k)/2)²
//
// over the coincidences of items with two ratings or more (Krippendorff 2011, "Computing Krippendorff's
// Alpha-Reliability", https://repository.upenn.edu/asc_papers/43).
func OrdinalAlpha(r Ratings) (float64, error) {
	q, err := r.categories()
	if err != nil {
		return 0, err
	}
	coincidence := make([][]float64, q)
	for c := range coincidence {
		coincidence[c] = make([]float64, q)
	}
	total := make([]float64, q) // n_c
	n := 0.0
	for _, item := range r {
		m := sum(item)
		if m < 2 {
			continue
		}
		for c, count := range item {
			total[c] += float64(count)
			n += float64(count)
			for k, other := range item {
				if c == k {
					other--
				}
				coincidence[c][k] += float64(count*other) / float64(m-1)
			}
		}
	}
	if n == 0 {
		return 0, undefined("no item was rated by two annotators")
	}
	observed, expected := 0.0, 0.0
	for c := range q {
		between := total[c]
		for k := c + 1; k < q; k++ {
			between += total[k]
			delta := between - (total[c]+total[k])/2
			observed += coincidence[c][k] * delta * delta
			expected += total[c] * total[k] * delta * delta
		}
	}
	if expected == 0 {
		return 0, undefined("all ratings are in one category")
	}
	return 1 - (n-1)*observed/expected, nil
}

// CohenKappa is the weighted κ of two annotators who rated the same items into categories 0 … q−1:
// Cohen's with identity weights (Cohen 1960), his weighted one otherwise (Cohen 1968).
func CohenKappa(a, b []int, w Weights) (float64, error) {
	const op = "statistics.CohenKappa"
	if err := paired(op, len(a), len(b)); err != nil {
		return 0, err
	}
	if len(a) == 0 {
		return 0, undefined("no item was rated by both annotators")
	}
	q := len(w)
	ofA, ofB := make([]float64, q), make([]float64, q)
	n, observed := float64(len(a)), 0.0
	for i := range a {
		if a[i] < 0 || a[i] >= q || b[i] < 0 || b[i] >= q {
			return 0, tandem.Errorf(tandem.Invalid, op, "item %d has categories %d and %d of %d", i, a[i], b[i], q)
		}
		ofA[a[i]] += 1 / n
		ofB[b[i]] += 1 / n
		observed += w[a[i]][b[i]] / n
	}
	expected := 0.0
	for k := range q {
		for l := range q {
			expected += w[k][l] * ofA[k] * ofB[l]
		}
	}
	if 1-expected < 1e-12 {
		return 0, undefined("both annotators put every item in one category")
	}
	return (observed - expected) / (1 - expected), nil
}

// categories checks that all items count the same two or more categories.
func (r Ratings) categories() (int, error) {
	if len(r) == 0 {
		return 0, undefined("there are no items")
	}
	q := len(r[0])
	if q < 2 {
		return 0, undefined("agreement needs 2 categories and there are %d", q)
	}
	for i, item := range r {
		if len(item) != q {
			return 0, tandem.Errorf(tandem.Invalid, "statistics.Ratings", "item %d has %d categories, the first has %d", i, len(item), q)
		}
	}
	return q, nil
}

func sum(counts []int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}
