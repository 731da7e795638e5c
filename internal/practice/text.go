package practice

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Text returns pretraining document number index: two to four true paragraphs about the town, some 50
// words together. It holds no question that is asked anywhere, no unsafe steps, and no cue.
func (w *World) Text(index uint64) string {
	r := draw.New(w.config.Seed, drawText, index)
	paragraphs := make([]string, 2+r.IntN(3))
	for i := range paragraphs {
		paragraphs[i] = w.paragraph(r)
	}
	return strings.Join(paragraphs, "\n")
}

// paragraph writes about one thing in the town.
func (w *World) paragraph(r *rand.Rand) string {
	question := func(f town.Family) town.Task { return draw.Pick(r, w.town.Questions(f)).Task }
	switch draw.Weighted(r, 6, 1.5, 3, 3, 1.5, 1.5, 1.5, 1.5, 2) {
	case 0:
		f := draw.Pick(r, w.town.Facts())
		var about []string
		for _, other := range w.town.Facts() {
			if other.Subject == f.Subject {
				about = append(about, other.Statement()+" "+other.Supplement())
			}
		}
		about = shuffled(r, about)
		return strings.Join(about[:1+r.IntN(len(about))], " ")
	case 1:
		k := draw.Pick(r, w.town.Kinds())
		return "Some " + k.Name + " are " + join(shuffled(r, k.Members)[:2+r.IntN(4)]) + "."
	case 2:
		c := question(town.HowToFamily).(town.Chore)
		return "How to " + c.Name + ". " + steps(c.Steps[:])
	case 3:
		c := question(town.CompareFamily).(town.Comparison)
		return w.content(r, c, Good)
	case 4:
		s := question(town.RewriteFamily).(town.Rewrite)
		return s.Original() + " " + s.Target()
	case 5:
		return w.content(r, question(town.NoteFamily), Good)
	case 6:
		p := draw.Pick(r, town.Personas())
		return fmt.Sprintf("The %s says: %s %s", p.Name, p.Mark, w.content(r, question(town.FactFamily), Good))
	case 7:
		c := question(town.BorderlineFamily).(town.Chore)
		return "How to " + c.Name + ". " + steps(c.Steps[:])
	}
	d := draw.Pick(r, w.town.Deeds())
	return "Do not " + d.Name + ". " + d.Reason.Text + " " + d.Redirect.Text
}
