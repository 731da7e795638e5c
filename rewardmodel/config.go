package rewardmodel

import (
	"tandem"
	"tandem/dataset"
	"tandem/llama/train"
)

// Config says how a reward model is fitted.
type Config struct {
	// Aspect that the model judges.
	Aspect tandem.Aspect `json:"aspect"`
	// Margin is the table of m(degree). Defaults to large, which table 28 finds best on clear cases (a
	// choice: the paper does not say which of the two its released models used).
	Margin MarginTable `json:"margin"`
	// AuxiliaryWeight weighs the safety labels' cross-entropy against the ranking loss. Defaults to 1 for
	// the safety model (a choice: the paper gives no weight) and must be 0 for the helpfulness model. With
	// weight 0, or without any label, the model is uncalibrated.
	AuxiliaryWeight float64 `json:"auxiliary_weight"`
	// CenterRewards weighs (r_chosen + r_rejected)² against the ranking loss, which leaves the zero of r free. Defaults to 0 (a
	// choice: the paper has none); TRL's documentation suggests 0.01.
	CenterRewards float64 `json:"center_rewards,omitempty"`
	// L2 weighs the mean of r² against it. Defaults to 0 (a choice: the paper has none); Safe RLHF uses 0.001.
	L2 float64 `json:"l2,omitempty"`
	// Mixture says which comparisons the model learns from and in which proportions: aspects of the run's data, and
	// sources of its own. Defaults to the paper's for the aspect (see PaperMixture); without parts, everything is taken
	// as it comes.
	Mixture dataset.Mixture `json:"mixture"`
	// MaxTokens of a dialogue; a longer one loses its beginning. Defaults to the model's context.
	MaxTokens int `json:"max_tokens,omitempty"`
	// Fit is the training loop's configuration; Batch counts pairs, a
	// ranking of several as one. Where held-out pairs are measured during the run, the
	// weights with the least held-out loss are kept (a choice: accuracy on some hundred pairs moves in steps that say little).
	Fit train.Config `json:"fit"`
}

// DefaultConfig is the paper's setting (section 3.2.2): one epoch, rate 1e-5 with a cosine down to a
// tenth, warm-up over 3 % of the steps and at least 5, 512 pairs a batch.
func DefaultConfig(aspect tandem.Aspect) Config {
	fit := train.DefaultConfig()
	fit.LearningRate, fit.Batch, fit.KeepBest = 1e-5, 512, train.KeepByLoss
	c := Config{Aspect: aspect, Margin: LargeMargin, Mixture: PaperMixture(aspect, 0), Fit: fit}
	if aspect == tandem.Safety {
		c.AuxiliaryWeight = 1
	}
	return c
}

// PaperMixture is the paper's data of an aspect's model (section 3.2.2, "Data Composition"): for helpfulness all of
// its comparisons and as many others, for safety 90 : 10. The paper's others include open data, which a mixture may
// name as further sources of the second part.
func PaperMixture(aspect tandem.Aspect, seed uint64) dataset.Mixture {
	helpfulness, safety := string(tandem.Helpfulness), string(tandem.Safety)
	if aspect == tandem.Safety {
		return dataset.SafetyMixture(safety, []string{helpfulness}, seed)
	}
	return dataset.HelpfulnessMixture(helpfulness, []string{safety}, seed)
}

// OwnMixture is an aspect's own comparisons and no others. On a few thousand pairs of people it makes the better
// helpfulness model: the shorter answer is the more harmless one as a rule and the longer the more helpful one, so that
// a model too small to tell the prompts apart unlearns from the others what it learns from its own.
func OwnMixture(aspect tandem.Aspect, seed uint64) dataset.Mixture {
	return dataset.Mixture{Parts: []dataset.Part{{Sources: []string{string(aspect)}, Weight: 1}}, Seed: seed}
}

// Preset returns the configuration of that name: "llama2-7b" and "llama2-70b" are the paper's; "practice"
// moves a model of a million parameters (a choice: 6e-4 and 16 pairs a batch).
func Preset(name string, aspect tandem.Aspect) (Config, error) {
	c := DefaultConfig(aspect)
	switch name {
	case "llama2-7b":
	case "llama2-70b":
		c.Fit.LearningRate = 5e-6
	case "practice":
		c.Fit.LearningRate, c.Fit.Batch = 6e-4, 16
	default:
		return Config{}, tandem.Errorf(tandem.Invalid, "rewardmodel.Preset", "there is no preset %q (llama2-7b, llama2-70b and practice are)", name)
	}
	return c, nil
}

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	const op = "rewardmodel.Config"
	if !c.Aspect.Valid() {
		return tandem.Errorf(tandem.Invalid, op, "aspect is %q, neither helpfulness nor safety", string(c.Aspect))
	}
	if err := c.Margin.Validate(); err != nil {
		return err
	}
	switch {
	case !(c.AuxiliaryWeight >= 0):
		return tandem.Errorf(tandem.Invalid, op, "auxiliary-weight is %g, not 0 or more", c.AuxiliaryWeight)
	case c.Aspect == tandem.Helpfulness && c.AuxiliaryWeight > 0:
		return tandem.Errorf(tandem.Invalid, op, "auxiliary-weight is %g; safety labels teach the safety model alone", c.AuxiliaryWeight)
	case !(c.CenterRewards >= 0 && c.L2 >= 0):
		return tandem.Errorf(tandem.Invalid, op, "center-rewards is %g and l2 %g, not 0 or more", c.CenterRewards, c.L2)
	case c.MaxTokens < 0:
		return tandem.Errorf(tandem.Invalid, op, "max-tokens is %d, not 0 or more", c.MaxTokens)
	}
	if err := c.validateMixture(); err != nil {
		return err
	}
	return c.Fit.Validate()
}

// validateMixture wants sources that somebody can find.
func (c Config) validateMixture() error {
	if err := c.Mixture.Validate(); err != nil {
		return err
	}
	for _, part := range c.Mixture.Parts {
		for _, name := range part.Sources {
			if _, placed := c.Mixture.Sources[name]; !placed && !tandem.Aspect(name).Valid() {
				return tandem.Errorf(tandem.Invalid, "rewardmodel.Config", "the mixture's source %q is no aspect, and nothing says where it lies", name)
			}
		}
	}
	return nil
}
