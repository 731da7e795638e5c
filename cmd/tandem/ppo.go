package main

import (
	"context"

	"tandem"
	"tandem/pipeline"
	"tandem/ppo"
)

// ppoCommand tunes a policy against the combined score by PPO (section 3.2.3).
type ppoCommand struct {
	Model              string   `required:"" type:"path" help:"Folder of the policy; it is the reference too." placeholder:"DIR"`
	Helpfulness        string   `required:"" type:"path" help:"Folder of the helpfulness model." placeholder:"DIR"`
	Safety             string   `required:"" type:"path" help:"Folder of the safety model." placeholder:"DIR"`
	Data               string   `required:"" type:"path" help:"File of prompts, JSON Lines; those marked held_out are evaluated on." placeholder:"FILE"`
	HeldOutShare       float64  `default:"0.2" help:"Share of openings to evaluate on, beside those marked, by the one rule that all stages share; 0 trains on all others (default: 0.2)." placeholder:"SHARE"`
	PtxData            []string `type:"path" help:"Files of dialogues, JSON Lines in the messages form, whose language modelling is mixed into the policy's updates; needs --ptx-coefficient." placeholder:"FILE"`
	HeldOutHelpfulness string   `type:"path" help:"Folder of a helpfulness model that learnt from other comparisons, to be asked at evaluations alone: the run warns where it no longer believes the scores." placeholder:"DIR"`
	HeldOutSafety      string   `type:"path" help:"Folder of the safety model beside it." placeholder:"DIR"`
	Preset             string   `default:"llama2-7b" help:"Configuration to start from: llama2-7b, llama2-70b or practice (default: llama2-7b)." placeholder:"NAME"`

	Iterations         *int     `help:"Iterations of sampling and updating (default: the preset's)." placeholder:"N" group:"training"`
	BatchSize          *int     `help:"Answers of an iteration (default: the preset's)." placeholder:"N" group:"training"`
	MinibatchSize      *int     `help:"Answers of a gradient step (default: the preset's)." placeholder:"N" group:"training"`
	LearningRate       *float64 `help:"Of the policy (default: the preset's)." placeholder:"RATE" group:"training"`
	FinalLearningRate  *float64 `help:"What it falls to (default: the preset's)." placeholder:"RATE" group:"training"`
	CriticLearningRate *float64 `help:"Of the critic (default: the preset's)." placeholder:"RATE" group:"training"`
	CriticWarmup       *int     `help:"First iterations, in which the critic alone is fitted (default: the preset's)." placeholder:"N" group:"training"`
	Beta               *float64 `help:"Weight of the KL penalty (default: the preset's)." placeholder:"X" group:"training"`
	KLEstimator        *string  `name:"kl-estimator" help:"How the penalty estimates the divergence at a token: k1, k2 or k3 (default: the preset's, k1)." placeholder:"NAME" group:"training"`
	KLTarget           *float64 `name:"kl-target" help:"Divergence of an answer in nats that beta, from its first value, is moved to hold; 0 for a constant beta (default: the preset's, 0)." placeholder:"NATS" group:"training"`
	KLHorizon          *int     `name:"kl-horizon" help:"Answers that it takes to change beta so by a fifth (default: the preset's, 10000)." placeholder:"N" group:"training"`
	EntropyCoefficient *float64 `help:"Weight of the policy's entropy, as a bonus (default: the preset's, 0)." placeholder:"X" group:"training"`
	PtxCoefficient     *float64 `help:"Weight of the language modelling of --ptx-data (default: the preset's, 0)." placeholder:"X" group:"training"`
	PtxBatchSize       *int     `help:"Dialogues of --ptx-data in a gradient step (default: the preset's, as many as --minibatch-size)." placeholder:"N" group:"training"`
	ClipRatio          *float64 `help:"Bound of the probability ratio (default: the preset's)." placeholder:"X" group:"training"`
	UpdateKLTarget     *float64 `name:"update-kl-target" help:"Divergence a token in nats from the policy that sampled, at 1.5 times which an iteration's updates end; 0 for never (default: the preset's, 0)." placeholder:"NATS" group:"training"`
	ValueClip          *float64 `help:"Bound of a value's move, in deviations of the returns; 0 for none (default: the preset's)." placeholder:"X" group:"training"`
	Gamma              *float64 `help:"Discount of later rewards (default: the preset's)." placeholder:"X" group:"training"`
	Lambda             *float64 `help:"Of generalised advantage estimation (default: the preset's)." placeholder:"X" group:"training"`
	WhitenScores       *bool    `negatable:"" help:"Whiten scores over the batch (default: the preset's)." group:"training"`
	WhitenRewards      *bool    `negatable:"" help:"Give the rewards of the batch's tokens the deviation 1, their mean left (default: the preset's)." group:"training"`
	WhitenAdvantages   *bool    `negatable:"" help:"Whiten advantages over the batch's tokens (default: the preset's)." group:"training"`
	Temperature        *float64 `help:"Of sampling (default: the preset's)." placeholder:"X" group:"training"`
	MaxTokens          *int     `help:"Tokens of an answer at most (default: the preset's)." placeholder:"N" group:"training"`
	MissingEOSPenalty  *float64 `name:"missing-eos-penalty" help:"Taken off the score of an answer that was cut there (default: the preset's)." placeholder:"X" group:"training"`
	UncertaintyPenalty *float64 `help:"What the disagreement of an ensemble of reward models is weighed with before it is taken off the score; both must be ensembles (default: the preset's, 0)." placeholder:"X" group:"training"`
	WeightDecay        *float64 `help:"Decoupled weight decay (default: the preset's)." placeholder:"X" group:"training"`
	GradientClip       *float64 `help:"Largest norm of the gradient (default: the preset's)." placeholder:"X" group:"training"`
	EvaluateEvery      *int     `help:"Iterations between evaluations; 0 for none (default: the preset's)." placeholder:"N" group:"training"`
	Patience           *int     `help:"Evaluations without a rise that end the run; 0 for none (default: the preset's)." placeholder:"N" group:"training"`
	CheckpointEvery    *int     `help:"Iterations between resumable states (default: the preset's)." placeholder:"N" group:"training"`
	GraphTokens        *int     `help:"Tokens that go through a model at once; bounds memory (default: the preset's)." placeholder:"N" group:"training"`
	Seed               *uint64  `help:"Seed of sampling and of the order of prompts (default: 0)." placeholder:"N" group:"training"`
	loraFlags
	stageFlags
}

func (c *ppoCommand) config() (ppo.Config, error) {
	p, err := ppo.Preset(c.Preset)
	if err != nil {
		return p, err
	}
	set(&p.Iterations, c.Iterations)
	set(&p.BatchSize, c.BatchSize)
	set(&p.MinibatchSize, c.MinibatchSize)
	set(&p.LearningRate, c.LearningRate)
	if c.LearningRate != nil { // as the preset has it, the last rate is the first, unless it is given
		p.FinalLearningRate = p.LearningRate
	}
	set(&p.FinalLearningRate, c.FinalLearningRate)
	set(&p.CriticLearningRate, c.CriticLearningRate)
	set(&p.CriticWarmup, c.CriticWarmup)
	set(&p.Beta, c.Beta)
	if c.KLEstimator != nil {
		p.KLEstimator = ppo.KLEstimator(*c.KLEstimator)
	}
	if p.KLEstimator == ppo.K1 { // said or not, it is the same run
		p.KLEstimator = ""
	}
	set(&p.KLTarget, c.KLTarget)
	set(&p.KLHorizon, c.KLHorizon)
	set(&p.EntropyCoefficient, c.EntropyCoefficient)
	set(&p.PtxCoefficient, c.PtxCoefficient)
	set(&p.PtxBatchSize, c.PtxBatchSize)
	set(&p.ClipRatio, c.ClipRatio)
	set(&p.UpdateKLTarget, c.UpdateKLTarget)
	set(&p.ValueClip, c.ValueClip)
	set(&p.Gamma, c.Gamma)
	set(&p.Lambda, c.Lambda)
	set(&p.WhitenScores, c.WhitenScores)
	set(&p.WhitenRewards, c.WhitenRewards)
	set(&p.WhitenAdvantages, c.WhitenAdvantages)
	set(&p.Temperature, c.Temperature)
	set(&p.MaxTokens, c.MaxTokens)
	set(&p.MissingEOSPenalty, c.MissingEOSPenalty)
	set(&p.UncertaintyPenalty, c.UncertaintyPenalty)
	set(&p.WeightDecay, c.WeightDecay)
	set(&p.GradientClip, c.GradientClip)
	set(&p.EvaluateEvery, c.EvaluateEvery)
	set(&p.Patience, c.Patience)
	set(&p.CheckpointEvery, c.CheckpointEvery)
	set(&p.GraphTokens, c.GraphTokens)
	set(&p.Seed, c.Seed)
	c.loraFlags.apply(&p.LoRA)
	return p, nil
}

func (c *ppoCommand) Run(ctx context.Context, w *world) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	spec := pipeline.PPO{
		Model: c.Model, Helpfulness: c.Helpfulness, Safety: c.Safety, Prompts: c.Data, HeldOutShare: c.HeldOutShare,
		PtxData: c.PtxData, HeldOutHelpfulness: c.HeldOutHelpfulness, HeldOutSafety: c.HeldOutSafety, Config: config, Out: c.Out, Name: c.name(),
	}
	return c.make(ctx, w, nil,
		func(s *pipeline.Studio) (pipeline.Plan, error) { return s.Plan(ctx, spec) },
		func(s *pipeline.Studio) (tandem.Model, error) { return s.PPO(ctx, spec, c.Resume) })
}
