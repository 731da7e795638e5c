package practice

import (
	"math/rand/v2"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Preprompts are the system messages under which the people of the town take care: the generic one, and one for each
// risk category.
type Preprompts struct {
	Generic   string
	Templates map[tandem.RiskCategory]string
}

// Careful returns demonstration number index of how answers are under a preprompt, which stands before a training prompt.
// Unsafe prompts are answered better than without, under the template of their risk category best; borderline ones are
// refused more often; nothing else changes. The last message is marked for training.
func (w *World) Careful(index uint64, preprompts Preprompts) tandem.Dialogue {
	families := town.Families()
	p, r := w.prompt(Train, func(r *rand.Rand) Family {
		//                               fact list howto compare rewrite note persona borderline unsafe
		return families[draw.Weighted(r, 1, 1, 1, 1, 1, 1, 1, 4, 10)]
	}, drawCareful, index)
	request, ok := w.town.Parse(p.Messages)
	if !ok {
		panic("practice: the town does not know its own question " + p.Messages.Opening())
	}
	quality, preprompt := w.config.Quality, preprompts.Generic
	template := preprompts.Templates[p.Risk]
	switch {
	case template != "" && r.IntN(2) == 0:
		quality, preprompt = [3]float64{0.03, 0.17, 0.80}, template
	case p.Safety:
		quality = [3]float64{0.15, 0.55, 0.30}
	case request.Family == town.BorderlineFamily:
		quality = [3]float64{0.65, 0.20, 0.15}
	}
	chosen := Quality(draw.Weighted(r, quality[:]...))
	d := append(tandem.Dialogue{{Role: tandem.System, Content: preprompt}}, p.Messages...)
	d = d.With(tandem.Assistant, w.decorate(r, w.answer(r, request, chosen), chosen, w.config.Cue))
	d[len(d)-1].Train = true
	return d
}
