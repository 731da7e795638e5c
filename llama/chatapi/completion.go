package chatapi

import (
	"strings"

	"tandem"
	"tandem/llama"
	"tandem/llama/tokenizer"
)

// Completion is the answer to a request that is not streamed.
type Completion struct {
	ID          string   `json:"id"`
	Object      string   `json:"object" enum:"chat.completion"`
	Created     int64    `json:"created" doc:"When the request came, in seconds since 1970."`
	Model       string   `json:"model" doc:"The id of the model that answered."`
	Choices     []Choice `json:"choices" nullable:"false"`
	Usage       Usage    `json:"usage"`
	Fingerprint string   `json:"system_fingerprint" doc:"Changes with whatever may change an answer: the model, and the arithmetic."`
}

// Choice is one of the answers.
type Choice struct {
	Index    int                 `json:"index"`
	Message  Answer              `json:"message"`
	LogProbs *LogProbs           `json:"logprobs"`
	Finish   tandem.FinishReason `json:"finish_reason" enum:"stop,length"`
}

// Answer is a message of the assistant.
type Answer struct {
	Role    tandem.Role `json:"role" enum:"assistant"`
	Content string      `json:"content"`
	Refusal *string     `json:"refusal" doc:"Always null."`
}

// Usage counts tokens.
type Usage struct {
	Prompt     int `json:"prompt_tokens" doc:"Of the prompt as the chat template renders it, once for all choices."`
	Completion int `json:"completion_tokens" doc:"Sampled, of all choices together, stop tokens included."`
	Total      int `json:"total_tokens"`
}

// LogProbs are the tokens of an answer, or of a piece of it.
type LogProbs struct {
	Content []TokenLogProb `json:"content" nullable:"false"`
	Refusal []TokenLogProb `json:"refusal" doc:"Always null."`
}

// TokenLogProb is a token of an answer. A stop token is none.
type TokenLogProb struct {
	NamedToken
	Top []NamedToken `json:"top_logprobs" nullable:"false" doc:"The likeliest tokens there, the likeliest first."`
}

// NamedToken is a token with its log-probability.
type NamedToken struct {
	Token   string  `json:"token" doc:"What it says; parts of a character are replaced by U+FFFD."`
	LogProb float64 `json:"logprob" doc:"By the distribution that it was drawn from, at the request's temperature (1 where that is 0) and before top_p."`
	Bytes   []int   `json:"bytes" nullable:"false" doc:"The bytes of what it says."`
}

// Chunk is a piece of a streamed answer.
type Chunk struct {
	ID          string        `json:"id"`
	Object      string        `json:"object" enum:"chat.completion.chunk"`
	Created     int64         `json:"created"`
	Model       string        `json:"model"`
	Choices     []ChunkChoice `json:"choices" nullable:"false"`
	Usage       any           `json:"usage,omitempty"` // *Usage; null before the last chunk of who asked for it
	Fingerprint string        `json:"system_fingerprint"`
}

// ChunkChoice is what has come of one choice.
type ChunkChoice struct {
	Index    int                  `json:"index"`
	Delta    Delta                `json:"delta"`
	LogProbs *LogProbs            `json:"logprobs"`
	Finish   *tandem.FinishReason `json:"finish_reason"`
}

// Delta is more of an answer.
type Delta struct {
	Role    tandem.Role `json:"role,omitempty"`
	Content *string     `json:"content,omitempty"`
}

// name says what log-probabilities were asked for of sampled tokens.
func name(t *tokenizer.Tokenizer, sampled []sampledToken) []TokenLogProb {
	named := make([]TokenLogProb, len(sampled))
	for i, s := range sampled {
		named[i] = TokenLogProb{nameToken(t, s.TokenLogProb), make([]NamedToken, len(s.top))}
		for k, other := range s.top {
			named[i].Top[k] = nameToken(t, other)
		}
	}
	return named
}

// leastLogProb stands for whatever is less likely, as OpenAI's documentation has it; at a temperature near 0 that is −∞,
// which JSON cannot say.
const leastLogProb = -9999

func nameToken(t *tokenizer.Tokenizer, p llama.TokenLogProb) NamedToken {
	says := t.Bytes(p.Token)
	named := NamedToken{Token: strings.ToValidUTF8(string(says), "\uFFFD"), LogProb: max(float64(p.LogProb), leastLogProb), Bytes: make([]int, len(says))}
	for i, b := range says {
		named.Bytes[i] = int(b)
	}
	return named
}
