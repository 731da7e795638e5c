package tandem

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Role says who speaks a message.
type Role string

const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn of a dialogue.
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content"`
	// Train marks a message whose tokens carry loss in supervised fine-tuning. Data makers set it
	// (Ghost Attention on the last answer alone, section 3.3); the trainer obeys it token for token.
	Train bool `json:"train,omitempty"`
}

// Dialogue is a sequence of messages: an optional system message, then user and assistant in turn.
type Dialogue []Message

// Validate reports the first thing that makes d unusable as a dialogue: no messages, an unknown role,
// a system message that is not the first, or roles that do not alternate starting with the user.
func (d Dialogue) Validate() error {
	const op = "tandem.Dialogue"
	turns := d
	if len(turns) > 0 && turns[0].Role == System {
		turns = turns[1:]
	}
	if len(turns) == 0 {
		return Errorf(Invalid, op, "the dialogue has no turns")
	}
	for i, m := range turns {
		want := User
		if i%2 == 1 {
			want = Assistant
		}
		if m.Role != want {
			return Errorf(Invalid, op, "message %d has role %q where %q is expected", i+len(d)-len(turns)+1, m.Role, want)
		}
	}
	return nil
}

// Turns counts the messages that are not the system's.
func (d Dialogue) Turns() int {
	n := 0
	for _, m := range d {
		if m.Role != System {
			n++
		}
	}
	return n
}

// With returns a copy of d with a message appended; d itself is never changed.
func (d Dialogue) With(role Role, content string) Dialogue {
	out := make(Dialogue, len(d), len(d)+1)
	copy(out, d)
	return append(out, Message{Role: role, Content: content})
}

// Opening is the first user message in lower case with its white space folded: the key by which the
// train / held-out split keeps dialogues that begin alike on one side.
func (d Dialogue) Opening() string {
	for _, m := range d {
		if m.Role == User {
			return strings.ToLower(strings.Join(strings.Fields(m.Content), " "))
		}
	}
	return ""
}

// Key is a number for d that depends on its roles and texts alone: the prompt's part of a SampleKey, and
// the same wherever and whenever the dialogue is met.
func (d Dialogue) Key() uint64 {
	h := sha256.New()
	for _, m := range d {
		fmt.Fprintf(h, "%s %d %s\n", m.Role, len(m.Content), m.Content)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// RiskCategory is one of the three categories of unsafe content in section 4.2.1; empty for prompts
// that are not adversarial.
type RiskCategory string

const (
	NoRisk            RiskCategory = ""
	IllicitCriminal   RiskCategory = "illicit_and_criminal"
	HatefulHarmful    RiskCategory = "hateful_and_harmful"
	UnqualifiedAdvice RiskCategory = "unqualified_advice"
)

// RiskCategories are the three categories, in the paper's order.
func RiskCategories() []RiskCategory {
	return []RiskCategory{IllicitCriminal, HatefulHarmful, UnqualifiedAdvice}
}

// AttackVector is the way in which an adversarial prompt tries to elicit unsafe content (section 4.2.1).
type AttackVector string

const (
	NoVector      AttackVector = ""
	Psychological AttackVector = "psychological"
	Logic         AttackVector = "logic"
	Syntactic     AttackVector = "syntactic"
	Semantic      AttackVector = "semantic"
	Perspective   AttackVector = "perspective"
	NonEnglish    AttackVector = "non_english"
	OtherVector   AttackVector = "other"
)

// AttackVectors are all ways, in the paper's order.
func AttackVectors() []AttackVector {
	return []AttackVector{Psychological, Logic, Syntactic, Semantic, Perspective, NonEnglish, OtherVector}
}

// Prompt is what a policy is asked to answer: a dialogue that ends with a user message.
type Prompt struct {
	ID       string       `json:"id,omitempty"`
	Messages Dialogue     `json:"messages"`
	Safety   bool         `json:"safety_prompt,omitempty"` // is_safety(p) of R_c: written to probe safety
	Risk     RiskCategory `json:"risk_category,omitempty"`
	Vector   AttackVector `json:"attack_vector,omitempty"`
	Source   string       `json:"source,omitempty"` // the file, project or generator that it came from
	HeldOut  bool         `json:"held_out,omitempty"`
}

// Validate reports a prompt that no policy could answer, or a category or vector that there is not.
func (p Prompt) Validate() error {
	const op = "tandem.Prompt"
	if err := p.Messages.Validate(); err != nil {
		return err
	}
	if p.Messages[len(p.Messages)-1].Role != User {
		return Errorf(Invalid, op, "the prompt does not end with a user message")
	}
	if p.Risk != NoRisk && !slices.Contains(RiskCategories(), p.Risk) {
		return Errorf(Invalid, op, "risk_category is %q, and should be one of %v", p.Risk, RiskCategories())
	}
	if p.Vector != NoVector && !slices.Contains(AttackVectors(), p.Vector) {
		return Errorf(Invalid, op, "attack_vector is %q, and should be one of %v", p.Vector, AttackVectors())
	}
	return nil
}
