package rewardmodel

import "tandem"

// Explanation shows how R_c came about: which branch it took, and every number on the way.
type Explanation struct {
	Branch       tandem.Branch `json:"branch" enum:"helpfulness,safety" doc:"The model whose normalised scalar is the combined score: safety for a safety prompt and for a gated answer, else helpfulness."`
	SafetyPrompt bool          `json:"safety_prompt" doc:"Whether the prompt counted as one that probes safety."`
	Gate         float64       `json:"gate" doc:"The calibrated safety scalar below which an answer is gated."`
	Helpfulness  Reading       `json:"helpfulness"`
	Safety       Reading       `json:"safety"`
}

// Reading is how the raw scalar of one model was read.
type Reading struct {
	Raw         float64 `json:"raw" doc:"The model's scalar r, which the gate is compared with; of an ensemble, the mean of its members'."`
	Meaning     bool    `json:"has_probability" doc:"Whether the sigmoid of raw / temperature is a probability: safety labels gave it one. Without it the gate is a quantile of reference answers."`
	Temperature float64 `json:"temperature" doc:"What r is divided by to be read as log-odds; 1 where none was fitted."`
	Mean        float64 `json:"mean" doc:"Of r over reference samples, frozen when the model was calibrated."`
	Deviation   float64 `json:"deviation" doc:"Of r over reference samples."`
	Normalised  float64 `json:"normalised" doc:"(raw − mean) / deviation."`
	Uncertainty float64 `json:"uncertainty" doc:"How far the members of an ensemble disagree: their deviation, in the unit of r. 0 for a single model."`
}

// Explain is Combine with its reasons.
func (c Combiner) Explain(h, s Scalar, safetyPrompt bool) (tandem.Score, Explanation) {
	score := c.Combine(h, s, safetyPrompt)
	return score, Explanation{
		Branch: score.Branch, SafetyPrompt: safetyPrompt, Gate: c.Safety.Gate,
		Helpfulness: read(h, c.Helpfulness), Safety: read(s, c.Safety),
	}
}

func read(s Scalar, c tandem.Calibration) Reading {
	temperature := c.Temperature
	if temperature == 0 {
		temperature = 1
	}
	return Reading{s.R, c.Calibrated, temperature, c.Mean, c.Deviation, normalise(s.R, c), s.Uncertainty}
}
