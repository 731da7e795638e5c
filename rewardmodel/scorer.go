package rewardmodel

import (
	"context"
	"fmt"

	"tandem"
	"tandem/llama"
)

// Renderer turns a dialogue into the ids that a reward model reads: the model's chat template, ending in
// EOS exactly once (chat.Renderer). Training and scoring use the same one.
type Renderer interface {
	RenderScored(d tandem.Dialogue) ([]int32, error)
}

// Judge is one reward model with the tokenizer and template that it reads through. It is a
// classifier's safety for concurrent use.
type Judge struct {
	Classifier *llama.Classifier
	Renderer   Renderer
	MaxTokens  int // of a dialogue, whose beginning is cut; the model's context
}

// Scores returns the raw scalar of each dialogue.
func (j Judge) Scores(ctx context.Context, dialogues []tandem.Dialogue) ([]float64, error) {
	sequences := make([][]int32, len(dialogues))
	for i, d := range dialogues {
		ids, _, err := render(j.Renderer, d, j.MaxTokens)
		if err != nil {
			return nil, fmt.Errorf("dialogue %d: %w", i, err)
		}
		sequences[i] = ids
	}
	scores, err := j.Classifier.Scores(ctx, sequences)
	if err != nil {
		return nil, err
	}
	wide := make([]float64, len(scores))
	for i, s := range scores {
		wide[i] = float64(s)
	}
	return wide, nil
}

// render returns the ids of a scored dialogue and whether its beginning was cut: of a dialogue of more
// than most tokens the first token, BOS, and the last most − 1 are kept.
func render(r Renderer, d tandem.Dialogue, most int) (ids []int32, cut bool, err error) {
	ids, err = r.RenderScored(d)
	if err != nil || most <= 0 || len(ids) <= most {
		return ids, false, err
	}
	short := make([]int32, 0, most)
	short = append(short, ids[0])
	return append(short, ids[len(ids)-most+1:]...), true, nil
}

// Scorer scores answers with both reward models. It is a tandem.Scorer.
type Scorer struct {
	Helpfulness, Safety Judge
	Combiner            Combiner
}

// Score returns R_c and what it is made of for each answer; a score does not depend on what else is scored.
func (s *Scorer) Score(ctx context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	dialogues := make([]tandem.Dialogue, len(requests))
	for i, r := range requests {
		dialogues[i] = r.Messages
	}
	rh, err := s.Helpfulness.Scores(ctx, dialogues)
	if err != nil {
		return nil, fmt.Errorf("helpfulness model: %w", err)
	}
	rs, err := s.Safety.Scores(ctx, dialogues)
	if err != nil {
		return nil, fmt.Errorf("safety model: %w", err)
	}
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		scores[i] = s.Combiner.Combine(rh[i], rs[i], r.Safety)
	}
	return scores, nil
}

// Calibrate reads both models' raw scalars of reference samples and freezes how they are read: the
// statistics over all of them, the gate of an uncalibrated safety model over the answers to safety prompts.
func (s *Scorer) Calibrate(ctx context.Context, safetyCalibrated bool, reference []tandem.ScoreRequest) error {
	dialogues := make([]tandem.Dialogue, len(reference))
	for i, r := range reference {
		dialogues[i] = r.Messages
	}
	rh, err := s.Helpfulness.Scores(ctx, dialogues)
	if err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	rs, err := s.Safety.Scores(ctx, dialogues)
	if err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	var toSafety []float64
	for i, r := range reference {
		if r.Safety {
			toSafety = append(toSafety, rs[i])
		}
	}
	if s.Combiner.Helpfulness, err = Calibrate(true, rh, nil); err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	s.Combiner.Helpfulness.Calibrated, s.Combiner.Helpfulness.Gate = false, 0 // σ(r_h) has no meaning, and nothing is gated by it
	if s.Combiner.Safety, err = Calibrate(safetyCalibrated, rs, toSafety); err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	return nil
}
