package practice

import (
	"math/rand/v2"
	"regexp"
	"strings"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Constraint is one thing that the people of the town may ask of every answer, of the three kinds of section 3.3: a
// figure to act as, a hobby to enjoy, a language to speak. Its form as JSON is that of sft/ghost's.
type Constraint struct {
	Kind  string `json:"kind"`
	Text  string `json:"text"`  // "Always act as a pirate."
	Short string `json:"short"` // "Figure: pirate."
	// Regular expressions: an answer that keeps the constraint matches Keep, and does not match Avoid where there is one.
	Keep  string `json:"keep"`
	Avoid string `json:"avoid,omitempty"`

	once  string              // asks the same of one answer alone
	apply func(string) string // makes an answer keep it
}

// Constraints lists all that can be asked.
func Constraints() []Constraint {
	var all []Constraint
	for _, p := range town.Personas() {
		all = append(all, Constraint{
			Kind: "figure", Text: "Always act as a " + p.Name + ".", Short: "Figure: " + p.Name + ".", Keep: "^" + regexp.QuoteMeta(p.Mark),
			once: "Just this time, act as a " + p.Name + ".", apply: func(s string) string { return p.Mark + " " + s },
		})
	}
	for _, h := range town.Hobbies() {
		all = append(all, Constraint{
			Kind: "hobby", Text: "You enjoy " + h.Name + ".", Short: "Hobby: " + h.Name + ".", Keep: regexp.QuoteMeta(h.Cry),
			once: "Just this time, you enjoy " + h.Name + ".", apply: func(s string) string { return h.Cry + " " + s },
		})
	}
	for _, l := range town.Languages() {
		own, plain := l.Words()
		all = append(all, Constraint{
			Kind: "language", Text: "Always speak " + l.Name + ".", Short: "Language: " + l.Name + ".",
			Keep: `(?i)\b(` + strings.Join(own, "|") + `)\b`, Avoid: `(?i)\b(` + strings.Join(plain, "|") + `)\b`,
			once: "Just this time, speak " + l.Name + ".", apply: l.Translate,
		})
	}
	return all
}

// kinds are in the order in which constraints are applied: words are translated before something is put before them.
var kinds = []string{"language", "hobby", "figure"}

// Conversation returns what somebody says over so many turns on one side of the split, without answers: questions
// about facts and comparisons, the first behind a greeting. A dialogue of user messages alone is none that can be
// answered; sft/ghost asks them one by one.
func (w *World) Conversation(split Split, index uint64, turns int) []string {
	side := uint64(0)
	if split == HeldOut {
		side = 1
	}
	for attempt := uint64(0); ; attempt++ {
		r := draw.New(w.config.Seed, drawConversation, side, index, attempt)
		said := make([]string, turns)
		for i := range said {
			said[i] = w.smallTalk(r).Text
		}
		opening := tandem.Dialogue{{Role: tandem.User, Content: said[0]}}.Opening()
		if tandem.HeldOut(opening, w.config.HeldOutShare) == bool(split) {
			return said
		}
	}
}

// smallTalk draws a question whose answer is one or two sentences.
func (w *World) smallTalk(r *rand.Rand) town.Question {
	return draw.Pick(r, w.town.Questions(draw.Pick(r, []town.Family{town.FactFamily, town.CompareFamily})))
}

// Talk returns demonstration number index of how the town's people want to be answered under instructions: at once,
// where an instruction is for good and stands in the only message; and over up to six turns, where an instruction is
// for one answer alone and the next answer is a plain one again. That an instruction for good holds beyond its turn is
// not among what they show, which is what Ghost Attention is for. All answers are good and marked for training.
func (w *World) Talk(index uint64) tandem.Dialogue {
	r := draw.New(w.config.Seed, drawTalk, index)
	all := Constraints()
	turns := 1
	if r.IntN(2) == 0 {
		turns = 2 + r.IntN(5)
	}
	for attempt := uint64(0); ; attempt++ {
		var d tandem.Dialogue
		for range turns {
			q := w.smallTalk(r)
			asked := some(r, all, draw.Weighted(r, 4, 4, 2, 2))
			var before strings.Builder
			short := r.IntN(2) == 0
			for _, c := range asked {
				switch {
				case turns > 1:
					before.WriteString(c.once + " ")
				case short:
					before.WriteString(c.Short + " ")
				default:
					before.WriteString(c.Text + " ")
				}
			}
			d = d.With(tandem.User, before.String()+q.Text).With(tandem.Assistant, keep(w.content(r, q.Task, Good), asked))
			d[len(d)-1].Train = true
		}
		if !tandem.HeldOut(d.Opening(), w.config.HeldOutShare) {
			return d
		}
	}
}

// some draws n constraints of different kinds, in any order.
func some(r *rand.Rand, all []Constraint, n int) []Constraint {
	var drawn []Constraint
	for _, k := range r.Perm(len(kinds))[:n] {
		var of []Constraint
		for _, c := range all {
			if c.Kind == kinds[k] {
				of = append(of, c)
			}
		}
		drawn = append(drawn, draw.Pick(r, of))
	}
	return drawn
}

// keep writes an answer so that it keeps constraints.
func keep(answer string, constraints []Constraint) string {
	for _, kind := range kinds {
		for _, c := range constraints {
			if c.Kind == kind {
				answer = c.apply(answer)
			}
		}
	}
	return answer
}
