package rejection

import (
	"context"
	"fmt"

	"tandem"
)

// Config says how answers are sampled.
type Config struct {
	// K is the number of answers to each prompt at each temperature. The paper draws 10 to 100. Defaults to 16.
	K int `json:"k"`
	// Temperature of sampling. The paper finds the best temperature for 10 to 100 samples in [1.2, 1.3] in
	// later rounds, and that it moves; defaults to 1. Several are a sweep: K answers at each, under the same random
	// numbers as at any other, so that the part of one temperature is what it alone would have sampled; the best answer
	// of all temperatures is kept.
	Temperature Temperatures `json:"temperature"`
	// TopP keeps the smallest set of tokens with that probability. Defaults to 1: all.
	TopP float64 `json:"top_p"`
	// MaxTokens of an answer. Defaults to 256.
	MaxTokens int `json:"max_tokens"`
	// Seed of sampling.
	Seed uint64 `json:"seed"`
}

// DefaultConfig returns the defaults that Config documents.
func DefaultConfig() Config {
	return Config{K: 16, Temperature: Temperatures{1}, TopP: 1, MaxTokens: 256}
}

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	const op = "rejection.Config"
	switch {
	case c.K < 1:
		return tandem.Errorf(tandem.Invalid, op, "k is %d, not at least 1", c.K)
	case c.TopP < 0 || c.TopP > 1:
		return tandem.Errorf(tandem.Invalid, op, "top-p is %g, not in [0, 1]", c.TopP)
	case c.MaxTokens < 1:
		return tandem.Errorf(tandem.Invalid, op, "max-tokens is %d, not at least 1", c.MaxTokens)
	}
	return c.Temperature.validate(op, c.K)
}

// Samples is the number of answers to each prompt, those of all temperatures.
func (c Config) Samples() int { return c.K * len(c.Temperature) }

// Sampling says how the answers of one temperature are drawn.
func (c Config) Sampling(temperature float64) tandem.Sampling {
	return tandem.Sampling{Temperature: temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}
}

// Candidate is one sampled answer with its score.
type Candidate struct {
	Sample      int                 `json:"sample"` // 0 … K−1 of its temperature
	Temperature float64             `json:"temperature"`
	Text        string              `json:"text"`
	Tokens      int                 `json:"tokens"` // sampled, the stop token included
	Finish      tandem.FinishReason `json:"finish"`
	Score       tandem.Score        `json:"score"`
}

// Set holds the candidates of one prompt, by temperature and then by sample number.
type Set struct {
	Prompt     tandem.Prompt `json:"prompt"`
	Candidates []Candidate   `json:"candidates"`
}

// Sample draws K answers to each prompt at each temperature and scores them; what several answers to a prompt say alike is scored
// once. The result depends on the policy, the prompts' texts and the configuration, not on how prompts are
// divided over calls.
func Sample(ctx context.Context, policy tandem.Generator, scorer tandem.Scorer, prompts []tandem.Prompt, c Config) ([]Set, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	sets := make([]Set, len(prompts))
	each := c.Samples()
	requests := make([]tandem.GenerateRequest, 0, len(prompts)*each)
	for i, p := range prompts {
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("prompt %d: %w", i, err)
		}
		sets[i] = Set{Prompt: p, Candidates: make([]Candidate, each)}
		for _, t := range c.Temperature {
			for k := range c.K {
				requests = append(requests, tandem.GenerateRequest{
					Messages: p.Messages,
					Sampling: c.Sampling(t),
					Key:      tandem.SampleKey{Seed: c.Seed, Prompt: p.Messages.Key(), Sample: uint64(k)},
				})
			}
		}
	}
	answers, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, fmt.Errorf("sample answers: %w", err)
	}
	var toScore []tandem.ScoreRequest
	scoreOf := make([]int, len(requests)) // the place in toScore of what each answer says
	for i := range sets {
		said := make(map[string]int, each)
		for n := i * each; n < (i+1)*each; n++ {
			text := answers[n].Text
			at, again := said[text]
			if !again {
				at = len(toScore)
				said[text] = at
				toScore = append(toScore, tandem.ScoreRequest{Messages: prompts[i].Messages.With(tandem.Assistant, text), Safety: prompts[i].Safety})
			}
			scoreOf[n] = at
		}
	}
	scores, err := scorer.Score(ctx, toScore)
	if err != nil {
		return nil, fmt.Errorf("score answers: %w", err)
	}
	for i, a := range answers {
		sets[i/each].Candidates[i%each] = Candidate{
			Sample: i % c.K, Temperature: requests[i].Sampling.Temperature, Text: a.Text, Tokens: len(a.Tokens), Finish: a.Finish, Score: scores[scoreOf[i]],
		}
	}
	return sets, nil
}
