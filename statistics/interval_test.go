package statistics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWilson holds the four examples of Newcombe 1998, table I, method 3.
func TestWilson(t *testing.T) {
	for _, test := range []struct {
		successes float64
		n         int
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718},
	} {
		got, err := Wilson(test.successes, test.n)
		near(t, "low", got.Low, err, test.low, 5e-5)
		near(t, "high", got.High, err, test.high, 5e-5)
	}
	if _, err := Wilson(0, 0); !IsUndefined(err) {
		t.Errorf("no trials: error %v", err)
	}
	rate, err := Outcomes{Wins: 3, Ties: 2, Losses: 1}.WinRate()
	near(t, "win rate", rate.Value, err, 4.0/6, 1e-15)
}

// TestWinRate holds intervals against what they are defined by: the supposed differences at which the score, with the
// likeliest shares that have that difference, is just significant. Those shares are looked for one by one.
func TestWinRate(t *testing.T) {
	const z = 1.959964
	score := func(o Outcomes, d float64) float64 {
		n, best, likeliest := float64(o.N()), math.Inf(-1), 0.0
		xlogy := func(x int, y float64) float64 {
			if x == 0 {
				return 0
			}
			return float64(x) * math.Log(y)
		}
		for i := range 200_001 {
			lost := float64(i) / 200_000
			won := lost + d
			if tied := 1 - won - lost; won >= 0 && tied >= 0 {
				if l := xlogy(o.Wins, won) + xlogy(o.Losses, lost) + xlogy(o.Ties, tied); l > best {
					best, likeliest = l, lost
				}
			}
		}
		return (float64(o.Wins-o.Losses) - n*d) / math.Sqrt(n*(2*likeliest+d-d*d))
	}
	for _, o := range []Outcomes{{12, 36, 2}, {12, 40, 8}, {100, 5, 80}, {3, 20, 30}} {
		got, err := o.WinRate()
		near(t, "low", score(o, 2*got.Low-1), err, z, 1e-3)
		near(t, "high", score(o, 2*got.High-1), err, -z, 1e-3)
	}
	for _, o := range []Outcomes{{240, 0, 160}, {3, 0, 0}, {0, 0, 7}, {1, 0, 1}} { // without ties
		got, err := o.WinRate()
		want, _ := Wilson(float64(o.Wins), o.N())
		near(t, "low without ties", got.Low, err, want.Low, 1e-9)
		near(t, "high without ties", got.High, err, want.High, 1e-9)
	}
	ties, err := Outcomes{Ties: 100}.WinRate()
	near(t, "low of ties alone", ties.Low, err, 0.4815, 1e-3)
	near(t, "high of ties alone", ties.High, err, 0.5185, 1e-3)
	if _, err := (Outcomes{}).WinRate(); !IsUndefined(err) {
		t.Errorf("no comparisons: error %v", err)
	}
}

func TestMean(t *testing.T) {
	got, err := Mean([]float64{1, 2, 3, 4, 5})
	near(t, "mean", got.Value, err, 3, 0)
	// t of 4 degrees of freedom at .975 is 2.776445 (any table); the deviation is √2.5.
	near(t, "high", got.High, err, 3+2.776445*math.Sqrt(2.5/5), 1e-6)
	if _, err := Mean([]float64{1}); !IsUndefined(err) {
		t.Errorf("one value: error %v", err)
	}
	if _, err := Mean([]float64{1, math.NaN()}); !IsUndefined(err) {
		t.Errorf("NaN: error %v", err)
	}
}

func normal(n int, mean float64, seed uint64) []float64 {
	draw := rand.New(rand.NewPCG(seed, 1))
	x := make([]float64, n)
	for i := range x {
		x[i] = mean + draw.NormFloat64()
	}
	return x
}

// TestBootstrapAgainstClosedForm: for the mean of many normal values the percentile interval is
// Student's, up to the noise of 4,000 resamples.
func TestBootstrapAgainstClosedForm(t *testing.T) {
	x := normal(400, 1, 7)
	want, err := Mean(x)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Bootstrap{Replicates: 4000, Seed: 1}.Mean(x)
	near(t, "value", got.Value, err, want.Value, 1e-12)
	near(t, "low", got.Low, err, want.Low, 0.01)
	near(t, "high", got.High, err, want.High, 0.01)
}

// TestBootstrapCovers: of 200 intervals at 90 %, about 180 hold the true mean.
func TestBootstrapCovers(t *testing.T) {
	covered := 0
	for i := range 200 {
		got, err := Bootstrap{Replicates: 300, Level: 0.9, Seed: uint64(i)}.Mean(normal(60, 2, uint64(100+i)))
		if err != nil {
			t.Fatal(err)
		}
		if got.Contains(2) {
			covered++
		}
	}
	if covered < 165 || covered > 195 {
		t.Errorf("%d of 200 intervals at 90 %% hold the truth", covered)
	}
}

func TestBootstrapPairs(t *testing.T) {
	shared, noise := normal(200, 0, 1), normal(200, 0.3, 2)
	x, y := make([]float64, 200), make([]float64, 200)
	for i := range x {
		x[i], y[i] = 5*shared[i]+0.5*noise[i], 5*shared[i]
	}
	b := Bootstrap{Seed: 3}
	pairs, err := b.PairedDifference(x, y)
	if err != nil {
		t.Fatal(err)
	}
	independent, err := b.Difference(x, y)
	if err != nil {
		t.Fatal(err)
	}
	if pairs.Contains(0) || !independent.Contains(0) {
		t.Errorf("paired %v, independent %v: pairing should show the difference", pairs, independent)
	}
	near(t, "difference", pairs.Value, nil, independent.Value, 1e-12)
}

func TestBootstrapIsKeyedBySeed(t *testing.T) {
	x := normal(50, 0, 9)
	a, _ := Bootstrap{Seed: 5}.Mean(x)
	again, _ := Bootstrap{Seed: 5}.Mean(x)
	other, _ := Bootstrap{Seed: 6}.Mean(x)
	if a != again || a == other {
		t.Errorf("seed 5 gives %v and %v, seed 6 %v", a, again, other)
	}
}

func TestBootstrapUndefined(t *testing.T) {
	b := Bootstrap{Seed: 1}
	if _, err := b.Mean(nil); !IsUndefined(err) {
		t.Errorf("empty sample: error %v", err)
	}
	if _, err := b.Difference([]float64{1}, nil); !IsUndefined(err) {
		t.Errorf("empty second sample: error %v", err)
	}
	if _, err := b.Mean([]float64{1, math.Inf(1)}); !IsUndefined(err) {
		t.Errorf("infinite value: error %v", err)
	}
	// Of three items, every ninth resample holds one value only, and leaves τ undefined.
	x := []float64{1, 2, 3}
	_, err := b.Interval(3, func(items []int) (float64, error) {
		sample := make([]float64, 3)
		for at, i := range items {
			sample[at] = x[i]
		}
		return KendallTauB(sample, sample)
	})
	if !IsUndefined(err) {
		t.Errorf("a statistic that many resamples leave undefined: error %v", err)
	}
}

// With 80 % power an effect must be 2.80 standard errors large to be told from none at 95 %.
func TestDetectable(t *testing.T) {
	i := Interval{Value: 7, Low: 7 - 1.959964, High: 7 + 1.959964, Level: 0.95}
	if got := i.Detectable(0.8); math.Abs(got-2.801585) > 1e-5 {
		t.Errorf("got %v", got)
	}
	if got := (Interval{Value: 1, Low: 1, High: 1, Level: 0.95}).Detectable(0.8); got != 0 {
		t.Errorf("without error: %v", got)
	}
}

// Of samples that are drawn with a known truth, intervals of crossed ones hold it about as often as they say.
func TestCrossedCoverage(t *testing.T) {
	for _, c := range []struct {
		name         string
		seeds, items float64 // deviations
		least, most  float64
	}{{"items", 0.02, 1, 0.9, 0.99}, {"seeds", 1, 0.02, 0.8, 0.92}} {
		const trials, n, m = 300, 60, 5
		held := 0
		for trial := range uint64(trials) {
			rng := rand.New(rand.NewPCG(trial, 7))
			seed, item := make([]float64, m), make([]float64, n)
			for i := range seed {
				seed[i] = c.seeds * rng.NormFloat64()
			}
			for i := range item {
				item[i] = c.items * rng.NormFloat64()
			}
			interval, err := Bootstrap{Replicates: 400, Seed: trial}.Crossed(n, m, func(of, by []int) (float64, error) {
				one, err := meanOf(item, of)
				if err != nil {
					return 0, err
				}
				two, err := meanOf(seed, by)
				return one + two, err
			})
			if err != nil {
				t.Fatal(err)
			}
			if interval.Contains(0) {
				held++
			}
		}
		if share := float64(held) / trials; share < c.least || share > c.most {
			t.Errorf("where %s make the difference, %.3f of the intervals hold the truth, not %g to %g", c.name, share, c.least, c.most)
		} else {
			t.Logf("%s: %.3f", c.name, share)
		}
	}
}

func TestAverage(t *testing.T) {
	if _, err := Average(nil); !IsUndefined(err) {
		t.Errorf("of nothing: %v", err)
	}
	one := Interval{Value: .5, Low: .4, High: .7, Level: Level, N: 10}
	if got, err := Average([]Interval{one}); err != nil || math.Abs(got.Low-.4)+math.Abs(got.High-.7) > 1e-12 {
		t.Errorf("of one: %v, %v", got, err)
	}
	got, err := Average([]Interval{{Value: .5, Low: .2, High: .6, Level: Level, N: 10}, {Value: 0, Low: 0, High: .2, Level: Level, N: 5}})
	want := Interval{Value: .25, Low: .25 - .3/2, High: .25 + math.Sqrt(.01+.04)/2, Level: Level, N: 15}
	if err != nil || got.N != 15 || math.Abs(got.Value-want.Value)+math.Abs(got.Low-want.Low)+math.Abs(got.High-want.High) > 1e-12 {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// Intervals of shares near 0 in several groups hold the true mean about as often as they say.
func TestAverageCoverage(t *testing.T) {
	shares := []float64{0, .02, .05, .1}
	random := rand.New(rand.NewPCG(1, 2))
	held, samples := 0, 4000
	for range samples {
		var of []Interval
		for _, p := range shares {
			k := 0
			for range 50 {
				if random.Float64() < p {
					k++
				}
			}
			share, err := Wilson(float64(k), 50)
			if err != nil {
				t.Fatal(err)
			}
			of = append(of, share)
		}
		mean, err := Average(of)
		if err != nil {
			t.Fatal(err)
		}
		if mean.Contains(.0425) {
			held++
		}
	}
	if share := float64(held) / float64(samples); share < .93 || share > .985 {
		t.Errorf("%.3f of the intervals hold the mean", share)
	}
}

// The variance of a resampled mean of few items is that of the sample's own mean, s²/n, and not (n−1)/n of it.
func TestOfFew(t *testing.T) {
	x := []float64{0, 1, 3, 4}
	mean := func(items []int) (float64, error) { return meanOf(x, items) }
	b := Bootstrap{Replicates: 20000, Level: .6827} // about a deviation to either side
	plain, err := b.Interval(len(x), mean)
	if err != nil {
		t.Fatal(err)
	}
	few, err := b.OfFew(len(x), mean)
	if err != nil {
		t.Fatal(err)
	}
	if few.Value != 2 || few.N != 4 || few.High-few.Low <= plain.High-plain.Low {
		t.Errorf("%v, plainly %v", few, plain)
	}
}
