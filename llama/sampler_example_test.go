package llama_test

import (
	"context"
	"fmt"
	"log"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
)

// Four answers to each of two prompts, as rejection sampling asks for them: a prompt is computed once, and
// every answer is the same in any order, slots or company.
func ExampleSampler_Sample() {
	ctx := context.Background()
	model, err := checkpoint.Load(ctx, "policy")
	if err != nil {
		log.Fatal(err)
	}
	sampler, err := llama.NewSampler(model.Weights, llama.SamplerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	var requests []llama.Request
	for i, prompt := range [][]int32{{1, 306, 4658}, {1, 1724, 338}} {
		for sample := range 4 {
			requests = append(requests, llama.Request{
				Prompt:   prompt,
				Sampling: tandem.Sampling{Temperature: 1.2, MaxTokens: 256},
				Stop:     []int32{2},
				Key:      tandem.SampleKey{Seed: 1, Prompt: uint64(i), Sample: uint64(sample)},
			})
		}
	}
	for event, err := range sampler.Sample(ctx, requests) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Request, event.Token, event.LogProb, event.Finish)
	}
}
