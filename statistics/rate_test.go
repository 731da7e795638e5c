package statistics

import (
	"math"
	"testing"
)

// TestRate holds values of Garwood's table, and the interval against what it is defined by.
func TestRate(t *testing.T) {
	for _, test := range []struct {
		events    int
		low, high float64
	}{
		{0, 0, 3.6889}, {1, 0.0253, 5.5716}, {2, 0.2422, 7.2247}, {5, 1.6235, 11.6683}, {10, 4.7954, 18.3904}, {20, 12.2165, 30.8884}, {100, 81.3640, 121.6268},
	} {
		got, err := Rate(test.events, 1)
		near(t, "value", got.Value, err, float64(test.events), 0)
		near(t, "low", got.Low, err, test.low, 6e-5)
		near(t, "high", got.High, err, test.high, 6e-5)
	}
	got, err := Rate(7, 2.5)
	near(t, "value", got.Value, err, 2.8, 1e-15)
	// At the low end 7 or more are as likely as 2.5 %, at the high end 7 or fewer.
	near(t, "tail above", 1-poisson(6, 2.5*got.Low), err, 0.025, 1e-9)
	near(t, "tail below", poisson(7, 2.5*got.High), err, 0.025, 1e-9)
	if _, err := Rate(0, 0); !IsUndefined(err) {
		t.Errorf("no exposure: error %v", err)
	}
	for _, wrong := range []float64{-1, math.NaN()} {
		if _, err := Rate(1, wrong); err == nil || IsUndefined(err) {
			t.Errorf("exposure %v: error %v", wrong, err)
		}
	}
}

// poisson is the chance of at most k events where mean are expected.
func poisson(k int, mean float64) (sum float64) {
	term := math.Exp(-mean)
	for i := 0; i <= k; i++ {
		sum += term
		term *= mean / float64(i+1)
	}
	return sum
}
