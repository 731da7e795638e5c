package pipeline

import (
	"context"
	"fmt"

	"tandem"
	"tandem/evaluation"
	"tandem/store"
)

// Answer specifies a version's answers to prompts, for evaluation.
type Answer struct {
	// Ids of the models, under which answers and scores are kept; empty where they are not to be.
	PolicyID      string `json:"policy_id,omitempty"`
	HelpfulnessID string `json:"helpfulness_id,omitempty"`
	SafetyID      string `json:"safety_id,omitempty"`

	Policy      string          `json:"policy"`
	Reference   string          `json:"reference,omitempty"` // the policy that KL is measured from
	Helpfulness string          `json:"helpfulness"`
	Safety      string          `json:"safety"`
	Prompts     string          `json:"prompts"` // file, tandem.Prompt a line
	Sampling    tandem.Sampling `json:"sampling"`
	Seed        uint64          `json:"seed"`
	Repeat      int             `json:"repeat,omitempty"` // further answers to each prompt, see evaluation.Repeat
}

// Evaluation specifies a unit of the stage: a version's answers, or, where one of the others is set, what it specifies.
type Evaluation struct {
	Answer
	Fold    *Fold        `json:"fold,omitempty"`
	Hold    *HoldUnit    `json:"hold,omitempty"`
	Harness *HarnessUnit `json:"harness,omitempty"`
	Replies *Replies     `json:"replies,omitempty"`
	Judge   *JudgeUnit   `json:"judge,omitempty"`
	Timing  *TimingUnit  `json:"timing,omitempty"`
	Safety  *SafetyUnit  `json:"safety_unit,omitempty"`
	Replay  *ReplayUnit  `json:"replay,omitempty"`
}

// evaluate does a unit of the stage.
func (s *Studio) evaluate(ctx context.Context, spec Evaluation) (Result, error) {
	switch {
	case spec.Fold != nil:
		return came(s.Fold(ctx, *spec.Fold))
	case spec.Hold != nil:
		return came(s.holdUnit(ctx, *spec.Hold))
	case spec.Harness != nil:
		return came(s.answerHarness(ctx, *spec.Harness))
	case spec.Replies != nil:
		return came(s.repliesUnit(ctx, *spec.Replies))
	case spec.Judge != nil:
		return came(s.judgeUnit(ctx, *spec.Judge))
	case spec.Timing != nil:
		return came(s.timingUnit(ctx, *spec.Timing))
	case spec.Replay != nil:
		return came(s.replayUnit(ctx, *spec.Replay))
	case spec.Safety != nil:
		return came(s.safetyUnit(ctx, *spec.Safety))
	}
	answers, err := s.Answer(ctx, spec.Answer)
	if err != nil {
		return Result{}, err
	}
	if len(answers) > 0 {
		summary, err := evaluation.Summarise(answers)
		if err != nil {
			return Result{}, err
		}
		tallyOf(ctx).find(RealVersion{Summary: summary}.figures())
	}
	return Result{Value: answers, Write: func(ctx context.Context, st *store.Store) error { return keepEvaluated(ctx, st, spec.Answer, answers) }}, nil
}

// came is the result of a unit that keeps nothing beside it.
func came[T any](value T, err error) (Result, error) { return Result{Value: value}, err }

// keepEvaluated keeps a version's answers and their scores, so that they can be read beside another's.
func keepEvaluated(ctx context.Context, st *store.Store, spec Answer, evaluated []evaluation.Answer) error {
	if spec.PolicyID == "" {
		return nil
	}
	prompts, answers := make([]tandem.Prompt, len(evaluated)), make([]keptAnswer, len(evaluated))
	for i, a := range evaluated {
		prompts[i] = a.Prompt
		answers[i] = keptAnswer{i, store.Response{Content: a.Text, Sampling: spec.Sampling, Seed: spec.Seed, Finish: a.Finish, Tokens: len(a.Tokens)}, a.Score}
	}
	return keepAnswers(ctx, st, scorers{spec.PolicyID, spec.HelpfulnessID, spec.SafetyID}, prompts, answers)
}

// Answer samples a version's answers and scores them. Versions that are compared must be answered with the
// same seed and scored by the same pair of models.
func (s *Studio) Answer(ctx context.Context, spec Answer) ([]evaluation.Answer, error) {
	policy, err := s.open(ctx, spec.Policy)
	if err != nil {
		return nil, err
	}
	prompts, err := readPrompts(ctx, spec.Prompts)
	if err != nil {
		return nil, err
	}
	answers, err := evaluation.Answers(ctx, policy, prompts, spec.Sampling, spec.Seed)
	if err != nil {
		return nil, err
	}
	if err := evaluation.Repeat(ctx, policy, answers, spec.Sampling, spec.Seed, spec.Repeat); err != nil {
		return nil, err
	}
	scorer, err := s.Scorer(ctx, spec.Helpfulness, spec.Safety)
	if err != nil {
		return nil, err
	}
	if err := evaluation.Score(ctx, scorer, answers); err != nil {
		return nil, err
	}
	drawn := make([]spent, len(answers))
	for i, a := range answers {
		drawn[i] = spent{prompt: a.Prompt.Messages, tokens: len(a.Tokens)}
	}
	for range spec.Repeat { // of about the same length, and not scored
		if err := tallyOf(ctx).add(ctx, policy, nil, drawn); err != nil {
			return nil, err
		}
	}
	if err := tallyOf(ctx).add(ctx, policy, scorer, drawn); err != nil {
		return nil, err
	}
	if spec.Reference == "" {
		return answers, nil
	}
	reference, err := s.open(ctx, spec.Reference)
	if err != nil {
		return nil, err
	}
	return answers, drift(ctx, policy, reference, answers, spec.Sampling)
}

// prompter is what drift needs of a policy beside its log-probabilities.
type prompter interface {
	tandem.LogProber
	Prompt(ctx context.Context, r tandem.GenerateRequest) (ids []int32, cut int, err error)
}

// drift fills in the KL estimate of each answer: ln π(answer) − ln π₀(answer), at temperature 1.
func drift(ctx context.Context, policy, reference prompter, answers []evaluation.Answer, sampling tandem.Sampling) error {
	sequences, prompts := make([][]int32, len(answers)), make([]int, len(answers))
	for i, a := range answers {
		ids, _, err := policy.Prompt(ctx, tandem.GenerateRequest{Messages: a.Prompt.Messages, Sampling: sampling})
		if err != nil {
			return fmt.Errorf("prompt %d: %w", i, err)
		}
		prompts[i] = len(ids)
		sequences[i] = append(append([]int32(nil), ids...), a.Tokens...)
	}
	ours, err := policy.LogProbs(ctx, sequences)
	if err != nil {
		return fmt.Errorf("log-probabilities of the policy: %w", err)
	}
	theirs, err := reference.LogProbs(ctx, sequences)
	if err != nil {
		return fmt.Errorf("log-probabilities of the reference: %w", err)
	}
	for i := range answers {
		answers[i].KL = 0
		for t := prompts[i]; t < len(sequences[i]); t++ {
			answers[i].KL += float64(ours[i][t]) - float64(theirs[i][t])
		}
	}
	return nil
}
