package statistics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"tandem"
)

// Level is the confidence level of intervals that do not say another.
const Level = 0.95

// Interval is an estimate with its confidence interval.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"` // 0.95 is 95 %
	N     int     `json:"n"`     // size of the sample
}

// Overlaps reports whether two intervals share a value.
func (i Interval) Overlaps(o Interval) bool { return i.Low <= o.High && o.Low <= i.High }

// Contains reports whether v lies in the interval.
func (i Interval) Contains(v float64) bool { return i.Low <= v && v <= i.High }

// Detectable is the smallest true effect that would be told from none with the given probability, the power, by an interval
// as wide as i: (z_{(1+level)/2} + z_power) standard errors, the error being read off i's width.
func (i Interval) Detectable(power float64) float64 {
	z := distuv.UnitNormal.Quantile((1 + i.Level) / 2)
	return (z + distuv.UnitNormal.Quantile(power)) * (i.High - i.Low) / (2 * z)
}

func (i Interval) String() string { return fmt.Sprintf("%.3g [%.3g, %.3g]", i.Value, i.Low, i.High) }

// Mean is the mean of x with its 95 % interval by Student's t distribution of n − 1 degrees of freedom.
func Mean(x []float64) (Interval, error) {
	if len(x) < 2 {
		return Interval{}, undefined("an interval of a mean needs 2 values and the sample has %d", len(x))
	}
	if err := finite(x); err != nil {
		return Interval{}, err
	}
	n := float64(len(x))
	mean, deviation := stat.MeanStdDev(x, nil)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile((1 + Level) / 2)
	half := t * deviation / math.Sqrt(n)
	return Interval{Value: mean, Low: mean - half, High: mean + half, Level: Level, N: len(x)}, nil
}

// Moments returns the mean of x and its population deviation.
func Moments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(x)))
}

// Quantile interpolates linearly between order statistics (Hyndman and Fan's type 7) of sorted values, of
// which there is at least one.
func Quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	below := int(at)
	if below+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// Wilson is the share successes / n with Wilson's 95 % score interval (Wilson 1927; Newcombe 1998,
// method 3, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E).
// successes may be fractional, as ties counted by halves are.
func Wilson(successes float64, n int) (Interval, error) {
	if n == 0 {
		return Interval{}, undefined("there are no trials")
	}
	if !(successes >= 0 && successes <= float64(n)) {
		return Interval{}, tandem.Errorf(tandem.Invalid, "statistics.Wilson", "%g successes in %d trials", successes, n)
	}
	z := distuv.UnitNormal.Quantile((1 + Level) / 2)
	trials := float64(n)
	p := successes / trials
	center := (p + z*z/(2*trials)) / (1 + z*z/trials)
	half := z / (1 + z*z/trials) * math.Sqrt(p*(1-p)/trials+z*z/(4*trials*trials))
	return Interval{
		Value: p,
		Low:   math.Max(0, math.Min(p, center-half)),
		High:  math.Min(1, math.Max(p, center+half)),
		Level: Level,
		N:     n,
	}, nil
}

// Average is the unweighted mean of estimates from independent samples. Its interval is made of theirs (MOVER: Zou and Donner
// 2008, https://doi.org/10.1002/sim.3095): Low = mean − √Σ(value_i − low_i)² / k, High the same with high_i. Unlike a
// bootstrap's it keeps its width where no sample has a success. N is the sum of theirs.
func Average(of []Interval) (Interval, error) {
	if len(of) == 0 {
		return Interval{}, undefined("there are no samples")
	}
	mean, below, above, n := 0.0, 0.0, 0.0, 0
	for _, i := range of {
		mean += i.Value
		below += (i.Value - i.Low) * (i.Value - i.Low)
		above += (i.High - i.Value) * (i.High - i.Value)
		n += i.N
	}
	k := float64(len(of))
	mean /= k
	return Interval{Value: mean, Low: mean - math.Sqrt(below)/k, High: mean + math.Sqrt(above)/k, Level: of[0].Level, N: n}, nil
}

// Outcomes counts comparisons of one side with another.
type Outcomes struct {
	Wins   int `json:"wins"`
	Ties   int `json:"ties"`
	Losses int `json:"losses"`
}

// N is the number of comparisons.
func (o Outcomes) N() int { return o.Wins + o.Ties + o.Losses }

// WinRate is the share of wins, a tie counting half (as in Llama 2's figure 11), with Tango's 95 % score interval for the
// difference between the shares of wins and of losses (Tango 1998,
// https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B). Without ties it is Wilson's; with
// them it is narrower, since halves vary less than wins and losses.
func (o Outcomes) WinRate() (Interval, error) {
	if o.N() == 0 {
		return Interval{}, undefined("there are no comparisons")
	}
	if o.Wins < 0 || o.Ties < 0 || o.Losses < 0 {
		return Interval{}, tandem.Errorf(tandem.Invalid, "statistics.WinRate", "%d wins, %d ties and %d losses", o.Wins, o.Ties, o.Losses)
	}
	difference := float64(o.Wins-o.Losses) / float64(o.N())
	z := distuv.UnitNormal.Quantile((1 + Level) / 2)
	// The statistic falls as the supposed difference rises.
	where := func(statistic, low, high float64) float64 {
		for range 60 {
			if middle := (low + high) / 2; o.tango(middle) > statistic {
				low = middle
			} else {
				high = middle
			}
		}
		return (low + high) / 2
	}
	rate := func(difference float64) float64 { return (1 + difference) / 2 }
	return Interval{Value: rate(difference), Low: rate(where(z, -1, difference)), High: rate(where(-z, difference, 1)), Level: Level, N: o.N()}, nil
}

// tango is the score statistic of a supposed difference between the shares of wins and losses: by how many deviations
// the one seen exceeds it, where the share of ties is the likeliest with that difference.
func (o Outcomes) tango(difference float64) float64 {
	n, wins, losses := float64(o.N()), float64(o.Wins), float64(o.Losses)
	b := (2*n-wins+losses)*difference - wins - losses
	lost := (math.Sqrt(math.Max(0, b*b+8*n*losses*difference*(1-difference))) - b) / (4 * n) // the likeliest share of losses
	excess, variance := wins-losses-n*difference, n*(2*lost+difference*(1-difference))
	if variance <= 0 { // only at the ends, ±1
		return math.Copysign(math.Inf(1), excess)
	}
	return excess / math.Sqrt(variance)
}
