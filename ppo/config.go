package ppo

import (
	"fmt"
	"math"

	"tandem"
	"tandem/llama"
)

// Config says how a policy is tuned. The fields' documentation gives the value of the paper, which is the
// preset "llama2-7b".
type Config struct {
	// Iterations of sampling and updating. The paper runs 200 to 400 with early stopping on held-out
	// prompts. Defaults to 200.
	Iterations int `json:"iterations"`
	// BatchSize is the number of answers of an iteration. Defaults to 512 (section 3.2.3).
	BatchSize int `json:"batch_size"`
	// MinibatchSize is the number of answers of a gradient step; each minibatch is used once. Defaults to
	// 64 (section 3.2.3).
	MinibatchSize int `json:"minibatch_size"`
	// LearningRate of the policy, constant. Defaults to 1e-6 (section 3.2.3).
	LearningRate float64 `json:"learning_rate"`
	// FinalLearningRate is what LearningRate falls to, linearly over the iterations. Defaults to
	// LearningRate: constant, as in the paper.
	FinalLearningRate float64 `json:"final_learning_rate"`
	// CriticLearningRate, constant. Defaults to LearningRate (a choice: the paper names one rate).
	CriticLearningRate float64 `json:"critic_learning_rate"`
	// CriticWarmup is the number of first iterations in which the critic alone is fitted. Defaults to 5 (a
	// choice: the critic's head is fresh, and advantages from it would be noise).
	CriticWarmup int `json:"critic_warmup"`
	// Beta weighs the KL penalty. Defaults to 0.01 (section 3.2.3; 0.005 at 34B and 70B).
	Beta float64 `json:"beta"`
	// KLEstimator is how the penalty estimates the divergence. Defaults to K1, which "" means.
	KLEstimator KLEstimator `json:"kl_estimator,omitempty"`
	// KLTarget, in nats an answer, makes Beta the first value of a coefficient that a controller moves towards it (Ziegler et
	// al. 2019, see adapt); it stays while the critic alone is fitted. Defaults to 0: β is constant, as in the paper. The
	// held-out objective goes on to weigh KL by Beta, so that its evaluations compare.
	KLTarget float64 `json:"kl_target,omitempty"`
	// KLHorizon is how many answers the controller takes to change the coefficient by a fifth, at least a batch. Defaults to
	// 10,000, which 0 means.
	KLHorizon int `json:"kl_horizon,omitempty"`
	// EntropyCoefficient is what the mean entropy of the policy at the tokens of its answers is weighed with before it is taken
	// off the loss, so that the policy stays varied (PPO, equation 9). Defaults to 0: the KL penalty alone keeps it so.
	EntropyCoefficient float64 `json:"entropy_coefficient,omitempty"`
	// PtxCoefficient is γ of the language modelling that is mixed into the policy's updates (InstructGPT, equation 2; 27.8 there, by
	// its own normalisation). Here both losses are means over tokens. Defaults to 0: nothing is mixed in.
	PtxCoefficient float64 `json:"ptx_coefficient,omitempty"`
	// PtxBatchSize is the number of sequences that are mixed into a gradient step. Defaults to MinibatchSize, which 0 means.
	PtxBatchSize int `json:"ptx_batch_size,omitempty"`
	// ClipRatio bounds π_θ/π_old to 1 ± ClipRatio. Defaults to 0.2 (section 3.2.3).
	ClipRatio float64 `json:"clip_ratio"`
	// UpdateKLTarget, in nats a token, ends an iteration's updates of the policy before a minibatch on which it is further
	// than 1.5 times that from the policy that sampled, by the mean of ½·(ln π_new − ln π_old)² (target_kl of Spinning Up and
	// of TRL, which have the 1.5). The critic's updates go on. Defaults to 0: every minibatch is used.
	UpdateKLTarget float64 `json:"update_kl_target,omitempty"`
	// ValueClip bounds how far a value may move from the old one, in deviations of the batch's returns.
	// Defaults to 0.2 (a choice); 0 leaves values unclipped.
	ValueClip float64 `json:"value_clip"`
	// Gamma discounts later rewards. Defaults to 1 (a choice).
	Gamma float64 `json:"gamma"`
	// Lambda of generalised advantage estimation. Defaults to 0.95 (a choice).
	Lambda float64 `json:"lambda"`
	// WhitenScores whitens R_c over the batch before it becomes reward: R̃_c = whiten(logit(R_c)). Defaults
	// to true (section 3.2.3).
	WhitenScores bool `json:"whiten_scores"`
	// WhitenRewards gives the rewards of the batch's tokens, score and penalty together, the deviation 1 and leaves their mean (TRL's
	// whiten_rewards). It changes how much a nat of divergence costs against the score of the next batch, so that β loses
	// its unit. Defaults to false.
	WhitenRewards bool `json:"whiten_rewards,omitempty"`
	// WhitenAdvantages whitens advantages over the tokens of the batch, after returns were taken from the
	// unwhitened ones. Defaults to true (a choice).
	WhitenAdvantages bool `json:"whiten_advantages"`
	// Temperature of sampling; all log-probabilities are taken under it. Defaults to 1. Top-k and top-p do
	// not exist here: what they cut off would make the samples off-policy.
	Temperature float64 `json:"temperature"`
	// MaxTokens of an answer. Defaults to 256.
	MaxTokens int `json:"max_tokens"`
	// MissingEOSPenalty is taken off R_c of an answer that was cut at MaxTokens, so that a policy learns to
	// end. Defaults to 0: such an answer is worth what the reward models say of the text that it is.
	MissingEOSPenalty float64 `json:"missing_eos_penalty,omitempty"`
	// UncertaintyPenalty is λ of R_c − λ·u, where u is how far an ensemble of reward models disagrees about an answer: see
	// cautious. Defaults to 0.
	UncertaintyPenalty float64 `json:"uncertainty_penalty,omitempty"`
	// LoRA, if its Rank is not 0, leaves the weights of policy and critic alone and trains low-rank adapters on them, and the
	// critic's head. Defaults to none, as in the paper. Adapters want a higher LearningRate than weights.
	llama.LoRA
	// WeightDecay of AdamW, whose betas are 0.9 and 0.95 and whose ε is 1e-5. Defaults to 0.1 (section 3.2.3).
	WeightDecay float64 `json:"weight_decay"`
	// GradientClip is the largest norm of a whole gradient. Defaults to 1.0 (section 3.2.3).
	GradientClip float64 `json:"gradient_clip"`
	// EvaluateEvery is the number of iterations between evaluations on held-out prompts. Defaults to 10; 0
	// never evaluates.
	EvaluateEvery int `json:"evaluate_every"`
	// Patience ends the run when the held-out objective has not risen for that many evaluations, and the
	// best policy is kept. Defaults to 5: the paper stops early on held-out prompts (section 3.2.3) and does
	// not say after how many iterations, here 50 (a choice). 0, or no prompts held out: the run goes on to
	// its end and the last policy is kept.
	Patience int `json:"patience"`
	// CheckpointEvery is the number of iterations between resumable checkpoints. Defaults to 10.
	CheckpointEvery int `json:"checkpoint_every"`
	// GraphTokens bounds how many tokens the training graph holds at once; a larger minibatch is
	// accumulated over several runs with the same result up to rounding. Defaults to 8192.
	GraphTokens int `json:"graph_tokens"`
	// Seed of sampling and of the order of prompts.
	Seed uint64 `json:"seed"`
}

// DefaultConfig is the paper's setting at 7B.
func DefaultConfig() Config {
	return Config{
		Iterations: 200, BatchSize: 512, MinibatchSize: 64,
		LearningRate: 1e-6, FinalLearningRate: 1e-6, CriticLearningRate: 1e-6, CriticWarmup: 5,
		Beta: 0.01, ClipRatio: 0.2, ValueClip: 0.2, Gamma: 1, Lambda: 0.95,
		WhitenScores: true, WhitenAdvantages: true,
		Temperature: 1, MaxTokens: 256,
		WeightDecay: 0.1, GradientClip: 1,
		EvaluateEvery: 10, Patience: 5, CheckpointEvery: 10, GraphTokens: 8192,
	}
}

// Preset returns the configuration of that name: "llama2-7b" and "llama2-70b" are the paper's; "practice"
// moves a model of a million parameters, which the paper's rates would not (200 iterations of 8 steps at
// 1e-6 change a weight by 0.0016 at most), by about a nat an answer, and is a choice of this project (docs/ppo.md).
func Preset(name string) (Config, error) {
	c := DefaultConfig()
	switch name {
	case "llama2-7b":
	case "llama2-70b":
		c.Beta = 0.005
	case "practice":
		c.BatchSize, c.MinibatchSize = 128, 32
		c.LearningRate, c.FinalLearningRate, c.CriticLearningRate = 1e-4, 1e-4, 3e-4
		c.Beta = 0.35
		c.MaxTokens, c.Patience = 64, 0
	default:
		return Config{}, tandem.Errorf(tandem.Invalid, "ppo.Preset", "there is no preset %q (llama2-7b, llama2-70b and practice are)", name)
	}
	return c, nil
}

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	for _, f := range []struct {
		name string
		ok   bool
		got  any
		want string
	}{
		{"iterations", c.Iterations > 0, c.Iterations, "at least 1"},
		{"minibatch-size", c.MinibatchSize > 0, c.MinibatchSize, "at least 1"},
		{"batch-size", c.BatchSize > 0 && c.MinibatchSize > 0 && c.BatchSize%c.MinibatchSize == 0, c.BatchSize,
			fmt.Sprintf("a multiple of minibatch-size %d", c.MinibatchSize)},
		{"learning-rate", c.LearningRate > 0, c.LearningRate, "positive"},
		{"final-learning-rate", c.FinalLearningRate >= 0 && c.FinalLearningRate <= c.LearningRate, c.FinalLearningRate, "between 0 and learning-rate"},
		{"critic-learning-rate", c.CriticLearningRate > 0, c.CriticLearningRate, "positive"},
		{"critic-warmup", c.CriticWarmup >= 0 && c.CriticWarmup < max(c.Iterations, 1), c.CriticWarmup, "from 0 to below iterations"},
		{"beta", c.Beta >= 0, c.Beta, "0 or more"},
		{"kl-estimator", c.KLEstimator == "" || c.KLEstimator == K1 || c.KLEstimator == K2 || c.KLEstimator == K3, c.KLEstimator, "k1, k2 or k3"},
		{"kl-target", c.KLTarget >= 0 && !math.IsInf(c.KLTarget, 1), c.KLTarget, "0 or more"},
		{"kl-target", c.KLTarget == 0 || c.Beta > 0, c.KLTarget, "0 where beta is, which no factor moves"},
		{"kl-horizon", c.KLHorizon >= 0 && (c.KLTarget == 0 || c.horizon() >= c.BatchSize), c.KLHorizon, fmt.Sprintf("at least batch-size %d", c.BatchSize)},
		{"entropy-coefficient", c.EntropyCoefficient >= 0 && !math.IsInf(c.EntropyCoefficient, 1), c.EntropyCoefficient, "0 or more"},
		{"ptx-coefficient", c.PtxCoefficient >= 0 && !math.IsInf(c.PtxCoefficient, 1), c.PtxCoefficient, "0 or more"},
		{"ptx-batch-size", c.PtxBatchSize >= 0, c.PtxBatchSize, "0 or more"},
		{"clip-ratio", c.ClipRatio > 0 && c.ClipRatio < 1, c.ClipRatio, "between 0 and 1"},
		{"update-kl-target", c.UpdateKLTarget >= 0 && !math.IsInf(c.UpdateKLTarget, 1), c.UpdateKLTarget, "0 or more"},
		{"value-clip", c.ValueClip >= 0, c.ValueClip, "0 or more"},
		{"gamma", c.Gamma > 0 && c.Gamma <= 1, c.Gamma, "in (0, 1]"},
		{"lambda", c.Lambda >= 0 && c.Lambda <= 1, c.Lambda, "in [0, 1]"},
		{"temperature", c.Temperature > 0, c.Temperature, "positive: a greedy policy does not explore"},
		{"max-tokens", c.MaxTokens > 0, c.MaxTokens, "at least 1"},
		{"missing-eos-penalty", c.MissingEOSPenalty >= 0 && !math.IsInf(c.MissingEOSPenalty, 1), c.MissingEOSPenalty, "0 or more"},
		{"uncertainty-penalty", c.UncertaintyPenalty >= 0 && !math.IsInf(c.UncertaintyPenalty, 1), c.UncertaintyPenalty, "0 or more"},
		{"weight-decay", c.WeightDecay >= 0, c.WeightDecay, "0 or more"},
		{"gradient-clip", c.GradientClip > 0, c.GradientClip, "positive"},
		{"evaluate-every", c.EvaluateEvery >= 0, c.EvaluateEvery, "0 or more"},
		{"patience", c.Patience >= 0, c.Patience, "0 or more"},
		{"graph-tokens", c.GraphTokens > 0, c.GraphTokens, "at least 1"},
		{"checkpoint-every", c.CheckpointEvery > 0, c.CheckpointEvery, "at least 1"},
	} {
		if !f.ok {
			return tandem.Errorf(tandem.Invalid, "ppo.Config", "%s is %v, not %s", f.name, f.got, f.want)
		}
	}
	return c.LoRA.Validate()
}
