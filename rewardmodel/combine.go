package rewardmodel

import "tandem"

// Combiner turns the raw scalars of both models into the combined score R_c (section 3.2.3):
//
//	R_c(g|p) = R_s(g|p)  if is_safety(p) or R_s(g|p) < 0.15
//	           R_h(g|p)  otherwise
//
// R is a probability there, and the policy is rewarded with its logit; logit(σ(r)) = r, so everything
// here is in raw scalars. The two scalars differ in scale and offset and R_c mixes them, so (a choice of
// this project) the gate reads r_s itself, and only then is the branch's scalar mapped to mean 0 and
// deviation 1 by statistics frozen on reference samples. Whitening over a batch is ppo's alone.
type Combiner struct {
	Helpfulness tandem.Calibration
	Safety      tandem.Calibration
}

// Combine scores one answer from its raw scalars r_h and r_s.
func (c Combiner) Combine(rh, rs float64, safetyPrompt bool) tandem.Score {
	s := tandem.Score{Helpfulness: rh, Safety: rs, Gated: rs < c.Safety.Gate}
	if safetyPrompt || s.Gated {
		s.Branch = tandem.SafetyBranch
		s.Combined = normalise(rs, c.Safety)
	} else {
		s.Branch = tandem.HelpfulnessBranch
		s.Combined = normalise(rh, c.Helpfulness)
	}
	return s
}

// normalise maps r by the frozen statistics; a model without any (deviation 0) keeps its raw scale.
func normalise(r float64, c tandem.Calibration) float64 {
	if c.Deviation == 0 {
		return r - c.Mean
	}
	return (r - c.Mean) / c.Deviation
}
