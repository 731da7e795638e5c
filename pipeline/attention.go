package pipeline

import (
	"context"
	"fmt"
	"slices"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/sft/ghost"
)

// Attention is how strongly the answers of a dialogue attend to what was said before, message by message. An entry is the
// largest weight that any layer and head gives to any token of the message, averaged over the answer's tokens.
type Attention struct {
	Messages []string    `json:"messages"` // "instruction", "user 1", "answer 1" …
	Rows     [][]float64 `json:"rows"`     // by answer, over the messages before it and itself
}

// attentionTurns is how many answers a picture has at most.
const attentionTurns = 8

// picture looks at what a policy attends to in a dialogue whose first message begins with an instruction.
func (s *Studio) picture(ctx context.Context, folder string, d ghost.HeldDialogue) (Attention, error) {
	policy, err := s.open(ctx, folder)
	if err != nil {
		return Attention{}, err
	}
	messages := d.Messages[:min(len(d.Messages), 2*attentionTurns)]
	tokens, parts, err := partsOf(ctx, policy, messages, d.Instruction.Say(false))
	if err != nil {
		return Attention{}, err
	}
	forward, err := llama.NewForward(policy.Weights, llama.ForwardConfig{Tokens: len(tokens), Workers: s.Workers, Kernel: s.Kernels})
	if err != nil {
		return Attention{}, err
	}
	weights, err := forward.Attention(ctx, tokens)
	if err != nil {
		return Attention{}, err
	}
	var a Attention
	for i, p := range parts {
		a.Messages = append(a.Messages, p.name)
		if p.answer {
			a.Rows = append(a.Rows, p.attends(weights, parts[:i+1]))
		}
	}
	return a, nil
}

// part is a message's tokens, [from, to), with what the template puts before it.
type part struct {
	name     string
	from, to int
	answer   bool
}

// attends is one row of the picture. A token is predicted by the position before it.
func (p part) attends(weights llama.AttentionWeights, to []part) []float64 {
	row := make([]float64, len(to))
	for query := p.from - 1; query < p.to-1; query++ {
		for i, m := range to {
			most := float32(0)
			for layer := range weights.Layers {
				for head := range weights.Heads {
					if of := weights.Of(layer, head, query); m.from < len(of) {
						most = max(most, slices.Max(of[m.from:min(m.to, len(of))]))
					}
				}
			}
			row[i] += float64(most) / float64(p.to-p.from)
		}
	}
	return row
}

// partsOf divides a dialogue's tokens into its instruction, which its first message begins with, and its messages.
func partsOf(ctx context.Context, policy *chat.Policy, d tandem.Dialogue, instruction string) ([]int32, []part, error) {
	marked := slices.Clone(d)
	for i := range marked {
		marked[i].Train = marked[i].Role == tandem.Assistant
	}
	e, err := policy.Template.Training(ctx, marked, 0)
	if err != nil {
		return nil, nil, err
	}
	alone, err := policy.Template.Prompt(ctx, tandem.Dialogue{}.With(tandem.User, instruction), 0)
	if err != nil {
		return nil, nil, err
	}
	begin := 0 // where the instruction ends: what a prompt of it alone has in common
	for begin < min(len(alone.Tokens), len(e.Tokens)) && alone.Tokens[begin] == e.Tokens[begin] {
		begin++
	}
	parts := []part{{name: "instruction", from: 1, to: max(begin, 2)}} // the first token, BOS, draws what attention is left over
	at, turn := parts[0].to, 1
	for i := at; i <= len(e.Tokens); i++ {
		was, is := e.Train[i-1], i < len(e.Tokens) && e.Train[i]
		if was == is {
			continue
		}
		p := part{name: fmt.Sprintf("user %d", turn), from: at, to: i, answer: was}
		if was {
			p.name, turn = fmt.Sprintf("answer %d", turn), turn+1
		}
		parts, at = append(parts, p), i
	}
	return e.Tokens, parts, nil
}
