package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"

	"tandem"
	"tandem/dataset"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
	"tandem/llama/train"
	"tandem/pretrain"
	"tandem/rewardmodel"
	"tandem/sft"
)

// Pretrain specifies a base model made from nothing: a tokenizer trained on the texts, and a model fitted
// to them.
type Pretrain struct {
	Texts     []string              `json:"texts"` // files, see dataset.ReadTexts
	Format    dataset.TextFormat    `json:"format"`
	Tokenizer tokenizer.TrainConfig `json:"tokenizer"`
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
	hash, err := hashFiles(spec.Texts...)
	if err != nil {
		return tandem.Model{}, err
	}
	m, err := s.identify(making{Model: tandem.Model{
		Name: spec.Name, Kind: tandem.PolicyModel, Stage: tandem.StagePretrain, Snapshot: hash, Seed: spec.Config.Fit.Seed,
	}, Spec: spec})
	if err != nil {
		return m, err
	}
	if there, ok, err := s.finished(ctx, m, spec.Out); ok || err != nil {
		return there, err
	}
	var broken error
	texts := func(yield func(string) bool) {
		for text, err := range readTexts(spec) {
			if err != nil {
				broken = err
				return
			}
			if !yield(text) {
				return
			}
		}
	}
	t, err := tokenizer.Train(ctx, texts, spec.Tokenizer)
	if broken != nil {
		return m, broken
	}
	if err != nil {
		return m, err
	}
	config, err := spec.Shape.config(t)
	if err != nil {
		return m, err
	}
	w := llama.NewWeights(config, false)
	w.Init(rand.New(rand.NewPCG(spec.Config.Fit.Seed, 0)))
	var encoder pretrain.Encoder = t
	if spec.Rendered {
		encoder = rendered{t}
	}
	special := t.Special()
	task, err := pretrain.Task(encoder, readTexts(spec), special.BOS, special.EOS, spec.Config.Context)
	if err != nil {
		return m, err
	}
	last, err := s.fit(ctx, tandem.StagePretrain, w, task, nil, spec.Config.Fit, spec.Out, resume)
	if err != nil {
		return m, err
	}
	m.Metrics = trainMetrics(last)
	return s.keep(ctx, spec.Out, withTokenizer(t), w, m)
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
	Model  string       `json:"model"` // folder that it starts from
	Data   []string     `json:"data"`  // files of dialogues in the messages form
	Stage  tandem.Stage `json:"stage"` // sft or reject
	Round  int          `json:"round,omitempty"`
	Config train.Config `json:"config"`
	Out    string       `json:"out"`
	Name   string       `json:"name"`
}

// FineTune fits a policy to dialogues.
func (s *Studio) FineTune(ctx context.Context, spec FineTune, resume bool) (tandem.Model, error) {
	policy, err := s.open(ctx, spec.Model)
	if err != nil {
		return tandem.Model{}, err
	}
	hash, err := hashFiles(spec.Data...)
	if err != nil {
		return tandem.Model{}, err
	}
	m, err := s.identify(making{Model: tandem.Model{
		Name: spec.Name, Kind: tandem.PolicyModel, Parent: parentID(policy.Model), Round: spec.Round,
		Stage: spec.Stage, Snapshot: hash, Seed: spec.Config.Seed,
	}, Spec: spec})
	if err != nil {
		return m, err
	}
	if there, ok, err := s.finished(ctx, m, spec.Out); ok || err != nil {
		return there, err
	}
	dialogues, err := readDialogues(spec.Data...)
	if err != nil {
		return m, err
	}
	task, prepared, err := sft.NewTask(ctx, policy.Template, dialogues, policy.Weights.Config.MaxPositionEmbeddings)
	if err != nil {
		return m, err
	}
	if prepared.TooLong+prepared.Untrained > 0 {
		s.Log.Warn("dialogues were left out", "too_long", prepared.TooLong, "nothing_to_train_on", prepared.Untrained)
	}
	last, err := s.fit(ctx, spec.Stage, policy.Weights, task, nil, spec.Config, spec.Out, resume)
	if err != nil {
		return m, err
	}
	m.Metrics = trainMetrics(last)
	m.Metrics["dialogues"], m.Metrics["trained_tokens"] = float64(prepared.Dialogues), float64(prepared.Tokens)
	return s.keep(ctx, spec.Out, policy.Model, policy.Weights, m)
}

// Reward specifies a reward model fitted to comparisons.
type Reward struct {
	Model   string             `json:"model"`              // the chat model's folder that it starts from
	Data    string             `json:"data"`               // file of comparisons, tandem.Comparison a line, in training order
	HeldOut string             `json:"held_out,omitempty"` // the same, to measure accuracy on
	Round   int                `json:"round,omitempty"`
	Config  rewardmodel.Config `json:"config"`
	Out     string             `json:"out"`
	Name    string             `json:"name"`
}

// Reward fits a reward model. It is not calibrated yet: see Calibrate.
func (s *Studio) Reward(ctx context.Context, spec Reward, resume bool) (tandem.Model, error) {
	if err := spec.Config.Validate(); err != nil {
		return tandem.Model{}, err
	}
	policy, err := s.open(ctx, spec.Model)
	if err != nil {
		return tandem.Model{}, err
	}
	hash, err := hashFiles(spec.Data)
	if err != nil {
		return tandem.Model{}, err
	}
	kind, stage := tandem.HelpfulnessModel, tandem.StageRewardHelpfulness
	if spec.Config.Aspect == tandem.Safety {
		kind, stage = tandem.SafetyModel, tandem.StageRewardSafety
	}
	m, err := s.identify(making{Model: tandem.Model{
		Name: spec.Name, Kind: kind, Parent: parentID(policy.Model), Round: spec.Round, Stage: stage, Snapshot: hash, Seed: spec.Config.Fit.Seed,
	}, Spec: spec})
	if err != nil {
		return m, err
	}
	if there, ok, err := s.finished(ctx, m, spec.Out); ok || err != nil {
		return there, err
	}
	comparisons, err := readLines[tandem.Comparison](ctx, spec.Data)
	if err != nil {
		return m, err
	}
	most := policy.Weights.Config.MaxPositionEmbeddings
	task, prepared, err := rewardmodel.NewTask(ctx, policy.Template, comparisons, spec.Config, most)
	if err != nil {
		return m, err
	}
	var held train.Task
	if spec.HeldOut != "" {
		heldOut, err := readLines[tandem.Comparison](ctx, spec.HeldOut)
		if err != nil {
			return m, err
		}
		if held, _, err = rewardmodel.NewTask(ctx, policy.Template, heldOut, spec.Config, most); err != nil {
			return m, fmt.Errorf("held out: %w", err)
		}
	}
	w := policy.Weights.ToClassifier(rand.New(rand.NewPCG(spec.Config.Fit.Seed, 1)))
	last, err := s.fit(ctx, stage, w, task, held, spec.Config.Fit, spec.Out, resume)
	if err != nil {
		return m, err
	}
	m.Metrics = trainMetrics(last)
	m.Metrics["pairs"], m.Metrics["cut"], m.Metrics["left_out"] = float64(prepared.Pairs), float64(prepared.Cut), float64(prepared.LeftOut)
	m.Metrics["labelled"] = float64(prepared.Labelled)
	return s.keep(ctx, spec.Out, &checkpoint.Model{Files: policy.Model.Files}, w, m)
}

// Scorer opens a pair of reward models with the calibration in their lineage.
func (s *Studio) Scorer(ctx context.Context, helpfulness, safety string) (*rewardmodel.Scorer, error) {
	h, err := chat.OpenClassifier(ctx, helpfulness, s.chatConfig())
	if err != nil {
		return nil, fmt.Errorf("helpfulness model: %w", err)
	}
	sf, err := chat.OpenClassifier(ctx, safety, s.chatConfig())
	if err != nil {
		return nil, fmt.Errorf("safety model: %w", err)
	}
	scorer := &rewardmodel.Scorer{Helpfulness: h, Safety: sf}
	for _, j := range []struct {
		path        string
		model       *checkpoint.Model
		calibration *tandem.Calibration
	}{{helpfulness, h.Model, &scorer.Combiner.Helpfulness}, {safety, sf.Model, &scorer.Combiner.Safety}} {
		if j.model.Lineage == nil || j.model.Lineage.Calibration == nil {
			return nil, tandem.Errorf(tandem.Invalid, "pipeline.Scorer", "%s has no calibration in tandem.json, so its scores cannot be combined", j.path)
		}
		*j.calibration = *j.model.Lineage.Calibration
	}
	return scorer, nil
}
