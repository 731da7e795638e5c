package main

import (
	"context"

	"tandem"
	"tandem/llama/tokenizer"
)

// tokenizeCommand turns {"text":…} into {"tokens":[…]}, line by line. Special tokens spelled in the text
// are special tokens, as transformers reads raw text by default; messages of a dialogue never are.
type tokenizeCommand struct {
	Model string `required:"" help:"Model folder or tokenizer file." placeholder:"DIR"`
}

type textRequest struct {
	Text *string `json:"text"`
}

type tokensReply struct {
	Tokens []int32 `json:"tokens"`
}

func (c *tokenizeCommand) Run(ctx context.Context, w *world) error {
	t, err := tokenizer.Open(tokenizerPath(c.Model))
	if err != nil {
		return err
	}
	return eachLine(ctx, w, 64, answerEach(func(_ context.Context, r textRequest) (tokensReply, error) {
		if r.Text == nil {
			return tokensReply{}, tandem.Errorf(tandem.Invalid, "", `"text" is missing`)
		}
		ids, err := t.EncodeRendered(*r.Text, true)
		if ids == nil {
			ids = []int32{}
		}
		return tokensReply{ids}, err
	}))
}
