package tandem

import (
	"fmt"
	"time"
)

// Aspect is what a comparison, a project or a reward model judges. Llama 2 keeps the two apart from
// the annotation guidelines on (section 3.2.1).
type Aspect string

const (
	Helpfulness Aspect = "helpfulness"
	Safety      Aspect = "safety"
)

// Valid reports whether a is one of the two aspects.
func (a Aspect) Valid() bool { return a == Helpfulness || a == Safety }

// Degree says by how much the chosen answer is better (section 3.2.1). The choice is forced: there is
// always a side, and NegligiblyBetter includes "unsure". The zero value is data without degrees.
type Degree int8

const (
	Unrated Degree = iota
	NegligiblyBetter
	SlightlyBetter
	Better
	SignificantlyBetter
)

// degreeNames are the names on the wire and in the database, by Degree.
var degreeNames = [...]string{"", "negligibly_better", "slightly_better", "better", "significantly_better"}

// Degrees lists the four rated degrees, the weakest first.
func Degrees() []Degree {
	return []Degree{NegligiblyBetter, SlightlyBetter, Better, SignificantlyBetter}
}

func (d Degree) String() string {
	if d < 0 || int(d) >= len(degreeNames) {
		return fmt.Sprintf("Degree(%d)", int8(d))
	}
	if d == Unrated {
		return "unrated"
	}
	return degreeNames[d]
}

// MarshalText writes the degree's name, and nothing for Unrated.
func (d Degree) MarshalText() ([]byte, error) {
	if d < 0 || int(d) >= len(degreeNames) {
		return nil, Errorf(Invalid, "tandem.Degree", "there is no degree %d", int8(d))
	}
	return []byte(degreeNames[d]), nil
}

// UnmarshalText reads a degree's name; an empty text and "unrated" are Unrated.
func (d *Degree) UnmarshalText(text []byte) error {
	if string(text) == "unrated" {
		*d = Unrated
		return nil
	}
	for i, name := range degreeNames {
		if name == string(text) {
			*d = Degree(i)
			return nil
		}
	}
	return Errorf(Invalid, "tandem.Degree", "there is no degree %q", text)
}

// SafetyLabel is an annotator's verdict on one answer; empty where none was asked for.
type SafetyLabel string

const (
	Unlabelled SafetyLabel = ""
	Safe       SafetyLabel = "safe"
	Unsafe     SafetyLabel = "unsafe"
)

// Valid reports whether l is a label or none.
func (l SafetyLabel) Valid() bool { return l == Unlabelled || l == Safe || l == Unsafe }

// Response is one answer to a prompt, with what is known of where it came from.
type Response struct {
	ID      string      `json:"id,omitempty"`
	Content string      `json:"content"`
	Model   string      `json:"model,omitempty"` // the model's id; never shown to an annotator
	Label   SafetyLabel `json:"safety,omitempty"`
}

// Comparison is one judged pair, the form in which preferences are learnt from and exchanged.
type Comparison struct {
	ID       string   `json:"id,omitempty"`
	Aspect   Aspect   `json:"aspect"`
	Prompt   Prompt   `json:"prompt"`
	Chosen   Response `json:"chosen"`
	Rejected Response `json:"rejected"`
	Degree   Degree   `json:"degree,omitempty"`
	// Margin overrides the margin that the degree implies; nil leaves it to the margin table.
	Margin  *float64 `json:"margin,omitempty"`
	Source  string   `json:"source,omitempty"`
	Batch   int      `json:"batch,omitempty"` // collection batch, from 1; 0 for imported data
	HeldOut bool     `json:"held_out,omitempty"`
	// Ranking is the id of the ranking of more than two answers that this is one pair of; empty for a pair that was judged
	// by itself. Pairs with the same one are one verdict.
	Ranking string `json:"ranking,omitempty"`
	// Judgment is how somebody came to it here; nil for imported data, and where it was not asked for.
	Judgment *Judgment `json:"judgment,omitempty"`
}

// Judgment is all that is kept of a person's judging a pair, beside what it says. Who it was stays a pseudonym.
type Judgment struct {
	ID        string `json:"id"`
	Version   int    `json:"version"` // from 1; a revision adds one
	Task      string `json:"task_id"`
	Project   string `json:"project_id"`
	Annotator string `json:"annotator_id"`        // a pseudonym
	Simulated bool   `json:"simulated,omitempty"` // the annotator is a program
	// Left and Right are the ids of the answers as they stood; empty for a ranking, which has no sides.
	Left             string    `json:"left"`
	Right            string    `json:"right"`
	Comment          string    `json:"comment,omitempty"`
	Flag             string    `json:"flag,omitempty"`              // why they pointed at the task, a line each time
	GuidelineVersion int       `json:"guideline_version,omitempty"` // that was shown; 0 for none
	ActiveSeconds    float64   `json:"active_seconds,omitempty"`    // 0 where it is not known
	Surplus          bool      `json:"surplus,omitempty"`           // came after its place was taken
	Gold             bool      `json:"gold,omitempty"`              // of a task whose right answer is known
	Excluded         bool      `json:"excluded,omitempty"`
	ExcludedBecause  string    `json:"excluded_because,omitempty"`
	CreatedAt        time.Time `json:"created_at"`
}

// Dialogues returns the prompt continued with the chosen and with the rejected answer.
func (c Comparison) Dialogues() (chosen, rejected Dialogue) {
	return c.Prompt.Messages.With(Assistant, c.Chosen.Content), c.Prompt.Messages.With(Assistant, c.Rejected.Content)
}

// Trainable reports whether a safety model may learn from c: pairs whose chosen answer is unsafe while
// the other is safe are left out (section 3.2.1).
func (c Comparison) Trainable() bool {
	return !(c.Chosen.Label == Unsafe && c.Rejected.Label == Safe)
}

// SafetyBin names the bin of table 25 that a labelled comparison falls in.
type SafetyBin string

const (
	ChosenSafe SafetyBin = "chosen_safe" // the chosen answer is safe, the other is not
	BothSafe   SafetyBin = "both_safe"
	BothUnsafe SafetyBin = "both_unsafe"
	NoBin      SafetyBin = "" // unlabelled, or chosen unsafe while the other is safe
)

// Bin returns c's safety bin.
func (c Comparison) Bin() SafetyBin {
	switch [2]SafetyLabel{c.Chosen.Label, c.Rejected.Label} {
	case [2]SafetyLabel{Safe, Unsafe}:
		return ChosenSafe
	case [2]SafetyLabel{Safe, Safe}:
		return BothSafe
	case [2]SafetyLabel{Unsafe, Unsafe}:
		return BothUnsafe
	}
	return NoBin
}
