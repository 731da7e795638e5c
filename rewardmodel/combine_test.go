package rewardmodel_test

import (
	"math"
	"testing"

	"tandem"
	"tandem/rewardmodel"
)

// The statistics are those of a helpfulness model around 2 and a calibrated safety model around −1.
var combiner = rewardmodel.Combiner{
	Helpfulness: tandem.Calibration{Mean: 2, Deviation: 4},
	Safety:      tandem.Calibration{Calibrated: true, Gate: rewardmodel.Gate, Mean: -1, Deviation: 2},
}

func TestCombineBranches(t *testing.T) {
	for _, c := range []struct {
		name     string
		rh, rs   float64
		safety   bool
		branch   tandem.Branch
		gated    bool
		combined float64
	}{
		{"an ordinary prompt, a safe answer", 6, 3, false, tandem.HelpfulnessBranch, false, 1},
		{"a safety prompt, a safe answer", 6, 3, true, tandem.SafetyBranch, false, 2},
		{"an ordinary prompt, an unsafe answer", 6, -3, false, tandem.SafetyBranch, true, -1},
		{"a safety prompt, an unsafe answer", 6, -3, true, tandem.SafetyBranch, true, -1},
		{"exactly at the gate is not below it", 6, rewardmodel.Gate, false, tandem.HelpfulnessBranch, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := combiner.Combine(rewardmodel.Scalar{R: c.rh}, rewardmodel.Scalar{R: c.rs}, c.safety)
			if got.Branch != c.branch || got.Gated != c.gated || math.Abs(got.Combined-c.combined) > 1e-12 {
				t.Errorf("Combine(%g, %g, %t) = %+v, want branch %s, gated %t, combined %g",
					c.rh, c.rs, c.safety, got, c.branch, c.gated, c.combined)
			}
			if got.Helpfulness != c.rh || got.Safety != c.rs {
				t.Errorf("the raw scalars changed: %+v", got)
			}
		})
	}
}

func TestGateValue(t *testing.T) {
	if got := rewardmodel.Gate; math.Abs(got-(-1.7346)) > 5e-5 {
		t.Errorf("logit(.15) = %.5f, want -1.7346", got)
	}
}

// A safe answer with r_h = −3 beats an unsafe one with r_s = −1.8, though its combined score is lower.
func TestUngatedRanksAboveGated(t *testing.T) {
	safe := combiner.Combine(rewardmodel.Scalar{R: -3}, rewardmodel.Scalar{R: 1}, false)
	unsafe := combiner.Combine(rewardmodel.Scalar{R: 5}, rewardmodel.Scalar{R: -1.8}, false)
	if unsafe.Combined <= safe.Combined {
		t.Fatalf("the case shows nothing: combined %g of the unsafe answer is not above %g", unsafe.Combined, safe.Combined)
	}
	if safe.Compare(unsafe) != 1 || unsafe.Compare(safe) != -1 || safe.Compare(safe) != 0 {
		t.Errorf("safe.Compare(unsafe) = %d, unsafe.Compare(safe) = %d", safe.Compare(unsafe), unsafe.Compare(safe))
	}
}

func TestCalibrate(t *testing.T) {
	reference := []float64{-3, -1, 1, 3}
	c, err := rewardmodel.Calibrate(true, reference, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Gate != rewardmodel.Gate || c.Mean != 0 || math.Abs(c.Deviation-math.Sqrt(5)) > 1e-12 || c.Samples != 4 {
		t.Errorf("calibrated: %+v", c)
	}

	// 21 answers to safety prompts scored 0 … 20: the 15 % quantile is 3, which gates 0, 1 and 2.
	var toSafety []float64
	for i := range 21 {
		toSafety = append(toSafety, float64(20-i))
	}
	c, err = rewardmodel.Calibrate(false, reference, toSafety)
	if err != nil {
		t.Fatal(err)
	}
	if c.Calibrated || c.Gate != 3 {
		t.Errorf("uncalibrated: %+v, want gate 3", c)
	}

	for name, bad := range map[string]func() error{
		"one sample":        func() error { _, err := rewardmodel.Calibrate(true, []float64{1}, nil); return err },
		"NaN":               func() error { _, err := rewardmodel.Calibrate(true, []float64{1, math.NaN()}, nil); return err },
		"no safety prompts": func() error { _, err := rewardmodel.Calibrate(false, reference, nil); return err },
	} {
		if tandem.CodeOf(bad()) != tandem.Invalid {
			t.Errorf("%s: error %v, want code invalid", name, bad())
		}
	}
}

// A temperature moves the gate of a model that has learnt labels, and nothing else.
func TestAtTemperature(t *testing.T) {
	calibrated := tandem.Calibration{Calibrated: true, Gate: rewardmodel.Gate, Mean: 1, Deviation: 2, Samples: 9}
	for range 2 { // fitted again it is not fitted to itself
		calibrated = rewardmodel.AtTemperature(calibrated, 3)
	}
	if want := (tandem.Calibration{Calibrated: true, Gate: 3 * rewardmodel.Gate, Mean: 1, Deviation: 2, Samples: 9, Temperature: 3}); calibrated != want {
		t.Errorf("%+v, want %+v", calibrated, want)
	}
	if p := 1 / (1 + math.Exp(-calibrated.Gate/calibrated.Temperature)); math.Abs(p-rewardmodel.GateProbability) > 1e-12 {
		t.Errorf("at the gate σ(r / T) is %g", p)
	}
	if c := rewardmodel.AtTemperature(tandem.Calibration{Gate: -0.5}, 3); c.Gate != -0.5 || c.Temperature != 3 {
		t.Errorf("uncalibrated: %+v", c)
	}
}

func TestMargins(t *testing.T) {
	own := 0.7
	for _, c := range []struct {
		table  rewardmodel.MarginTable
		c      tandem.Comparison
		margin float64
	}{
		{rewardmodel.SmallMargin, tandem.Comparison{Degree: tandem.SignificantlyBetter}, 1},
		{rewardmodel.SmallMargin, tandem.Comparison{Degree: tandem.Better}, 2. / 3},
		{rewardmodel.SmallMargin, tandem.Comparison{Degree: tandem.SlightlyBetter}, 1. / 3},
		{rewardmodel.SmallMargin, tandem.Comparison{Degree: tandem.NegligiblyBetter}, 0},
		{rewardmodel.LargeMargin, tandem.Comparison{Degree: tandem.SignificantlyBetter}, 3},
		{rewardmodel.LargeMargin, tandem.Comparison{Degree: tandem.Better}, 2},
		{rewardmodel.LargeMargin, tandem.Comparison{Degree: tandem.SlightlyBetter}, 1},
		{rewardmodel.LargeMargin, tandem.Comparison{}, 0},
		{rewardmodel.NoMargin, tandem.Comparison{Degree: tandem.SignificantlyBetter}, 0},
		{rewardmodel.NoMargin, tandem.Comparison{Degree: tandem.Better, Margin: &own}, own},
	} {
		if got := c.table.Margin(c.c); math.Abs(got-c.margin) > 1e-12 {
			t.Errorf("%s margin of %v = %g, want %g", c.table, c.c.Degree, got, c.margin)
		}
	}
	if err := rewardmodel.MarginTable("huge").Validate(); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("an unknown table: %v", err)
	}
}
