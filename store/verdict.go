package store

import "tandem"

// Verdict is what a person says of a task. Which fields are set follows from the task's kind.
type Verdict struct {
	Chosen   string        `json:"chosen,omitempty"`   // pairwise: the id of the better response
	Rejected string        `json:"rejected,omitempty"` // pairwise: the other
	Degree   tandem.Degree `json:"degree,omitempty"`   // pairwise: by how much; required
	Ranking  [][]string    `json:"ranking,omitempty"`  // ranking: every response once, best first; ties share a place
	// Rating is 1 to 7: of one answer, how good it is; of two side by side, from 1, the one with the smaller id is much
	// better, over 4, they are about the same, to 7, the other is much better. Of an answer to an attack it is a
	// tandem.SafetyRating.
	Rating int `json:"rating,omitempty"`
	// Labels are the responses' safety labels by id; in a safety project every response has one, and in red teaming none:
	// the rating says it.
	Labels  map[string]tandem.SafetyLabel `json:"labels,omitempty"`
	Comment string                        `json:"comment,omitempty"`
}

// fits reports what keeps v from being a verdict on a task of the kind with these responses.
func (v Verdict) fits(kind TaskKind, aspect tandem.Aspect, source Source, responses []int64) error {
	invalid := func(format string, args ...any) error { return tandem.Errorf(tandem.Invalid, "", format, args...) }
	left := make(map[string]bool, len(responses)) // responses that have not been named yet
	for _, id := range responses {
		left[idText(id)] = true
	}
	for id, label := range v.Labels {
		if !left[id] {
			return invalid("there is a label on response %q, which is not of this task", id)
		}
		if label != tandem.Safe && label != tandem.Unsafe {
			return invalid("response %s has the label %q", id, label)
		}
	}
	switch {
	case source == RedTeam && len(v.Labels) > 0:
		return invalid("an answer to an attack is rated, and has no label")
	case source != RedTeam && aspect == tandem.Safety && len(v.Labels) != len(responses):
		return invalid("a safety task wants a label on each of %d responses, and %d have one", len(responses), len(v.Labels))
	}

	pair := v.Chosen != "" || v.Rejected != "" || v.Degree != tandem.Unrated
	if (kind != Pairwise && pair) || (kind != Ranking && v.Ranking != nil) || (kind != Rating && kind != SideBySide && v.Rating != 0) {
		return invalid("the verdict is not that of a %s task", kind)
	}
	switch kind {
	case Pairwise:
		if v.Chosen == v.Rejected || !left[v.Chosen] || !left[v.Rejected] {
			return invalid("the responses %q and %q are not the two of this task", v.Chosen, v.Rejected)
		}
		if v.Degree < tandem.NegligiblyBetter || v.Degree > tandem.SignificantlyBetter {
			return invalid("the degree is missing")
		}
	case Ranking:
		for _, place := range v.Ranking {
			if len(place) == 0 {
				return invalid("a place of the ranking is empty")
			}
			for _, id := range place {
				if !left[id] {
					return invalid("response %q is not of this task, or is ranked twice", id)
				}
				delete(left, id)
			}
		}
		if len(left) > 0 {
			return invalid("%d responses have no place", len(left))
		}
	case Rating, SideBySide:
		if source == RedTeam && !tandem.SafetyRating(v.Rating).Valid() {
			return invalid("the rating %d of an answer to an attack is not between 1 and 5", v.Rating)
		}
		if v.Rating < 1 || v.Rating > 7 {
			return invalid("the rating %d is not between 1 and 7", v.Rating)
		}
	}
	return nil
}
