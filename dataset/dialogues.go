package dataset

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"tandem"
)

// DialogueFormat is a file format of dialogues for supervised fine-tuning (section 3.1).
type DialogueFormat string

const (
	// Messages is {"messages": [{role, content}…]}, or the same list under "conversations".
	Messages DialogueFormat = "messages"
	// SelfInstruct is {"instruction", "instances": [{"input", "output"}…]}: a dialogue an instance.
	SelfInstruct DialogueFormat = "self-instruct"
	// Dolly is {"instruction", "context", "response"}.
	Dolly DialogueFormat = "dolly"
	// HHChosen is the chosen side of hh transcripts.
	HHChosen DialogueFormat = "hh-chosen"
)

// DialogueFormats lists the formats that ReadDialogues knows.
func DialogueFormats() []DialogueFormat {
	return []DialogueFormat{Messages, SelfInstruct, Dolly, HHChosen, Dated}
}

// ReadDialogues yields the dialogues of a JSON Lines stream. name stands in errors; the first malformed
// record yields one and ends the sequence.
//
// Assistant messages are marked to be trained on, all of them, unless a record of Messages marks some
// itself by "train". An instruction and its input or context are one user message, a blank line between
// them. [choice]
func ReadDialogues(name string, r io.Reader, format DialogueFormat) iter.Seq2[tandem.Dialogue, error] {
	return func(yield func(tandem.Dialogue, error) bool) {
		decode, err := dialogueDecoder(format)
		if err != nil {
			yield(nil, err)
			return
		}
		for rec, err := range records[json.RawMessage](name, r, 0) {
			if err != nil {
				yield(nil, err)
				return
			}
			dialogues, err := decode(rec.value)
			if err != nil {
				yield(nil, rec.errorf("%w", err))
				return
			}
			for _, d := range dialogues {
				if err := d.Validate(); err != nil {
					yield(nil, rec.errorf("%w", err))
					return
				}
				if !yield(trained(d), nil) {
					return
				}
			}
		}
	}
}

func dialogueDecoder(format DialogueFormat) (func(json.RawMessage) ([]tandem.Dialogue, error), error) {
	switch format {
	case Messages:
		return decodeMessages, nil
	case SelfInstruct:
		return decodeSelfInstruct, nil
	case Dolly:
		return decodeDolly, nil
	case HHChosen:
		return decodeHHChosen, nil
	case Dated:
		return decodeDated, nil
	}
	return nil, tandem.Errorf(tandem.Invalid, "dataset.ReadDialogues", "there is no dialogue format %q; there are %v", format, DialogueFormats())
}

func decodeMessages(raw json.RawMessage) ([]tandem.Dialogue, error) {
	var r struct {
		Messages      turns
		Conversations turns
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Messages.list == nil {
		r.Messages = r.Conversations
	}
	if r.Messages.list == nil {
		return nil, fmt.Errorf("the record has no list \"messages\"")
	}
	return []tandem.Dialogue{r.Messages.list}, nil
}

func decodeSelfInstruct(raw json.RawMessage) ([]tandem.Dialogue, error) {
	var r struct {
		Instruction *string
		Instances   []struct{ Input, Output *string }
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Instruction == nil || len(r.Instances) == 0 {
		return nil, fmt.Errorf("a self-instruct record has \"instruction\" and \"instances\"")
	}
	var out []tandem.Dialogue
	for i, instance := range r.Instances {
		if instance.Output == nil {
			return nil, fmt.Errorf("instance %d has no \"output\"", i+1)
		}
		out = append(out, instructed(*r.Instruction, instance.Input, *instance.Output))
	}
	return out, nil
}

func decodeDolly(raw json.RawMessage) ([]tandem.Dialogue, error) {
	var r struct{ Instruction, Context, Response *string }
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Instruction == nil || r.Response == nil {
		return nil, fmt.Errorf("a dolly record has \"instruction\" and \"response\"")
	}
	return []tandem.Dialogue{instructed(*r.Instruction, r.Context, *r.Response)}, nil
}

func decodeHHChosen(raw json.RawMessage) ([]tandem.Dialogue, error) {
	var r struct{ Chosen *string }
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Chosen == nil {
		return nil, fmt.Errorf("the record has no text \"chosen\"")
	}
	p := pair{}
	var err error
	if p.Prompt.Messages, p.Chosen.Content, err = parseTranscript(*r.Chosen); err != nil {
		return nil, err
	}
	p.joinOpenAnswer()
	chosen, _ := p.Dialogues()
	return []tandem.Dialogue{chosen}, nil
}

// instructed is a dialogue of one question, with what it is about below it, and its answer.
func instructed(instruction string, about *string, answer string) tandem.Dialogue {
	if about != nil && strings.TrimSpace(*about) != "" {
		instruction += "\n\n" + *about
	}
	return tandem.Dialogue{{Role: tandem.User, Content: instruction}, {Role: tandem.Assistant, Content: answer}}
}

// trained marks the assistant's messages as trained on, unless some are marked already.
func trained(d tandem.Dialogue) tandem.Dialogue {
	for _, m := range d {
		if m.Train {
			return d
		}
	}
	for i := range d {
		d[i].Train = d[i].Role == tandem.Assistant
	}
	return d
}

// WriteDialogues writes dialogues as {"messages": […]} lines, the form that ReadDialogues reads as
// Messages, and returns how many there were. Marks of what is trained on are kept.
func WriteDialogues(w io.Writer, dialogues iter.Seq2[tandem.Dialogue, error]) (int, error) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	n := 0
	for d, err := range dialogues {
		if err != nil {
			return n, err
		}
		if err := encoder.Encode(map[string]tandem.Dialogue{"messages": d}); err != nil {
			return n, fmt.Errorf("writing dialogues: %w", err)
		}
		n++
	}
	return n, nil
}
