package rewardmodel

import (
	"context"
	"fmt"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/train"
)

// Renderer turns a dialogue into the ids that a reward model reads, ending in EOS exactly once and cut from
// the left to most tokens. chat.Template is one; scoring goes through the same.
type Renderer interface {
	Scored(ctx context.Context, d tandem.Dialogue, most int) (chat.Example, error)
}

// Prepared is what a training task was made from, for logs and reports.
type Prepared struct {
	Pairs    int `json:"pairs"`
	Rankings int `json:"rankings"` // of more than two answers, whose pairs are among Pairs
	Cut      int `json:"cut"`      // dialogues that lost their beginning: two a pair at most
	LeftOut  int `json:"left_out"` // chosen answer unsafe, the other safe (section 3.2.1)
	Labelled int `json:"labelled"` // answers with a safety label that is learnt from
}

// NewTask makes the training task of comparisons for a model; it is a train.Task and a train.Measurer.
func NewTask(ctx context.Context, r Renderer, comparisons []tandem.Comparison, c Config, model llama.Config) (train.Measurer, Prepared, error) {
	var prepared Prepared
	maxTokens := model.MaxPositionEmbeddings
	if c.MaxTokens > 0 {
		maxTokens = min(maxTokens, c.MaxTokens)
	}
	// Held-out comparisons go through the program of those that are trained on, so that what it takes depends on c alone.
	t := &task{auxiliary: c.AuxiliaryWeight, center: c.CenterRewards, l2: c.L2}
	place := make(map[string]int) // of rankings among the examples
	for i, comparison := range comparisons {
		if !comparison.Trainable() {
			prepared.LeftOut++
			continue
		}
		chosen, rejected := comparison.Dialogues()
		a, err := r.Scored(ctx, chosen, maxTokens)
		if err != nil {
			return nil, prepared, fmt.Errorf("comparison %d (%s): %w", i, comparison.ID, err)
		}
		b, err := r.Scored(ctx, rejected, maxTokens)
		if err != nil {
			return nil, prepared, fmt.Errorf("comparison %d (%s): %w", i, comparison.ID, err)
		}
		for _, e := range []chat.Example{a, b} {
			if e.Cut > 0 {
				prepared.Cut++
			}
		}
		p := Pair{Chosen: model.Pooled(a.Tokens), Rejected: model.Pooled(b.Tokens), Margin: c.Margin.Margin(comparison), ChosenLabel: comparison.Chosen.Label, RejectedLabel: comparison.Rejected.Label}
		if c.AuxiliaryWeight > 0 {
			prepared.Labelled += p.labelled()
		}
		prepared.Pairs++
		// The pairs of a ranking stand where its first one came, as many as the mixture drew.
		at, known := place[comparison.Ranking]
		if comparison.Ranking == "" || !known {
			at = len(t.examples)
			t.examples = append(t.examples, nil)
			if comparison.Ranking != "" {
				place[comparison.Ranking] = at
			}
		}
		if t.examples[at] = append(t.examples[at], p); len(t.examples[at]) == 2 {
			prepared.Rankings++
		}
	}
	if len(t.examples) == 0 {
		return nil, prepared, tandem.Errorf(tandem.Invalid, "rewardmodel.NewTask", "there are no comparisons to learn %s from", c.Aspect)
	}
	return t, prepared, nil
}

// Calibrated reports whether a model fitted to p's task has a meaningful σ(r).
func (p Prepared) Calibrated() bool { return p.Labelled > 0 }
