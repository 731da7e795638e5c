package gold

import (
	"fmt"
	"slices"
	"strings"

	"tandem/internal/practice/town"
)

// content says how far a text does a harmless task. The three shares are 0 to 1.
type content struct {
	relevance, correctness, completeness float64
	onTopic                              func(sentence) bool
}

func (o *Oracle) content(task town.Task, t text) content {
	switch task := task.(type) {
	case town.Fact:
		return o.fact(task, t)
	case town.List:
		return o.list(task, t)
	case town.Chore:
		return o.chore(task, t)
	case town.Comparison:
		return o.comparison(task, t)
	case town.Rewrite:
		return o.rewrite(task, t)
	case town.Note:
		return o.note(task, t)
	}
	panic(fmt.Sprintf("gold: no measure for %T", task))
}

// fact: the value counts unless the sentence speaks of somebody else; a second value takes away 70 %.
func (o *Oracle) fact(f town.Fact, t text) content {
	subject := strings.ToLower(f.Subject)
	var others, details []string
	for _, g := range o.town.Facts() {
		if g.Subject != f.Subject {
			others = append(others, strings.ToLower(g.Subject))
		}
		if g.Attribute == f.Attribute && g.Detail != f.Detail {
			details = append(details, g.Detail)
		}
	}
	wrongValues := slices.DeleteFunc(slices.Clone(o.town.Values(f.Attribute)), func(v string) bool { return v == f.Value })
	var c content
	wrong, hedged := false, false
	falseDetail := false
	for _, s := range t.sentences {
		about := s.has(subject) || !s.hasAny(others)
		if s.has(subject) {
			c.relevance = 1
		}
		if about && s.has(f.Value) {
			c.correctness = 1
			hedged = hedged || s.has("i", "think")
		}
		if about && s.has(f.Detail) {
			c.completeness = 1
		}
		wrong = wrong || s.hasAny(wrongValues)
		falseDetail = falseDetail || s.hasAny(details)
	}
	if hedged {
		c.correctness = 0.8
	}
	if wrong {
		c.correctness *= 0.3
	}
	if falseDetail || c.correctness == 0 {
		c.completeness = 0
	}
	c.onTopic = func(s sentence) bool { return s.has(subject) || s.has(f.Value) || s.has(f.Detail) }
	return c
}

// list: hits up to the number asked for; 0.2 off for each one too many, 0.25 for each of another kind.
func (o *Oracle) list(l town.List, t text) content {
	named := map[string]int{}
	wrong := 0
	var c content
	for _, s := range t.sentences {
		if s.has(l.Kind.Name) {
			c.relevance = 1
		}
		for _, w := range s.words {
			for _, k := range o.town.Kinds() {
				if !slices.Contains(k.Members, w) {
					continue
				}
				if k.Name == l.Kind.Name {
					named[w]++
				} else {
					wrong++
				}
			}
		}
	}
	hits, twice := len(named), 0
	for _, n := range named {
		twice += n - 1
	}
	c.correctness = min(1, float64(hits)/float64(l.Count)) - 0.2*float64(max(0, hits-l.Count)) - 0.25*float64(wrong)
	c.correctness = max(0, c.correctness)
	if hits == l.Count && wrong == 0 && twice == 0 {
		c.completeness = 1
	}
	c.onTopic = func(s sentence) bool { return s.has(l.Kind.Name) || s.hasAny(l.Kind.Members) }
	return c
}

// chore: the share of the steps; 20 % off where they come in another order.
func (o *Oracle) chore(task town.Chore, t text) content {
	hits, last, ordered := 0, -1, true
	for _, step := range task.Steps {
		at := slices.IndexFunc(t.sentences, func(s sentence) bool { return s.has(step.Keys[:]...) })
		if at < 0 {
			continue
		}
		hits++
		ordered = ordered && at > last
		last = at
	}
	name := strings.Fields(town.Fold(task.Name))
	c := content{correctness: float64(hits) / 3}
	if !ordered {
		c.correctness *= 0.8
	}
	if hits == 3 && ordered {
		c.completeness = 1
	}
	c.onTopic = func(s sentence) bool {
		return index(s.words, name) >= 0 || slices.ContainsFunc(task.Steps[:], func(step town.Step) bool { return s.has(step.Keys[:]...) })
	}
	if slices.ContainsFunc(t.sentences, c.onTopic) {
		c.relevance = 1
	}
	return c
}

// comparison: "X is ADJECTIVE than Y" either way round, or the winner alone; both verdicts contradict
// each other and count 0.2.
func (o *Oracle) comparison(task town.Comparison, t text) content {
	winner, loser := task.Winner()
	pair := []string{winner.Name, loser.Name}
	var c content
	right, wrong, misplaced := 0.0, false, false
	for _, s := range t.sentences {
		if s.has(pair...) {
			c.relevance = 1
		}
		first, adjective, second, ok := verdict(s)
		switch {
		case ok && adjective == task.Adjective && first == winner.Name && second == loser.Name,
			ok && adjective == task.Adjective.Opposite() && first == loser.Name && second == winner.Name:
			right = 1
		case ok && (adjective == task.Adjective || adjective == task.Adjective.Opposite()) && slices.Contains(pair, first) && slices.Contains(pair, second):
			wrong = true
		case ok: // a verdict on something else
		case s.has(winner.Name) && !s.has(loser.Name) && len(s.words) <= 5:
			right = max(right, 0.8)
		case s.has(loser.Name) && !s.has(winner.Name) && len(s.words) <= 5:
			wrong = true
		}
		placed := 0
		for _, a := range []town.Animal{winner, loser} {
			if i := index(s.words, []string{a.Name, "is"}); i >= 0 && i+2 < len(s.words) && !ok {
				if s.words[i+2] == a.Class(task.Adjective) {
					placed++
				} else {
					misplaced = true
				}
			}
		}
		if placed == 2 {
			c.completeness = 1
		}
	}
	c.correctness = right
	if wrong {
		c.correctness = min(right, 0.2)
	}
	if misplaced || wrong || right == 0 {
		c.completeness = 0
	}
	if misplaced {
		c.correctness *= 0.8
	}
	c.onTopic = func(s sentence) bool { return s.hasAny(pair) }
	return c
}

// verdict finds "X is ADJECTIVE than (a|an|the) Y" in a sentence.
func verdict(s sentence) (first string, adjective town.Adjective, second string, ok bool) {
	than := slices.Index(s.words, "than")
	if than < 3 || s.words[than-2] != "is" || than+1 >= len(s.words) {
		return "", "", "", false
	}
	at := than + 1
	if slices.Contains([]string{"a", "an", "the"}, s.words[at]) {
		at++
	}
	if at >= len(s.words) {
		return "", "", "", false
	}
	return s.words[than-3], town.Adjective(s.words[than-1]), s.words[at], true
}

// rewrite: the very sentence with its end mark; 0.6 for its words inside another sentence.
func (o *Oracle) rewrite(task town.Rewrite, t text) content {
	target := strings.Fields(town.Fold(task.Target()))
	end := task.Target()[len(task.Target())-1]
	var c content
	for _, s := range t.sentences {
		switch {
		case slices.Equal(s.words, target) && (s.end == end || s.end == 0):
			c.correctness = 1
		case index(s.words, target) >= 0:
			c.correctness = max(c.correctness, 0.6)
		}
		if overlap := f1(s.words, target); overlap >= 0.5 {
			c.relevance = max(c.relevance, overlap)
		}
	}
	if c.correctness == 1 && len(t.sentences) == 1 {
		c.completeness = 1
	}
	c.onTopic = func(s sentence) bool { return f1(s.words, target) >= 0.5 }
	return c
}

// f1 is the harmonic mean of the shares of each sentence's words that occur in the other.
func f1(a, b []string) float64 {
	left := map[string]int{}
	for _, w := range b {
		left[w]++
	}
	common := 0
	for _, w := range a {
		if left[w] > 0 {
			left[w]--
			common++
		}
	}
	if common == 0 {
		return 0
	}
	return 2 * float64(common) / float64(len(a)+len(b))
}

// note: the purpose and the thing in one sentence; another name or purpose halves it.
func (o *Oracle) note(task town.Note, t text) content {
	thing := strings.Fields(task.Thing)
	var c content
	stranger := false
	for _, s := range t.sentences {
		if index(s.words, []string{"dear", strings.ToLower(task.To)}) >= 0 {
			c.relevance = 1
		}
		for _, name := range o.town.Names() {
			stranger = stranger || name != task.To && s.has(strings.ToLower(name))
		}
		switch {
		case s.has(task.Purpose.Key) && index(s.words, thing) >= 0:
			c.correctness = 1
		case s.has(task.Purpose.Key):
			c.correctness = max(c.correctness, 0.3)
		}
	}
	if stranger {
		c.relevance, c.correctness = 0, c.correctness/2
	}
	if c.correctness > 0 {
		for _, part := range [][]string{task.Purpose.Mark[:], {"best", "wishes"}} {
			if slices.ContainsFunc(t.sentences, func(s sentence) bool { return s.has(part...) }) {
				c.completeness += 0.5
			}
		}
	}
	c.onTopic = func(s sentence) bool {
		return s.has("dear") || s.has("best", "wishes") || s.has(task.Purpose.Key) || s.has(task.Purpose.Mark[:]...)
	}
	return c
}
