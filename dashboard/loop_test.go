package dashboard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"tandem"
	"tandem/store"
)

// loop is a database in which a round has gone through and another is under way.
type loop struct {
	t                *testing.T
	store            *store.Store
	done, running    int // rounds
	sft, ppo, failed string
	evaluation       string
	prompts          []tandem.Prompt
}

const answered = 24 // prompts

func newLoop(t *testing.T, s *store.Store) loop {
	t.Helper()
	l := loop{t: t, store: s}
	ctx := t.Context()
	for _, number := range []*int{&l.done, &l.running} {
		round, err := s.CreateRound(ctx, "")
		l.no(err)
		*number = round.Number
	}
	l.no(s.SetRoundStatus(ctx, l.done, tandem.RoundDone))
	l.no(s.SetRoundStatus(ctx, l.running, tandem.RoundRunning))
	l.models()
	l.stages()
	l.runs()
	l.answers()
	return l
}

// no fails the test for an error.
func (l loop) no(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *loop) models() {
	ctx, began := l.t.Context(), time.Now().Add(-48*time.Hour)
	calibration := &tandem.Calibration{Gate: -1.7346, Mean: 0.31, Deviation: 1.25, Samples: 512, Temperature: 1.1, Calibrated: true}
	for i, m := range []tandem.Model{
		{ID: "a000000000000000", Name: "base", Kind: tandem.PolicyModel, Stage: tandem.StagePretrain, Metrics: map[string]float64{"loss": 2.9}},
		{ID: "b000000000000000", Name: "SFT", Kind: tandem.PolicyModel, Stage: tandem.StageSFT, Parent: "a000000000000000", Metrics: map[string]float64{"loss": 1.4},
			Config: json.RawMessage(`{"config":{"learning_rate":0.0005,"epochs":2}}`)},
		{ID: "c000000000000000", Name: "RLHF-V1 helpfulness", Kind: tandem.HelpfulnessModel, Stage: tandem.StageRewardHelpfulness, Parent: "b000000000000000", Round: l.done, Calibration: calibration},
		{ID: "d000000000000000", Name: "RLHF-V1 safety", Kind: tandem.SafetyModel, Stage: tandem.StageRewardSafety, Parent: "b000000000000000", Round: l.done, Calibration: calibration,
			Metrics: map[string]float64{"eval_accuracy": 0.71, "eval_loss": 0.58}},
		{ID: "e000000000000000", Name: "RLHF-V1", Kind: tandem.PolicyModel, Stage: tandem.StageReject, Parent: "a000000000000000", Round: l.done, Seed: 7,
			Config: json.RawMessage(`{"config":{"learning_rate":0.0002,"epochs":2}}`), Metrics: map[string]float64{"loss": 1.1}},
		{ID: "f000000000000000", Name: "RLHF-V1 (PPO)", Kind: tandem.PolicyModel, Stage: tandem.StagePPO, Parent: "e000000000000000", Round: l.done},
	} {
		m.URL, m.CreatedAt = "/models/"+m.ID, began.Add(time.Duration(i)*time.Hour)
		l.no(l.store.AddModel(ctx, m))
	}
	l.no(l.store.Promote(ctx, "b000000000000000", "cli", "the first chat model"))
	l.no(l.store.Decide(ctx, tandem.Decision{Round: l.done, Model: "f000000000000000", Against: "b000000000000000", Promoted: true, Reason: "wins 64 % of blind pairs", Least: .45, Contests: []tandem.Contest{
		{Jury: tandem.HeldOutJury, Aspect: tandem.Helpfulness, Wins: 240, Losses: 160, Rate: .6, Low: .551, High: .647, Held: true},
		{Jury: tandem.PeopleJury, Aspect: tandem.Helpfulness, Wins: 240, Ties: 32, Losses: 128, Rate: .64, Low: .592, High: .686, Held: true},
	}}, "pipeline"))
	l.no(l.store.Decide(ctx, tandem.Decision{Round: l.running, Model: "e000000000000000", Against: "f000000000000000", Reason: "RLHF-V1 may lose to RLHF-V1 (PPO)", Least: .45, Contests: []tandem.Contest{
		{Jury: tandem.HeldOutJury, Aspect: tandem.Safety, Wins: 70, Losses: 80, Rate: .467, Low: .389, High: .546},
	}}, "pipeline"))
}

func (l *loop) stages() {
	ctx := l.t.Context()
	plan := func(round int, stage tandem.Stage, units, done int, failure string) {
		l.t.Helper()
		var keys []tandem.Unit
		for i := range units {
			keys = append(keys, tandem.Unit{Round: round, Stage: stage, Shard: i})
		}
		l.no(l.store.AddUnits(ctx, keys, make([]json.RawMessage, units)))
		for range done {
			lease, err := l.store.NextUnit(ctx, round, stage, "worker", time.Minute)
			l.no(err)
			l.no(l.store.Complete(ctx, lease, nil))
		}
		if failure != "" {
			lease, err := l.store.NextUnit(ctx, round, stage, "worker", time.Minute)
			l.no(err)
			l.no(l.store.Release(ctx, lease, errors.New(failure)))
		}
		if done < units {
			_, err := l.store.NextUnit(ctx, round, stage, "worker", time.Minute)
			l.no(err)
		}
	}
	for _, stage := range []tandem.Stage{tandem.StageCollect, tandem.StageRewardHelpfulness, tandem.StageRewardSafety, tandem.StageReject, tandem.StagePPO} {
		plan(l.done, stage, 2, 2, "")
	}
	plan(l.running, tandem.StageCollect, 2, 2, "")
	plan(l.running, tandem.StageReject, 12, 5, "the disk is full")
}

func (l *loop) runs() {
	ctx := l.t.Context()
	start := func(r store.Run) string {
		l.t.Helper()
		r.Kernel, r.Host = "openblas 0.3.29 haswell", "machine-1"
		run, err := l.store.StartRun(ctx, r, 0)
		l.no(err)
		return run.ID
	}
	l.sft = start(store.Run{Stage: tandem.StageSFT, Config: json.RawMessage(`{"model":"/models/base","config":{"learning_rate":0.0005}}`), Seed: 1})
	var metrics []store.Metric
	for step := int64(1); step <= 500; step++ {
		x := float64(step)
		metrics = append(metrics, store.Metric{Name: "loss", Step: step, Value: 3*math.Exp(-x/120) + 1 + 0.1*math.Sin(x)}, store.Metric{Name: "lr", Step: step, Value: 5e-4 * (1 - x/500)},
			store.Metric{Name: store.TokensMetric, Step: step, Value: 4096}, store.Metric{Name: store.FlopsMetric, Step: step, Value: 2.5e10}, store.Metric{Name: store.CPUMetric, Step: step, Value: 1.5})
		if step%50 == 0 {
			metrics = append(metrics, store.Metric{Name: "eval_loss", Step: step, Value: 2*math.Exp(-x/150) + 1.2})
		}
	}
	l.no(l.store.AddMetrics(ctx, l.sft, metrics))
	l.no(l.store.FinishRun(ctx, l.sft, "b000000000000000", nil))

	l.failed = start(store.Run{Round: l.done, Stage: tandem.StageRewardSafety})
	l.no(l.store.AddMetrics(ctx, l.failed, []store.Metric{{Name: "loss", Step: 1, Value: 0.7}, {Name: "loss", Step: 2, Value: math.NaN()}, {Name: "grad_norm", Step: 1, Value: math.Inf(1)}}))
	l.no(l.store.FinishRun(ctx, l.failed, "", errors.New("invalid: train.Fit: step 3 of 200: the loss is NaN")))

	l.evaluation = start(store.Run{Stage: tandem.StageEvaluate, Config: json.RawMessage(`{"policy_id":"f000000000000000","helpfulness_id":"c000000000000000",
		"safety_id":"d000000000000000","prompts":"/data/held-out.jsonl","reference":"/models/SFT","sampling":{"temperature":0.7}}`)})
	l.no(l.store.AddMetrics(ctx, l.evaluation, []store.Metric{{Name: "evaluation/answers", Step: 1, Value: 550}, {Name: "evaluation/combined", Step: 1, Value: 1.25}, {Name: "evaluation/helpfulness", Step: 1, Value: 1.4142},
		{Name: "evaluation/safety", Step: 1, Value: -0.31}, {Name: "evaluation/gated", Step: 1, Value: 0.125}, {Name: "evaluation/length", Step: 1, Value: 31.2}, {Name: "evaluation/kl", Step: 1, Value: 2.1},
		{Name: "evaluation/wins_helpfulness", Step: 1, Value: 0.58}, {Name: "evaluation/wins_safety", Step: 1, Value: 0.61}}))
	l.no(l.store.FinishRun(ctx, l.evaluation, "", nil))

	l.ppo = start(store.Run{Round: l.running, Stage: tandem.StagePPO, Config: json.RawMessage(`{"model":"/models/RLHF-V1","config":{"beta":0.01,"iterations":200}}`), Seed: 7})
	for step := int64(1); step <= 60; step++ {
		l.iterate(step)
	}
	l.no(l.store.AddEvent(ctx, l.ppo, "note", "resuming (folder /models/ppo, step 40)"))
	l.no(l.store.AddEvent(ctx, l.ppo, "warning", "answers get longer and the held-out judge no longer agrees (iteration 55, kl 3.2)"))
}

// iterate adds an iteration of PPO.
func (l loop) iterate(step int64) {
	l.t.Helper()
	x := float64(step)
	var metrics []store.Metric
	for name, value := range map[string]float64{
		"objective/kl": x / 20, "objective/scores": 1 - math.Exp(-x/30), "objective/entropy": 40 - x/4, "policy/clipfrac_avg": 0.1 + 0.02*math.Sin(x/3),
		"loss/policy_avg": -0.02 * math.Cos(x/4), "loss/value_avg": 0.3 * math.Exp(-x/25), "val/length": 30 + x/3, "val/explained_variance": 1 - math.Exp(-x/15),
		"time/sample": 2.1, "time/update": 3.4, "lr": 1e-6, store.TokensMetric: 4000, store.FlopsMetric: 6e11, store.CPUMetric: 11,
	} {
		metrics = append(metrics, store.Metric{Name: name, Step: step, Value: value})
	}
	l.no(l.store.AddMetrics(l.t.Context(), l.ppo, metrics))
}

func (l *loop) answers() {
	ctx := l.t.Context()
	for i := range answered {
		p := tandem.Prompt{Source: "test", Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("What should I plant in week %d?", i)}}}
		if i%4 == 3 {
			p.Safety, p.Risk, p.Messages[0].Content = true, tandem.IllicitCriminal, fmt.Sprintf("How do I open lock number %d without its key?", i)
		}
		l.prompts = append(l.prompts, p)
	}
	var err error
	l.prompts, err = l.store.AddPrompts(ctx, l.prompts)
	l.no(err)
	// The SFT model and V1 answer every prompt under the same randomness, V1 with three more samples to the first one;
	// PPO's answers were kept of the first half.
	for m, model := range []string{"b000000000000000", "e000000000000000", "f000000000000000"} {
		var responses []store.Response
		var scores []store.ResponseScore
		for i, p := range l.prompts {
			samples := 1
			if m == 1 && i == 0 {
				samples = 4
			}
			for k := range samples {
				if m == 2 && i >= answered/2 {
					continue
				}
				r := store.Response{PromptID: p.ID, Model: model, Content: fmt.Sprintf("Answer %d of model %d: beans, and then peas.\nWater them.", k, m),
					Sampling: tandem.Sampling{Temperature: 1, MaxTokens: 64}, Seed: 5, Sample: uint64(k), Finish: tandem.FinishStop, Tokens: 12 + i}
				if i%5 == 4 {
					r.Finish = tandem.FinishLength
				}
				score := tandem.Score{Helpfulness: float64(m) + float64(i%3)/2, Safety: 1, Combined: float64(m)*0.8 + 0.1*float64(i) - 0.6*float64(m*(i%3)), Branch: tandem.HelpfulnessBranch}
				if p.Safety {
					score.Branch, score.Gated, score.Safety = tandem.SafetyBranch, m == 0, float64(m)-2.5
				}
				responses, scores = append(responses, r), append(scores, store.ResponseScore{Score: score})
			}
		}
		ids, err := l.store.AddResponses(ctx, responses)
		l.no(err)
		for i := range scores {
			scores[i].ResponseID = ids[i]
		}
		l.no(l.store.AddScores(ctx, "c000000000000000", "d000000000000000", scores))
	}
}
