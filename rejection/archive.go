package rejection

import (
	"math"
	"slices"
	"strings"

	"tandem"
)

// ArchivePolicy says which of the best answers of earlier rounds stand beside the newest ones among what a version is
// fine-tuned on.
type ArchivePolicy string

const (
	// AllRounds keeps those of every earlier round, as they were kept.
	AllRounds ArchivePolicy = "all"
	// NewestRound keeps none, as the paper did up to V3. The policy restarts from the base model each time, so what
	// the newest prompts do not ask for is forgotten.
	NewestRound ArchivePolicy = "newest"
	// BestOfRounds keeps one answer to each prompt: the best of all rounds' by the newest reward models.
	BestOfRounds ArchivePolicy = "best"
	// ShareOfRounds keeps of each earlier round the share that the newest reward models score highest. What several
	// rounds have kept alike stands once.
	ShareOfRounds ArchivePolicy = "share"
)

// ArchivePolicies are all policies.
func ArchivePolicies() []ArchivePolicy {
	return []ArchivePolicy{AllRounds, NewestRound, BestOfRounds, ShareOfRounds}
}

// Archive says what becomes of the best answers of earlier rounds (section 3.2.3: after V3 "top-performing samples
// from all prior iterations" are used).
type Archive struct {
	// Policy defaults to AllRounds.
	Policy ArchivePolicy `json:"policy"`
	// Share of each earlier round that ShareOfRounds keeps; no other policy reads it. Defaults to 0.5.
	Share float64 `json:"share"`
}

// DefaultArchive returns the defaults that Archive documents.
func DefaultArchive() Archive { return Archive{Policy: AllRounds, Share: 0.5} }

// Validate reports a policy that there is not, or a share that is none.
func (a Archive) Validate() error {
	const op = "rejection.Archive"
	if !slices.Contains(ArchivePolicies(), a.Policy) {
		return tandem.Errorf(tandem.Invalid, op, "the archive's policy is %q, and should be one of %v", a.Policy, ArchivePolicies())
	}
	if a.Policy == ShareOfRounds && !(a.Share > 0 && a.Share <= 1) {
		return tandem.Errorf(tandem.Invalid, op, "the archive's share is %g, not in (0, 1]", a.Share)
	}
	return nil
}

// Rescores says whether the policy compares answers of different rounds. Scores of different reward models do not
// compare, so all have to be scored by the newest ones.
func (a Archive) Rescores() bool { return a.Policy == BestOfRounds || a.Policy == ShareOfRounds }

// Target is an answer to imitate: a dialogue whose last message alone carries loss, and what its prompt was.
type Target struct {
	Messages tandem.Dialogue `json:"messages"`
	Safety   bool            `json:"safety_prompt,omitempty"`
}

// Validate reports a target that does not end with an answer.
func (t Target) Validate() error {
	if err := t.Messages.Validate(); err != nil {
		return err
	}
	if t.Messages[len(t.Messages)-1].Role != tandem.Assistant {
		return tandem.Errorf(tandem.Invalid, "rejection.Target", "the dialogue does not end with an answer")
	}
	return nil
}

// ScoreRequest asks for the score of the answer.
func (t Target) ScoreRequest() tandem.ScoreRequest {
	return tandem.ScoreRequest{Messages: t.Messages, Safety: t.Safety}
}

// promptKey tells prompts apart as the database does: by their dialogue and their safety flag.
type promptKey struct {
	messages uint64
	safety   bool
}

func (t Target) prompt() promptKey {
	return promptKey{t.Messages[:len(t.Messages)-1].Key(), t.Safety}
}

// answerKey tells answers apart.
type answerKey struct {
	promptKey
	answer string
}

func (t Target) key() answerKey {
	return answerKey{t.prompt(), strings.TrimSpace(t.Messages[len(t.Messages)-1].Content)}
}

// Scored is a target with what the newest reward models say of it.
type Scored struct {
	Target
	Score tandem.Score
}

// Select chooses what to imitate from the targets of all rounds, the newest round last, and tells how many it chose
// of each. They come in the order of the rounds; of equally good answers to a prompt the newest is kept. Scores are
// read where the policy [Archive.Rescores] alone.
func (a Archive) Select(rounds [][]Scored) (kept []Target, from []int, err error) {
	if err := a.Validate(); err != nil {
		return nil, nil, err
	}
	take := make([][]bool, len(rounds))
	for r, targets := range rounds {
		take[r] = make([]bool, len(targets))
		for i := range targets {
			take[r][i] = a.Policy != NewestRound || r == len(rounds)-1
		}
	}
	switch a.Policy {
	case BestOfRounds:
		takeBest(rounds, take)
	case ShareOfRounds:
		takeShare(rounds, take, a.Share)
	}
	from = make([]int, len(rounds))
	for r, targets := range rounds {
		for i, t := range targets {
			if take[r][i] {
				kept = append(kept, t.Target)
				from[r]++
			}
		}
	}
	return kept, from, nil
}

// takeBest leaves the best answer to each prompt.
func takeBest(rounds [][]Scored, take [][]bool) {
	type place struct{ round, i int }
	best := make(map[promptKey]place)
	for r, targets := range rounds {
		for i, t := range targets {
			key := t.prompt()
			if was, ok := best[key]; ok {
				if t.Score.Compare(rounds[was.round][was.i].Score) < 0 {
					take[r][i] = false
					continue
				}
				take[was.round][was.i] = false
			}
			best[key] = place{r, i}
		}
	}
}

// takeShare leaves the best share of each round but the last, less what a later round has kept too.
func takeShare(rounds [][]Scored, take [][]bool, share float64) {
	seen := make(map[answerKey]bool)
	for r := len(rounds) - 1; r >= 0; r-- {
		targets := rounds[r]
		if r < len(rounds)-1 {
			order := make([]int, len(targets))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int { return targets[b].Score.Compare(targets[a].Score) })
			for _, i := range order[int(math.Ceil(share*float64(len(targets)))):] {
				take[r][i] = false
			}
		}
		for i, t := range targets {
			if take[r][i] && seen[t.key()] {
				take[r][i] = false
			}
			if take[r][i] {
				seen[t.key()] = true
			}
		}
	}
}
