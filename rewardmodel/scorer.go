package rewardmodel

import (
	"context"
	"fmt"

	"tandem"
)

// Judge is one reward model: it gives the raw scalar of each dialogue, and says how many tokens it had to
// cut from the left of long ones. A scalar never depends on what else is scored. Model is one.
type Judge interface {
	Scalars(ctx context.Context, dialogues []tandem.Dialogue) (scalars []Scalar, cut int, err error)
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
	rh, rs, err := s.scalars(ctx, dialogues)
	if err != nil {
		return nil, err
	}
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		scores[i] = s.Combiner.Combine(rh[i], rs[i], r.Safety)
	}
	return scores, nil
}

// scalars are both models' raw scalars of each dialogue.
func (s *Scorer) scalars(ctx context.Context, dialogues []tandem.Dialogue) (rh, rs []Scalar, err error) {
	if rh, _, err = s.Helpfulness.Scalars(ctx, dialogues); err != nil {
		return nil, nil, fmt.Errorf("helpfulness model: %w", err)
	}
	if rs, _, err = s.Safety.Scalars(ctx, dialogues); err != nil {
		return nil, nil, fmt.Errorf("safety model: %w", err)
	}
	return rh, rs, nil
}

// raw are the r of scalars.
func raw(scalars []Scalar) []float64 {
	r := make([]float64, len(scalars))
	for i, s := range scalars {
		r[i] = s.R
	}
	return r
}

// Calibrate reads both models' raw scalars of reference samples and freezes how they are read: the
// statistics over all of them, the gate of an uncalibrated safety model over the answers to safety prompts.
func (s *Scorer) Calibrate(ctx context.Context, safetyCalibrated bool, reference []tandem.ScoreRequest) error {
	dialogues := make([]tandem.Dialogue, len(reference))
	for i, r := range reference {
		dialogues[i] = r.Messages
	}
	rh, rs, err := s.scalars(ctx, dialogues)
	if err != nil {
		return err
	}
	var toSafety []float64
	for i, r := range reference {
		if r.Safety {
			toSafety = append(toSafety, rs[i].R)
		}
	}
	if s.Combiner.Helpfulness, err = Calibrate(true, raw(rh), nil); err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	s.Combiner.Helpfulness.Calibrated, s.Combiner.Helpfulness.Gate = false, 0 // σ(r_h) has no meaning, and nothing is gated by it
	if s.Combiner.Safety, err = Calibrate(safetyCalibrated, raw(rs), toSafety); err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	return nil
}
