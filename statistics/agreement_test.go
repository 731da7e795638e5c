package statistics

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got float64, err error, want, tolerance float64) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %.9g, want %.9g", what, got, want)
	}
}

// fourRaters is the reliability data of Krippendorff 2011, section E: 12 units, 4 observers, categories
// 1 to 5, some missing. Gwet's package irrCAC ships it as cac.raw4raters.
func fourRaters(t *testing.T) Ratings {
	t.Helper()
	const missing = 0
	observers := [4][12]int{
		{1, 2, 3, 3, 2, 1, 4, 1, 2, missing, missing, missing},
		{1, 2, 3, 3, 2, 2, 4, 1, 2, 5, missing, 3},
		{missing, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, missing},
		{1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, missing},
	}
	labels := make([][]int, 12)
	for _, observer := range observers {
		for unit, category := range observer {
			if category != missing {
				labels[unit] = append(labels[unit], category-1)
			}
		}
	}
	ratings, err := Tally(labels, 5)
	if err != nil {
		t.Fatal(err)
	}
	return ratings
}

// threeAbstractors is the table of two abstractors that Gwet's Handbook works with (irrCAC's
// cont3x3abstractors), as pairs of labels.
func threeAbstractors() (a, b []int) {
	for k, row := range [3][3]int{{13, 0, 0}, {0, 20, 7}, {0, 4, 56}} {
		for l, n := range row {
			for range n {
				a, b = append(a, k), append(b, l)
			}
		}
	}
	return a, b
}

func TestPublishedAgreement(t *testing.T) {
	ratings := fourRaters(t)
	ac1, err := AC1(ratings)
	// https://cran.r-project.org/web/packages/irrCAC/vignettes/overview.html, gwet.ac1.raw(cac.raw4raters)
	near(t, "AC1", ac1, err, 0.77544, 5e-6)
	alpha, err := OrdinalAlpha(ratings)
	// Krippendorff 2011, section E: ordinal α = .815
	near(t, "ordinal α", alpha, err, 0.815, 5e-4)

	a, b := threeAbstractors()
	kappa, err := CohenKappa(a, b, IdentityWeights(3))
	// the same vignette, kappa2.table(cont3x3abstractors)
	near(t, "κ", kappa, err, 0.7964094, 5e-8)
	labels := make([][]int, len(a))
	for i := range a {
		labels[i] = []int{a[i], b[i]}
	}
	two, err := Tally(labels, 3)
	if err != nil {
		t.Fatal(err)
	}
	ac1, err = AC1(two)
	// the same vignette, gwet.ac1.table(cont3x3abstractors)
	near(t, "AC1 of two", ac1, err, 0.8493305, 5e-8)
}

// TestAC2ByHand works one example through on paper: q = 3, w = 1 on the diagonal, 2/3 beside it, 0 in the
// corners, T_w = 17/3. Items: {a, a}, {a, b}, {a, c}, {b alone}.
//
//	p_a = (1 + 2/3 + 0) / 3 = 5/9
//	π   = (1 + 1/2 + 1/2, 1/2 + 1, 1/2) / 4 = (1/2, 3/8, 1/8);  Σ π(1 − π) = 19/32
//	p_e = 17/3 / 6 · 19/32 = 323/576;  AC2 = (5/9 − 323/576) / (253/576) = −3/253
func TestAC2ByHand(t *testing.T) {
	ratings, err := Tally([][]int{{0, 0}, {0, 1}, {0, 2}, {1}, {}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	ac2, err := AC2(ratings)
	near(t, "AC2", ac2, err, -3.0/253, 1e-12)
}

func TestOrdinalWeights(t *testing.T) {
	// irrCAC's vignette "weighting": ordinal.weights(1:3); for q = 2 they are the identity.
	w := OrdinalWeights(3)
	if math.Abs(w[0][1]-2.0/3) > 1e-15 || w[0][2] != 0 || w[1][1] != 1 {
		t.Errorf("got %v", w)
	}
	if w := OrdinalWeights(2); w[0][1] != 0 || w[0][0] != 1 {
		t.Errorf("got %v", w)
	}
}

func TestPerfectAgreement(t *testing.T) {
	ratings, err := Tally([][]int{{0, 0}, {1, 1}, {3, 3, 3}}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, coefficient := range map[string]func(Ratings) (float64, error){"AC1": AC1, "AC2": AC2, "α": OrdinalAlpha} {
		got, err := coefficient(ratings)
		near(t, name, got, err, 1, 1e-12)
	}
}

// TestGwetHasNoParadox is why AC1 is used where nearly all answers are safe: κ collapses on skewed
// categories, AC1 does not.
func TestGwetHasNoParadox(t *testing.T) {
	var a, b []int
	var labels [][]int
	for i := range 100 {
		x, y := 0, 0
		if i < 3 {
			x = 1
		} else if i < 6 {
			y = 1
		}
		a, b, labels = append(a, x), append(b, y), append(labels, []int{x, y})
	}
	kappa, err := CohenKappa(a, b, IdentityWeights(2))
	near(t, "κ", kappa, err, -0.0309, 1e-4)
	ratings, err := Tally(labels, 2)
	if err != nil {
		t.Fatal(err)
	}
	ac1, err := AC1(ratings)
	near(t, "AC1", ac1, err, 0.9363, 1e-4)
}

func TestUndefinedAgreement(t *testing.T) {
	single, _ := Tally([][]int{{0}, {1}}, 2)
	same, _ := Tally([][]int{{0, 0}, {0, 0}}, 2)
	tests := map[string]func() (float64, error){
		"AC1 without pairs":   func() (float64, error) { return AC1(single) },
		"AC2 without items":   func() (float64, error) { return AC2(nil) },
		"AC1 of one category": func() (float64, error) { return AC1(Ratings{{2}}) },
		"α without pairs":     func() (float64, error) { return OrdinalAlpha(single) },
		"α without variation": func() (float64, error) { return OrdinalAlpha(same) },
		"κ without items":     func() (float64, error) { return CohenKappa(nil, nil, IdentityWeights(2)) },
		"κ without variation": func() (float64, error) { return CohenKappa([]int{1, 1}, []int{1, 1}, IdentityWeights(2)) },
	}
	for name, statistic := range tests {
		if got, err := statistic(); !IsUndefined(err) {
			t.Errorf("%s: got %g, error %v", name, got, err)
		}
	}
	if ac1, err := AC1(same); err != nil || ac1 != 1 {
		t.Errorf("AC1 without variation: got %g, error %v; it is defined, and 1", ac1, err)
	}
}
