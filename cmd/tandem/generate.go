package main

import (
	"context"
	"iter"
	"math"

	"tandem"
	"tandem/llama/chat"
)

// linesAtOnce is how many lines that have arrived are worked on together: several times the sampler's
// slots, so that short answers make room for waiting ones.
const linesAtOnce = 128

// generateCommand answers prompts and dialogues, line by line.
//
// The sample key's prompt is a hash of the request's text, not its line: with the same seed, equal
// requests get equal answers wherever they stand, and other lines change nothing.
type generateCommand struct {
	Model string `required:"" help:"Folder of the policy, or a .bin of llama2.c with its tokenizer beside it." placeholder:"DIR"`
	samplingFlags
	Seed uint64 `help:"Seed of the drawing; the same seed and request give the same answer (default: 0)." placeholder:"N"`
	inferenceFlags
}

// samplingFlags say how tokens are drawn.
type samplingFlags struct {
	Temperature float64  `help:"Temperature that logits are divided by; 0 takes the likeliest token (default: 0)." placeholder:"T"`
	TopK        int      `name:"top-k" help:"Draw from the K likeliest tokens alone (default: 0, all)." placeholder:"K"`
	TopP        float64  `name:"top-p" help:"Draw from the likeliest tokens that hold this share of the probability, 0 to 1 (default: 0, all)." placeholder:"P"`
	MaxTokens   int      `help:"Tokens of an answer at most, its stop token included (default: 0, what the context leaves)." placeholder:"N"`
	Stop        []string `sep:"none" help:"Text that ends an answer and is not part of it, beside the model's stop tokens; may be repeated." placeholder:"TEXT"`
}

// Validate refuses what no sampler can do, as wrong usage.
func (f samplingFlags) Validate() error {
	return checkSampling(f.sampling(), func(name string) string {
		return map[string]string{"temperature": "--temperature", "top_k": "--top-k", "top_p": "--top-p", "max_tokens": "--max-tokens"}[name]
	})
}

func (f samplingFlags) sampling() tandem.Sampling {
	return tandem.Sampling{Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP, MaxTokens: f.MaxTokens, Stop: f.Stop}
}

// checkSampling reports the first setting that no sampler can obey, under the name that it was given by.
func checkSampling(s tandem.Sampling, called func(string) string) error {
	const op = ""
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return tandem.Errorf(tandem.Invalid, op, "%s is %g, not a finite number from 0 on", called("temperature"), s.Temperature)
	case s.TopK < 0:
		return tandem.Errorf(tandem.Invalid, op, "%s is %d, less than 0", called("top_k"), s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return tandem.Errorf(tandem.Invalid, op, "%s is %g, outside 0 … 1", called("top_p"), s.TopP)
	case s.MaxTokens < 0:
		return tandem.Errorf(tandem.Invalid, op, "%s is %d, less than 0", called("max_tokens"), s.MaxTokens)
	}
	return nil
}

// generateRequest is a line of input. What it sets beside the prompt overrides the flags.
type generateRequest struct {
	Prompt      *string  `json:"prompt"`   // raw text after BOS
	Messages    messages `json:"messages"` // through the chat template
	Temperature *float64 `json:"temperature"`
	TopK        *int     `json:"top_k"`
	TopP        *float64 `json:"top_p"`
	MaxTokens   *int     `json:"max_tokens"`
	Stop        []string `json:"stop"`
	Seed        *uint64  `json:"seed"`
}

type generateReply struct {
	Text   string              `json:"text"`
	Tokens []int32             `json:"tokens"` // the new ones, a stop token included
	Finish tandem.FinishReason `json:"finish_reason"`
}

func (c *generateCommand) Run(ctx context.Context, w *world) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	policy, err := chat.Open(ctx, modelPath(c.Model), config)
	if err != nil {
		return err
	}
	prepare := func(ctx context.Context, r generateRequest) (tandem.GenerateRequest, error) {
		return c.request(ctx, policy, r)
	}
	return eachLine(ctx, w, linesAtOnce, answerBatch(prepare, func(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[generateReply, error] {
		return inOrder(policy.Generate(ctx, requests), len(requests))
	}))
}

// request is what a line asks of the policy. A prompt that leaves no room for an answer is refused, not
// cut.
func (c *generateCommand) request(ctx context.Context, policy *chat.Policy, r generateRequest) (tandem.GenerateRequest, error) {
	request := tandem.GenerateRequest{Sampling: c.sampling(), Key: tandem.SampleKey{Seed: c.Seed}}
	override(&request.Sampling.Temperature, r.Temperature)
	override(&request.Sampling.TopK, r.TopK)
	override(&request.Sampling.TopP, r.TopP)
	override(&request.Sampling.MaxTokens, r.MaxTokens)
	override(&request.Key.Seed, r.Seed)
	if r.Stop != nil {
		request.Sampling.Stop = r.Stop
	}
	if err := checkSampling(request.Sampling, func(name string) string { return `"` + name + `"` }); err != nil {
		return request, err
	}
	var prompt []int32
	switch {
	case (r.Prompt == nil) == (r.Messages == nil):
		return request, tandem.Errorf(tandem.Invalid, "", `exactly one of "prompt" and "messages" is expected`)
	case r.Prompt != nil:
		request.Text = r.Prompt
		request.Key.Prompt = tandem.Dialogue{{Content: *r.Prompt}}.Key() // no role: no dialogue has this key
		ids, _, err := policy.Prompt(ctx, request)
		if err != nil {
			return request, err
		}
		prompt = ids
	default:
		request.Messages = tandem.Dialogue(r.Messages)
		request.Key.Prompt = request.Messages.Key()
		e, err := policy.Template.Prompt(ctx, request.Messages, 0)
		if err != nil {
			return request, err
		}
		prompt = e.Tokens
	}
	return request, fitPrompt(&request, len(prompt), policy.Weights.Config.MaxPositionEmbeddings)
}

// fitPrompt refuses a prompt of n tokens that the context has no room behind, and bounds the answer by the
// room that there is, so that nothing of the prompt is cut for a longer one.
func fitPrompt(r *tandem.GenerateRequest, n, context int) error {
	room := context - n
	if room <= 0 {
		return tandem.Errorf(tandem.Invalid, "", "the prompt has %d tokens, which leaves no room for an answer in the model's context of %d", n, context)
	}
	if r.Sampling.MaxTokens == 0 || r.Sampling.MaxTokens > room {
		r.Sampling.MaxTokens = room
	}
	return nil
}

func override[T any](field *T, with *T) {
	if with != nil {
		*field = *with
	}
}

// inOrder gathers interleaved chunks into n whole answers and yields each when it and those before it are
// complete.
func inOrder(chunks iter.Seq2[tandem.Chunk, error], n int) iter.Seq2[generateReply, error] {
	return func(yield func(generateReply, error) bool) {
		answers, next := make([]generateReply, n), 0
		for chunk, err := range chunks {
			if err != nil {
				yield(generateReply{}, err)
				return
			}
			a := &answers[chunk.Request]
			a.Text += chunk.Text
			a.Tokens = append(a.Tokens, chunk.Tokens...)
			a.Finish = chunk.Finish
			for next < n && answers[next].Finish != "" {
				if !yield(answers[next], nil) {
					return
				}
				answers[next] = generateReply{Finish: answers[next].Finish} // what is written need not be kept
				next++
			}
		}
	}
}
