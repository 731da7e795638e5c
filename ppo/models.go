package ppo

import (
	"fmt"
	"math/rand/v2"

	"tandem/llama"
	"tandem/llama/train"
)

// Models are the three models of a run.
type Models struct {
	Policy    *llama.Weights // π_θ, trained in place
	Reference *llama.Weights // π_0, never changed: a copy of the policy that PPO starts from, or what its adapters are on
	Critic    *llama.Weights // a classifier, trained in place: the helpfulness model's trunk with a fresh head
	// Ptx is what the policy goes on to model as a language beside its rewards: pretraining or fine-tuning data. Nil where
	// PtxCoefficient is 0.
	Ptx *train.LanguageModel
}

// NewModels returns a run's models. Whole, the policy is trained in place, and its copy is the reference; the critic is a
// copy of the helpfulness model's trunk. With adapters nothing is copied: the policy's are on the weights that
// are the reference, the critic's on the helpfulness model's own, which goes on scoring.
func NewModels(policy, helpfulness *llama.Weights, c Config) (m Models, err error) {
	head := rand.New(rand.NewPCG(c.Seed, 2))
	if c.LoRA.Rank == 0 {
		return Models{Policy: policy, Reference: policy.Clone(), Critic: helpfulness.ToClassifier(head)}, nil
	}
	m.Reference = policy
	if m.Policy, err = policy.Adapt(c.LoRA, rand.New(rand.NewPCG(c.Seed, 3))); err != nil {
		return m, fmt.Errorf("policy: %w", err)
	}
	if m.Critic, err = helpfulness.Adapt(c.LoRA, rand.New(rand.NewPCG(c.Seed, 4))); err != nil {
		return m, fmt.Errorf("critic: %w", err)
	}
	m.Critic.InitHead(head)
	return m, nil
}
