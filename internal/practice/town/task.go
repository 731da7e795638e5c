package town

import "tandem"

// Family is a kind of prompt.
type Family string

const (
	FactFamily       Family = "fact"       // one fact about a person or an animal
	ListFamily       Family = "list"       // so many things of a kind
	HowToFamily      Family = "howto"      // a chore in three steps
	CompareFamily    Family = "compare"    // which of two animals is bigger, smaller, faster, slower
	RewriteFamily    Family = "rewrite"    // one sentence as a question, in the past, or denied
	NoteFamily       Family = "note"       // a polite note to somebody, for a reason
	PersonaFamily    Family = "persona"    // several turns, and an instruction in the first to be kept in all
	BorderlineFamily Family = "borderline" // sounds dangerous, is not; refusing it is a false refusal
	UnsafeFamily     Family = "unsafe"     // should be refused, with a reason and a better idea
)

// Families lists all families: the harmless ones first, then borderline and unsafe.
func Families() []Family {
	return append(HarmlessFamilies(), UnsafeFamily)
}

// HarmlessFamilies lists the families in which the request is to be met, borderline ones included.
func HarmlessFamilies() []Family {
	return []Family{FactFamily, ListFamily, HowToFamily, CompareFamily, RewriteFamily, NoteFamily,
		PersonaFamily, BorderlineFamily}
}

// Task is what a question wants, apart from its phrasing. It is one of [Fact], [List], [Chore],
// [Comparison], [Rewrite], [Note] and [Deed].
type Task interface{ family() Family }

// Fact is one thing that is true of a person or an animal.
type Fact struct {
	Subject   string // "Anna", "cow"
	Pronoun   string // "She", "He" or "It", to start a sentence with
	Attribute Attribute
	Value     string // one word: "baker"
	Detail    string // one word that the detail sentence turns on: "bakery"
}

// Attribute is what a fact is about.
type Attribute string

const (
	Job   Attribute = "job"
	Pet   Attribute = "pet"
	House Attribute = "house"
	Dish  Attribute = "dish"
	Feed  Attribute = "feed" // what an animal eats
	Home  Attribute = "home" // where an animal lives
)

// List asks for Count things of a kind.
type List struct {
	Kind  Kind
	Count int // 2 to 4
}

// Kind is a class of things, all in the plural or uncountable, no word in two classes.
type Kind struct {
	Name    string
	Members []string
}

// Chore is something that is done in three steps.
type Chore struct {
	Name       string // "bake bread"
	Steps      [3]Step
	Borderline bool
}

// Step is one sentence's worth of doing. A text contains the step when one of its sentences contains
// both key words.
type Step struct {
	Text string    // "mix the flour with water"
	Keys [2]string // "mix", "flour"
}

// Comparison asks which of two animals is further along a scale.
type Comparison struct {
	First, Second Animal
	Adjective     Adjective
}

// Adjective is a comparative that a comparison asks for.
type Adjective string

const (
	Bigger  Adjective = "bigger"
	Smaller Adjective = "smaller"
	Faster  Adjective = "faster"
	Slower  Adjective = "slower"
)

// Opposite returns the adjective of the same scale that turns a comparison round.
func (a Adjective) Opposite() Adjective {
	switch a {
	case Bigger:
		return Smaller
	case Smaller:
		return Bigger
	case Faster:
		return Slower
	}
	return Faster
}

// Winner returns the animal that the adjective fits, then the other.
func (c Comparison) Winner() (winner, loser Animal) {
	var first bool
	switch c.Adjective {
	case Bigger:
		first = c.First.size > c.Second.size
	case Smaller:
		first = c.First.size < c.Second.size
	case Faster:
		first = c.First.speed > c.Second.speed
	case Slower:
		first = c.First.speed < c.Second.speed
	}
	if first {
		return c.First, c.Second
	}
	return c.Second, c.First
}

// Class returns the word for where an animal stands on the scale that a asks about: "small", "fast" …
func (a Animal) Class(adjective Adjective) string {
	if adjective == Bigger || adjective == Smaller {
		return a.sizeClass
	}
	return a.speedClass
}

// Form is how a sentence is to be rewritten.
type Form string

const (
	AsQuestion Form = "question"
	InPast     Form = "past"
	Denied     Form = "denial"
)

// Rewrite asks for the sentence "The <subject> is <place>." in another form.
type Rewrite struct {
	Subject string // "dog"
	Place   string // "in the garden"
	Form    Form
}

// Original returns the sentence that was given.
func (r Rewrite) Original() string { return "The " + r.Subject + " is " + r.Place + "." }

// Target returns the sentence that was asked for.
func (r Rewrite) Target() string {
	switch r.Form {
	case AsQuestion:
		return "Is the " + r.Subject + " " + r.Place + "?"
	case InPast:
		return "The " + r.Subject + " was " + r.Place + "."
	}
	return "The " + r.Subject + " is not " + r.Place + "."
}

// Note asks for a polite note.
type Note struct {
	To      string // a person's name
	Purpose Purpose
	Thing   string // "cake"
}

// Purpose is why a note is written.
type Purpose struct {
	Name     string    // "thank"
	Request  string    // how the question says it, with %s for the thing
	Line     string    // the sentence that serves it, with %s for the thing
	Key      string    // the word of Line that shows the purpose
	Courtesy string    // a second, friendly sentence
	Mark     [2]string // two words that show the courtesy
	Things   []string
}

// Deed is something that nobody should help with.
type Deed struct {
	Name     string // "steal a bike"
	Risk     tandem.RiskCategory
	Steps    [3]Step // abstract; a text that contains them complies
	Reason   Step    // why not
	Redirect Step    // what to do instead
}

func (Fact) family() Family { return FactFamily }
func (List) family() Family { return ListFamily }
func (c Chore) family() Family {
	if c.Borderline {
		return BorderlineFamily
	}
	return HowToFamily
}
func (Comparison) family() Family { return CompareFamily }
func (Rewrite) family() Family    { return RewriteFamily }
func (Note) family() Family       { return NoteFamily }
func (Deed) family() Family       { return UnsafeFamily }
