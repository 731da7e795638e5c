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
	Raw        float64 `json:"raw" doc:"The model's scalar r."`
	Calibrated float64 `json:"calibrated" doc:"The scalar as the gate compares it."`
	Meaning    bool    `json:"has_probability" doc:"Whether the sigmoid of the calibrated scalar is a probability: safety labels gave it one. Without it the gate is a quantile of reference answers."`
	Mean       float64 `json:"mean" doc:"Of r over reference samples, frozen when the model was calibrated."`
	Deviation  float64 `json:"deviation" doc:"Of r over reference samples."`
	Normalised float64 `json:"normalised" doc:"(raw − mean) / deviation."`
}

// Explain is Combine with its reasons.
func (c Combiner) Explain(rh, rs float64, safetyPrompt bool) (tandem.Score, Explanation) {
	s := c.Combine(rh, rs, safetyPrompt)
	return s, Explanation{
		Branch: s.Branch, SafetyPrompt: safetyPrompt, Gate: c.Safety.Gate,
		Helpfulness: read(rh, c.Helpfulness), Safety: read(rs, c.Safety),
	}
}

func read(r float64, c tandem.Calibration) Reading {
	return Reading{Raw: r, Calibrated: r, Meaning: c.Calibrated, Mean: c.Mean, Deviation: c.Deviation, Normalised: normalise(r, c)}
}
