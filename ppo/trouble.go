package ppo

import "fmt"

// TroubleKind names what is off with a run.
type TroubleKind string

// What a run's mechanics show.
const (
	RatioOff         TroubleKind = "ratio"
	NegativeKL       TroubleKind = "negative_kl"
	ExplodingKL      TroubleKind = "exploding_kl"
	DeadCritic       TroubleKind = "dead_critic"
	CollapsedEntropy TroubleKind = "entropy"
	Endless          TroubleKind = "endless"
)

// What overoptimisation shows: rewards go on rising, and the answers no longer get better (Gao et al. 2022,
// https://arxiv.org/abs/2210.10760).
const (
	LengthDrift TroubleKind = "length"
	Repeating   TroubleKind = "repetition"
	FarKL       TroubleKind = "kl"
	Diverging   TroubleKind = "divergence"
)

// Overoptimisation says whether the trouble is a sign of rewards that rise while answers do not get better.
func (k TroubleKind) Overoptimisation() bool {
	return k == LengthDrift || k == Repeating || k == FarKL || k == Diverging
}

// words are what a trouble is, and what most likely cures it.
var words = map[TroubleKind]struct{ what, cure string }{
	RatioOff: {"the ratio of the first minibatch is not 1",
		"the update computes other log-probabilities than the sampler, so that the policy learns from noise: this is a fault of the program or of a kernel, not of the configuration"},
	NegativeKL: {"the KL divergence is negative beyond sampling noise",
		"the answers are not samples of the policy: look for another temperature, or a sampler that disagrees with the graph"},
	ExplodingKL: {"the policy runs away from its reference",
		"lower learning-rate, raise beta or set kl-target or update-kl-target"},
	DeadCritic: {"the critic explains nothing of the returns",
		"advantages are as noisy as without it: raise critic-learning-rate or critic-warmup"},
	CollapsedEntropy: {"the policy's entropy has collapsed",
		"it no longer tries anything: raise beta, give an entropy-coefficient, or lower learning-rate"},
	Endless: {"most answers do not end",
		"they are cut at max-tokens: raise that, set missing-eos-penalty, or fine-tune the policy on dialogues that end before PPO"},
	LengthDrift: {"the answers' length drifts",
		"reward models often take length for quality: read answers, raise beta or set kl-target, and collect comparisons in which length does not decide"},
	Repeating: {"the answers repeat themselves, or each other",
		"the policy has found what the reward models overrate: read answers, raise beta or set kl-target, and collect comparisons of such answers"},
	FarKL: {"the policy is far from its reference",
		"reward models know little of such answers: raise beta, set kl-target, or stop earlier, by held-out prompts and patience"},
	Diverging: {"a judge that is not trained against does not believe the rise of the scores",
		"the reward models are being hacked: stop here, raise beta or set kl-target, and let reward models learn from comparisons of the new policy's answers"},
}

// Trouble is something that is off with a run, by the figures of an iteration.
type Trouble struct {
	Kind      TroubleKind `json:"kind"`
	Iteration int         `json:"iteration"` // in which it first showed
	Figures   string      `json:"figures"`   // by which it showed
	// Past is set in a diagnosis where the last iterations no longer show it.
	Past bool `json:"past,omitempty"`
}

// String is the trouble in words: what, by which figures, and the likely cure.
func (t Trouble) String() string {
	w := words[t.Kind]
	past := ""
	if t.Past {
		past = ", no longer at the end"
	}
	return fmt.Sprintf("%s (iteration %d: %s%s): %s", w.what, t.Iteration, t.Figures, past, w.cure)
}
