package pipeline

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/train"
	"tandem/rewardmodel"
)

// Reward specifies a reward model fitted to comparisons, or an ensemble of them.
type Reward struct {
	Model string `json:"model"` // the chat model's folder that it starts from
	// FromScratch takes of Model its shape, tokenizer and template alone, and starts from random weights: a judge
	// that does not know what the chat model knows, to compare with (section 3.2.2 says why it should).
	FromScratch bool           `json:"from_scratch,omitempty"`
	Data        string         `json:"data"`               // comparisons, see Studio.Comparisons; Config's mixture draws from them
	Format      dataset.Format `json:"format,omitempty"`   // of Data and HeldOut
	HeldOut     string         `json:"held_out,omitempty"` // comparisons to measure accuracy on
	// HeldOutShare of openings is not trained on but measured on, by the one rule (see tandem.HeldOut), and
	// with them the comparisons that are marked as held out; 0 trains on all of Data.
	HeldOutShare float64            `json:"held_out_share,omitempty"`
	Round        int                `json:"round,omitempty"`
	Config       rewardmodel.Config `json:"config"`
	// Members, if more than 1, makes an ensemble of so many models; see member.
	Members int `json:"members,omitempty"`
	// WithoutPromptHead leaves out the head that tells safety prompts from others, where nobody will ask it.
	WithoutPromptHead bool   `json:"without_prompt_head,omitempty"`
	Out               string `json:"out"`
	Name              string `json:"name"`
}

// Reward fits a reward model. It is not calibrated yet: see Calibrate.
func (s *Studio) Reward(ctx context.Context, spec Reward, resume bool) (tandem.Model, error) {
	if spec.Members > 1 {
		return s.ensemble(ctx, spec, resume)
	}
	return s.carryOut(ctx, spec, resume)
}

func (r Reward) folder() string { return r.Out }

func (r Reward) describe(ctx context.Context, s *Studio) (m tandem.Model, err error) {
	if err := r.Config.Validate(); err != nil {
		return m, err
	}
	if r.FromScratch && r.Config.Fit.LoRA.Rank > 0 {
		return m, tandem.Errorf(tandem.Invalid, "pipeline.Reward", "lora-rank is %d, and what starts from-scratch has nothing to adapt", r.Config.Fit.LoRA.Rank)
	}
	if r.Members < 0 {
		return m, tandem.Errorf(tandem.Invalid, "pipeline.Reward", "members is %d, not 0 or more", r.Members)
	}
	m = tandem.Model{Name: r.Name, Kind: tandem.HelpfulnessModel, Round: r.Round, Stage: tandem.StageRewardHelpfulness, Seed: r.Config.Fit.Seed}
	if r.Config.Aspect == tandem.Safety {
		m.Kind, m.Stage = tandem.SafetyModel, tandem.StageRewardSafety
	}
	if m.Parent, err = parentID(ctx, r.Model); err != nil {
		return m, err
	}
	m.Snapshot, err = r.snapshotHash(ctx, s)
	return m, err
}

func (r Reward) prepare(ctx context.Context, s *Studio) (*prepared, error) {
	policy, err := s.open(ctx, r.Model)
	if err != nil {
		return nil, err
	}
	data, err := r.data(ctx, s)
	if err != nil {
		return nil, err
	}
	task, made, err := rewardmodel.NewTask(ctx, policy.Template, data.training, r.Config, policy.Weights.Config)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{"pairs": made.Pairs, "rankings": made.Rankings, "cut": made.Cut, "left_out": made.LeftOut, "labelled": made.Labelled, "held_out": len(data.heldOut)}
	countAdapted(counts, "trained_parameters", r.Config.Fit.LoRA, policy.Weights.Config, policy.Weights.Config.HiddenSize)
	for source, n := range data.taken {
		counts["pairs/"+source] = n
	}
	var held train.Task
	if len(data.heldOut) > 0 {
		measured, p, err := rewardmodel.NewTask(ctx, policy.Template, data.heldOut, r.Config, policy.Weights.Config)
		if err != nil {
			return nil, fmt.Errorf("held out: %w", err)
		}
		held, counts["held_out_cut"] = measured, p.Cut
	}
	if cut := made.Cut + counts["held_out_cut"]; cut > 0 {
		s.Log.Warn("dialogues were cut from the left", "training", made.Cut, "of", 2*made.Pairs, "held_out", counts["held_out_cut"])
	}
	return &prepared{
		steps:  r.Config.Fit.TotalSteps(task.Examples()),
		counts: counts,
		lora:   r.Config.Fit.LoRA,
		expect: func() (load, error) { return s.fitLoad(r.start(policy.Weights), task, held, r.Config.Fit) },
		do: func(ctx context.Context, w *work) (*checkpoint.Model, map[string]float64, error) {
			weights, metrics, err := w.fit(ctx, r.start(policy.Weights), task, held, r.Config.Fit)
			for name, n := range counts {
				metrics[name] = float64(n)
			}
			files := maps.Clone(policy.Model.Files)
			delete(files, rewardmodel.PromptHeadFile) // of what the model was started from
			if err == nil && r.Config.Aspect == tandem.Safety && !r.WithoutPromptHead {
				err = s.promptHead(ctx, weights, policy, data.training, files, metrics)
			}
			return &checkpoint.Model{Weights: weights, Files: files, Path: policy.Model.Path}, metrics, err
		},
	}, nil
}

// start is what training starts from: the policy's trunk with a fresh head, or nothing of it but its shape.
func (r Reward) start(policy *llama.Weights) *llama.Weights {
	rng := rand.New(rand.NewPCG(r.Config.Fit.Seed, 1))
	if !r.FromScratch {
		return policy.ToClassifier(rng)
	}
	w := llama.NewWeights(policy.Config, true)
	w.Init(rng)
	return w
}

// Scorer opens a pair of reward models with the calibration in their lineage.
func (s *Studio) Scorer(ctx context.Context, helpfulness, safety string) (*rewardmodel.Scorer, error) {
	scorer := &rewardmodel.Scorer{}
	for _, j := range []struct {
		kind        tandem.ModelKind
		path        string
		judge       *rewardmodel.Judge
		calibration *tandem.Calibration
	}{
		{tandem.HelpfulnessModel, helpfulness, &scorer.Helpfulness, &scorer.Combiner.Helpfulness},
		{tandem.SafetyModel, safety, &scorer.Safety, &scorer.Combiner.Safety},
	} {
		model, err := rewardmodel.Open(ctx, j.path, s.chatConfig())
		if err != nil {
			return nil, fmt.Errorf("%s model: %w", j.kind, err)
		}
		if model.Lineage == nil || model.Lineage.Calibration == nil {
			return nil, tandem.Errorf(tandem.Invalid, "pipeline.Scorer", "%s has no calibration in tandem.json, so its scores cannot be combined: run its `tandem reward` again with --reference-policy and --reference-prompts", j.path)
		}
		*j.judge, *j.calibration = model, *model.Lineage.Calibration
	}
	return scorer, nil
}

// judges are what a pair of reward models is known by: scores depend on both models and on how they are read.
type judges struct {
	Helpfulness judgeID `json:"helpfulness"`
	Safety      judgeID `json:"safety"`
}

type judgeID struct {
	ID          string              `json:"id"`
	Calibration *tandem.Calibration `json:"calibration"`
}

func readJudges(ctx context.Context, helpfulness, safety string) (j judges, err error) {
	if j.Helpfulness, err = readJudge(ctx, helpfulness); err != nil {
		return j, err
	}
	j.Safety, err = readJudge(ctx, safety)
	return j, err
}

func readJudge(ctx context.Context, path string) (judgeID, error) {
	lineage, err := checkpoint.ReadLineage(ctx, path)
	if err != nil || lineage == nil {
		return judgeID{}, err
	}
	return judgeID{lineage.ID, lineage.Calibration}, nil
}

// Calibrate freezes how a pair of reward models is read, from samples of the policy that the loop starts
// from, and writes it into both models' lineage.
func (s *Studio) Calibrate(ctx context.Context, helpfulness, safety string, reference []tandem.ScoreRequest) error {
	for _, path := range []string{helpfulness, safety} {
		if _, err := s.calibrate(ctx, path, reference); err != nil {
			return err
		}
	}
	return nil
}

// calibrate freezes how one reward model is read, and returns its lineage with the calibration. The members of an
// ensemble get calibrations of their own too, and first: what is read of them is the mean that each is centred by.
func (s *Studio) calibrate(ctx context.Context, path string, reference []tandem.ScoreRequest) (tandem.Model, error) {
	model, err := rewardmodel.Open(ctx, path, s.chatConfig())
	if err != nil {
		return tandem.Model{}, err
	}
	if model.Lineage == nil {
		return tandem.Model{}, tandem.Errorf(tandem.Invalid, "pipeline.Calibrate", "%s has no tandem.json: a model that tandem has not made cannot be calibrated in place", path)
	}
	dialogues := make([]tandem.Dialogue, len(reference))
	for i, r := range reference {
		dialogues[i] = r.Messages
	}
	sequences, _, err := model.First().Render(ctx, dialogues)
	if err != nil {
		return *model.Lineage, err
	}
	each, err := model.Each(ctx, sequences)
	if err != nil {
		return *model.Lineage, err
	}
	if model.IsEnsemble() {
		for i, member := range model.Members {
			if _, err := freeze(ctx, *member.Model.Lineage, reference, func(k int) float64 { return float64(each[i][k]) }); err != nil {
				return *model.Lineage, err
			}
		}
	}
	return freeze(ctx, *model.Lineage, reference, func(k int) float64 { return rewardmodel.Mean(each, k) })
}

// freeze writes into a model's tandem.json how its scalars of the reference samples say that it is to be read.
func freeze(ctx context.Context, lineage tandem.Model, reference []tandem.ScoreRequest, scalar func(sample int) float64) (tandem.Model, error) {
	scalars, toSafety := make([]float64, len(reference)), []float64(nil)
	for i := range reference {
		scalars[i] = scalar(i)
		if reference[i].Safety {
			toSafety = append(toSafety, scalars[i])
		}
	}
	// σ(r_h) has no meaning, and nothing is gated by it; σ(r_s) has one where labels were learnt.
	isSafety := lineage.Kind == tandem.SafetyModel
	c, err := rewardmodel.Calibrate(!isSafety || lineage.Metrics["labelled"] > 0, scalars, toSafety)
	if err != nil {
		return lineage, fmt.Errorf("%s: %w", lineage.URL, err)
	}
	if !isSafety {
		c.Calibrated, c.Gate = false, 0
	}
	if before := lineage.Calibration; before != nil && before.Temperature > 0 {
		c = rewardmodel.AtTemperature(c, before.Temperature)
	}
	lineage.Calibration = &c
	return lineage, checkpoint.WriteLineage(ctx, lineage.URL, lineage)
}

// Reference specifies the answers that reward models are calibrated on: the policy's that the loop starts
// from, to prompts of both kinds.
type Reference struct {
	Policy   string          `json:"policy"`
	Prompts  string          `json:"prompts"`
	Sampling tandem.Sampling `json:"sampling"`
	Seed     uint64          `json:"seed"`
}

// sample draws the reference answers.
func (r Reference) sample(ctx context.Context, s *Studio) ([]tandem.ScoreRequest, error) {
	policy, err := s.open(ctx, r.Policy)
	if err != nil {
		return nil, err
	}
	prompts, err := readPrompts(ctx, r.Prompts)
	if err != nil {
		return nil, err
	}
	answers, err := evaluation.Answers(ctx, policy, prompts, r.Sampling, r.Seed)
	if err != nil {
		return nil, err
	}
	reference := make([]tandem.ScoreRequest, len(answers))
	for i, a := range answers {
		reference[i] = tandem.ScoreRequest{Messages: a.Prompt.Messages.With(tandem.Assistant, a.Text), Safety: a.Prompt.Safety}
	}
	return reference, nil
}

// CalibrateOn freezes how one reward model is read, by the answers that r specifies.
func (s *Studio) CalibrateOn(ctx context.Context, path string, r Reference) (tandem.Model, error) {
	reference, err := r.sample(ctx, s)
	if err != nil {
		return tandem.Model{}, fmt.Errorf("reference samples: %w", err)
	}
	m, err := s.calibrate(ctx, path, reference)
	m.URL = path
	if err == nil && s.Store != nil {
		if err := s.Store.MeasureModel(ctx, m.ID, nil, m.Calibration); err != nil {
			s.Log.Warn("the calibration cannot be recorded in the database", "error", err)
		}
	}
	return m, err
}
