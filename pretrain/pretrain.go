// Package pretrain fits a model to plain text: the very first step of a loop that has no base model yet,
// as the practice world's and that of a small model made for one's own dialogues (Llama 2, section 2).
//
// Texts are joined to one stream, each between BOS and EOS, and cut into sequences of the context's
// length, so that no token is padding and every token but a sequence's first is predicted.
package pretrain

import (
	"fmt"
	"iter"

	"tandem"
	"tandem/llama/train"
)

// Config says how a model is fitted to text.
type Config struct {
	// Context is the length of a training sequence in tokens. Defaults to 256.
	Context int `json:"context"`
	// Fit is the training loop's configuration; Batch counts sequences.
	Fit train.Config `json:"fit"`
}

// Preset returns the configuration of that name. "llama2-7b" and "llama2-70b" are the paper's (section 2.2: rate 3e-4, at 70B 1.5e-4,
// cosine to a tenth, 2,000 warm-up steps, 4M tokens a batch at context 4,096); "practice" is for a model of
// a million parameters and a minute of time (a choice).
func Preset(name string) (Config, error) {
	c := Config{Context: 256, Fit: train.DefaultConfig()}
	switch name {
	case "llama2-7b", "llama2-70b":
		c.Context = 4096
		c.Fit.LearningRate, c.Fit.Batch, c.Fit.WarmupSteps = 3e-4, 1024, 2000
		if name == "llama2-70b" {
			c.Fit.LearningRate = 1.5e-4
		}
	case "practice":
		c.Context = 192
		c.Fit.LearningRate, c.Fit.Batch = 4e-3, 6
	default:
		return Config{}, tandem.Errorf(tandem.Invalid, "pretrain.Preset", "there is no preset %q (llama2-7b, llama2-70b and practice are)", name)
	}
	return c, nil
}

// Encoder makes ids of text; addSpecial false adds nothing to it.
type Encoder interface {
	Encode(text string, addSpecial bool) ([]int32, error)
}

// Task makes the training task of texts: bos and eos stand around each, and the stream is cut every
// context tokens; what is left at its end is one shorter sequence.
func Task(encoder Encoder, texts iter.Seq2[string, error], bos, eos int32, context int) (*train.LanguageModel, error) {
	if context < 2 {
		return nil, tandem.Errorf(tandem.Invalid, "pretrain.Task", "context is %d, not at least 2", context)
	}
	var sequences []train.Sequence
	var stream []int32
	n := 0
	for text, err := range texts {
		if err != nil {
			return nil, err
		}
		ids, err := encoder.Encode(text, false)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", n, err)
		}
		n++
		stream = append(append(append(stream, bos), ids...), eos)
		for len(stream) >= context {
			sequences = append(sequences, train.Sequence{Tokens: stream[:context:context]})
			stream = stream[context:]
		}
	}
	if len(stream) >= 2 {
		sequences = append(sequences, train.Sequence{Tokens: stream})
	}
	return train.NewLanguageModel(sequences)
}
