package ghost

import (
	"context"
	"math/rand/v2"
	"slices"

	"tandem"
)

// Held is how one policy holds on to instructions.
type Held struct {
	// Dialogues in which it was told and asked, each under one instruction that can be checked.
	Dialogues []HeldDialogue `json:"dialogues"`
}

// HeldDialogue is one of them.
type HeldDialogue struct {
	Instruction Instruction     `json:"instruction"`
	Messages    tandem.Dialogue `json:"messages"` // as the policy saw them
	Kept        []bool          `json:"kept"`     // by turn
}

// At says of each dialogue that has so many turns whether the answer of that turn (from 1) keeps the instruction.
func (h Held) At(turn int) (kept []bool) {
	for _, d := range h.Dialogues {
		if turn <= len(d.Kept) {
			kept = append(kept, d.Kept[turn-1])
		}
	}
	return kept
}

// Hold tells a policy an instruction in the first message of each dialogue and has it answer all messages, its own
// answers before them. Instructions are drawn as for Sample, of the constraints that can be checked, and said in full.
func Hold(ctx context.Context, policy tandem.Generator, dialogues []tandem.Dialogue, constraints []Constraint, c Config) (Held, error) {
	if err := c.Validate(); err != nil {
		return Held{}, err
	}
	checkable := slices.DeleteFunc(slices.Clone(constraints), func(c Constraint) bool { return !c.Checkable() })
	if len(checkable) == 0 {
		return Held{}, tandem.Errorf(tandem.Invalid, "ghost.Hold", "none of the constraints can be checked: give them \"keep\" or \"avoid\"")
	}
	held, talks := Held{make([]HeldDialogue, len(dialogues))}, make([]talk, len(dialogues))
	for i, d := range dialogues {
		held.Dialogues[i].Instruction = draw(rand.New(rand.NewPCG(c.Seed, d.Key())), checkable)
		talks[i] = talk{asked: questions(d), instruction: held.Dialogues[i].Instruction.Say(false), key: d.Key()}
	}
	if err := answerAll(ctx, policy, talks, c.sampling(), c.Seed); err != nil {
		return Held{}, err
	}
	for i, t := range talks {
		h := &held.Dialogues[i]
		h.Messages = instruct(t.said, t.instruction, false)
		for _, m := range t.said {
			if m.Role == tandem.Assistant {
				h.Kept = append(h.Kept, h.Instruction.Kept(m.Content))
			}
		}
	}
	return held, nil
}

// ByKind divides by the kinds of constraint in instructions. Of each dialogue only the constraints of the kind are looked
// at, so a dialogue counts under every kind that its instruction has.
func (h Held) ByKind() map[Kind]Held {
	by := make(map[Kind]Held)
	for _, d := range h.Dialogues {
		of := make(map[Kind]Instruction)
		for _, c := range d.Instruction {
			of[c.Kind] = append(of[c.Kind], c)
		}
		for kind, instruction := range of {
			part := HeldDialogue{Instruction: instruction, Messages: d.Messages}
			for _, m := range d.Messages {
				if m.Role == tandem.Assistant {
					part.Kept = append(part.Kept, instruction.Kept(m.Content))
				}
			}
			by[kind] = Held{append(by[kind].Dialogues, part)}
		}
	}
	return by
}

// Longest returns the first of the dialogues with most turns.
func (h Held) Longest() (longest HeldDialogue) {
	for _, d := range h.Dialogues {
		if len(d.Kept) > len(longest.Kept) {
			longest = d
		}
	}
	return longest
}
