package pipeline

import (
	"context"
	"encoding/json"

	"tandem"
	"tandem/store"
)

// Handlers are the stages as units of a queue: what a worker can do.
func (s *Studio) Handlers() map[tandem.Stage]Handler {
	return map[tandem.Stage]Handler{
		tandem.StagePretrain:          model(func(ctx context.Context, spec Pretrain) (tandem.Model, error) { return s.Pretrain(ctx, spec, true) }),
		tandem.StageSFT:               model(func(ctx context.Context, spec FineTune) (tandem.Model, error) { return s.FineTune(ctx, spec, true) }),
		tandem.StageRewardHelpfulness: model(func(ctx context.Context, spec Reward) (tandem.Model, error) { return s.Reward(ctx, spec, true) }),
		tandem.StageRewardSafety:      handle(s.rewardSafety),
		tandem.StagePPO:               model(func(ctx context.Context, spec PPO) (tandem.Model, error) { return s.PPO(ctx, spec, true) }),
		tandem.StageCollect:           s.recorded(handle(s.pose)),
		tandem.StageReject:            s.recorded(handle(s.sampleUnit)),
		tandem.StagePromote:           s.recorded(handle(s.pose)),
		tandem.StageGhost:             s.recorded(handle(s.ghostUnit)),
		tandem.StageDistill:           s.recorded(handle(s.distillUnit)),
		tandem.StageEvaluate:          s.recorded(handle(s.evaluate)),
	}
}

// handle makes a handler of a function of its specification.
func handle[Spec any](do func(context.Context, Spec) (Result, error)) Handler {
	return func(ctx context.Context, unit tandem.Unit, text json.RawMessage) (Result, error) {
		var spec Spec
		if err := json.Unmarshal(text, &spec); err != nil {
			return Result{}, tandem.Errorf(tandem.Invalid, "pipeline", "the unit's specification: %w", err)
		}
		return do(context.WithValue(ctx, unitKey{}, unit), spec)
	}
}

// unitKey keys the unit that is being done in a context.
type unitKey struct{}

func unitOf(ctx context.Context) (tandem.Unit, bool) {
	unit, ok := ctx.Value(unitKey{}).(tandem.Unit)
	return unit, ok
}

// recorded keeps a run of each unit of a stage that makes no model, with what it cost. The run is done exactly when the
// unit is.
func (s *Studio) recorded(do Handler) Handler {
	return func(ctx context.Context, unit tandem.Unit, spec json.RawMessage) (Result, error) {
		began, _ := cpuSeconds()
		r := s.record(ctx, tandem.Model{Round: unit.Round, Stage: unit.Stage, Config: spec, Kernel: s.Kernel}, 0)
		spent := &tally{}
		result, err := do(context.WithValue(ctx, tallyKey{}, spent), unit, spec)
		metrics := spent.metrics()
		if now, ok := cpuSeconds(); ok {
			metrics[store.CPUMetric] = now - began
		}
		r.add(Observation{Step: 1, Steps: 1, Metrics: metrics})
		if err != nil || r == nil {
			r.end(ctx, tandem.Model{}, err)
			return result, err
		}
		r.rest()
		r.flush(ctx)
		write := result.Write
		result.Write = func(ctx context.Context, st *store.Store) error {
			if write != nil {
				if err := write(ctx, st); err != nil {
					return err
				}
			}
			err := st.WithRun(ctx, r.run, func(st *store.Store) error { return st.FinishRun(ctx, r.run.ID, "", nil) })
			if tandem.CodeOf(err) == tandem.Stale { // a run's row is not worth a unit's result
				return nil
			}
			return err
		}
		return result, nil
	}
}

// model makes a handler of a stage that makes a model: its row is written when the unit is completed.
func model[Spec any](do func(context.Context, Spec) (tandem.Model, error)) Handler {
	return handle(func(ctx context.Context, spec Spec) (Result, error) {
		m, err := do(ctx, spec)
		if err != nil {
			return Result{}, err
		}
		return Result{Value: m, Write: func(ctx context.Context, s *store.Store) error { return Register(ctx, s, m) }}, nil
	})
}

// RewardSafety specifies the safety model, which comes after the helpfulness model: with both there, the
// pair is calibrated.
type RewardSafety struct {
	Reward
	Calibration Calibration `json:"calibration"`
}

// Calibration specifies the reference samples that a pair of reward models is read by.
type Calibration struct {
	Helpfulness string          `json:"helpfulness"` // the model's folder
	Policy      string          `json:"policy"`      // that the loop starts from
	Prompts     string          `json:"prompts"`
	Sampling    tandem.Sampling `json:"sampling"`
	Seed        uint64          `json:"seed"`
}

// rewardSafety makes the safety model, and keeps with its row how both models are read.
func (s *Studio) rewardSafety(ctx context.Context, spec RewardSafety) (Result, error) {
	m, err := s.Reward(ctx, spec.Reward, true)
	if err != nil {
		return Result{}, err
	}
	c := spec.Calibration
	reference, err := Reference{Policy: c.Policy, Prompts: c.Prompts, Sampling: c.Sampling, Seed: c.Seed}.sample(ctx, s)
	if err != nil {
		return Result{}, err
	}
	helpfulness, err := s.calibrate(ctx, c.Helpfulness, reference)
	if err != nil {
		return Result{}, err
	}
	safety, err := s.calibrate(ctx, spec.Out, reference)
	if err != nil {
		return Result{}, err
	}
	safety.URL = m.URL
	return Result{Value: safety, Write: func(ctx context.Context, st *store.Store) error {
		if err := Register(ctx, st, safety); err != nil {
			return err
		}
		if err := st.MeasureModel(ctx, safety.ID, nil, safety.Calibration); err != nil {
			return err
		}
		return st.MeasureModel(ctx, helpfulness.ID, nil, helpfulness.Calibration)
	}}, nil
}

// Variant is a policy at a temperature whose answers are compared.
type Variant struct {
	Model       string  `json:"model"` // id
	Folder      string  `json:"folder"`
	Temperature float64 `json:"temperature"`
}

// Pose specifies the comparisons of a project: for each prompt pairs of answers from two variants.
type Pose struct {
	Project        string     `json:"project"`
	Batch          int        `json:"batch"`
	Prompts        string     `json:"prompts"`
	Variants       [2]Variant `json:"variants"`
	PairsPerPrompt int        `json:"pairs_per_prompt"`
	MaxTokens      int        `json:"max_tokens"`
	Seed           uint64     `json:"seed"`
}

// posed is what came of it.
type posed struct {
	Pairs int `json:"pairs"`
	Alike int `json:"alike"` // of them, which nobody can tell apart
}

// pose samples the pairs and makes them the project's tasks. Pairs of the same text are left out: there is
// nothing to compare.
func (s *Studio) pose(ctx context.Context, spec Pose) (Result, error) {
	prompts, err := readPrompts(ctx, spec.Prompts)
	if err != nil {
		return Result{}, err
	}
	var sampled [2][]tandem.Completion
	for v, variant := range spec.Variants {
		policy, err := s.open(ctx, variant.Folder)
		if err != nil {
			return Result{}, err
		}
		var requests []tandem.GenerateRequest
		for _, p := range prompts {
			for pair := range spec.PairsPerPrompt {
				requests = append(requests, tandem.GenerateRequest{
					Messages: p.Messages, Sampling: tandem.Sampling{Temperature: variant.Temperature, MaxTokens: spec.MaxTokens},
					Key: tandem.SampleKey{Seed: spec.Seed, Prompt: p.Messages.Key(), Sample: uint64(2*pair + v)},
				})
			}
		}
		if sampled[v], err = tandem.Collect(ctx, policy, requests); err != nil {
			return Result{}, err
		}
		answers := make([]spent, len(requests))
		for i, r := range requests {
			answers[i] = spent{prompt: r.Messages, tokens: len(sampled[v][i].Tokens)}
		}
		if err := tallyOf(ctx).add(ctx, policy, nil, answers); err != nil {
			return Result{}, err
		}
	}
	done := posed{Pairs: len(sampled[0])}
	for i := range sampled[0] {
		if sampled[0][i].Text == sampled[1][i].Text {
			done.Alike++
		}
	}
	return Result{
		Value: done,
		Write: func(ctx context.Context, st *store.Store) error { return keepPairs(ctx, st, spec, prompts, sampled) },
	}, nil
}

// keepPairs writes prompts, answers and tasks.
func keepPairs(ctx context.Context, st *store.Store, spec Pose, prompts []tandem.Prompt, sampled [2][]tandem.Completion) error {
	kept, err := st.AddPrompts(ctx, prompts)
	if err != nil {
		return err
	}
	var responses []store.Response
	for i := range sampled[0] {
		if sampled[0][i].Text == sampled[1][i].Text {
			continue
		}
		for v, variant := range spec.Variants {
			c := sampled[v][i]
			responses = append(responses, store.Response{
				PromptID: kept[i/spec.PairsPerPrompt].ID, Content: c.Text, Model: variant.Model,
				Sampling: tandem.Sampling{Temperature: variant.Temperature, MaxTokens: spec.MaxTokens},
				Seed:     spec.Seed, Sample: uint64(2*(i%spec.PairsPerPrompt) + v), Finish: c.Finish, Tokens: len(c.Tokens),
			})
		}
	}
	ids, err := st.AddResponses(ctx, responses)
	if err != nil {
		return err
	}
	var tasks []store.NewTask
	for i := 0; i < len(ids); i += 2 {
		tasks = append(tasks, store.NewTask{Kind: store.Pairwise, PromptID: responses[i].PromptID, Responses: ids[i : i+2], Batch: spec.Batch})
	}
	_, err = st.CreateTasks(ctx, spec.Project, tasks)
	return err
}

// sampleUnit is one shard of rejection sampling; every sample and score is kept with its model.
func (s *Studio) sampleUnit(ctx context.Context, spec Sample) (Result, error) {
	models := scorers{spec.PolicyID, spec.HelpfulnessID, spec.SafetyID}
	if spec.Targets != "" {
		targets, scores, err := s.Rescore(ctx, spec)
		if err != nil {
			return Result{}, err
		}
		return Result{Value: scores, Write: func(ctx context.Context, st *store.Store) error {
			return keepRescored(ctx, st, models, targets, scores)
		}}, nil
	}
	sets, err := s.Sample(ctx, spec)
	if err != nil {
		return Result{}, err
	}
	return Result{Value: sets, Write: func(ctx context.Context, st *store.Store) error {
		return keepSamples(ctx, st, models, spec.Config, sets)
	}}, nil
}
