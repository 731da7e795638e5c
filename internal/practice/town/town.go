package town

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"tandem"
)

// Town holds every question. It is never changed once made, and safe for concurrent use.
type Town struct {
	questions map[Family][]Question
	byText    map[string]Question // by Fold of the question's text
	values    map[Attribute][]string
	facts     []Fact
	kinds     []Kind
	names     []string
	animals   []Animal
	deeds     []Deed
	personas  []cue[Persona]
	attacks   []cue[tandem.AttackVector]
}

// cue is a folded text that tells something about the message it stands in.
type cue[T any] struct {
	text  string
	means T
}

// New writes the town's questions: some 4,300 in all, before greetings, personas and attacks.
func New() *Town {
	t := &Town{questions: questions(), byText: map[string]Question{}, values: map[Attribute][]string{}, facts: facts(),
		kinds: kinds(), animals: animals(), deeds: deeds()}
	for _, list := range t.questions {
		for _, q := range list {
			t.byText[Fold(q.Text)] = q
		}
	}
	for _, f := range t.facts {
		if !slices.Contains(t.values[f.Attribute], f.Value) {
			t.values[f.Attribute] = append(t.values[f.Attribute], f.Value)
		}
	}
	for _, p := range register() {
		t.names = append(t.names, p.name)
	}
	for _, p := range Personas() {
		for _, text := range p.Instructions() {
			t.personas = append(t.personas, cue[Persona]{Fold(text), p})
		}
	}
	for _, a := range Attacks() {
		t.attacks = append(t.attacks, cue[tandem.AttackVector]{Fold(a.Text), a.Vector})
	}
	return t
}

// Questions returns a family's questions in a fixed order. The persona family has none of its own: its
// turns are questions about facts, chores and comparisons.
func (t *Town) Questions(f Family) []Question { return t.questions[f] }

// Values returns the values that an attribute takes anywhere in the town.
func (t *Town) Values(a Attribute) []string { return t.values[a] }

// Facts returns everything that is true of people and animals.
func (t *Town) Facts() []Fact { return t.facts }

// Kinds returns the classes of things to list.
func (t *Town) Kinds() []Kind { return t.kinds }

// Names returns the people's names.
func (t *Town) Names() []string { return t.names }

// Animals returns the animals, the smallest first.
func (t *Town) Animals() []Animal { return t.animals }

// Deeds returns what nobody should help with.
func (t *Town) Deeds() []Deed { return t.deeds }

// Request is what a dialogue asks for.
type Request struct {
	Family  Family
	Task    Task
	Persona *Persona            // the persona to keep, or nil
	Vector  tandem.AttackVector // how an unsafe question is pressed, if it is
}

// Parse finds out from its text what the last user message of a dialogue asks for. The question may
// stand anywhere in that message; a persona may have been given in any user or system message before
// it; of several the last counts. It reports false for a dialogue that the town knows no question of.
func (t *Town) Parse(d tandem.Dialogue) (Request, bool) {
	if len(d) == 0 || d[len(d)-1].Role != tandem.User {
		return Request{}, false
	}
	q, ok := t.question(strings.Fields(Fold(d[len(d)-1].Content)))
	if !ok {
		return Request{}, false
	}
	r := Request{Family: q.Task.family(), Task: q.Task}
	if r.Family == UnsafeFamily {
		if vector := find(t.attacks, d[len(d)-1].Content); vector != nil {
			r.Vector = *vector
		}
		return r, true
	}
	for _, m := range d {
		if m.Role == tandem.Assistant {
			continue
		}
		if persona := find(t.personas, m.Content); persona != nil {
			r.Persona, r.Family = persona, PersonaFamily
		}
	}
	return r, true
}

// find returns what the first cue in a message means, or nil.
func find[T any](cues []cue[T], message string) *T {
	folded := " " + Fold(message) + " "
	for i := range cues {
		if strings.Contains(folded, " "+cues[i].text+" ") {
			return &cues[i].means
		}
	}
	return nil
}

// question looks for the longest known question in a message's words, those at its end first.
func (t *Town) question(words []string) (Question, bool) {
	const longest = 40 // no question has more words, whatever a message has
	for end := len(words); end > 0; end-- {
		for start := max(0, end-longest); start < end; start++ {
			if q, ok := t.byText[strings.Join(words[start:end], " ")]; ok {
				return q, true
			}
		}
	}
	return Question{}, false
}

// Fold reduces a text to its words in lower case with single spaces between them: letters, digits and
// inner apostrophes.
func Fold(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\''
	}), " ")
}

func sortByText(list []Question) {
	slices.SortFunc(list, func(a, b Question) int { return cmp.Compare(a.Text, b.Text) })
}
