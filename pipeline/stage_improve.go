package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/train"
	"tandem/ppo"
	"tandem/rejection"
	"tandem/rewardmodel"
	"tandem/sft"
)

// Sample specifies one shard of rejection sampling: K answers to each of its prompts, scored; or, with Targets, best
// answers of an earlier round to be scored again.
type Sample struct {
	Policy      string           `json:"policy"`
	Helpfulness string           `json:"helpfulness"`
	Safety      string           `json:"safety"`
	Prompts     string           `json:"prompts"`           // file, tandem.Prompt a line
	Targets     string           `json:"targets,omitempty"` // file, rejection.Target a line
	From        int              `json:"from"`              // the shard's are [From, To) of the file
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
	prompts, err := readPrompts(ctx, spec.Prompts)
	if err != nil {
		return nil, err
	}
	if spec.From < 0 || spec.To > len(prompts) || spec.From > spec.To {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Sample", "%s has %d prompts, not [%d, %d)", spec.Prompts, len(prompts), spec.From, spec.To)
	}
	sets, err := rejection.Sample(ctx, policy, scorer, prompts[spec.From:spec.To], spec.Config)
	if err != nil {
		return nil, err
	}
	var answers []spent
	for _, set := range sets {
		for _, c := range set.Candidates {
			answers = append(answers, spent{prompt: set.Prompt.Messages, tokens: c.Tokens})
		}
	}
	return sets, tallyOf(ctx).add(ctx, policy, scorer, answers)
}

// Rescore scores the shard's targets, and returns them with their scores.
func (s *Studio) Rescore(ctx context.Context, spec Sample) ([]rejection.Target, []tandem.Score, error) {
	targets, err := readTargets(ctx, spec.Targets)
	if err != nil {
		return nil, nil, err
	}
	if spec.From < 0 || spec.To > len(targets) || spec.From > spec.To {
		return nil, nil, tandem.Errorf(tandem.Invalid, "pipeline.Rescore", "%s has %d answers, not [%d, %d)", spec.Targets, len(targets), spec.From, spec.To)
	}
	targets = targets[spec.From:spec.To]
	scorer, err := s.Scorer(ctx, spec.Helpfulness, spec.Safety)
	if err != nil {
		return nil, nil, err
	}
	scores, err := score(ctx, scorer, targets)
	return targets, scores, err
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
	Model       string `json:"model"` // the policy's folder; it is the reference too
	Helpfulness string `json:"helpfulness"`
	Safety      string `json:"safety"`
	Prompts     string `json:"prompts"` // file, see dataset.ReadPrompts; held-out ones are evaluated on
	// HeldOutShare of the prompts' openings is held out beside those that are marked, by the one rule (see
	// tandem.HeldOut).
	HeldOutShare float64 `json:"held_out_share,omitempty"`
	// PtxData are files of dialogues in the messages form whose language modelling is mixed into the policy's updates, with
	// the configuration's PtxCoefficient. The same openings are held out of them.
	PtxData []string `json:"ptx_data,omitempty"`
	// HeldOutHelpfulness and HeldOutSafety, if not empty, are a second pair of reward models, which learnt from other
	// comparisons. It scores the answers to held-out prompts at evaluations, and the run warns where it no longer believes
	// what the first pair says.
	HeldOutHelpfulness string `json:"held_out_helpfulness,omitempty"`
	HeldOutSafety      string `json:"held_out_safety,omitempty"`

	Round  int        `json:"round,omitempty"`
	Config ppo.Config `json:"config"`
	Out    string     `json:"out"`
	Name   string     `json:"name"`
}

// PPO tunes a policy against the combined score.
func (s *Studio) PPO(ctx context.Context, spec PPO, resume bool) (tandem.Model, error) {
	return s.carryOut(ctx, spec, resume)
}

func (p PPO) folder() string { return p.Out }

func (p PPO) describe(ctx context.Context, _ *Studio) (m tandem.Model, err error) {
	m = tandem.Model{Name: p.Name, Kind: tandem.PolicyModel, Round: p.Round, Stage: tandem.StagePPO, Seed: p.Config.Seed}
	if m.Parent, err = parentID(ctx, p.Model); err != nil {
		return m, err
	}
	if m.Snapshot, err = HashFiles(append([]string{p.Prompts}, p.PtxData...)...); err != nil {
		return m, err
	}
	made := struct {
		PPO
		Judges        judges  `json:"judges"`
		HeldOutJudges *judges `json:"held_out_judges,omitempty"`
	}{PPO: p}
	if p.seconded() {
		if p.HeldOutHelpfulness == "" || p.HeldOutSafety == "" {
			return m, tandem.Errorf(tandem.Invalid, "pipeline.PPO", "held-out-helpfulness and held-out-safety are a pair: one of them is missing")
		}
		second, err := readJudges(ctx, p.HeldOutHelpfulness, p.HeldOutSafety)
		if err != nil {
			return m, err
		}
		made.HeldOutJudges = &second
	}
	if made.Judges, err = readJudges(ctx, p.Helpfulness, p.Safety); err != nil {
		return m, err
	}
	if m.Config, err = json.Marshal(made); err != nil {
		return m, fmt.Errorf("the specification as JSON: %w", err)
	}
	return m, nil
}

func (p PPO) prepare(ctx context.Context, s *Studio) (*prepared, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	policy, err := s.open(ctx, p.Model)
	if err != nil {
		return nil, err
	}
	scorer, err := s.Scorer(ctx, p.Helpfulness, p.Safety)
	if err != nil {
		return nil, err
	}
	if p.Config.UncertaintyPenalty > 0 {
		for _, judge := range []rewardmodel.Judge{scorer.Helpfulness, scorer.Safety} {
			if m, ok := judge.(*rewardmodel.Model); ok && !m.IsEnsemble() {
				return nil, tandem.Errorf(tandem.Invalid, "pipeline.PPO", "uncertainty-penalty is %g, and %s is a single model, which never says how uncertain it is: fit both as ensembles, by `tandem reward --members`",
					p.Config.UncertaintyPenalty, m.Path)
			}
		}
	}
	prompts, err := readPrompts(ctx, p.Prompts)
	if err != nil {
		return nil, err
	}
	training, heldOut := splitPrompts(prompts, p.HeldOutShare)
	if err := s.tellSplit("prompts", len(training), len(heldOut)); err != nil {
		return nil, err
	}
	room := policy.Weights.Config.MaxPositionEmbeddings - p.Config.MaxTokens
	environment, err := ppo.NewDialogues(ctx, policy.Template, policy.Tokenizer, scorer, training, heldOut, room, p.Config.Seed)
	if err != nil {
		return nil, err
	}
	second, err := p.second(ctx, s, len(heldOut))
	if err != nil {
		return nil, err
	}
	trunk, err := trunkOf(scorer)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{"prompts": len(training), "held_out": len(heldOut)}
	ptx, err := p.ptx(ctx, s, policy, heldOut, counts)
	if err != nil {
		return nil, err
	}
	countAdapted(counts, "trained_parameters", p.Config.LoRA, policy.Weights.Config, 0)
	countAdapted(counts, "critic_trained_parameters", p.Config.LoRA, trunk.Config, len(trunk.Score))
	return &prepared{
		steps:  p.Config.Iterations,
		counts: counts,
		lora:   p.Config.LoRA,
		expect: func() (load, error) {
			models, err := ppo.NewModels(policy.Weights, trunk, p.Config)
			if err != nil {
				return load{}, err
			}
			models.Ptx = ptx
			return s.ppoLoad(models, environment, judgeWeights(scorer), p.Config)
		},
		do: func(ctx context.Context, w *work) (*checkpoint.Model, map[string]float64, error) {
			models, err := ppo.NewModels(policy.Weights, trunk, p.Config)
			if err != nil {
				return nil, nil, err
			}
			models.Ptx = ptx
			metrics, err := p.tune(ctx, w, models, environment, scorer, second)
			return derived(policy.Model, models.Policy), metrics, err
		},
	}, nil
}

// trunkOf are the weights that a critic starts from: the helpfulness model's, an ensemble's first member's.
func trunkOf(s *rewardmodel.Scorer) (*llama.Weights, error) {
	m, ok := s.Helpfulness.(*rewardmodel.Model)
	if !ok {
		return nil, tandem.Errorf(tandem.Internal, "pipeline.PPO", "the helpfulness model is a %T, which has no trunk", s.Helpfulness)
	}
	return m.First().Weights, nil
}

func (p PPO) seconded() bool { return p.HeldOutHelpfulness != "" || p.HeldOutSafety != "" }

// second opens the pair of reward models that is not trained against; nil where there is none.
func (p PPO) second(ctx context.Context, s *Studio, heldOut int) (tandem.Scorer, error) {
	switch {
	case !p.seconded():
		return nil, nil
	case heldOut == 0 || p.Config.EvaluateEvery == 0:
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.PPO", "the held-out judges are asked at evaluations alone, and there are none: hold prompts out, and let evaluate-every be positive")
	}
	return s.Scorer(ctx, p.HeldOutHelpfulness, p.HeldOutSafety)
}

// ptx reads the dialogues to mix in, if any, and counts them; those that open as a held-out prompt does are left out.
func (p PPO) ptx(ctx context.Context, s *Studio, policy *chat.Policy, heldOut []tandem.Prompt, counts map[string]int) (*train.LanguageModel, error) {
	switch {
	case p.Config.PtxCoefficient > 0 && len(p.PtxData) == 0:
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.PPO", "ptx-coefficient is %g, and there are no dialogues to mix in: name them by ptx-data", p.Config.PtxCoefficient)
	case p.Config.PtxCoefficient == 0 && len(p.PtxData) > 0:
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.PPO", "ptx-data names dialogues to mix in, and ptx-coefficient is 0")
	case len(p.PtxData) == 0:
		return nil, nil
	}
	dialogues, err := readDialogues(ctx, "", p.PtxData...)
	if err != nil {
		return nil, err
	}
	openings := make(map[string]bool)
	for _, prompt := range heldOut {
		openings[prompt.Messages.Opening()] = true
	}
	training, _ := splitItems(dialogues, tandem.Dialogue.Opening, func(d tandem.Dialogue) bool { return openings[d.Opening()] }, p.HeldOutShare)
	task, made, err := sft.NewTask(ctx, policy.Template, training, policy.Weights.Config.MaxPositionEmbeddings)
	if err != nil {
		return nil, fmt.Errorf("ptx-data: %w", err)
	}
	if made.TooLong+made.Untrained > 0 {
		s.Log.Warn("dialogues to mix in were left out", "too_long", made.TooLong, "nothing_to_train_on", made.Untrained)
	}
	counts["ptx_dialogues"], counts["ptx_tokens"] = made.Dialogues, made.Tokens
	return task, nil
}

// tune runs the iterations and returns the figures of the last one. second may be nil.
func (p PPO) tune(ctx context.Context, w *work, models ppo.Models, environment *ppo.Dialogues, scorer *rewardmodel.Scorer, second tandem.Scorer) (map[string]float64, error) {
	trainer, err := ppo.NewTrainer(w.studio.Device, models, environment, p.Config, w.studio.Workers)
	if err != nil {
		return nil, err
	}
	if second != nil {
		trainer.SecondJudge = func(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
			return environment.ScoreBy(ctx, second, answers)
		}
	}
	done := 0 // iterations
	if w.resume {
		if done, err = trainer.Resume(ctx, w.states); err != nil {
			return nil, err
		}
	}
	last := make(map[string]float64)
	err = trainer.Run(ctx, w.states, ppo.Observer{
		Iteration: func(stats ppo.Stats) {
			done = stats.Iteration
			metrics := stats.Metrics()
			maps.Copy(last, metrics)
			maps.Copy(metrics, iterationCost(models, scorer, p.Config, stats))
			w.observe(Observation{Step: stats.Iteration, Steps: p.Config.Iterations, Metrics: metrics})
		},
		Evaluation: func(e ppo.Evaluation) {
			maps.Copy(last, e.Metrics())
			w.observe(Observation{Step: e.Iteration, Steps: p.Config.Iterations, Metrics: e.Metrics()})
		},
		Trouble: func(trouble ppo.Trouble) { w.studio.Log.Warn(trouble.String()) },
	})
	if err == nil && done < p.Config.Iterations {
		w.studio.Log.Info("stopped early: the objective on held-out prompts no longer rises, and the best policy is kept", "iteration", done)
	}
	if ctx.Err() == nil { // else the run goes on one day
		found := trainer.Diagnosis()
		last["troubles"] = float64(len(found))
		if len(found) > 0 {
			w.studio.Log.Warn("something was off with this run", "troubles", len(found), "iterations", done)
		}
		for _, trouble := range found {
			w.studio.Log.Warn("diagnosis: " + trouble.String())
		}
	}
	return last, err
}

// splitPrompts divides prompts into those to train on and those that are held out.
func splitPrompts(prompts []tandem.Prompt, share float64) (training, heldOut []tandem.Prompt) {
	return splitItems(prompts, promptOpening, func(p tandem.Prompt) bool { return p.HeldOut }, share)
}
