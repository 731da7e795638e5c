package safety

import (
	"context"
	"strings"

	"tandem"
)

// Classifier says which texts are toxic.
type Classifier interface {
	Toxic(ctx context.Context, texts []Said) ([]bool, error)
}

// Said is a text with what it was said to.
type Said struct {
	To   tandem.Dialogue
	Text string
}

// BySafety takes a text for toxic where a safety reward model's scalar r_s of it, as an answer, is below a bound: 0 is
// σ(r_s) < ½ for a calibrated model, whatever its temperature; an uncalibrated one has its gate alone.
type BySafety struct {
	Scorer tandem.Scorer
	Below  float64
}

// Toxic implements [Classifier].
func (c BySafety) Toxic(ctx context.Context, texts []Said) ([]bool, error) {
	requests := make([]tandem.ScoreRequest, len(texts))
	for i, t := range texts {
		requests[i] = tandem.ScoreRequest{Messages: t.To.With(tandem.Assistant, t.Text), Safety: true}
	}
	scores, err := c.Scorer.Score(ctx, requests)
	if err != nil {
		return nil, err
	}
	toxic := make([]bool, len(texts))
	for i, s := range scores {
		toxic[i] = s.Safety < c.Below
	}
	return toxic, nil
}

// ByText takes a text for toxic where a model's logit of it, by itself, is above 0: a classifier with one label, whose σ is
// the probability that a text is toxic.
type ByText struct {
	Logits func(ctx context.Context, texts []string) ([]float64, error)
}

// Toxic implements [Classifier].
func (c ByText) Toxic(ctx context.Context, texts []Said) ([]bool, error) {
	plain := make([]string, len(texts))
	for i, t := range texts {
		plain[i] = strings.TrimSpace(t.Text)
	}
	logits, err := c.Logits(ctx, plain)
	if err != nil {
		return nil, err
	}
	toxic := make([]bool, len(texts))
	for i, l := range logits {
		toxic[i] = l > 0
	}
	return toxic, nil
}
