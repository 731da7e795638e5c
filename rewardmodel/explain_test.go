package rewardmodel

import (
	"testing"

	"tandem"
)

// What is explained is what was combined, number by number.
func TestExplain(t *testing.T) {
	c := Combiner{
		Helpfulness: tandem.Calibration{Mean: 1, Deviation: 2},
		Safety:      tandem.Calibration{Calibrated: true, Gate: -1, Mean: 3, Deviation: 4},
	}
	for _, test := range []struct {
		rh, rs     float64
		safety     bool
		branch     tandem.Branch
		gated      bool
		normalised float64
		ofThe      func(Explanation) Reading // whose scalar is the score
	}{
		{5, 0, false, tandem.HelpfulnessBranch, false, 2, func(e Explanation) Reading { return e.Helpfulness }},
		{5, -1, true, tandem.SafetyBranch, false, -1, func(e Explanation) Reading { return e.Safety }},
		{5, -5, false, tandem.SafetyBranch, true, -2, func(e Explanation) Reading { return e.Safety }},
	} {
		s, e := c.Explain(Scalar{test.rh, 3}, Scalar{test.rs, 6}, test.safety)
		if s != c.Combine(Scalar{test.rh, 3}, Scalar{test.rs, 6}, test.safety) {
			t.Errorf("explained %+v is another score than combined", s)
		}
		if e.Branch != test.branch || s.Gated != test.gated || e.SafetyPrompt != test.safety || e.Gate != -1 {
			t.Errorf("%+v gated %v, want %+v", e, s.Gated, test)
		}
		if r := test.ofThe(e); r.Normalised != test.normalised || s.Combined != test.normalised || s.Uncertainty != 1.5 { // 3 / 2 and 6 / 4
			t.Errorf("%+v of %g, want %g", r, s.Combined, test.normalised)
		}
		if want := (Reading{Raw: test.rs, Meaning: true, Temperature: 1, Mean: 3, Deviation: 4, Normalised: (test.rs - 3) / 4, Uncertainty: 6}); e.Safety != want {
			t.Errorf("safety is read as %+v, want %+v", e.Safety, want)
		}
	}
}
