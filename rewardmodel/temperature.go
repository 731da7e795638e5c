package rewardmodel

import "tandem"

// AtTemperature is a calibration whose scalars are read divided by a temperature T (Guo et al. 2017), which Llama 2 does
// not do. r itself, and so its order and its normalisation, stay as they are. The gate of a calibrated model moves to where
// σ(r / T) is GateProbability, T · logit(.15); the quantile of an uncalibrated one stays.
func AtTemperature(c tandem.Calibration, temperature float64) tandem.Calibration {
	c.Temperature = temperature
	if c.Calibrated {
		c.Gate = temperature * Gate
	}
	return c
}
