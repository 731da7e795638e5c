package rejection

import (
	"context"
	"fmt"

	"tandem"
)

// Config says how answers are sampled.
type Config struct {
	// K is the number of answers to each prompt. The paper draws 10 to 100. Defaults to 16.
	K int `json:"k"`
	// Temperature of sampling. The paper finds the best temperature for 10 to 100 samples in [1.2, 1.3] in
	// later rounds, and that it moves; defaults to 1.
	Temperature float64 `json:"temperature"`
	// TopP keeps the smallest set of tokens with that probability. Defaults to 1: all.
	TopP float64 `json:"top_p"`
	// MaxTokens of an answer. Defaults to 256.
	MaxTokens int `json:"max_tokens"`
	// Seed of sampling.
	Seed uint64 `json:"seed"`
}

// DefaultConfig returns the defaults that Config documents.
func DefaultConfig() Config {
	return Config{K: 16, Temperature: 1, TopP: 1, MaxTokens: 256}
}

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	const op = "rejection.Config"
	switch {
	case c.K < 1:
		return tandem.Errorf(tandem.Invalid, op, "k is %d, not at least 1", c.K)
	case c.K > 1 && !(c.Temperature > 0):
		return tandem.Errorf(tandem.Invalid, op, "temperature is %g, which makes all %d answers the same", c.Temperature, c.K)
	case c.TopP < 0 || c.TopP > 1:
		return tandem.Errorf(tandem.Invalid, op, "top-p is %g, not in [0, 1]", c.TopP)
	case c.MaxTokens < 1:
		return tandem.Errorf(tandem.Invalid, op, "max-tokens is %d, not at least 1", c.MaxTokens)
	}
	return nil
}

// Candidate is one sampled answer with its score.
type Candidate struct {
	Sample int                 `json:"sample"` // 0 … K−1
	Text   string              `json:"text"`
	Tokens int                 `json:"tokens"` // sampled, the stop token included
	Finish tandem.FinishReason `json:"finish"`
	Score  tandem.Score        `json:"score"`
}

// Set holds the candidates of one prompt, by sample number.
type Set struct {
	Prompt     tandem.Prompt `json:"prompt"`
	Candidates []Candidate   `json:"candidates"`
}

// Sample draws K answers to each prompt and scores them; what several answers to a prompt say alike is scored
// once. The result depends on the policy, the prompts' texts and the configuration, not on how prompts are
// divided over calls.
func Sample(ctx context.Context, policy tandem.Generator, scorer tandem.Scorer, prompts []tandem.Prompt, c Config) ([]Set, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	sets := make([]Set, len(prompts))
	requests := make([]tandem.GenerateRequest, 0, len(prompts)*c.K)
	sampling := tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}
	for i, p := range prompts {
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("prompt %d: %w", i, err)
		}
		sets[i] = Set{Prompt: p, Candidates: make([]Candidate, c.K)}
		for k := range c.K {
			requests = append(requests, tandem.GenerateRequest{
				Messages: p.Messages,
				Sampling: sampling,
				Key:      tandem.SampleKey{Seed: c.Seed, Prompt: p.Messages.Key(), Sample: uint64(k)},
			})
		}
	}
	answers, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, fmt.Errorf("sample answers: %w", err)
	}
	var toScore []tandem.ScoreRequest
	scoreOf := make([]int, len(requests)) // the place in toScore of what each answer says
	for i := range sets {
		said := make(map[string]int, c.K)
		for n := i * c.K; n < (i+1)*c.K; n++ {
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
		sets[i/c.K].Candidates[i%c.K] = Candidate{Sample: i % c.K, Text: a.Text, Tokens: len(a.Tokens), Finish: a.Finish, Score: scores[scoreOf[i]]}
	}
	return sets, nil
}
