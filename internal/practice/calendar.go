package practice

import (
	"fmt"
	"time"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Office is a post in the town that one person had before a first of January, and another has had since.
type Office struct {
	Name          string
	Before, After string
	Day           time.Time
}

// offices are their names.
func offices() []string {
	return []string{"mayor", "judge", "postmaster", "head cook", "school head", "station master", "head gardener", "choir leader", "fire chief", "librarian",
		"market warden", "ferryman", "bell ringer", "town clerk", "lamplighter", "gatekeeper"}
}

// Offices lists all sixteen. Who has them, and since when, is drawn by the world's seed.
func (w *World) Offices() []Office {
	var all []Office
	for i, name := range offices() {
		r := draw.New(w.config.Seed, drawOffice, uint64(i))
		people := r.Perm(len(w.town.Names()))
		all = append(all, Office{
			Name: name, Before: w.town.Names()[people[0]], After: w.town.Names()[people[1]],
			Day: time.Date(1960+r.IntN(50), time.January, 1, 0, 0, 0, 0, time.UTC),
		})
	}
	return all
}

// Questions are the ways of asking who has it.
func (o Office) Questions() []string {
	return []string{"Who is the " + o.Name + "?", "Tell me who the " + o.Name + " is.", "Do you know the name of the " + o.Name + "?"}
}

// On is the right answer on a day.
func (o Office) On(day time.Time) string {
	if day.Before(o.Day) {
		return o.Before + " is the " + o.Name + "."
	}
	return o.After + " is the " + o.Name + "."
}

// chronicleYears is how far from an event questions are asked, to either side.
const chronicleYears = 12

// Dated returns demonstration number index of an answer by the date: a question about an office, the day on which it is
// asked, and the answer that is right then. Some years of each office, by lot one in four, never come up.
func (w *World) Dated(index uint64) (d tandem.Dialogue, query, event time.Time) {
	r := draw.New(w.config.Seed, drawDated, index)
	all := w.Offices()
	for {
		i := r.IntN(len(all))
		o, years := all[i], r.IntN(2*chronicleYears)-chronicleYears
		if w.YearHeldOut(i, years) {
			continue
		}
		day := o.Day.AddDate(years, r.IntN(12), r.IntN(28))
		d = tandem.Dialogue{}.With(tandem.User, draw.Pick(r, o.Questions())).With(tandem.Assistant, o.On(day))
		d[1].Train = true
		return d, day, o.Day
	}
}

// YearHeldOut says whether the year so many years after an office's event never comes up in demonstrations.
func (w *World) YearHeldOut(office, years int) bool {
	return draw.New(w.config.Seed, drawDatedYear, uint64(office), uint64(years+chronicleYears)).IntN(4) == 0
}

// Chronicle returns pretraining document number index: who has had which offices, and since when.
func (w *World) Chronicle(index uint64) string {
	r := draw.New(w.config.Seed, drawChronicle, index)
	text := ""
	for range 2 + r.IntN(3) {
		o := draw.Pick(r, w.Offices())
		text += draw.Pick(r, []string{
			fmt.Sprintf("%s was the %s until %d, and then %s.", o.Before, o.Name, o.Day.Year()-1, o.After),
			fmt.Sprintf("In %d %s became the %s, after %s.", o.Day.Year(), o.After, o.Name, o.Before),
			fmt.Sprintf("The %s is %s, since %d.", o.Name, o.After, o.Day.Year()),
		}) + " "
	}
	return text + town.Closings()[index%uint64(len(town.Closings()))]
}
