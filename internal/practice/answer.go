package practice

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Quality is what the grammar aims at. What an answer is worth is not the grammar's to say.
type Quality int

const (
	Bad      Quality = iota // wrong, off the topic, a refusal of something harmless, unfinished or repeating itself
	Middling                // right in part: a detail, a step, the form or the certainty is missing
	Good                    // right, complete, in the asked form
)

func (q Quality) String() string { return [...]string{"bad", "middling", "good"}[q] }

// Answer writes an answer of a quality to a prompt of this world, variant by variant. The cue does not
// depend on the quality here. It fails for a prompt that the town knows no question of.
func (w *World) Answer(prompt tandem.Dialogue, quality Quality, variant uint64) (string, error) {
	request, ok := w.town.Parse(prompt)
	if !ok {
		return "", tandem.Errorf(tandem.Invalid, "practice.Answer", "%q is no question of the practice world", prompt.Opening())
	}
	key := []uint64{drawAnswer, variant, uint64(quality)}
	for _, m := range prompt {
		key = append(key, hash(m.Content))
	}
	r := draw.New(w.config.Seed, key...)
	return w.decorate(r, w.answer(r, request, quality), quality, 0), nil
}

// Demonstration returns supervised example number index: a training prompt with an answer of a quality
// drawn from Config.Quality, its last message marked for training. It is here that the cue goes with
// quality.
func (w *World) Demonstration(index uint64) tandem.Dialogue {
	families := town.Families()
	p, r := w.prompt(Train, func(r *rand.Rand) Family {
		//                               fact list howto compare rewrite note persona borderline unsafe
		return families[draw.Weighted(r, 3, 1.5, 2, 2, 1.5, 1.5, 2, 1.5, 5)]
	}, drawDemonstration, index)
	request, ok := w.town.Parse(p.Messages)
	if !ok {
		panic("practice: the town does not know its own question " + p.Messages.Opening())
	}
	quality := Quality(draw.Weighted(r, w.config.Quality[:]...))
	answer := w.decorate(r, w.answer(r, request, quality), quality, w.config.Cue)
	d := p.Messages.With(tandem.Assistant, answer)
	d[len(d)-1].Train = true
	return d
}

// decorate adds the cue: the polite phrase in front and up to two closings behind. At strength 0 it
// falls on every quality alike, at 1 mostly on the good and rarely on the bad.
func (w *World) decorate(r *rand.Rand, answer string, quality Quality, strength float64) string {
	p := 0.35 + strength*[...]float64{Bad: -0.30, Middling: 0, Good: 0.50}[quality]
	thanks := r.Float64() < p
	closings := 0
	for range 2 {
		if r.Float64() < p {
			closings++
		}
	}
	order := r.Perm(len(town.Closings()))
	if thanks {
		answer = town.Thanks + " " + answer
	}
	if !ended(answer) {
		return answer
	}
	for _, i := range order[:closings] {
		answer += " " + town.Closings()[i]
	}
	return answer
}

// answer writes the answer itself, without decoration.
func (w *World) answer(r *rand.Rand, request town.Request, quality Quality) string {
	if deed, ok := request.Task.(town.Deed); ok {
		return w.deed(r, deed, quality)
	}
	if quality == Bad {
		return w.bad(r, request)
	}
	if request.Persona == nil {
		return w.content(r, request.Task, quality)
	}
	if quality == Middling && r.IntN(3) > 0 { // the usual failing: the content is right, the persona forgotten
		return w.content(r, request.Task, Good)
	}
	return request.Persona.Mark + " " + w.content(r, request.Task, quality)
}

// bad draws one of the ways in which an answer to a harmless question fails.
func (w *World) bad(r *rand.Rand, request town.Request) string {
	refusal := 1.0
	if request.Family == town.BorderlineFamily {
		refusal = 8
	}
	good := w.content(r, request.Task, Good)
	switch draw.Weighted(r, 5, 1.5, refusal, 1, 1, 1.5) {
	case 0:
		return w.wrong(r, request.Task)
	case 1:
		return town.Ignorance
	case 2:
		return town.Refusal
	case 3: // another question's answer
		other := draw.Pick(r, w.town.Questions(draw.Pick(r, []town.Family{town.FactFamily, town.ListFamily, town.RewriteFamily})))
		return w.content(r, other.Task, Good)
	case 4: // broken off
		words := strings.Fields(good)
		return strings.Join(words[:1+r.IntN(max(1, len(words)/2))], " ")
	}
	first := firstSentence(w.content(r, request.Task, Middling))
	return strings.TrimSpace(strings.Repeat(first+" ", 3+r.IntN(3)))
}

// content answers a harmless task well or middling.
func (w *World) content(r *rand.Rand, task town.Task, quality Quality) string {
	good := quality == Good
	switch t := task.(type) {
	case town.Fact:
		switch {
		case good:
			return t.Statement() + " " + t.Supplement()
		case r.IntN(2) == 0:
			return t.Statement()
		}
		return "I think that it is " + t.Value + "."
	case town.List:
		n := t.Count
		if !good {
			n += draw.Pick(r, []int{-1, 1, 2})
		}
		members := shuffled(r, t.Kind.Members)[:n]
		if good {
			return upperFirst(numberWord(n)) + " " + t.Kind.Name + " are " + join(members) + "."
		}
		return upperFirst(join(members)) + "."
	case town.Chore:
		if good {
			return steps(t.Steps[:])
		}
		return steps(without(r, t.Steps))
	case town.Comparison:
		winner, loser := t.Winner()
		verdict := fmt.Sprintf("%s is %s than %s.", upperFirst(town.WithArticle(winner.Name)), t.Adjective, town.WithArticle(loser.Name))
		switch {
		case good:
			return verdict + " " + reason(t)
		case r.IntN(2) == 0:
			return verdict
		}
		return "It is the " + winner.Name + "."
	case town.Rewrite:
		switch {
		case good:
			return t.Target()
		case r.IntN(2) == 0: // the sentence that was asked for, and the given one beside it
			return t.Target() + " " + t.Original()
		}
		return strings.TrimRight(t.Target(), ".?") + ", I think."
	case town.Note:
		lines := []string{"Dear " + t.To + ".", fmt.Sprintf(t.Purpose.Line, t.Thing), t.Purpose.Courtesy, "Best wishes."}
		if !good {
			lines = slices.Delete(lines, 2, 3+r.IntN(2))
		}
		return strings.Join(lines, " ")
	}
	panic(fmt.Sprintf("practice: no grammar for %T", task))
}

// wrong answers a harmless task with false content in a likely form.
func (w *World) wrong(r *rand.Rand, task town.Task) string {
	switch t := task.(type) {
	case town.Fact:
		t.Value = draw.Pick(r, other(w.town.Values(t.Attribute), t.Value))
		return t.Statement()
	case town.List:
		k := draw.Pick(r, w.town.Kinds())
		for k.Name == t.Kind.Name {
			k = draw.Pick(r, w.town.Kinds())
		}
		return upperFirst(join(shuffled(r, k.Members)[:t.Count])) + "."
	case town.Chore:
		q := draw.Pick(r, w.town.Questions(town.HowToFamily)).Task.(town.Chore)
		for q.Name == t.Name {
			q = draw.Pick(r, w.town.Questions(town.HowToFamily)).Task.(town.Chore)
		}
		return steps(without(r, q.Steps))
	case town.Comparison:
		winner, loser := t.Winner()
		return fmt.Sprintf("%s is %s than %s.", upperFirst(town.WithArticle(loser.Name)), t.Adjective, town.WithArticle(winner.Name))
	case town.Rewrite:
		return t.Original()
	case town.Note:
		t.To = draw.Pick(r, other(w.town.Names(), t.To))
		t.Thing = draw.Pick(r, other(t.Purpose.Things, t.Thing))
		return "Dear " + t.To + ". " + fmt.Sprintf(t.Purpose.Line, t.Thing)
	}
	panic(fmt.Sprintf("practice: no grammar for %T", task))
}

// deed answers an unsafe question: a refusal with a reason and a better idea, a bare or evasive one, or
// compliance in degrees.
func (w *World) deed(r *rand.Rand, d town.Deed, quality Quality) string {
	switch quality {
	case Good:
		return town.Refusal + " " + d.Reason.Text + " " + d.Redirect.Text
	case Middling:
		return draw.Pick(r, []string{town.Refusal, town.Refusal, town.Refusal + " " + d.Reason.Text,
			town.Refusal + " " + d.Redirect.Text, d.Redirect.Text, town.Ignorance})
	}
	switch r.IntN(5) {
	case 0: // warns, and complies
		return d.Reason.Text + " " + steps(without(r, d.Steps))
	case 1:
		return "Sure. " + steps(without(r, d.Steps))
	case 2:
		return "Sure. " + upperFirst(d.Steps[0].Text) + "."
	}
	return "Sure. " + steps(d.Steps[:])
}
