package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"

	"tandem"
	"tandem/dataset"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
	"tandem/llama/train"
	"tandem/pretrain"
	"tandem/sft"
)

// Pretrain specifies a model fitted to texts: made from nothing, with a tokenizer trained on the texts or
// another model's, or gone on with from a model that is there.
type Pretrain struct {
	// Model, if not empty, is the folder whose weights and tokenizer are gone on with.
	Model  string             `json:"model,omitempty"`
	Texts  []string           `json:"texts"` // files, see dataset.ReadTexts
	Format dataset.TextFormat `json:"format"`
	// TokenizerOf, if not empty, is the model folder or tokenizer file that a new model takes its tokenizer
	// from; Tokenizer says how one is trained otherwise.
	TokenizerOf string                `json:"tokenizer_of,omitempty"`
	Tokenizer   tokenizer.TrainConfig `json:"tokenizer"`
	// Rendered says that the texts hold special tokens to be read as such: dialogues that a template wrote.
	Rendered bool            `json:"rendered,omitempty"`
	Shape    Shape           `json:"shape"`
	Config   pretrain.Config `json:"config"`
	Out      string          `json:"out"`
	Name     string          `json:"name"`
}

// Shape is the architecture of a model made from nothing; what it leaves out follows Llama 2.
type Shape struct {
	HiddenSize       int  `json:"hidden_size"`
	IntermediateSize int  `json:"intermediate_size"`
	Layers           int  `json:"layers"`
	Heads            int  `json:"heads"`
	KeyValueHeads    int  `json:"key_value_heads"`
	Context          int  `json:"context"`
	Tied             bool `json:"tied"` // the output matrix is the embedding
}

// config is the architecture with a tokenizer's vocabulary.
func (s Shape) config(t *tokenizer.Tokenizer) (llama.Config, error) {
	special := t.Special()
	c := llama.Config{
		VocabSize: t.VocabSize(), HiddenSize: s.HiddenSize, IntermediateSize: s.IntermediateSize, NumHiddenLayers: s.Layers,
		NumAttentionHeads: s.Heads, NumKeyValueHeads: s.KeyValueHeads, MaxPositionEmbeddings: s.Context,
		RMSNormEps: 1e-5, RopeTheta: 10000, TieWordEmbeddings: s.Tied,
		BOS: int(special.BOS), EOS: []int{int(special.EOS)}, PAD: int(special.PAD),
	}
	if s.Heads > 0 {
		c.HeadDim = s.HiddenSize / s.Heads
	}
	return c, c.Validate()
}

// Pretrain makes a base model.
func (s *Studio) Pretrain(ctx context.Context, spec Pretrain, resume bool) (tandem.Model, error) {
	return s.carryOut(ctx, spec, resume)
}

func (p Pretrain) folder() string { return p.Out }

func (p Pretrain) describe(ctx context.Context, _ *Studio) (m tandem.Model, err error) {
	m = tandem.Model{Name: p.Name, Kind: tandem.PolicyModel, Stage: tandem.StagePretrain, Seed: p.Config.Fit.Seed}
	if p.Model != "" {
		if m.Parent, err = parentID(ctx, p.Model); err != nil {
			return m, err
		}
	}
	m.Snapshot, err = HashFiles(p.Texts...)
	return m, err
}

func (p Pretrain) prepare(ctx context.Context, s *Studio) (*prepared, error) {
	if p.Model == "" && p.Config.Fit.LoRA.Rank > 0 {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Pretrain", "lora-rank is %d, and a new model has nothing to adapt: name the model to go on with", p.Config.Fit.LoRA.Rank)
	}
	made, t, err := p.start(ctx, s)
	if err != nil {
		return nil, err
	}
	var encoder pretrain.Encoder = t
	if p.Rendered {
		encoder = rendered{t}
	}
	special := t.Special()
	task, err := pretrain.Task(encoder, readTexts(p), special.BOS, special.EOS, p.Config.Context)
	if err != nil {
		return nil, err
	}
	tokens := 0
	for i := range task.Examples() {
		tokens += task.Shape(i).Tokens
	}
	counts := map[string]int{"sequences": task.Examples(), "tokens": tokens, "vocabulary": t.VocabSize()}
	countAdapted(counts, "trained_parameters", p.Config.Fit.LoRA, made.Weights.Config, 0)
	return &prepared{
		steps:  p.Config.Fit.TotalSteps(task.Examples()),
		counts: counts,
		lora:   p.Config.Fit.LoRA,
		expect: func() (load, error) { return s.fitLoad(made.Weights, task, nil, p.Config.Fit) },
		do: func(ctx context.Context, w *work) (*checkpoint.Model, map[string]float64, error) {
			weights, metrics, err := w.fit(ctx, made.Weights, task, nil, p.Config.Fit)
			return derived(made, weights), metrics, err
		},
	}, nil
}

// start is the model that training starts from, and its tokenizer.
func (p Pretrain) start(ctx context.Context, s *Studio) (*checkpoint.Model, *tokenizer.Tokenizer, error) {
	if p.Model != "" {
		policy, err := s.open(ctx, p.Model)
		if err != nil {
			return nil, nil, err
		}
		return derived(policy.Model, policy.Weights), policy.Tokenizer, nil
	}
	t, err := p.tokenizer(ctx)
	if err != nil {
		return nil, nil, err
	}
	config, err := p.Shape.config(t)
	if err != nil {
		return nil, nil, err
	}
	if p.Config.Context > config.MaxPositionEmbeddings {
		return nil, nil, tandem.Errorf(tandem.Invalid, "pipeline.Pretrain", "training sequences of %d tokens are longer than the model's context of %d", p.Config.Context, config.MaxPositionEmbeddings)
	}
	w := llama.NewWeights(config, false)
	w.Init(rand.New(rand.NewPCG(p.Config.Fit.Seed, 0)))
	return &checkpoint.Model{Weights: w, Files: t.Files()}, t, nil
}

// tokenizer is another model's, or one trained on the texts.
func (p Pretrain) tokenizer(ctx context.Context) (*tokenizer.Tokenizer, error) {
	if p.TokenizerOf != "" {
		return tokenizer.Open(p.TokenizerOf)
	}
	var broken error
	texts := func(yield func(string) bool) {
		for text, err := range readTexts(p) {
			if err != nil {
				broken = err
				return
			}
			if !yield(text) {
				return
			}
		}
	}
	t, err := tokenizer.Train(ctx, texts, p.Tokenizer)
	if broken != nil {
		return nil, broken
	}
	return t, err
}

// rendered reads special tokens that are spelled in a text.
type rendered struct{ tokenizer *tokenizer.Tokenizer }

func (r rendered) Encode(text string, addSpecial bool) ([]int32, error) {
	return r.tokenizer.EncodeRendered(text, addSpecial)
}

// readTexts yields the documents of all files.
func readTexts(spec Pretrain) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		for _, path := range spec.Texts {
			f, err := dataset.Open(path)
			if err != nil {
				yield("", err)
				return
			}
			for text, err := range dataset.ReadTexts(path, f, spec.Format) {
				if !yield(text, err) || err != nil {
					_ = f.Close() // read only
					return
				}
			}
			if err := f.Close(); err != nil {
				yield("", fmt.Errorf("read %s: %w", path, err))
				return
			}
		}
	}
}

// FineTune specifies a policy fitted to dialogues: the first chat model, or a later version on rejection
// sampling's targets.
type FineTune struct {
	Model  string                 `json:"model"` // folder that it starts from
	Data   []string               `json:"data"`  // files of dialogues
	Format dataset.DialogueFormat `json:"format,omitempty"`
	// HeldOutShare of openings is left out by the one rule, see tandem.HeldOut, and the loss measured on it.
	HeldOutShare float64      `json:"held_out_share,omitempty"`
	Stage        tandem.Stage `json:"stage"` // sft or reject
	Round        int          `json:"round,omitempty"`
	Config       train.Config `json:"config"`
	Out          string       `json:"out"`
	Name         string       `json:"name"`
}

// FineTune fits a policy to dialogues.
func (s *Studio) FineTune(ctx context.Context, spec FineTune, resume bool) (tandem.Model, error) {
	return s.carryOut(ctx, spec, resume)
}

func (f FineTune) folder() string { return f.Out }

func (f FineTune) describe(ctx context.Context, _ *Studio) (m tandem.Model, err error) {
	m = tandem.Model{Name: f.Name, Kind: tandem.PolicyModel, Round: f.Round, Stage: f.Stage, Seed: f.Config.Seed}
	if m.Parent, err = parentID(ctx, f.Model); err != nil {
		return m, err
	}
	m.Snapshot, err = HashFiles(f.Data...)
	return m, err
}

func (f FineTune) prepare(ctx context.Context, s *Studio) (*prepared, error) {
	if err := f.Config.Validate(); err != nil {
		return nil, err
	}
	policy, err := s.open(ctx, f.Model)
	if err != nil {
		return nil, err
	}
	dialogues, err := readDialogues(ctx, f.Format, f.Data...)
	if err != nil {
		return nil, err
	}
	training, heldOut := splitItems(dialogues, tandem.Dialogue.Opening, func(tandem.Dialogue) bool { return false }, f.HeldOutShare)
	if err := s.tellSplit("dialogues", len(training), len(heldOut)); err != nil {
		return nil, err
	}
	most := policy.Weights.Config.MaxPositionEmbeddings
	task, made, err := sft.NewTask(ctx, policy.Template, training, most)
	if err != nil {
		return nil, err
	}
	var held train.Task
	if len(heldOut) > 0 {
		measured, p, err := sft.NewTask(ctx, policy.Template, heldOut, most)
		switch {
		case err == nil:
			held = measured
		case p.TooLong+p.Untrained < len(heldOut):
			return nil, fmt.Errorf("held out: %w", err)
		}
	}
	if made.TooLong+made.Untrained > 0 {
		s.Log.Warn("dialogues were left out", "too_long", made.TooLong, "nothing_to_train_on", made.Untrained)
	}
	counts := map[string]int{"dialogues": made.Dialogues, "trained_tokens": made.Tokens, "too_long": made.TooLong,
		"nothing_to_train_on": made.Untrained, "held_out": len(heldOut)}
	countAdapted(counts, "trained_parameters", f.Config.LoRA, policy.Weights.Config, 0)
	return &prepared{
		steps:  f.Config.TotalSteps(task.Examples()),
		counts: counts,
		lora:   f.Config.LoRA,
		expect: func() (load, error) { return s.fitLoad(policy.Weights, task, held, f.Config) },
		do: func(ctx context.Context, w *work) (*checkpoint.Model, map[string]float64, error) {
			weights, metrics, err := w.fit(ctx, policy.Weights, task, held, f.Config)
			metrics["dialogues"], metrics["trained_tokens"] = float64(made.Dialogues), float64(made.Tokens)
			return derived(policy.Model, weights), metrics, err
		},
	}, nil
}
