package tandem

import (
	"context"
	"iter"
	"strings"
)

// Sampling says how a policy's next token is drawn. The zero value is greedy and unlimited by anything
// but the context.
type Sampling struct {
	Temperature float64  `json:"temperature"`          // 0 is greedy
	TopK        int      `json:"top_k,omitempty"`      // 0 keeps all
	TopP        float64  `json:"top_p,omitempty"`      // 0 and 1 keep all
	MaxTokens   int      `json:"max_tokens,omitempty"` // new tokens at most; 0 is what the context leaves
	Stop        []string `json:"stop,omitempty"`       // texts that end the answer, beside the model's stop tokens
}

// SampleKey names one sample's randomness: drawing is keyed by (seed, prompt, sample, position), never a
// stream, so an answer does not depend on order, shards or batches.
type SampleKey struct {
	Seed   uint64
	Prompt uint64 // a number of the prompt that does not change with its place in a batch
	Sample uint64 // 0 … K−1
}

// GenerateRequest asks a policy for one answer. Exactly one of Messages and Text is set: messages go
// through the chat template, text is raw after BOS.
type GenerateRequest struct {
	Messages Dialogue
	Text     *string
	Sampling Sampling
	Key      SampleKey
}

// FinishReason says why an answer ended.
type FinishReason string

const (
	FinishStop   FinishReason = "stop"   // a stop token or text
	FinishLength FinishReason = "length" // max_tokens or the context's end
)

// Chunk is a piece of the answer to one request.
type Chunk struct {
	Request  int          // index into the requests
	Text     string       // new text; never half a character
	Tokens   []int32      // new token ids, a stop token included
	LogProbs []float32    // ln P of each token under the sampling temperature, before top-k and top-p
	Finish   FinishReason // empty until the last chunk of a request
}

// Generator answers many requests at once and yields chunks as they are sampled, interleaved. An error
// ends the sequence.
type Generator interface {
	Generate(ctx context.Context, requests []GenerateRequest) iter.Seq2[Chunk, error]
}

// LogProber gives ln P(token i | tokens before i) for every token of every sequence, at temperature 1.
// The first token of a sequence has none, and its entry is 0. The last one is not read, so that a sequence
// may have one token more than the model's context.
type LogProber interface {
	LogProbs(ctx context.Context, sequences [][]int32) ([][]float32, error)
}

// Completion is one whole answer.
type Completion struct {
	Text     string
	Tokens   []int32   // a stop token included
	LogProbs []float32 // of each token; see Chunk
	Finish   FinishReason
}

// Collect generates every answer whole, in the order of the requests. A NUL character, which a poor model
// may say and no database keeps, becomes U+FFFD as malformed text does: what is kept, scored and shown is
// one text.
func Collect(ctx context.Context, g Generator, requests []GenerateRequest) ([]Completion, error) {
	completions, texts := make([]Completion, len(requests)), make([]strings.Builder, len(requests))
	for chunk, err := range g.Generate(ctx, requests) {
		if err != nil {
			return nil, err
		}
		c := &completions[chunk.Request]
		texts[chunk.Request].WriteString(chunk.Text)
		c.Tokens = append(c.Tokens, chunk.Tokens...)
		c.LogProbs = append(c.LogProbs, chunk.LogProbs...)
		c.Finish = chunk.Finish
	}
	for i := range completions {
		completions[i].Text = strings.ReplaceAll(texts[i].String(), "\x00", "\uFFFD")
	}
	return completions, nil
}
