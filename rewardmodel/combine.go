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
// deviation 1 by statistics frozen on reference samples. Whitening over a batch is ppo's alone. The uncertainty of R_c
// is that of the branch's model, divided by the same deviation.
type Combiner struct {
	Helpfulness tandem.Calibration
	Safety      tandem.Calibration
}

// Combine scores one answer from its scalars h and s of both models.
func (c Combiner) Combine(h, s Scalar, safetyPrompt bool) tandem.Score {
	score := tandem.Score{Helpfulness: h.R, Safety: s.R, Gated: s.R < c.Safety.Gate, Branch: tandem.HelpfulnessBranch}
	taken, by := h, c.Helpfulness
	if safetyPrompt || score.Gated {
		score.Branch, taken, by = tandem.SafetyBranch, s, c.Safety
	}
	score.Combined, score.Uncertainty = normalise(taken.R, by), taken.Uncertainty/scale(by)
	return score
}

// normalise maps r by the frozen statistics; a model without any (deviation 0) keeps its raw scale.
func normalise(r float64, c tandem.Calibration) float64 {
	return (r - c.Mean) / scale(c)
}

func scale(c tandem.Calibration) float64 {
	if c.Deviation == 0 {
		return 1
	}
	return c.Deviation
}
