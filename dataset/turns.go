package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"tandem"
)

// turns is a field that ecosystems write in three ways: a text, a list of messages, or a single message.
type turns struct {
	set  bool
	text string          // where messages is nil
	list tandem.Dialogue // not nil where the field is a list or a message
}

// wireMessage is a message as TRL writes it, or as ShareGPT does.
type wireMessage struct {
	Role    *string `json:"role"`
	Content *string `json:"content"`
	From    *string `json:"from"`
	Value   *string `json:"value"`
	Train   bool    `json:"train"`
}

func (t *turns) UnmarshalJSON(raw []byte) error {
	*t = turns{}
	raw = bytes.TrimSpace(raw)
	switch {
	case bytes.Equal(raw, []byte("null")):
		return nil
	case raw[0] == '"':
		t.set = true
		return json.Unmarshal(raw, &t.text)
	case raw[0] == '{':
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	case raw[0] != '[':
		return fmt.Errorf("a text or a list of messages is expected, not %.20s", raw)
	}
	var wire []wireMessage
	if err := json.Unmarshal(raw, &wire); err != nil {
		return err
	}
	t.set, t.list = true, make(tandem.Dialogue, 0, len(wire))
	for i, w := range wire {
		m, err := w.message()
		if err != nil {
			return fmt.Errorf("message %d: %w", i+1, err)
		}
		t.list = append(t.list, m)
	}
	return nil
}

// message names the role as tandem does.
func (w wireMessage) message() (tandem.Message, error) {
	role, content := w.Role, w.Content
	if role == nil && content == nil {
		role, content = w.From, w.Value
	}
	if role == nil || content == nil {
		return tandem.Message{}, fmt.Errorf("a message has \"role\" and \"content\", or \"from\" and \"value\"")
	}
	switch *role {
	case "system":
		return tandem.Message{Role: tandem.System, Content: *content, Train: w.Train}, nil
	case "user", "human":
		return tandem.Message{Role: tandem.User, Content: *content, Train: w.Train}, nil
	case "assistant", "gpt":
		return tandem.Message{Role: tandem.Assistant, Content: *content, Train: w.Train}, nil
	}
	return tandem.Message{}, fmt.Errorf("the role %q is not one of system, user (human), assistant (gpt)", *role)
}

// prompt reads t as the prompt of a pair.
func (t turns) prompt() (tandem.Dialogue, error) {
	switch {
	case t.list != nil:
		return t.list, nil
	case isTranscript(t.text):
		// OpenRLHF's recipes keep hh's prompts as transcripts that end in an open assistant turn.
		text := t.text
		if head, rest, ok := cutLast(text, assistantMark); ok && (rest == "" || rest == " ") {
			text = head
		}
		return parseTurns(text)
	}
	return tandem.Dialogue{{Role: tandem.User, Content: t.text}}, nil
}

// side reads t as one side of a pair with the given prompt: what the answer answers, and the answer.
// A side may be the answer alone or the whole conversation, whose own beginning is then returned.
func (t turns) side(prompt turns) (before tandem.Dialogue, answer string, err error) {
	whole := len(t.list) > 0 && t.list[0].Role != tandem.Assistant
	switch {
	case !t.set:
		return nil, "", fmt.Errorf("it is missing")
	case t.list == nil && isTranscript(t.text):
		before, answer, err = parseTranscript(t.text)
		return before, answer, err
	case t.list == nil:
		before, err = prompt.prompt()
		return before, t.text, err
	case len(t.list) == 0:
		return nil, "", fmt.Errorf("it has no messages")
	case !prompt.set && !whole:
		return nil, "", fmt.Errorf("there is no prompt before the answer")
	}
	last := t.list[len(t.list)-1]
	if last.Role != tandem.Assistant {
		return nil, "", fmt.Errorf("it ends with a %s message, not with an answer", last.Role)
	}
	before = t.list[:len(t.list)-1]
	if !whole {
		start, err := prompt.prompt()
		if err != nil {
			return nil, "", err
		}
		before = slices.Concat(start, before)
	}
	return before, last.Content, nil
}

// agrees reports whether a prompt given beside whole conversations is the one that they begin with: the
// same messages, or, where it is a text, one of the user's.
func (t turns) agrees(before tandem.Dialogue) bool {
	if !t.set {
		return true
	}
	if t.list != nil || isTranscript(t.text) {
		prompt, err := t.prompt()
		return err == nil && slices.Equal(prompt, before)
	}
	return slices.ContainsFunc(before, func(m tandem.Message) bool {
		return m.Role == tandem.User && m.Content == t.text
	})
}

// newPair makes a pair of a prompt, which may be implicit, and two sides.
func newPair(prompt, chosen, rejected turns) (pair, error) {
	if !prompt.set && chosen.list == nil && rejected.list == nil && !isTranscript(chosen.text) && chosen.set && rejected.set {
		prompt, chosen, rejected = implicitPrompt(chosen.text, rejected.text)
	}
	var p pair
	before, answer, err := chosen.side(prompt)
	if err != nil {
		return p, fmt.Errorf("chosen: %w", err)
	}
	other, otherAnswer, err := rejected.side(prompt)
	if err != nil {
		return p, fmt.Errorf("rejected: %w", err)
	}
	p.Prompt.Messages, p.Chosen.Content, p.Rejected.Content = before, answer, otherAnswer
	if !slices.Equal(before, other) || !prompt.agrees(before) {
		p.outcome = promptsDiffer
	}
	if isTranscript(prompt.text) || isTranscript(chosen.text) {
		p.joinOpenAnswer()
	}
	return p, nil
}

// implicitPrompt divides two texts where TRL does: the prompt is what they share at the beginning, up to
// a space before the first difference (extract_prompt in
// https://github.com/huggingface/trl/blob/main/trl/data_utils.py).
func implicitPrompt(a, b string) (prompt, chosen, rejected turns) {
	x, y := []rune(a), []rune(b)
	at := 0
	for at < len(x) && at < len(y) && x[at] == y[at] {
		at++
	}
	if at > 0 && x[at-1] == ' ' {
		at--
	}
	text := func(r []rune) turns { return turns{set: true, text: string(r)} }
	return text(x[:at]), text(x[at:]), text(y[at:])
}
