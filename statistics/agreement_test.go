package statistics

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"tandem"
)

func near(t *testing.T, what string, got float64, err error, want, tolerance float64) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

// panelOf makes a panel of rows of items with a column for each rater; −1 is missing.
func panelOf(t *testing.T, q int, rows [][]int) Panel {
	t.Helper()
	var ratings []Rating
	for item, row := range rows {
		for rater, category := range row {
			if category >= 0 {
				ratings = append(ratings, Rating{item, rater, category})
			}
		}
	}
	slices.Reverse(ratings) // their order does not matter
	p, err := NewPanel(q, ratings)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden are values that other programs gave; see testdata/golden.py.
type golden struct {
	Cases []struct {
		Name  string
		Q     int
		Rows  [][]int
		Gwet  map[string]float64
		Alpha map[string]float64
		Kappa map[string]float64
	}
	Binomial []struct {
		Successes, N int
		P            float64
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/agreement.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

var weightings = map[string]Weights{"identity": IdentityWeights, "linear": LinearWeights, "quadratic": QuadraticWeights, "ordinal": OrdinalWeights}

func TestAgreementIsThatOfOtherPrograms(t *testing.T) {
	scales := map[string]Scale{"nominal": NominalScale, "ordinal": OrdinalScale, "interval": IntervalScale}
	for _, c := range readGolden(t).Cases {
		p := panelOf(t, c.Q, c.Rows)
		for name, want := range c.Gwet {
			got, err := p.Measure(GwetAC(weightings[name]))
			near(t, c.Name+", AC with weights "+name, got, err, want, 1e-11)
		}
		for name, want := range c.Alpha {
			got, err := p.Measure(KrippendorffAlpha(scales[name]))
			near(t, c.Name+", α "+name, got, err, want, 1e-11)
		}
		for name, want := range c.Kappa {
			got, err := p.Measure(CohenKappa(weightings[name], 1))
			near(t, c.Name+", κ "+name, got, err, want, 1e-11)
		}
		if len(c.Gwet) != 4 || len(c.Alpha) != 3 {
			t.Errorf("%s lacks values", c.Name)
		}
	}
}

// TestPublishedAgreement holds what is printed: Gwet's figures in irrCAC's vignette "overview"
// (https://cran.r-project.org/web/packages/irrCAC/vignettes/overview.html) and Krippendorff's in section E of
// his 2011 paper. The data are the first and third case of the golden file.
func TestPublishedAgreement(t *testing.T) {
	g := readGolden(t)
	four, abstractors := panelOf(t, 5, g.Cases[0].Rows), panelOf(t, 3, g.Cases[2].Rows)
	ac1, err := four.Measure(GwetAC(IdentityWeights))
	near(t, "AC1 of cac.raw4raters", ac1, err, 0.77544, 5e-6)
	alpha, err := four.Measure(KrippendorffAlpha(NominalScale))
	near(t, "nominal α", alpha, err, 0.743, 5e-4)
	alpha, err = four.Measure(KrippendorffAlpha(OrdinalScale))
	near(t, "ordinal α", alpha, err, 0.815, 5e-4)
	alpha, err = four.Measure(KrippendorffAlpha(IntervalScale))
	near(t, "interval α", alpha, err, 0.849, 5e-4)
	kappa, err := abstractors.Measure(CohenKappa(IdentityWeights, 1))
	near(t, "κ of cont3x3abstractors", kappa, err, 0.7964094, 5e-8)
	ac1, err = abstractors.Measure(GwetAC(IdentityWeights))
	near(t, "AC1 of cont3x3abstractors", ac1, err, 0.8493305, 5e-8)

	if got, want := four.Coverage(), (Coverage{Items: 11, Raters: 4, Ratings: 40}); got != want {
		t.Errorf("cac.raw4raters covers %+v, want %+v", got, want) // item 12 has one rating
	}
}

// TestAC2ByHand works one example through on paper: q = 3, w = 1 on the diagonal, 2/3 beside it, 0 in the
// corners, T_w = 17/3. Items: {a, a}, {a, b}, {a, c}, {b alone}.
//
//	p_a = (1 + 2/3 + 0) / 3 = 5/9
//	π   = (1 + 1/2 + 1/2, 1/2 + 1, 1/2) / 4 = (1/2, 3/8, 1/8);  Σ π(1 − π) = 19/32
//	p_e = 17/3 / 6 · 19/32 = 323/576;  AC2 = (5/9 − 323/576) / (253/576) = −3/253
func TestAC2ByHand(t *testing.T) {
	p := panelOf(t, 3, [][]int{{0, 0}, {0, 1}, {0, 2}, {1}, {}})
	ac2, err := p.Measure(GwetAC(OrdinalWeights))
	near(t, "AC2", ac2, err, -3.0/253, 1e-12)
}

func TestWeights(t *testing.T) {
	// irrCAC's vignette "weighting" for categories 1 to 5; the first row of each.
	want := map[string][]float64{
		"identity": {1, 0, 0, 0, 0}, "linear": {1, 0.75, 0.5, 0.25, 0}, "quadratic": {1, 0.9375, 0.75, 0.4375, 0}, "ordinal": {1, 0.9, 0.7, 0.4, 0},
	}
	for name, w := range weightings {
		for l, credit := range want[name] {
			if got := w(0, l, 5); math.Abs(got-credit) > 1e-15 || w(l, 0, 5) != got {
				t.Errorf("%s(0, %d) is %g, want %g", name, l, got, credit)
			}
		}
		if w(0, 1, 2) != 0 || w(1, 1, 2) != 1 {
			t.Errorf("%s of two categories is not the identity", name)
		}
	}
}

// TestPooledKappa: annotators 0 and 1 agree on 15 of 20, 2 and 3 on all of 12, 4 and 5 share one item only.
//
//	pair 01: both choose a on 10 and b on 5, and differ on 5: marginals 10 : 10 and 15 : 5, p_e = 1/2
//	pair 23: a on 6, b on 6, p_e = 1/2
//	κ = ((15 + 12) − (10 + 6)) / (32 − 16) = 11/16
func TestPooledKappa(t *testing.T) {
	var rows [][]int
	pairOf := func(first, times, a, b int) {
		for range times {
			row := []int{-1, -1, -1, -1, -1, -1}
			row[first], row[first+1] = a, b
			rows = append(rows, row)
		}
	}
	pairOf(0, 10, 0, 0)
	pairOf(0, 5, 1, 1)
	pairOf(0, 5, 1, 0)
	pairOf(2, 6, 0, 0)
	pairOf(2, 6, 1, 1)
	pairOf(4, 1, 0, 1)
	p := panelOf(t, 2, rows)
	kappa, err := p.Measure(CohenKappa(IdentityWeights, 10))
	near(t, "κ", kappa, err, 11.0/16, 1e-12)
	a, err := Bootstrap{Seed: 3}.Agreement(p, CohenKappa(IdentityWeights, 10))
	if err != nil || a.Coverage != (Coverage{Items: 32, Raters: 4, Ratings: 64}) || a.Interval == nil || !a.Interval.Contains(11.0/16) {
		t.Errorf("got %+v, error %v", a, err)
	}
	if _, err := p.Measure(CohenKappa(IdentityWeights, 21)); !IsUndefined(err) {
		t.Errorf("no pair has 21 items in common: error %v", err)
	}
}

func TestPerfectAgreement(t *testing.T) {
	p := panelOf(t, 4, [][]int{{0, 0}, {1, 1}, {3, 3, 3}})
	for name, c := range map[string]Coefficient{"AC1": GwetAC(IdentityWeights), "AC2": GwetAC(OrdinalWeights), "α": KrippendorffAlpha(OrdinalScale), "κ": CohenKappa(IdentityWeights, 2)} {
		got, err := p.Measure(c)
		near(t, name, got, err, 1, 1e-12)
	}
}

// TestGwetHasNoParadox is why AC1 is used where nearly all answers are safe: κ collapses on skewed
// categories, AC1 does not.
func TestGwetHasNoParadox(t *testing.T) {
	g := readGolden(t)
	p := panelOf(t, 2, g.Cases[7].Rows)
	kappa, err := p.Measure(CohenKappa(IdentityWeights, 1))
	near(t, "κ", kappa, err, -0.0309, 1e-4)
	ac1, err := p.Measure(GwetAC(IdentityWeights))
	near(t, "AC1", ac1, err, 0.9363, 1e-4)
}

func TestUndefinedAgreement(t *testing.T) {
	none, single, same := panelOf(t, 2, nil), panelOf(t, 2, [][]int{{0}, {1}}), panelOf(t, 2, [][]int{{0, 0}, {0, 0}})
	all := map[string]Coefficient{"AC1": GwetAC(IdentityWeights), "AC2": GwetAC(OrdinalWeights), "nominal α": KrippendorffAlpha(NominalScale),
		"ordinal α": KrippendorffAlpha(OrdinalScale), "κ": CohenKappa(IdentityWeights, 1)}
	for name, c := range all {
		for what, p := range map[string]Panel{"without items": none, "without pairs": single} {
			a, err := Bootstrap{}.Agreement(p, c)
			if !IsUndefined(err) || err.Error() != "undefined, because no item was rated by two annotators" || a.Coverage != (Coverage{}) {
				t.Errorf("%s %s: got %+v, error %v", name, what, a, err)
			}
		}
		a, err := Bootstrap{}.Agreement(same, c)
		switch name {
		case "AC1", "AC2": // defined, and 1
			near(t, name+" without variation", a.Value, err, 1, 0)
		default:
			if !IsUndefined(err) || a.Items != 2 {
				t.Errorf("%s without variation: got %+v, error %v", name, a, err)
			}
		}
	}
	// Two items: half of the resamples take one of them twice, which leaves α undefined.
	a, err := Bootstrap{}.Agreement(panelOf(t, 2, [][]int{{0, 0}, {1, 1}}), KrippendorffAlpha(NominalScale))
	if err != nil || a.Value != 1 || a.Interval != nil || !IsUndefined(a.NoInterval) {
		t.Errorf("got %+v, error %v", a, err)
	}
}

func TestPanelRefuses(t *testing.T) {
	for name, ratings := range map[string][]Rating{
		"a category too many":  {{1, 1, 2}},
		"a negative category":  {{1, 1, -1}},
		"a rater heard twice":  {{1, 1, 0}, {2, 1, 0}, {1, 1, 1}},
		"the same thing twice": {{1, 1, 0}, {1, 1, 0}},
	} {
		if _, err := NewPanel(2, ratings); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := NewPanel(1, nil); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("one category: error %v", err)
	}
}

// TestAgreementIntervals: many items of few kinds are drawn in another way than few items; both must give the
// binomial distribution's interval.
func TestAgreementIntervals(t *testing.T) {
	share := func(times []int) (float64, error) {
		return float64(times[0]) / float64(times[0]+times[1]+times[2]), nil
	}
	for _, times := range [][]int{{9, 20, 1}, {30, 68, 2}, {30_000, 68_000, 2_000}} {
		n := float64(times[0] + times[1] + times[2])
		p := float64(times[0]) / n
		half := 1.96 * math.Sqrt(p*(1-p)/n)
		i, err := Bootstrap{Replicates: 20_000, Seed: 11}.multinomial(times, share)
		near(t, "value", i.Value, err, p, 1e-12)
		near(t, "low", i.Low, err, p-half, 0.05*half+0.5/n)
		near(t, "high", i.High, err, p+half, 0.05*half+0.5/n)
		again, _ := Bootstrap{Replicates: 20_000, Seed: 11}.multinomial(times, share)
		other, _ := Bootstrap{Replicates: 20_000, Seed: 12}.multinomial(times, share)
		if again != i || n > 1000 && other == i {
			t.Errorf("the same seed gives %v and %v, another one %v", i, again, other)
		}
	}
}

func TestBinomialTest(t *testing.T) {
	for _, c := range readGolden(t).Binomial {
		got, err := BinomialTest(c.Successes, c.N)
		near(t, "p", got, err, c.P, 1e-9*c.P)
		mirror, err := BinomialTest(c.N-c.Successes, c.N)
		near(t, "p of the other side", mirror, err, got, 0)
	}
	if _, err := BinomialTest(0, 0); !IsUndefined(err) {
		t.Errorf("no trials: error %v", err)
	}
	if _, err := BinomialTest(3, 2); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("3 of 2: error %v", err)
	}
}

func BenchmarkAgreement(b *testing.B) {
	var ratings []Rating
	for item := range 50_000 {
		ratings = append(ratings, Rating{item, item % 20, item * 7 % 8}, Rating{item, 20 + item%30, min(7, item*7%8+item%3)})
	}
	p, err := NewPanel(8, ratings)
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]Coefficient{"AC2": GwetAC(OrdinalWeights), "α": KrippendorffAlpha(OrdinalScale), "κ": CohenKappa(IdentityWeights, 10)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := (Bootstrap{}).Agreement(p, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
