package rejection

import (
	"math/rand/v2"
	"slices"
	"strings"

	"tandem"
)

// Distinct returns the candidates with each text once, in the order of sampling. Of several that say the same one
// stands for all: the first that ended by itself, or else the first. The maximum over candidates is the same with
// duplicates and without; how many there are says how much of the sampling was for nothing.
func (s Set) Distinct() []Candidate {
	var distinct []Candidate
	place := make(map[string]int, len(s.Candidates))
	for _, c := range s.Candidates {
		at, again := place[c.Text]
		switch {
		case !again:
			place[c.Text] = len(distinct)
			distinct = append(distinct, c)
		case distinct[at].Finish != tandem.FinishStop && c.Finish == tandem.FinishStop:
			distinct[at] = c
		}
	}
	return distinct
}

// Duplicates counts the candidates that say what an earlier one of the same prompt has said.
func Duplicates(sets []Set) (n int) {
	for _, s := range sets {
		n += len(s.Candidates) - len(s.Distinct())
	}
	return n
}

// Best returns the highest-ranked candidate that ended by itself: tandem.Score.Compare ranks, so every
// ungated answer beats every gated one, and the first sampled wins a tie. Answers that were cut at the
// token limit or are empty are no targets (a choice: fine-tuning would teach to stop in mid-sentence);
// ok is false when there is no other.
func (s Set) Best() (best Candidate, ok bool) {
	for _, c := range s.Candidates {
		if c.usable() && (!ok || c.Score.Compare(best.Score) > 0) {
			best, ok = c, true
		}
	}
	return best, ok
}

// Random returns one of the usable candidates, whatever its score: the control that shows how much of an
// improvement is the choice, and how much is fine-tuning on one's own samples. What was sampled twice is drawn
// twice as often, as from the policy itself.
func (s Set) Random(seed uint64) (Candidate, bool) {
	usable := slices.DeleteFunc(slices.Clone(s.Candidates), func(c Candidate) bool { return !c.usable() })
	if len(usable) == 0 {
		return Candidate{}, false
	}
	rng := rand.New(rand.NewPCG(seed, s.Prompt.Messages.Key()))
	return usable[rng.IntN(len(usable))], true
}

func (c Candidate) usable() bool {
	return c.Finish == tandem.FinishStop && strings.TrimSpace(c.Text) != ""
}

// Target is the prompt continued with the answer to imitate: the one message that carries loss.
func (s Set) Target(c Candidate) Target {
	d := s.Prompt.Messages.With(tandem.Assistant, c.Text)
	d[len(d)-1].Train = true
	return Target{Messages: d, Safety: s.Prompt.Safety}
}
