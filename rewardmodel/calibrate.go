package rewardmodel

import (
	"math"
	"slices"

	"tandem"
	"tandem/statistics"
)

// GateProbability is the σ(r_s) below which the safety model takes over (section 3.2.3): the threshold
// that the paper picked for a precision of 0.89 and a recall of 0.55 on Meta's safety test set.
const GateProbability = 0.15

// Gate is GateProbability as a raw scalar: logit(0.15) = ln(.15/.85).
var Gate = math.Log(GateProbability / (1 - GateProbability))

// UncalibratedGateShare is the share of the reference policy's answers to safety prompts that an
// uncalibrated model gates, since its σ(r) has no meaning (a choice of this project).
const UncalibratedGateShare = 0.15

// Calibrate freezes how a model's raw scalar is read. reference are its scalars of reference samples:
// answers of the policy that the loop starts from. toSafety are those of them that answer safety prompts;
// only an uncalibrated safety model needs them, and at least one.
func Calibrate(calibrated bool, reference, toSafety []float64) (tandem.Calibration, error) {
	const op = "rewardmodel.Calibrate"
	if len(reference) < 2 {
		return tandem.Calibration{}, tandem.Errorf(tandem.Invalid, op,
			"statistics need at least 2 reference samples, not %d", len(reference))
	}
	for i, r := range reference {
		if math.IsNaN(r) || math.IsInf(r, 0) {
			return tandem.Calibration{}, tandem.Errorf(tandem.Invalid, op, "reference sample %d has the score %g", i, r)
		}
	}
	mean, deviation := statistics.Moments(reference)
	c := tandem.Calibration{Calibrated: calibrated, Gate: Gate, Mean: mean, Deviation: deviation, Samples: len(reference)}
	if !calibrated {
		if len(toSafety) == 0 {
			return tandem.Calibration{}, tandem.Errorf(tandem.Invalid, op,
				"the gate of an uncalibrated model needs reference samples to safety prompts, and there are none")
		}
		c.Gate = statistics.Quantile(slices.Sorted(slices.Values(toSafety)), UncalibratedGateShare)
	}
	return c, nil
}
