package ppo

import (
	"context"
	"fmt"
	"math"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn"
)

// Trainer tunes a policy. One goroutine uses it at a time.
type Trainer struct {
	// AnyKernel allows to resume a state of another machine's kernels. Results then differ in the last bits.
	AnyKernel bool
	// SecondJudge, if not nil, scores the answers to held-out questions beside the environment: reward models that learnt
	// from other pairs. No update sees it; where it no longer believes the environment's scores, a Trouble says so.
	SecondJudge func(ctx context.Context, answers []Answer) ([]tandem.Score, error)

	config      Config
	kernel      string // what the bits depend on
	environment Environment
	policy      *learner
	critic      *learner
	ptx         *ptx // nil where nothing is mixed in
	reference   *llama.Program
	sides       []*side // of policy and critic
	sampler     *llama.Sampler

	iteration int     // updates so far
	beta      float64 // of the next one
	stopping  stopping
	diagnosis diagnosis
}

// NewTrainer prepares a run. workers is how many goroutines sample; 0 is one for each core.
func NewTrainer(dev nn.Device, models Models, environment Environment, c Config, workers int) (*Trainer, error) {
	const op = "ppo.NewTrainer"
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch {
	case models.Policy == models.Reference:
		return nil, tandem.Errorf(tandem.Invalid, op, "policy and reference are the same weights; the reference must be a copy")
	case models.Policy.Config.VocabSize != models.Critic.Config.VocabSize:
		return nil, tandem.Errorf(tandem.Invalid, op, "the policy has a vocabulary of %d, the critic one of %d: they must share a tokenizer",
			models.Policy.Config.VocabSize, models.Critic.Config.VocabSize)
	case !models.Critic.IsClassifier():
		return nil, tandem.Errorf(tandem.Invalid, op, "the critic has no scalar head")
	case models.Policy.LoRA() != c.LoRA.WithDefaults() || models.Critic.LoRA() != c.LoRA.WithDefaults():
		return nil, tandem.Errorf(tandem.Invalid, op, "the configuration has adapters %+v, the policy %+v and the critic %+v: see NewModels",
			c.LoRA.WithDefaults(), models.Policy.LoRA(), models.Critic.LoRA())
	case (models.Ptx != nil) != (c.PtxCoefficient > 0):
		return nil, tandem.Errorf(tandem.Invalid, op, "ptx-coefficient is %g, and there is data to mix in: %t; neither is without the other", c.PtxCoefficient, models.Ptx != nil)
	}
	t := &Trainer{config: c, kernel: dev.String(), environment: environment, beta: c.Beta}
	policy, critic := newSides(dev)
	t.sides = []*side{policy, critic}
	var err error
	if t.policy, err = newPolicy(policy, models.Policy, c); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if models.Ptx != nil {
		if t.ptx, err = newPtx(policy, models.Policy, models.Ptx, c); err != nil {
			return nil, fmt.Errorf("ptx: %w", err)
		}
	}
	if t.reference, err = newReference(policy, models.Reference, c); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	if t.critic, err = newCritic(critic, models.Critic, c); err != nil {
		return nil, fmt.Errorf("critic: %w", err)
	}
	t.sampler, err = llama.NewSampler(models.Policy, llama.SamplerConfig{Workers: workers, Slots: c.Slots()})
	return t, err
}

// iterate is one iteration of PPO. Until the update it can be cancelled and changes nothing; the update
// itself runs to its end.
func (t *Trainer) iterate(ctx context.Context) (Stats, error) {
	var stats Stats
	meter := startMeter()

	// 1. Sample answers from the policy, with ln π_old of every token.
	questions, err := t.environment.Questions(t.iteration, t.config.BatchSize)
	if err != nil {
		return Stats{}, fmt.Errorf("draw questions: %w", err)
	}
	rollouts, err := sample(ctx, t.sampler, questions, t.environment.Stop(), t.config, uint64(t.iteration))
	if err != nil {
		return Stats{}, err
	}
	meter.lap(&stats.Sampling)

	// 2. Score them: R_c.
	if err := t.judge(ctx, rollouts); err != nil {
		return Stats{}, err
	}
	meter.lap(&stats.Scoring)

	// 3. ln π_0 and V of every token, from the training graphs and in the update's own packing.
	batches := pack(rollouts, t.config.MinibatchSize, t.config.shape(t.policy.weights).Tokens)
	meter.lap(&stats.Rest)
	if err := t.forward(ctx, batches); err != nil {
		return Stats{}, err
	}
	meter.lap(&stats.Forward)

	// 4. Rewards −β·KL a token and R̃_c at the last, then advantages and returns.
	t.estimate(rollouts)

	// 5. A gradient step of critic and policy for each minibatch.
	var u updates
	deviation := returnDeviation(rollouts)
	meter.lap(&stats.Rest)
	rate := t.learningRate()
	moves := t.iteration >= t.config.CriticWarmup
	critic := func() error { return t.updateCritic(batches, t.valueClip(deviation), &u) }
	if moves {
		err = beside(t.sides, func() error { return t.updatePolicy(batches, rate, &u) }, critic)
	} else {
		err = critic()
	}
	if err != nil {
		return Stats{}, err
	}
	t.iteration++
	meter.lap(&stats.Updates)
	stats.describe(rollouts, t.beta, t.config.KLEstimator)
	stats.describeUpdates(u, len(batches), t.config)
	stats.Iteration, stats.Episodes, stats.LearningRate = t.iteration, t.iteration*t.config.BatchSize, rate
	if moves && t.config.KLTarget > 0 {
		t.beta = adapt(t.beta, stats.KL, t.config.KLTarget, len(rollouts), t.config.horizon())
	}
	meter.lap(&stats.Rest)
	return stats, nil
}

// judge fills in the rollouts' scores.
func (t *Trainer) judge(ctx context.Context, rollouts []*rollout) error {
	scores, err := t.environment.Score(ctx, answersOf(rollouts))
	if err != nil {
		return fmt.Errorf("score answers: %w", err)
	}
	for i, r := range rollouts {
		r.combined, r.uncertainty = scores[i].Combined, scores[i].Uncertainty
		r.score = cautious(scores[i], t.config.UncertaintyPenalty)
		if r.answer.Finish != tandem.FinishStop {
			r.score -= t.config.MissingEOSPenalty
		}
	}
	return nil
}

// forward fills in what reference and critic say of the rollouts.
func (t *Trainer) forward(ctx context.Context, batches []*minibatch) error {
	var all []*microbatch
	for _, mb := range batches {
		all = append(all, mb.micro...)
	}
	return beside(t.sides, func() error {
		return pass(ctx, t.reference, all, "log-probabilities of the reference", func(m *microbatch) llama.Batch {
			plain := m.policy
			plain.Inputs = nil
			return plain
		}, func(r *rollout) *[]float32 { return &r.reference })
	}, func() error {
		return pass(ctx, t.critic.program, all, "values", func(m *microbatch) llama.Batch { return m.critic },
			func(r *rollout) *[]float32 { return &r.values })
	})
}

// pass has a program go forward over microbatches and keeps its first output in a field of the rollouts.
func pass(ctx context.Context, p *llama.Program, all []*microbatch, what string, batch func(*microbatch) llama.Batch, field func(*rollout) *[]float32) error {
	for _, m := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		result, err := p.Forward(batch(m))
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		m.gather(result.Outputs[0], field)
	}
	return nil
}

// estimate turns scores and KL into rewards, and those into advantages and returns.
func (t *Trainer) estimate(rollouts []*rollout) {
	scores := make([]float32, len(rollouts))
	for i, r := range rollouts {
		scores[i] = float32(r.score)
	}
	if t.config.WhitenScores {
		whiten(scores)
	}
	for i, r := range rollouts {
		r.rewards = tokenRewards(float64(scores[i]), t.beta, t.config.KLEstimator, r.logprobs, r.reference)
	}
	if t.config.WhitenRewards {
		whitenRewards(rollouts)
	}
	for _, r := range rollouts {
		values := make([]float64, len(r.values))
		for j, v := range r.values {
			values[j] = float64(v)
		}
		advantages, returns := gae(r.rewards, values, t.config.Gamma, t.config.Lambda)
		r.advantage, r.returns = narrow(advantages), narrow(returns)
	}
	if t.config.WhitenAdvantages {
		whitenAll(rollouts, func(r *rollout) []float32 { return r.advantage })
	}
}

// learningRate falls linearly from LearningRate to FinalLearningRate over the run's iterations.
func (t *Trainer) learningRate() float64 {
	done := float64(t.iteration) / float64(t.config.Iterations)
	return t.config.LearningRate + done*(t.config.FinalLearningRate-t.config.LearningRate)
}

// valueClip is the bound in the returns' units; a clip of 0 in the configuration is none.
func (t *Trainer) valueClip(deviation float64) float64 {
	if t.config.ValueClip == 0 {
		return math.MaxFloat32
	}
	return t.config.ValueClip * deviation
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
