package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"tandem"
)

// Encoder is a model's tokenizer.
type Encoder interface {
	// Encode gives the ids of a text, in which special tokens are recognised; with begin, what the tokenizer puts in front of a
	// text (BOS, with Llama's) comes first.
	Encode(text string, begin bool) ([]int32, error)
	// Prefix is the id that an empty prompt is replaced by: BOS, or EOS where there is none.
	Prefix() int32
}

// Model is a policy as the harness sees it.
type Model struct {
	Policy  tandem.LogProber
	Encoder Encoder
	// Context is how many tokens the policy reads at once. A sequence may have one more, the last one being only predicted.
	Context int
}

// Answer is what a model makes of one question.
type Answer struct {
	// LogLikelihoods are ln P(choice | prompt), by choice.
	LogLikelihoods []float64 `json:"log_likelihoods"`
	Tokens         []int     `json:"tokens"` // of each choice
	// Cut is how many tokens the prompt lost on its left since the model reads no more: the most of all choices.
	Cut int `json:"cut,omitempty"`
	// Merged says that the tokenizer made one token of the prompt's end and a whole choice, so that the token was scored.
	Merged bool `json:"merged,omitempty"`
}

// Ask has the model say how likely it finds every choice of every question behind its prompt.
func Ask(ctx context.Context, model Model, questions []Question, prompts []string) ([]Answer, error) {
	answers := make([]Answer, len(questions))
	var sequences [][]int32
	for i, q := range questions {
		a := &answers[i]
		for c, choice := range q.Choices {
			p, err := model.pair(prompts[i], delimiter+choice)
			if err != nil {
				return nil, fmt.Errorf("%s, choice %d: %w", q.ID, c+1, err)
			}
			a.Tokens, a.Cut, a.Merged = append(a.Tokens, p.scored), max(a.Cut, p.cut), a.Merged || p.merged
			sequences = append(sequences, p.ids)
		}
	}
	logprobs, err := model.Policy.LogProbs(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("log-likelihoods of the choices: %w", err)
	}
	at := 0
	for i := range answers {
		for _, n := range answers[i].Tokens {
			sum := 0.0
			for _, l := range logprobs[at][len(logprobs[at])-n:] {
				sum += float64(l)
			}
			answers[i].LogLikelihoods = append(answers[i].LogLikelihoods, sum)
			at++
		}
	}
	return answers, nil
}

// paired is a prompt with a continuation, as ids.
type paired struct {
	ids    []int32
	scored int // of the last ids: the continuation's
	cut    int // ids that are missing on the left
	merged bool
}

// pair encodes a prompt and its continuation as lm-evaluation-harness does: spaces at the prompt's end go to the continuation;
// the prompt's tokens are those that it has alone, and the continuation's those of the whole behind as many. For most
// tokenizers these are the whole's. Where a tokenizer makes tokens of several words, so that none is left for the
// continuation (there lm-evaluation-harness fails), the whole's last token is scored in the whole.
func (m Model) pair(prompt, continuation string) (p paired, err error) {
	if prompt == "" {
		if p.ids, err = m.Encoder.Encode(continuation, false); err != nil {
			return p, err
		}
		p.scored = len(p.ids)
		if p.scored > 0 && p.ids[0] == m.Encoder.Prefix() {
			p.scored--
		} else {
			p.ids = append([]int32{m.Encoder.Prefix()}, p.ids...)
		}
		return p, m.fit(&p)
	}
	whole, err := m.Encoder.Encode(prompt+continuation, true)
	if err != nil {
		return p, err
	}
	before, err := m.Encoder.Encode(strings.TrimRightFunc(prompt, unicode.IsSpace), true)
	if err != nil {
		return p, err
	}
	if len(before) == 0 { // of spaces alone, by a tokenizer that puts nothing in front
		before = []int32{m.Encoder.Prefix()}
		whole = append(slices.Clone(before), whole...)
	}
	if p.scored = len(whole) - len(before); p.scored > 0 {
		p.ids = append(before, whole[len(before):]...)
	} else {
		p.ids, p.scored, p.merged = whole, 1, true
	}
	return p, m.fit(&p)
}

// fit takes from the left what the model does not read.
func (m Model) fit(p *paired) error {
	if p.scored < 1 || p.scored > m.Context {
		return tandem.Errorf(tandem.Invalid, op, "the choice has %d tokens, and the model reads %d at once", p.scored, m.Context)
	}
	p.cut = max(0, len(p.ids)-m.Context-1)
	p.ids = p.ids[p.cut:]
	return nil
}
