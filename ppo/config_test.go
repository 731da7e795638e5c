package ppo

import (
	"strings"
	"testing"

	"tandem"
)

func TestPresetsAreValid(t *testing.T) {
	for _, name := range []string{"llama2-7b", "llama2-70b", "practice"} {
		c, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// The paper's runs stop early on held-out prompts (section 3.2.3).
		if stops := c.EvaluateEvery > 0 && c.Patience > 0 && c.Patience*c.EvaluateEvery < c.Iterations; stops != (name != "practice") {
			t.Errorf("%s: stops early %t, with patience %d of every %d iterations", name, stops, c.Patience, c.EvaluateEvery)
		}
	}
	if _, err := Preset("gpt-5"); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("an unknown preset: %v", err)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for field, spoil := range map[string]func(*Config){
		"batch-size":    func(c *Config) { c.BatchSize = 100 },
		"learning-rate": func(c *Config) { c.LearningRate = 0 },
		"temperature":   func(c *Config) { c.Temperature = 0 },
		"critic-warmup": func(c *Config) { c.CriticWarmup = c.Iterations },
		"clip-ratio":    func(c *Config) { c.ClipRatio = 1 },

		"uncertainty-penalty": func(c *Config) { c.UncertaintyPenalty = -1 },
		"missing-eos-penalty": func(c *Config) { c.MissingEOSPenalty = -1 },
		"kl-target":           func(c *Config) { c.KLTarget, c.Beta = 6, 0 },
		"kl-horizon":          func(c *Config) { c.KLTarget, c.KLHorizon = 6, 100 },
		"update-kl-target":    func(c *Config) { c.UpdateKLTarget = -1 },
		"entropy-coefficient": func(c *Config) { c.EntropyCoefficient = -1 },
		"ptx-coefficient":     func(c *Config) { c.PtxCoefficient = -1 },
		"ptx-batch-size":      func(c *Config) { c.PtxBatchSize = -1 },
		"kl-estimator":        func(c *Config) { c.KLEstimator = "k4" },
	} {
		c := DefaultConfig()
		spoil(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error %v does not name it", field, err)
		}
	}
}
