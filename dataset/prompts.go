package dataset

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"tandem"
)

// ReadPrompts yields the prompts of a JSON Lines stream, for sampling and PPO: what stands under
// "prompt" (a text, a transcript of hh's or messages), else "messages", else the beginning of "chosen"
// in a file of preference pairs. An answer that ends the messages is left out. "safety_prompt",
// "risk_category", "attack_vector" and "held_out" are read where they stand. name stands in errors and,
// without its folder, as the source; the first malformed record yields an error and ends the sequence.
func ReadPrompts(name string, r io.Reader) iter.Seq2[tandem.Prompt, error] {
	return func(yield func(tandem.Prompt, error) bool) {
		for rec, err := range records[json.RawMessage](name, r, 0) {
			if err != nil {
				yield(tandem.Prompt{}, err)
				return
			}
			p, err := decodePrompt(rec.value)
			if err == nil {
				err = checkPairs([]pair{{Comparison: tandem.Comparison{Prompt: p}}})
			}
			if err != nil {
				yield(tandem.Prompt{}, rec.errorf("%w", err))
				return
			}
			p.Source = filepath.Base(name)
			if !yield(p, nil) {
				return
			}
		}
	}
}

func decodePrompt(raw json.RawMessage) (tandem.Prompt, error) {
	var r struct {
		Prompt, Messages, Chosen turns
		Safety                   bool                `json:"safety_prompt"`
		Risk                     tandem.RiskCategory `json:"risk_category"`
		Vector                   tandem.AttackVector `json:"attack_vector"`
		HeldOut                  bool                `json:"held_out"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return tandem.Prompt{}, err
	}
	p := tandem.Prompt{Safety: r.Safety, Risk: r.Risk, Vector: r.Vector, HeldOut: r.HeldOut}
	var err error
	switch {
	case r.Prompt.set:
		p.Messages, err = r.Prompt.prompt()
	case r.Messages.list != nil:
		p.Messages = r.Messages.list
	case r.Chosen.list != nil:
		p.Messages = r.Chosen.list
	case isTranscript(r.Chosen.text):
		p.Messages, _, err = parseTranscript(r.Chosen.text)
	default:
		err = fmt.Errorf("the record has neither \"prompt\" nor \"messages\" nor a \"chosen\" that begins with its prompt")
	}
	if last := len(p.Messages) - 1; last >= 0 && p.Messages[last].Role == tandem.Assistant {
		p.Messages = p.Messages[:last]
	}
	return p, err
}
