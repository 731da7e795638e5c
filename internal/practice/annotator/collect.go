package annotator

import (
	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/town"
)

// Collection says which comparisons are made without a server: prompts of one side of the split, answers of the practice
// world's grammar, and a panel that judges every pair of them.
type Collection struct {
	Aspect tandem.Aspect
	Split  practice.Split
	// Pairs is how many comparisons are wanted, as they come; PerDegree, if not 0, how many of each degree instead.
	Pairs, PerDegree int
	// Answers to each prompt, of which every pair is judged by one of the panel. Defaults to 2, as people compare: the same
	// number of comparisons of more answers to a prompt teaches less.
	Answers int
	// Harmless is the share of harmless how-to and borderline prompts among those of the safety project. Defaults to 0.4, as
	// in the demo: without them a safety model takes every instruction for a harmful one.
	Harmless float64
	// Quality holds the shares of bad, middling and good answers. Defaults to the demonstrations'.
	Quality [3]float64
	Seed    uint64
}

// DefaultCollection returns the defaults; the numbers of comparisons are left to be said.
func DefaultCollection(aspect tandem.Aspect, split practice.Split, seed uint64) Collection {
	return Collection{Aspect: aspect, Split: split, Answers: 2, Harmless: 0.4, Quality: practice.DefaultConfig(seed).Quality, Seed: seed}
}

// Validate reports what could not be collected.
func (c Collection) Validate() error {
	const op = "annotator.Collection"
	switch {
	case !c.Aspect.Valid():
		return tandem.Errorf(tandem.Invalid, op, "there is no aspect %q", c.Aspect)
	case c.Pairs < 0 || c.PerDegree < 0 || (c.Pairs == 0) == (c.PerDegree == 0):
		return tandem.Errorf(tandem.Invalid, op, "%d comparisons, or %d of each degree: one of the two is needed", c.Pairs, c.PerDegree)
	case c.Answers < 2:
		return tandem.Errorf(tandem.Invalid, op, "%d answers to a prompt make no pair", c.Answers)
	case !(c.Harmless >= 0 && c.Harmless <= 1):
		return tandem.Errorf(tandem.Invalid, op, "the share of harmless prompts is %g", c.Harmless)
	}
	return nil
}

// Judged are comparisons with what gold itself makes of each: 1 where it agrees with the verdict, 0 where it does not and ½
// where it sees no difference. Their mean is the most that any model can be expected to reach.
type Judged struct {
	Comparisons []tandem.Comparison
	Oracle      []float64
	// LeftOut is how many comparisons fell away whose chosen answer is labelled unsafe and the other safe (section 3.2.1).
	LeftOut int
}

// Collect has a panel judge answers. No pair of answers to a prompt is judged twice. It fails when the world has not enough
// different ones.
func Collect(w *practice.World, panel []*Annotator, c Collection) (Judged, error) {
	var found Judged
	if err := c.Validate(); err != nil {
		return found, err
	}
	degrees := tandem.Degrees()
	wanted := c.Pairs + c.PerDegree*len(degrees)
	have := make(map[tandem.Degree]int)
	seen := make(map[pairKey]bool)
	for index, vain := uint64(0), 0; len(found.Comparisons) < wanted; index++ {
		if vain++; vain > 2000+20*len(found.Comparisons) {
			return found, tandem.Errorf(tandem.Invalid, "annotator.Collect", "the world has only about %d such %s comparisons, not %d", len(found.Comparisons), c.Aspect, wanted)
		}
		r := draw.New(c.Seed, drawCollection, index)
		prompt := w.Prompt(c.Split, c.families(r.Float64()), index)
		answers := make([]string, c.Answers)
		for k := range answers {
			var err error
			if answers[k], err = w.Answer(prompt.Messages, practice.Quality(draw.Weighted(r, c.Quality[:]...)), r.Uint64()); err != nil {
				return found, err
			}
		}
		for i := range answers {
			for k := range i {
				person := panel[r.IntN(len(panel))]
				pair := keyOf(prompt.Messages, answers[i], answers[k])
				if answers[i] == answers[k] || seen[pair] {
					continue
				}
				seen[pair] = true
				comparison, credit, err := person.compare(c.Aspect, prompt, [2]string{answers[i], answers[k]})
				switch {
				case err != nil:
					return found, err
				case len(found.Comparisons) == wanted || c.PerDegree > 0 && have[comparison.Degree] == c.PerDegree:
					continue
				case !comparison.Trainable():
					found.LeftOut++
					continue
				}
				have[comparison.Degree]++
				vain = 0
				found.Comparisons, found.Oracle = append(found.Comparisons, comparison), append(found.Oracle, credit)
			}
		}
	}
	return found, nil
}

// families are those that one prompt is drawn from.
func (c Collection) families(lot float64) []practice.Family {
	switch {
	case c.Aspect == tandem.Helpfulness:
		return practice.HelpfulFamilies()
	case lot < c.Harmless:
		return []practice.Family{town.HowToFamily, town.BorderlineFamily}
	}
	return practice.UnsafeFamilies()
}

// compare judges a pair, and says whether gold agrees.
func (a *Annotator) compare(aspect tandem.Aspect, prompt tandem.Prompt, answers [2]string) (tandem.Comparison, float64, error) {
	j, verdicts, err := a.judge(aspect, prompt.Messages, answers)
	if err != nil {
		return tandem.Comparison{}, 0, err
	}
	side := func(i int) tandem.Response { return tandem.Response{Content: answers[i], Label: j.Labels[i]} }
	return tandem.Comparison{
		Aspect: aspect, Prompt: prompt, Chosen: side(j.Choice), Rejected: side(1 - j.Choice), Degree: j.Degree, Source: prompt.Source, HeldOut: prompt.HeldOut,
	}, credit(verdicts[j.Choice].Of(aspect), verdicts[1-j.Choice].Of(aspect)), nil
}

// credit is what gold's own choice scores against a verdict.
func credit(chosen, other float64) float64 {
	switch {
	case chosen > other:
		return 1
	case chosen == other:
		return 0.5
	}
	return 0
}

// pairKey tells pairs of answers to prompts apart, whichever stands first.
type pairKey struct {
	prompt uint64
	a, b   string
}

func keyOf(prompt tandem.Dialogue, a, b string) pairKey {
	return pairKey{prompt.Key(), min(a, b), max(a, b)}
}
