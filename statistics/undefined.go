package statistics

import (
	"errors"
	"fmt"
	"math"

	"tandem"
)

// Undefined is the error of a statistic that its sample does not define.
type Undefined struct {
	Why string // completes "undefined, because …"
}

func (u *Undefined) Error() string { return "undefined, because " + u.Why }

func undefined(format string, args ...any) error {
	return &Undefined{Why: fmt.Sprintf(format, args...)}
}

// IsUndefined reports whether err says that a statistic is undefined, rather than that it was misused.
func IsUndefined(err error) bool {
	var u *Undefined
	return errors.As(err, &u)
}

// finite refuses samples with NaN or infinite values.
func finite(samples ...[]float64) error {
	for _, x := range samples {
		for i, v := range x {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return undefined("value %d of the sample is %g", i+1, v)
			}
		}
	}
	return nil
}

// paired refuses two samples that do not belong to the same items.
func paired(op string, x, y int) error {
	if x != y {
		return tandem.Errorf(tandem.Invalid, op, "the samples have %d and %d values where pairs are needed", x, y)
	}
	return nil
}
