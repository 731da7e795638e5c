package ghost

import (
	_ "embed"
	"encoding/json"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"

	"tandem"
)

// Kind is what a constraint is about. The paper's are hobbies, languages and public figures; a file may have others.
type Kind string

const (
	Hobby    Kind = "hobby"
	Language Kind = "language"
	Figure   Kind = "figure"
)

// Constraint is one thing that an instruction asks of every answer.
type Constraint struct {
	Kind  Kind   `json:"kind"`
	Text  string `json:"text"`            // "Always act as Napoleon from now."
	Short string `json:"short,omitempty"` // "Figure: Napoleon."; empty for Text
	// Regular expressions (RE2) by which it is checked: an answer that keeps the constraint matches Keep, and does not
	// match Avoid. Where both are empty it cannot be checked, and is trained on but not measured.
	Keep  string `json:"keep,omitempty"`
	Avoid string `json:"avoid,omitempty"`
}

// Validate reports what makes a constraint unusable.
func (c Constraint) Validate() error {
	const op = "ghost.Constraint"
	if c.Kind == "" || strings.TrimSpace(c.Text) == "" {
		return tandem.Errorf(tandem.Invalid, op, "a constraint needs a kind and a text")
	}
	for name, pattern := range map[string]string{"keep": c.Keep, "avoid": c.Avoid} {
		if _, err := regexp.Compile(pattern); err != nil {
			return tandem.Errorf(tandem.Invalid, op, "%s of %q: %w", name, c.Text, err)
		}
	}
	return nil
}

// Checkable says whether an answer can be told to keep the constraint.
func (c Constraint) Checkable() bool { return c.Keep != "" || c.Avoid != "" }

// Kept says whether an answer keeps the constraint, which must be checkable.
func (c Constraint) Kept(answer string) bool {
	return (c.Keep == "" || regexp.MustCompile(c.Keep).MatchString(answer)) && (c.Avoid == "" || !regexp.MustCompile(c.Avoid).MatchString(answer))
}

// ReadConstraints reads constraints, a JSON object a line. Errors: Invalid, with the line.
func ReadConstraints(r io.Reader) ([]Constraint, error) {
	const op = "ghost.ReadConstraints"
	var all []Constraint
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	for decoder.More() {
		var c Constraint
		if err := decoder.Decode(&c); err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "constraint %d: %w", len(all)+1, err)
		}
		if err := c.Validate(); err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "constraint %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "no constraints")
	}
	return all, nil
}

//go:embed constraints.jsonl
var defaultConstraints string

// DefaultConstraints are hobbies, languages and public figures that a chat model knows. The paper had its model list
// them; these were written down. Languages are checked by their commonest words, hobbies and figures, as answers may
// show them in any way, not at all.
func DefaultConstraints() []Constraint {
	all, err := ReadConstraints(strings.NewReader(defaultConstraints))
	if err != nil {
		panic(err) // a test reads them
	}
	return all
}

// Instruction is one or more constraints of different kinds, in the order in which they are said.
type Instruction []Constraint

// Say is the instruction in words, in full or short.
func (i Instruction) Say(short bool) string {
	said := make([]string, len(i))
	for n, c := range i {
		if said[n] = c.Text; short && c.Short != "" {
			said[n] = c.Short
		}
	}
	return strings.Join(said, " ")
}

// Checkable says whether any of its constraints can be checked.
func (i Instruction) Checkable() bool {
	for _, c := range i {
		if c.Checkable() {
			return true
		}
	}
	return false
}

// Kept says whether an answer keeps all constraints that can be checked.
func (i Instruction) Kept(answer string) bool {
	for _, c := range i {
		if c.Checkable() && !c.Kept(answer) {
			return false
		}
	}
	return true
}

// draw draws an instruction of one to as many constraints as there are kinds, each number as likely (a choice).
func draw(r *rand.Rand, all []Constraint) Instruction {
	var kinds []Kind
	of := make(map[Kind][]Constraint)
	for _, c := range all {
		if of[c.Kind] == nil {
			kinds = append(kinds, c.Kind)
		}
		of[c.Kind] = append(of[c.Kind], c)
	}
	n := 1 + r.IntN(len(kinds))
	var drawn Instruction
	for _, k := range r.Perm(len(kinds))[:n] {
		drawn = append(drawn, of[kinds[k]][r.IntN(len(of[kinds[k]]))])
	}
	return drawn
}
