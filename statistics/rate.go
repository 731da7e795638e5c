package statistics

import (
	"gonum.org/v1/gonum/stat/distuv"

	"tandem"
)

// Rate is events per unit of exposure with Garwood's exact 95 % interval of a Poisson count (Garwood 1936,
// https://doi.org/10.1093/biomet/28.3-4.437): no rate outside it makes a count as far off as this one likelier than 2.5 %.
// No event still bounds the rate from above, at 3.69 over the exposure. The interval's N is the count.
func Rate(events int, exposure float64) (Interval, error) {
	if events < 0 || !(exposure >= 0) {
		return Interval{}, tandem.Errorf(tandem.Invalid, "statistics.Rate", "%d events in an exposure of %g", events, exposure)
	}
	if exposure == 0 {
		return Interval{}, undefined("there is no exposure")
	}
	tail := (1 - Level) / 2
	low := 0.0
	if events > 0 {
		low = distuv.ChiSquared{K: 2 * float64(events)}.Quantile(tail) / 2
	}
	high := distuv.ChiSquared{K: 2*float64(events) + 2}.Quantile(1-tail) / 2
	return Interval{Value: float64(events) / exposure, Low: low / exposure, High: high / exposure, Level: Level, N: events}, nil
}
