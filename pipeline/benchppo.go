package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/ppo"
	"tandem/statistics"
)

// BenchPPO is what a benchmark of PPO runs: iterations as a run makes them, of the policy and the critic both, without
// evaluations and checkpoints.
type BenchPPO struct {
	// Model, Helpfulness, Safety and Prompts are a run's. All are empty for random weights of an architecture and random
	// prompts, to which every answer has MaxTokens tokens.
	Model, Helpfulness, Safety, Prompts string
	Architecture                        llama.Config
	PromptTokens                        int

	Config     ppo.Config // of the run
	Iterations int        // measured, after two that are not
	// Product multiplies two matrices as fast as the machine can and returns the rate in flops a second. It is asked for after
	// each iteration: the speed of a machine that others share changes within seconds, for both alike.
	Product func() float64
}

// PPOBench is where the time of an iteration goes. Figures are medians over the iterations.
type PPOBench struct {
	TokensPerSecond     float64      `json:"tokens_per_second"` // sampled, by the time of whole iterations
	FlopsPerSecond      float64      `json:"flops_per_second"`
	PeakFlopsPerSecond  float64      `json:"peak_flops_per_second"` // the best square product, measured between iterations
	ShareOfPeak         float64      `json:"share_of_peak"`
	PeakMemoryBytes     int64        `json:"peak_memory_bytes"`
	SecondsPerIteration float64      `json:"seconds_per_iteration"`
	Iterations          int          `json:"iterations"`
	Answers             int          `json:"answers"`       // of an iteration
	Minibatch           int          `json:"minibatch"`     // answers of a gradient step
	PromptTokens        float64      `json:"prompt_tokens"` // of a prompt, mean
	AnswerTokens        float64      `json:"answer_tokens"` // of an answer, mean
	Phases              []PhaseBench `json:"phases"`
	// Alone is what a sampler with nothing beside it reaches on the same prompts with answers of the same lengths, in turn
	// with the iterations.
	Alone struct {
		TokensPerSecond float64 `json:"tokens_per_second"`
		Share           float64 `json:"share"` // of it that the sampling phase reaches
	} `json:"sampler_alone"`
	// OutsideShare is the share of an iteration outside sampling, scoring and updates, where the forward passes that updates
	// need are part of them; OutsideWithForward counts those as outside.
	OutsideShare       float64 `json:"outside_share"`
	OutsideWithForward float64 `json:"outside_share_with_forward"`

	Architecture llama.Config `json:"-"` // of the policy
}

// PhaseBench is a phase of an iteration.
type PhaseBench struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Share   float64 `json:"share"` // of the iteration
	// Tokens that a second takes: of answers in sampling, of prompts and answers else, once however many models they pass.
	TokensPerSecond float64 `json:"tokens_per_second,omitempty"`
	FlopsPerSecond  float64 `json:"flops_per_second,omitempty"`
	ShareOfPeak     float64 `json:"share_of_peak,omitempty"`
	// PeakMemoryBytes is the most that the process held in this phase of the iteration before the measured ones, when there
	// was nothing yet to compare with; 0 where the system does not say.
	PeakMemoryBytes int64 `json:"peak_memory_bytes,omitempty"`
}

// benchWarmup is how many iterations are not measured: the first one makes most buffers.
const benchWarmup = 2

// BenchPPO measures iterations of PPO.
func (s *Studio) BenchPPO(ctx context.Context, spec BenchPPO) (PPOBench, error) {
	spec.Config.Iterations = benchWarmup + spec.Iterations
	spec.Config.CriticWarmup, spec.Config.EvaluateEvery, spec.Config.Patience = 0, 0, 0
	b, err := s.benchPPO(ctx, spec)
	if err != nil {
		return PPOBench{}, err
	}
	trainer, err := ppo.NewTrainer(s.Device, b.models, b, spec.Config, s.Workers)
	if err != nil {
		return PPOBench{}, err
	}
	alone := s.chatConfig().Sampler
	alone.Slots = spec.Config.Slots()
	if b.alone, err = llama.NewSampler(b.models.Policy, alone); err != nil {
		return PPOBench{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b.started = time.Now()
	err = trainer.Run(ctx, nil, ppo.Observer{Iteration: func(stats ppo.Stats) {
		if err := b.iteration(ctx, stats); err != nil {
			stop(err)
		}
	}})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return PPOBench{}, err
	}
	return b.result(), nil
}

// ppoBench is a benchmark under way. It is the environment of the run, so that it sees the answers.
type ppoBench struct {
	ppo.Environment
	spec   BenchPPO
	models ppo.Models
	judges []*llama.Weights

	alone   *llama.Sampler
	answers []ppo.Answer // of the iteration
	started time.Time    // the iteration
	memory  ppo.Phases
	runs    []benchedIteration
}

// benchedIteration is one that was measured.
type benchedIteration struct {
	stats   ppo.Stats
	seconds float64 // from the end of the one before it
	alone   float64 // seconds that the sampler alone took
	peak    float64 // flops a second of a matrix product after it
}

// benchPPO opens or makes up models and prompts.
func (s *Studio) benchPPO(ctx context.Context, spec BenchPPO) (*ppoBench, error) {
	b := &ppoBench{spec: spec}
	if spec.Model == "" {
		return b, s.makeUp(b)
	}
	policy, err := s.open(ctx, spec.Model)
	if err != nil {
		return nil, err
	}
	scorer, err := s.Scorer(ctx, spec.Helpfulness, spec.Safety)
	if err != nil {
		return nil, err
	}
	trunk, err := trunkOf(scorer)
	if err != nil {
		return nil, err
	}
	prompts, err := readPrompts(ctx, spec.Prompts)
	if err != nil {
		return nil, err
	}
	room := policy.Weights.Config.MaxPositionEmbeddings - spec.Config.MaxTokens
	b.Environment, err = ppo.NewDialogues(ctx, policy.Template, policy.Tokenizer, scorer, prompts, nil, room, spec.Config.Seed)
	if err != nil {
		return nil, err
	}
	b.judges = judgeWeights(scorer)
	b.models, err = ppo.NewModels(policy.Weights, trunk, spec.Config)
	return b, err
}

// Score keeps the answers for the comparison.
func (b *ppoBench) Score(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
	b.answers = answers
	return b.Environment.Score(ctx, answers)
}

// iteration measures, beside an iteration that has ended, what it is compared with.
func (b *ppoBench) iteration(ctx context.Context, stats ppo.Stats) error {
	seconds := time.Since(b.started).Seconds()
	if stats.Iteration == benchWarmup {
		b.memory = stats.Phases
	}
	if stats.Iteration >= benchWarmup { // the first time makes buffers here too
		alone, err := b.sampleAlone(ctx)
		if err != nil {
			return fmt.Errorf("the sampler alone: %w", err)
		}
		peak := b.spec.Product()
		if stats.Iteration > benchWarmup {
			b.runs = append(b.runs, benchedIteration{stats, seconds, alone, peak})
		}
	}
	b.started = time.Now()
	return nil
}

// sampleAlone has a sampler answer the iteration's prompts again, with as many tokens each, and returns the seconds it took.
func (b *ppoBench) sampleAlone(ctx context.Context) (seconds float64, err error) {
	requests := make([]llama.Request, len(b.answers))
	for i, a := range b.answers {
		requests[i] = llama.Request{
			Prompt: a.Question.Tokens, Sampling: tandem.Sampling{Temperature: b.spec.Config.Temperature, MaxTokens: len(a.Tokens)},
			Key: tandem.SampleKey{Prompt: a.Question.Key, Sample: uint64(i)},
		}
	}
	start := time.Now()
	for _, err := range b.alone.Sample(ctx, requests) {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

// result works out the figures.
func (b *ppoBench) result() PPOBench {
	c := b.spec.Config
	middle := func(of func(benchedIteration) float64) float64 {
		var all []float64
		for _, r := range b.runs {
			all = append(all, of(r))
		}
		return statistics.Quantile(slices.Sorted(slices.Values(all)), 0.5)
	}
	flops := func(r benchedIteration) phaseFlops { return iterationFlops(b.models, b.judges, c, r.stats) }
	sampled := func(r benchedIteration) float64 { return r.stats.Length * float64(c.BatchSize) }
	passed := func(r benchedIteration) float64 {
		return (r.stats.PromptLength + r.stats.Length) * float64(c.BatchSize)
	}
	none := func(benchedIteration) float64 { return 0 }
	rest := func(r benchedIteration) float64 {
		s := r.stats
		return r.seconds - s.Sampling.Seconds - s.Scoring.Seconds - s.Forward.Seconds - s.Updates.Seconds
	}

	out := PPOBench{Iterations: len(b.runs), Answers: c.BatchSize, Minibatch: c.MinibatchSize, Architecture: b.models.Policy.Config}
	for _, p := range []struct {
		name                   string
		memory                 ppo.Phase
		seconds, tokens, flops func(benchedIteration) float64
	}{
		{"sampling", b.memory.Sampling, func(r benchedIteration) float64 { return r.stats.Sampling.Seconds }, sampled, func(r benchedIteration) float64 { return flops(r).sampling }},
		{"scoring", b.memory.Scoring, func(r benchedIteration) float64 { return r.stats.Scoring.Seconds }, passed, func(r benchedIteration) float64 { return flops(r).scoring }},
		{"forward", b.memory.Forward, func(r benchedIteration) float64 { return r.stats.Forward.Seconds }, passed, func(r benchedIteration) float64 { return flops(r).forward }},
		{"updates", b.memory.Updates, func(r benchedIteration) float64 { return r.stats.Updates.Seconds }, passed, func(r benchedIteration) float64 { return flops(r).updates }},
		{"rest", b.memory.Rest, rest, none, none},
	} {
		out.Phases = append(out.Phases, PhaseBench{
			Name: p.name, Seconds: middle(p.seconds), PeakMemoryBytes: p.memory.PeakBytes,
			Share:           middle(func(r benchedIteration) float64 { return p.seconds(r) / r.seconds }),
			TokensPerSecond: middle(func(r benchedIteration) float64 { return p.tokens(r) / p.seconds(r) }),
			FlopsPerSecond:  middle(func(r benchedIteration) float64 { return p.flops(r) / p.seconds(r) }),
			ShareOfPeak:     middle(func(r benchedIteration) float64 { return p.flops(r) / p.seconds(r) / r.peak }),
		})
		out.PeakMemoryBytes = max(out.PeakMemoryBytes, p.memory.PeakBytes)
	}
	whole := func(r benchedIteration) float64 { return flops(r).all() }
	out.SecondsPerIteration = middle(func(r benchedIteration) float64 { return r.seconds })
	out.TokensPerSecond = middle(func(r benchedIteration) float64 { return sampled(r) / r.seconds })
	out.FlopsPerSecond = middle(func(r benchedIteration) float64 { return whole(r) / r.seconds })
	out.PeakFlopsPerSecond = middle(func(r benchedIteration) float64 { return r.peak })
	out.ShareOfPeak = middle(func(r benchedIteration) float64 { return whole(r) / r.seconds / r.peak })
	out.PromptTokens = middle(func(r benchedIteration) float64 { return r.stats.PromptLength })
	out.AnswerTokens = middle(func(r benchedIteration) float64 { return r.stats.Length })
	out.Alone.TokensPerSecond = middle(func(r benchedIteration) float64 { return sampled(r) / r.alone })
	out.Alone.Share = middle(func(r benchedIteration) float64 { return r.alone / r.stats.Sampling.Seconds })
	out.OutsideShare = middle(func(r benchedIteration) float64 { return rest(r) / r.seconds })
	out.OutsideWithForward = middle(func(r benchedIteration) float64 { return (rest(r) + r.stats.Forward.Seconds) / r.seconds })
	return out
}
