package statistics

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat/distuv"
)

// Bootstrap makes percentile intervals by resampling items with replacement (Efron 1979). The zero
// value is ready to use. With few items the intervals are too narrow: of 30 to 300 items whose categories
// are skewed, those of AC2 at 95 % were measured to hold the true value in 85 to 91 % of samples.
type Bootstrap struct {
	// Replicates is the number of resamples. Defaults to 2,000.
	Replicates int
	// Level is the confidence level. Defaults to 0.95.
	Level float64
	// Seed keys the draws together with the replicate's number.
	Seed uint64
}

// undefinedShare is the share of resamples that may leave a statistic undefined before its interval is.
const undefinedShare = 0.05

// Interval resamples the indices 0 … n−1 of a sample's items and gives the interval of a statistic of
// them. The statistic's value is the one of the whole sample. Resamples on which the statistic is
// undefined are left out; more than one in twenty of them leave the interval undefined.
func (b Bootstrap) Interval(n int, statistic func(items []int) (float64, error)) (Interval, error) {
	return b.resample([]int{n}, []int{n}, func(items [][]int) (float64, error) { return statistic(items[0]) })
}

// OfFew is Interval for a sample of few items: one less than it has is drawn, as Crossed explains.
func (b Bootstrap) OfFew(n int, statistic func(items []int) (float64, error)) (Interval, error) {
	interval, err := b.resample([]int{n}, []int{max(1, n-1)}, func(items [][]int) (float64, error) { return statistic(items[0]) })
	interval.N = n
	return interval, err
}

// Mean is the mean of x with its interval.
func (b Bootstrap) Mean(x []float64) (Interval, error) {
	return b.Interval(len(x), func(items []int) (float64, error) { return meanOf(x, items) })
}

// PairedDifference is the mean of x − y, where x and y were measured on the same items: items are
// resampled, so what an item gives to both is not mistaken for chance.
func (b Bootstrap) PairedDifference(x, y []float64) (Interval, error) {
	if err := paired("statistics.PairedDifference", len(x), len(y)); err != nil {
		return Interval{}, err
	}
	difference := make([]float64, len(x))
	floats.SubTo(difference, x, y)
	return b.Mean(difference)
}

// Difference is the mean of x minus the mean of y for two independent samples, each resampled by itself.
// The interval's N is the size of the smaller one.
func (b Bootstrap) Difference(x, y []float64) (Interval, error) {
	return b.resample([]int{len(x), len(y)}, []int{len(x), len(y)}, func(items [][]int) (float64, error) {
		of, err := meanOf(x, items[0])
		if err != nil {
			return 0, err
		}
		other, err := meanOf(y, items[1])
		return of - other, err
	})
}

// Crossed resamples the indices of two crossed samples, such as the items that models were measured on and the seeds that
// they were trained with, each by itself (the pigeonhole bootstrap: Owen 2007, https://arxiv.org/abs/0712.1111): what varies
// with one or the other is in the interval. Of each sample one index less than it has is drawn, which keeps the variance of
// a mean over few of them from being understated (Rao and Wu 1988, https://doi.org/10.2307/2288945). Still, where five
// seeds make all the difference, an interval at 95 % was measured to hold the true value in 85 % of samples, since it knows
// nothing of Student's t; where items make most of it, in 95 %. Its N is n.
func (b Bootstrap) Crossed(n, m int, statistic func(of, by []int) (float64, error)) (Interval, error) {
	interval, err := b.resample([]int{n, m}, []int{max(1, n-1), max(1, m-1)}, func(items [][]int) (float64, error) { return statistic(items[0], items[1]) })
	interval.N = n
	return interval, err
}

// resample draws so many items each from samples of the given sizes.
func (b Bootstrap) resample(sizes, drawn []int, statistic func(items [][]int) (float64, error)) (Interval, error) {
	items := make([][]int, len(sizes))
	for s, size := range sizes {
		if size == 0 {
			return Interval{}, undefined("the sample is empty")
		}
		items[s] = make([]int, size)
		for i := range items[s] {
			items[s][i] = i
		}
	}
	value, err := statistic(items)
	if err != nil {
		return Interval{}, err
	}
	interval, err := b.percentiles(func(draw *rand.Rand) (float64, error) {
		for s, size := range sizes {
			items[s] = items[s][:drawn[s]]
			for i := range items[s] {
				items[s][i] = draw.IntN(size)
			}
		}
		return statistic(items)
	})
	if err != nil {
		return Interval{}, err
	}
	interval.Value, interval.N = value, slices.Min(sizes)
	return interval, nil
}

// multinomial resamples items of which times[i] are alike in all that the statistic looks at.
func (b Bootstrap) multinomial(times []int, statistic func(times []int) (float64, error)) (Interval, error) {
	n := 0
	for _, t := range times {
		n += t
	}
	if n == 0 {
		return Interval{}, undefined("the sample is empty")
	}
	value, err := statistic(times)
	if err != nil {
		return Interval{}, err
	}
	// Many items of few kinds are drawn kind by kind, each number of items by what is left (the multinomial
	// distribution, exactly); few items one by one.
	var kind []int // of each item
	if n <= 64*len(times) {
		kind = make([]int, 0, n)
		for i, t := range times {
			for range t {
				kind = append(kind, i)
			}
		}
	}
	drawn := make([]int, len(times))
	interval, err := b.percentiles(func(draw *rand.Rand) (float64, error) {
		if kind != nil {
			clear(drawn)
			for range n {
				drawn[kind[draw.IntN(n)]]++
			}
			return statistic(drawn)
		}
		toDraw, left := n, n
		for i, t := range times {
			switch {
			case t == left:
				drawn[i] = toDraw
			case toDraw == 0:
				drawn[i] = 0
			default:
				drawn[i] = int(distuv.Binomial{N: float64(toDraw), P: float64(t) / float64(left), Src: draw}.Rand())
			}
			toDraw -= drawn[i]
			left -= t
		}
		return statistic(drawn)
	})
	if err != nil {
		return Interval{}, err
	}
	interval.Value, interval.N = value, n
	return interval, nil
}

// percentiles draws replicates of an estimate, each with randomness of its own, and cuts off their tails.
func (b Bootstrap) percentiles(replicate func(draw *rand.Rand) (float64, error)) (Interval, error) {
	b = b.withDefaults()
	estimates := make([]float64, 0, b.Replicates)
	for i := range b.Replicates {
		estimate, err := replicate(rand.New(rand.NewPCG(b.Seed, scatter(uint64(i)))))
		switch {
		case err == nil:
			estimates = append(estimates, estimate)
		case !IsUndefined(err):
			return Interval{}, err
		}
	}
	if missing := b.Replicates - len(estimates); float64(missing) > undefinedShare*float64(b.Replicates) {
		return Interval{}, undefined("%d of %d resamples leave it so", missing, b.Replicates)
	}
	slices.Sort(estimates)
	tail := (1 - b.Level) / 2
	return Interval{Low: Quantile(estimates, tail), High: Quantile(estimates, 1-tail), Level: b.Level}, nil
}

func (b Bootstrap) withDefaults() Bootstrap {
	if b.Replicates <= 0 {
		b.Replicates = 2000
	}
	if b.Level <= 0 {
		b.Level = Level
	}
	return b
}

func meanOf(x []float64, items []int) (float64, error) {
	sum := 0.0
	for _, i := range items {
		sum += x[i]
	}
	mean := sum / float64(len(items))
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		return 0, undefined("the sample holds values that are not finite")
	}
	return mean, nil
}

// scatter is the finalizer of SplitMix64, so that neighbouring replicates start far apart.
func scatter(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
