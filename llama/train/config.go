package train

import (
	"math"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn"
)

// Schedule says how the learning rate changes after the warm-up.
type Schedule string

const (
	Cosine   Schedule = "cosine"   // half a cosine wave from the rate down to Floor of it (sections 3.1, 3.2.2)
	Constant Schedule = "constant" // the rate stays (section 3.2.3, PPO)
)

// Config is how a model is fitted.
type Config struct {
	// LearningRate is the rate after the warm-up. Defaults to 2e-5, supervised fine-tuning's (section 3.1).
	LearningRate float64 `json:"learning_rate"`
	// Schedule of the rate. Defaults to Cosine.
	Schedule Schedule `json:"schedule"`
	// Floor is the share of the rate at which the cosine ends. Defaults to 0.1 (section 3.2.2).
	Floor float64 `json:"floor"`
	// WarmupShare is the share of all steps over which the rate rises linearly. Defaults to 0.03 (section 3.2.2).
	WarmupShare float64 `json:"warmup_share"`
	// WarmupSteps is the least number of such steps. Defaults to 5 (section 3.2.2).
	WarmupSteps int `json:"warmup_steps"`
	// Optimizer is AdamW's constants and the gradient clip. Defaults to nn.DefaultAdamWConfig.
	Optimizer nn.AdamWConfig `json:"optimizer"`
	// Batch is how many examples a step takes. Defaults to 64 (section 3.1).
	Batch int `json:"batch"`
	// GraphTokens is how many tokens go through the model at once; a step of more is split into
	// micro-batches, which costs nothing but time and bounds memory. One example is never split. Defaults to 4096.
	GraphTokens int `json:"graph_tokens"`
	// Epochs is how often every example is seen. Defaults to 1.
	Epochs int `json:"epochs"`
	// Steps, if not 0, ends the run earlier or, with fewer examples, goes round more often than Epochs say.
	// Defaults to 0.
	Steps int `json:"steps,omitempty"`
	// Seed keys the order of examples. Defaults to 0.
	Seed uint64 `json:"seed"`
	// CheckpointEvery is after how many steps a state is saved, beside the last step and an interruption; 0
	// for those alone.
	// Defaults to 100.
	CheckpointEvery int `json:"checkpoint_every"`
	// EvaluateEvery is after how many steps held-out examples are measured, beside the end of the run; 0 for
	// the end alone. Defaults to 0.
	EvaluateEvery int `json:"evaluate_every"`
	// KeepBest names the held-out figure by whose best evaluation the run's weights are kept: KeepByLoss, where less
	// is better, or one that the task measures, as "accuracy", where more is. It needs evaluations during the run.
	// Defaults to none: the last weights stay.
	KeepBest string `json:"keep_best,omitempty"`
	// Patience ends the run when that many evaluations on end have not improved on the best. Defaults to 0: the run
	// goes on to its end.
	Patience int `json:"patience,omitempty"`
	// LoRA, if its Rank is not 0, says that the weights are adapted ones, of which adapters alone are trained (see
	// llama.Weights.Adapt). Defaults to none.
	llama.LoRA
}

// KeepByLoss keeps the weights with the least held-out loss.
const KeepByLoss = "loss"

// DefaultConfig returns the paper's values; what it leaves open is named on the field.
func DefaultConfig() Config {
	return Config{
		LearningRate: 2e-5, Schedule: Cosine, Floor: 0.1, WarmupShare: 0.03, WarmupSteps: 5,
		Optimizer: nn.DefaultAdamWConfig(), Batch: 64, GraphTokens: 4096, Epochs: 1, CheckpointEvery: 100,
	}
}

// Validate reports the first field that no run could use.
func (c Config) Validate() error {
	const op = "train.Config"
	switch {
	case !(c.LearningRate > 0) || math.IsInf(c.LearningRate, 0):
		return tandem.Errorf(tandem.Invalid, op, "learning_rate is %g, not positive", c.LearningRate)
	case c.Schedule != Cosine && c.Schedule != Constant:
		return tandem.Errorf(tandem.Invalid, op, "schedule is %q, neither %q nor %q", c.Schedule, Cosine, Constant)
	case !(c.Floor >= 0 && c.Floor <= 1):
		return tandem.Errorf(tandem.Invalid, op, "floor is %g, not in [0, 1]", c.Floor)
	case !(c.WarmupShare >= 0 && c.WarmupShare <= 1):
		return tandem.Errorf(tandem.Invalid, op, "warmup_share is %g, not in [0, 1]", c.WarmupShare)
	}
	for _, f := range []struct {
		name         string
		value, least int
	}{
		{"warmup_steps", c.WarmupSteps, 0}, {"batch", c.Batch, 1}, {"graph_tokens", c.GraphTokens, 1}, {"epochs", c.Epochs, 1},
		{"steps", c.Steps, 0}, {"checkpoint_every", c.CheckpointEvery, 0}, {"evaluate_every", c.EvaluateEvery, 0},
		{"patience", c.Patience, 0},
	} {
		if f.value < f.least {
			return tandem.Errorf(tandem.Invalid, op, "%s is %d, less than %d", f.name, f.value, f.least)
		}
	}
	if c.Patience > 0 && (c.KeepBest == "" || c.EvaluateEvery == 0) {
		return tandem.Errorf(tandem.Invalid, op, "patience is %d: it needs evaluate_every, and keep_best to say what improves", c.Patience)
	}
	if err := c.LoRA.Validate(); err != nil {
		return err
	}
	return c.Optimizer.Validate()
}

// TotalSteps is how many steps a run over so many examples takes.
func (c Config) TotalSteps(examples int) int {
	if c.Steps > 0 {
		return c.Steps
	}
	return (c.Epochs*examples + c.Batch - 1) / c.Batch
}

// Rate is the learning rate of a step, counted from 0, of a run of total steps.
func (c Config) Rate(step, total int) float64 {
	warmup := max(c.WarmupSteps, int(math.Ceil(c.WarmupShare*float64(total))))
	if step < warmup {
		return c.LearningRate * float64(step+1) / float64(warmup)
	}
	if c.Schedule == Constant || total <= warmup {
		return c.LearningRate
	}
	progress := float64(step-warmup) / float64(max(total-warmup-1, 1))
	return c.LearningRate * (c.Floor + (1-c.Floor)*(1+math.Cos(math.Pi*progress))/2)
}
