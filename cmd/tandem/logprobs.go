package main

import (
	"context"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
)

// logprobsCommand gives ln P(token | tokens before it), line by line. A folder without a tokenizer does for
// lines of token ids.
type logprobsCommand struct {
	Model string `required:"" help:"Folder of the policy, or a .bin of llama2.c." placeholder:"DIR"`
	inferenceFlags
}

// logprobsRequest is a line of input: a text, which gets what the model's tokenizer adds by default, or
// token ids, which are taken as they are.
type logprobsRequest struct {
	Text   *string  `json:"text"`
	Tokens tokenIDs `json:"tokens"`
}

type logprobsReply struct {
	Tokens   []int32    `json:"tokens"`
	LogProbs []*float32 `json:"logprobs"` // natural logarithms; null for the first, which has none
}

func (c *logprobsCommand) Run(ctx context.Context, w *world) error {
	kernels, err := c.kernels()
	if err != nil {
		return err
	}
	model, err := checkpoint.Load(ctx, modelPath(c.Model))
	if err != nil {
		return err
	}
	if model.Weights.IsClassifier() {
		return tandem.Errorf(tandem.Invalid, "", "%s is a reward model, and only a policy gives log-probabilities", c.Model)
	}
	forward, err := llama.NewForward(model.Weights, llama.ForwardConfig{Workers: c.Workers, Kernel: kernels})
	if err != nil {
		return err
	}
	var t *tokenizer.Tokenizer // opened by the first text
	prepare := func(_ context.Context, r logprobsRequest) (tokens []int32, err error) {
		switch {
		case (r.Text == nil) == (r.Tokens == nil):
			return nil, tandem.Errorf(tandem.Invalid, "", `exactly one of "text" and "tokens" is expected`)
		case r.Tokens != nil:
			tokens = r.Tokens
		default:
			if t == nil {
				if t, err = tokenizer.Open(tokenizerPath(c.Model)); err != nil {
					return nil, err
				}
			}
			if tokens, err = t.EncodeRendered(*r.Text, true); err != nil {
				return nil, err
			}
		}
		return tokens, checkTokens(model.Weights.Config, tokens)
	}
	return eachLine(ctx, w, linesAtOnce, answerBatch(prepare, whole(func(ctx context.Context, sequences [][]int32) ([]logprobsReply, error) {
		all, err := forward.LogProbs(ctx, sequences)
		if err != nil {
			return nil, err
		}
		replies := make([]logprobsReply, len(all))
		for i, logprobs := range all {
			replies[i] = logprobsReply{sequences[i], make([]*float32, len(logprobs))}
			for j := 1; j < len(logprobs); j++ {
				replies[i].LogProbs[j] = &logprobs[j]
			}
		}
		return replies, nil
	})))
}

// checkTokens reports a sequence that the model cannot take.
func checkTokens(c llama.Config, tokens []int32) error {
	switch {
	case len(tokens) == 0:
		return tandem.Errorf(tandem.Invalid, "", "there are no tokens")
	case len(tokens) > c.MaxPositionEmbeddings:
		return tandem.Errorf(tandem.Invalid, "", "there are %d tokens, more than the model's context of %d", len(tokens), c.MaxPositionEmbeddings)
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= c.VocabSize {
			return tandem.Errorf(tandem.Invalid, "", "token %d is %d, outside the model's vocabulary of %d", i, id, c.VocabSize)
		}
	}
	return nil
}
