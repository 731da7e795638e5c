package pipeline

import (
	"context"

	"tandem"
	"tandem/internal/memory"
	"tandem/llama"
	"tandem/llama/train"
	"tandem/ppo"
	"tandem/rejection"
	"tandem/sft"
)

// Expectation is what a stage would take on this machine.
type Expectation struct {
	Flops          float64 `json:"flops"`            // floating point operations, from the beginning of the run
	FlopsPerSecond float64 `json:"flops_per_second"` // that the stage is expected to make: a share of the best matrix product
	Seconds        float64 `json:"seconds"`          // of what is still to be done, with the machine to itself
	MemoryBytes    int64   `json:"memory_bytes"`     // of the process, at its peak; 0 where the system does not tell
	// AtMost says that answers, whose lengths nobody knows yet, were taken to be as long as they may.
	AtMost bool `json:"at_most"`
}

// after is both, one after the other; before may be nil.
func (e *Expectation) after(before *Expectation) *Expectation {
	if before == nil {
		return e
	}
	both := *e
	both.Flops += before.Flops
	if both.Flops > 0 {
		both.FlopsPerSecond = both.Flops / (e.Flops/e.FlopsPerSecond + before.Flops/before.FlopsPerSecond)
	}
	both.Seconds += before.Seconds
	both.MemoryBytes = max(e.MemoryBytes, before.MemoryBytes)
	both.AtMost = e.AtMost || before.AtMost
	return &both
}

// What stages make of the machine's best matrix product, measured on the practice model's stages; see docs/watching.md.
const (
	trainingShare = 0.55
	ppoShare      = 0.55
	samplingShare = 0.4
)

// scratch is the memory of kernels' buffers and of garbage that the runtime has not collected yet, as measured beside these.
const scratch = 64 << 20

// load is what a stage has to do, before a machine is asked about it.
type load struct {
	flops  float64
	share  float64 // of the best matrix product
	bytes  int     // of memory beside what the process has read
	atMost bool
}

// expect is what the load of a stage, of which that share is left to be done, takes where a matrix product has that rate (see
// train.DeviceProduct).
func (l load) expect(product, left float64) *Expectation {
	e := &Expectation{Flops: l.flops, FlopsPerSecond: l.share * product, AtMost: l.atMost}
	e.Seconds = left * e.Flops / e.FlopsPerSecond
	// What the stage reads has been read: models, data, the runtime.
	if read := memory.Peak(); read > 0 {
		e.MemoryBytes = read + int64(l.bytes) + scratch
	}
	return e
}

// fitLoad is the load of fitting weights to a task.
func (s *Studio) fitLoad(w *llama.Weights, task, heldOut train.Task, c train.Config) (load, error) {
	w, err := adapted(w, c)
	if err != nil {
		return load{}, err
	}
	t := train.Trainer{Device: s.Device, Weights: w, Task: task, HeldOut: heldOut, Config: c}
	e, err := t.Expect()
	if err != nil {
		return load{}, err
	}
	length := func(s llama.Shape) float64 { return float64(s.Tokens) / float64(max(s.Sequences, 1)) }
	flops := trainFlops(w, float64(e.Trained.Tokens), length(e.Trained)) + graphFlops(w, float64(e.Measured.Tokens), length(e.Measured))
	return load{flops: flops, share: trainingShare, bytes: e.Bytes}, nil
}

// samplingLoad is the load of sampling answers to prompts and scoring them.
func (s *Studio) samplingLoad(ctx context.Context, path string, judges []*llama.Weights, prompts []tandem.Prompt, c rejection.Config) (load, error) {
	policy, err := s.open(ctx, path)
	if err != nil {
		return load{}, err
	}
	l, longest := load{share: samplingShare, atMost: true}, 0
	for _, p := range prompts {
		tokens, _, err := policy.Prompt(ctx, tandem.GenerateRequest{Messages: p.Messages})
		if err != nil {
			return l, err
		}
		length := float64(len(tokens) + c.MaxTokens)
		// Samples of one prompt and temperature compute it once.
		l.flops += passFlops(policy.Weights, float64(len(c.Temperature)*len(tokens)+c.Samples()*c.MaxTokens), length)
		for _, w := range judges {
			l.flops += float64(c.Samples()) * passFlops(w, length, length)
		}
		longest = max(longest, int(length))
	}
	sampler, err := llama.NewSampler(policy.Weights, s.chatConfig().Sampler)
	if err != nil {
		return l, err
	}
	l.bytes = sampler.CacheBytes(c.Samples()*len(prompts), longest)
	return l, nil
}

// imitationLoad is the load of fine-tuning a base model on demonstrations and on as many targets as there may be, which are not
// sampled yet and are taken to be as long as demonstrations.
func (s *Studio) imitationLoad(ctx context.Context, base string, demonstrations []tandem.Dialogue, targets int, c train.Config) (load, error) {
	policy, err := s.open(ctx, base)
	if err != nil || len(demonstrations) == 0 {
		return load{share: trainingShare}, err
	}
	task, _, err := sft.NewTask(ctx, policy.Template, demonstrations, policy.Weights.Config.MaxPositionEmbeddings)
	if err != nil {
		return load{}, err
	}
	l, err := s.fitLoad(policy.Weights, task, nil, c)
	if c.Steps == 0 {
		l.flops *= float64(len(demonstrations)+targets) / float64(len(demonstrations))
	}
	return l, err
}

// ppoLoad is the load of a run of PPO, whose answers are taken to be as long as they may; evaluations and language modelling that
// is mixed in come to little beside.
func (s *Studio) ppoLoad(models ppo.Models, environment ppo.Environment, judges []*llama.Weights, c ppo.Config) (load, error) {
	trainer, err := ppo.NewTrainer(s.Device, models, environment, c, s.Workers)
	if err != nil {
		return load{}, err
	}
	e, err := trainer.Expect()
	if err != nil {
		return load{}, err
	}
	l := load{share: ppoShare, bytes: e.Bytes, atMost: true}
	for i := range c.Iterations {
		stats := ppo.Stats{Iteration: i + 1, PromptLength: e.PromptLength, Length: float64(c.MaxTokens)}
		l.flops += iterationFlops(models, judges, c, stats).all()
	}
	return l, nil
}
