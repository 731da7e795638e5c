package dashboard

import (
	"fmt"
	"strings"

	"tandem/statistics"
)

// Estimate is a number with its interval; where it is undefined it says why.
type Estimate struct {
	Value      *float64 `json:"value,omitempty"`
	Low        *float64 `json:"low,omitempty"`
	High       *float64 `json:"high,omitempty"`
	Level      float64  `json:"level,omitempty" doc:"The interval's confidence level; 0.95 is 95 %."`
	Undefined  string   `json:"undefined,omitempty" doc:"Why there is no value: undefined, because …"`
	NoInterval string   `json:"no_interval,omitempty" doc:"Why there is no interval, where there is a value."`
}

// estimateOf is an interval, or why there is none. Errors that are not statistics.Undefined come back.
func estimateOf(i statistics.Interval, err error) (Estimate, error) {
	switch {
	case statistics.IsUndefined(err):
		return Estimate{Undefined: err.Error()}, nil
	case err != nil:
		return Estimate{}, err
	}
	return Estimate{Value: &i.Value, Low: &i.Low, High: &i.High, Level: i.Level}, nil
}

// Decimal is the estimate for people, as "0.62 [0.58, 0.66]".
func (e Estimate) Decimal() string { return e.text(1, 2, "") }

// Rate is the estimate for people as so many a unit, with no more decimals than say something.
func (e Estimate) Rate() string {
	if e.High != nil && *e.High >= 100 {
		return e.text(1, 0, "")
	}
	return e.Decimal()
}

// Percent is the estimate for people in percent, as "62 % [58, 66]".
func (e Estimate) Percent() string { return e.text(100, 1, "\u00a0%") }

func (e Estimate) text(factor float64, decimals int, unit string) string {
	number := func(x float64) string {
		return strings.Replace(fmt.Sprintf("%.*f", decimals, x*factor), "-", "−", 1)
	}
	switch {
	case e.Value == nil:
		return e.Undefined
	case e.Low == nil && e.NoInterval == "":
		return number(*e.Value) + unit
	case e.Low == nil:
		return fmt.Sprintf("%s%s (interval %s)", number(*e.Value), unit, e.NoInterval)
	}
	return fmt.Sprintf("%s%s [%s,\u00a0%s]", number(*e.Value), unit, number(*e.Low), number(*e.High))
}

// share is so many of n, with Wilson's interval.
func share(successes, n int) (Estimate, error) {
	return estimateOf(statistics.Wilson(float64(successes), n))
}
