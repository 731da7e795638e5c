package main

import (
	"context"
	"iter"
	"os"

	"tandem"
	"tandem/internal/openai"
	"tandem/internal/practice"
	"tandem/llama/chat"
	"tandem/store"
)

// openVariant makes a variant of live projects answer. An endpoint's key is read from the environment here and
// nowhere else.
func openVariant(ctx context.Context, v store.Variant) (tandem.Generator, error) {
	if v.URL == store.PracticeURL {
		world, err := practice.New(practice.DefaultConfig(1))
		if err != nil {
			return nil, err
		}
		return practice.NewWriter(world, v.ModelName)
	}
	if v.Kind == store.EndpointVariant {
		e := openai.Endpoint{URL: v.URL, Model: v.ModelName}
		if v.KeyEnv != "" {
			if e.Key = os.Getenv(v.KeyEnv); e.Key == "" {
				return nil, tandem.Errorf(tandem.Invalid, "", "the server's environment has no %s, which is to hold the endpoint's key", v.KeyEnv)
			}
		}
		return e, nil
	}
	policy, err := chat.Open(ctx, modelPath(v.URL), chat.Config{})
	if err != nil {
		return nil, err
	}
	return wholePrompts{policy}, nil
}

// wholePrompts is a policy that refuses a dialogue which it could not read from its beginning, instead of
// forgetting it: people compare answers to what they wrote.
type wholePrompts struct{ policy *chat.Policy }

func (w wholePrompts) Generate(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	for i, r := range requests {
		_, cut, err := w.policy.Prompt(ctx, r)
		if err == nil && cut > 0 {
			err = tandem.Errorf(tandem.Invalid, "", "the dialogue is %d tokens too long for the model's context of %d", cut, w.policy.Weights.Config.MaxPositionEmbeddings)
		}
		if err != nil {
			return func(yield func(tandem.Chunk, error) bool) { yield(tandem.Chunk{Request: i}, err) }
		}
	}
	return w.policy.Generate(ctx, requests)
}
