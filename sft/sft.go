// Package sft fits a policy to dialogues by supervised fine-tuning (Llama 2, section 3.1). It makes the
// first chat model of a loop, and the model of every later version: rejection sampling's best answers are
// dialogues like any others, and each version restarts from the base model.
//
// The loss of prompt tokens is zero: what is trained on is the assistant messages that a
// tandem.Message marks, each with its EOS. The paper packs dialogues into full sequences with a special
// token between them; here batches are ragged and hold no padding, so each dialogue is a sequence of its
// own, which wastes as little and lets no dialogue attend to another.
package sft

import (
	"context"
	"fmt"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/train"
)

// Preset returns the training configuration of that name: "llama2-7b" and "llama2-70b" are the paper's, which is the same for
// all sizes (cosine from 2e-5, weight decay 0.1, batch 64, 2 epochs), "practice" moves a model of a million parameters (a choice).
func Preset(name string) (train.Config, error) {
	c := train.DefaultConfig()
	c.Epochs = 2
	switch name {
	case "llama2-7b", "llama2-70b":
	case "practice":
		c.LearningRate, c.Batch = 1e-3, 16
	default:
		return train.Config{}, tandem.Errorf(tandem.Invalid, "sft.Preset", "there is no preset %q (llama2-7b, llama2-70b and practice are)", name)
	}
	return c, nil
}

// Renderer turns a dialogue into ids and says which of them are trained on. chat.Template is one.
type Renderer interface {
	Training(ctx context.Context, d tandem.Dialogue, most int) (chat.Example, error)
}

// Prepared is what a training task was made from.
type Prepared struct {
	Dialogues int `json:"dialogues"`
	TooLong   int `json:"too_long"`  // left out: longer than the model's context
	Untrained int `json:"untrained"` // left out: no message is marked
	Tokens    int `json:"tokens"`    // trained on
}

// NewTask makes the training task of dialogues. A dialogue longer than maxTokens is left out and counted:
// cut at its end it would teach to stop in mid-sentence, cut at its beginning to answer what was not asked.
func NewTask(ctx context.Context, r Renderer, dialogues []tandem.Dialogue, maxTokens int) (*train.LanguageModel, Prepared, error) {
	var prepared Prepared
	var sequences []train.Sequence
	for i, d := range dialogues {
		example, err := r.Training(ctx, d, 0)
		if err != nil {
			return nil, prepared, fmt.Errorf("dialogue %d: %w", i, err)
		}
		weights, tokens := make([]float32, len(example.Tokens)), 0
		for j, on := range example.Train {
			if on {
				weights[j] = 1
				tokens++
			}
		}
		switch {
		case tokens == 0:
			prepared.Untrained++
			continue
		case len(example.Tokens) > maxTokens:
			prepared.TooLong++
			continue
		}
		prepared.Tokens += tokens
		sequences = append(sequences, train.Sequence{Tokens: example.Tokens, Weights: weights})
	}
	prepared.Dialogues = len(sequences)
	if len(sequences) == 0 {
		return nil, prepared, tandem.Errorf(tandem.Invalid, "sft.NewTask", "no dialogue is left to train on: %d are longer than %d tokens, %d have no message to train on",
			prepared.TooLong, maxTokens, prepared.Untrained)
	}
	task, err := train.NewLanguageModel(sequences)
	return task, prepared, err
}

// TrainOnAnswers returns a copy of d with every assistant message marked to be trained on: what a plain
// data set of dialogues means.
func TrainOnAnswers(d tandem.Dialogue) tandem.Dialogue {
	marked := make(tandem.Dialogue, len(d))
	for i, m := range d {
		m.Train = m.Role == tandem.Assistant
		marked[i] = m
	}
	return marked
}
