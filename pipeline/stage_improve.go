package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/ppo"
	"tandem/rejection"
	"tandem/rewardmodel"
)

// Calibrate freezes how a pair of reward models is read, from samples of the policy that the loop starts
// from, and writes it into both models' lineage.
func (s *Studio) Calibrate(ctx context.Context, helpfulness, safety string, reference []tandem.ScoreRequest) error {
	h, err := chat.OpenClassifier(ctx, helpfulness, s.chatConfig())
	if err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	sf, err := chat.OpenClassifier(ctx, safety, s.chatConfig())
	if err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	if h.Model.Lineage == nil || sf.Model.Lineage == nil {
		return tandem.Errorf(tandem.Invalid, "pipeline.Calibrate", "a model without tandem.json cannot be calibrated in place")
	}
	scorer := rewardmodel.Scorer{Helpfulness: h, Safety: sf}
	if err := scorer.Calibrate(ctx, sf.Model.Lineage.Metrics["labelled"] > 0, reference); err != nil {
		return err
	}
	h.Model.Lineage.Calibration, sf.Model.Lineage.Calibration = &scorer.Combiner.Helpfulness, &scorer.Combiner.Safety
	if err := checkpoint.WriteLineage(ctx, helpfulness, *h.Model.Lineage); err != nil {
		return err
	}
	return checkpoint.WriteLineage(ctx, safety, *sf.Model.Lineage)
}

// Sample specifies one shard of rejection sampling: K answers to each of its prompts, scored.
type Sample struct {
	Policy      string           `json:"policy"`
	Helpfulness string           `json:"helpfulness"`
	Safety      string           `json:"safety"`
	Prompts     string           `json:"prompts"` // file, tandem.Prompt a line
	From        int              `json:"from"`    // the shard's prompts are [From, To) of the file
	To          int              `json:"to"`
	Config      rejection.Config `json:"config"`
	// Ids of the models, under which samples and scores are kept.
	PolicyID      string `json:"policy_id,omitempty"`
	HelpfulnessID string `json:"helpfulness_id,omitempty"`
	SafetyID      string `json:"safety_id,omitempty"`
}

// Sample draws and scores the shard's answers. What comes out depends on the prompts and the
// configuration, not on how prompts are divided over shards.
func (s *Studio) Sample(ctx context.Context, spec Sample) ([]rejection.Set, error) {
	policy, err := s.open(ctx, spec.Policy)
	if err != nil {
		return nil, err
	}
	scorer, err := s.Scorer(ctx, spec.Helpfulness, spec.Safety)
	if err != nil {
		return nil, err
	}
	prompts, err := readLines[tandem.Prompt](ctx, spec.Prompts)
	if err != nil {
		return nil, err
	}
	if spec.From < 0 || spec.To > len(prompts) || spec.From > spec.To {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Sample", "%s has %d prompts, not [%d, %d)", spec.Prompts, len(prompts), spec.From, spec.To)
	}
	return rejection.Sample(ctx, policy, scorer, prompts[spec.From:spec.To], spec.Config)
}

// Shards divides n prompts into ranges of at most size.
func Shards(n, size int) (ranges [][2]int) {
	for from := 0; from < n; from += size {
		ranges = append(ranges, [2]int{from, min(from+size, n)})
	}
	return ranges
}

// PPO specifies a run of proximal policy optimisation.
type PPO struct {
	Model       string     `json:"model"` // the policy's folder; it is the reference too
	Helpfulness string     `json:"helpfulness"`
	Safety      string     `json:"safety"`
	Prompts     string     `json:"prompts"` // file, tandem.Prompt a line; held-out ones are evaluated on
	Round       int        `json:"round,omitempty"`
	Config      ppo.Config `json:"config"`
	Out         string     `json:"out"`
	Name        string     `json:"name"`
}

// PPO tunes a policy against the combined score.
func (s *Studio) PPO(ctx context.Context, spec PPO, resume bool) (tandem.Model, error) {
	policy, err := s.open(ctx, spec.Model)
	if err != nil {
		return tandem.Model{}, err
	}
	hash, err := hashFiles(spec.Prompts)
	if err != nil {
		return tandem.Model{}, err
	}
	m, err := s.identify(making{Model: tandem.Model{
		Name: spec.Name, Kind: tandem.PolicyModel, Parent: parentID(policy.Model), Round: spec.Round, Stage: tandem.StagePPO,
		Snapshot: hash, Seed: spec.Config.Seed,
	}, Spec: spec})
	if err != nil {
		return m, err
	}
	if there, ok, err := s.finished(ctx, m, spec.Out); ok || err != nil {
		return there, err
	}
	scorer, err := s.Scorer(ctx, spec.Helpfulness, spec.Safety)
	if err != nil {
		return m, err
	}
	prompts, err := readLines[tandem.Prompt](ctx, spec.Prompts)
	if err != nil {
		return m, err
	}
	training := slices.DeleteFunc(slices.Clone(prompts), func(p tandem.Prompt) bool { return p.HeldOut })
	heldOut := slices.DeleteFunc(prompts, func(p tandem.Prompt) bool { return !p.HeldOut })
	room := policy.Weights.Config.MaxPositionEmbeddings - spec.Config.MaxTokens
	environment, err := ppo.NewDialogues(ctx, policy.Template, policy.Tokenizer, scorer, training, heldOut, room, spec.Config.Seed)
	if err != nil {
		return m, err
	}
	critic, err := chat.OpenClassifier(ctx, spec.Helpfulness, s.chatConfig())
	if err != nil {
		return m, err
	}
	models := ppo.Models{
		Policy: policy.Weights, Reference: policy.Weights.Clone(),
		Critic: critic.Weights.ToClassifier(rand.New(rand.NewPCG(spec.Config.Seed, 2))), // the trunk with a fresh head
	}
	trainer, err := ppo.NewTrainer(s.Device, models, environment, spec.Config, s.Workers)
	if err != nil {
		return m, err
	}
	states := statesOf(spec.Out)
	if resume {
		if _, err := trainer.Resume(ctx, states); err != nil {
			return m, err
		}
	} else if err := untouched(ctx, states, spec.Out); err != nil {
		return m, err
	}
	m.Metrics = make(map[string]float64)
	err = trainer.Run(ctx, states, ppo.Observer{
		Iteration: func(stats ppo.Stats) {
			m.Metrics = stats.Metrics()
			s.observe(Observation{Stage: tandem.StagePPO, Step: stats.Iteration, Steps: spec.Config.Iterations, Metrics: stats.Metrics()})
		},
		Evaluation: func(e ppo.Evaluation) {
			s.observe(Observation{Stage: tandem.StagePPO, Step: e.Iteration, Steps: spec.Config.Iterations, Metrics: e.Metrics()})
		},
	})
	if err != nil {
		return m, err
	}
	return s.keep(ctx, spec.Out, policy.Model, policy.Weights, m)
}
