package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tandem"
)

// The marks of a transcript in Anthropic's hh-rlhf (https://github.com/anthropics/hh-rlhf). One space
// after the colon belongs to the mark.
const (
	humanMark     = "\n\nHuman:"
	assistantMark = "\n\nAssistant:"
)

// decodeHH reads {"chosen": transcript, "rejected": transcript}. The prompt is everything up to the last
// assistant mark, and the two sides' must be the same to the byte.
func decodeHH(raw json.RawMessage, aspect tandem.Aspect) ([]pair, error) {
	var r struct{ Chosen, Rejected *string }
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Chosen == nil || r.Rejected == nil {
		return nil, fmt.Errorf("an hh record has the texts \"chosen\" and \"rejected\"")
	}
	p := pair{Comparison: tandem.Comparison{Aspect: aspect}}
	p.Prompt.Safety = aspect == tandem.Safety
	var err error
	if p.Prompt.Messages, p.Chosen.Content, err = parseTranscript(*r.Chosen); err != nil {
		return nil, fmt.Errorf("chosen: %w", err)
	}
	rejected, answer, err := parseTranscript(*r.Rejected)
	if err != nil {
		return nil, fmt.Errorf("rejected: %w", err)
	}
	p.Rejected.Content = answer
	if !slices.Equal(p.Prompt.Messages, rejected) {
		p.outcome = promptsDiffer
	}
	p.joinOpenAnswer()
	return []pair{p}, nil
}

// isTranscript reports whether a text is in the transcript form.
func isTranscript(text string) bool { return strings.HasPrefix(text, humanMark) }

// parseTranscript splits a transcript at its last assistant mark. Turns of one speaker that follow each
// other are one message, a blank line between them: hh has some forty such transcripts. A human mark
// after the last assistant mark is part of the answer's text, which is what the annotators saw.
func parseTranscript(text string) (prompt tandem.Dialogue, answer string, err error) {
	head, answer, ok := cutLast(text, assistantMark)
	if !ok {
		return nil, "", fmt.Errorf("the transcript has no %q", strings.TrimSpace(assistantMark))
	}
	prompt, err = parseTurns(head)
	return prompt, strings.TrimPrefix(answer, " "), err
}

// joinOpenAnswer moves an assistant message that ends the prompt of a transcript to the beginning of
// both answers: it and the answer are consecutive turns of one speaker.
func (p *pair) joinOpenAnswer() {
	if last := len(p.Prompt.Messages) - 1; last >= 0 && p.Prompt.Messages[last].Role == tandem.Assistant {
		begun := p.Prompt.Messages[last].Content + "\n\n"
		p.Prompt.Messages = p.Prompt.Messages[:last]
		p.Chosen.Content = begun + p.Chosen.Content
		p.Rejected.Content = begun + p.Rejected.Content
	}
}

// parseTurns splits a transcript into its messages, in one pass.
func parseTurns(text string) (tandem.Dialogue, error) {
	if !isTranscript(text) {
		return nil, fmt.Errorf("the transcript does not begin with %q", humanMark)
	}
	var d tandem.Dialogue
	var turns []string // of the speaker who speaks
	say := func(role tandem.Role) {
		if len(turns) > 0 {
			d = append(d, tandem.Message{Role: role, Content: strings.Join(turns, "\n\n")})
			turns = nil
		}
	}
	speaker := tandem.User
	for text != "" {
		role, mark := tandem.User, humanMark
		if strings.HasPrefix(text, assistantMark) {
			role, mark = tandem.Assistant, assistantMark
		}
		if role != speaker {
			say(speaker)
			speaker = role
		}
		text = text[len(mark):]
		end := nextMark(text)
		turns = append(turns, strings.TrimPrefix(text[:end], " "))
		text = text[end:]
	}
	say(speaker)
	return d, nil
}

// nextMark is where the next turn of a transcript begins: the length of text if none does.
func nextMark(text string) int {
	for at := 0; ; at++ {
		next := strings.Index(text[at:], "\n\n")
		if next < 0 {
			return len(text)
		}
		at += next
		if strings.HasPrefix(text[at:], humanMark) || strings.HasPrefix(text[at:], assistantMark) {
			return at
		}
	}
}

// transcript renders a dialogue in the transcript form. It refuses what the form cannot hold: a system
// message, and an assistant mark inside a message.
func transcript(d tandem.Dialogue) (string, error) {
	var b strings.Builder
	for _, m := range d {
		if strings.Contains(m.Content, assistantMark) {
			return "", fmt.Errorf("a message contains %q", assistantMark)
		}
		switch m.Role {
		case tandem.User:
			b.WriteString(humanMark)
		case tandem.Assistant:
			b.WriteString(assistantMark)
		default:
			return "", fmt.Errorf("a transcript has no place for a %s message", m.Role)
		}
		b.WriteByte(' ')
		b.WriteString(m.Content)
	}
	return b.String(), nil
}

// cutLast splits s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
