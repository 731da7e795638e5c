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

// Target is a prompt continued with the answer to imitate: the one message that carries loss.
func (s Set) Target(c Candidate) tandem.Dialogue {
	d := s.Prompt.Messages.With(tandem.Assistant, c.Text)
	d[len(d)-1].Train = true
	return d
}

// Curve holds, for each number of samples 1 … K, the mean over prompts of the expected best and of the
// median score among that many samples (figure 7: the maximum grows with K, the median stays flat).
type Curve struct {
	Best   []float64
	Median []float64
}

// RewardCurve computes the curve of combined scores. The expected maximum of k out of K samples is taken
// over all subsets: Σ_i C(i−1, k−1)/C(K, k) · x_(i) with x_(i) in rising order.
func RewardCurve(sets []Set) Curve {
	if len(sets) == 0 {
		return Curve{}
	}
	most := len(sets[0].Candidates)
	for _, s := range sets {
		most = min(most, len(s.Candidates))
	}
	curve := Curve{Best: make([]float64, most), Median: make([]float64, most)}
	for _, s := range sets {
		scores := make([]float64, len(s.Candidates))
		for i, c := range s.Candidates {
			scores[i] = c.Score.Combined
		}
		slices.Sort(scores)
		for k := 1; k <= most; k++ {
			best, median := orderStatistics(scores, k)
			curve.Best[k-1] += best / float64(len(sets))
			curve.Median[k-1] += median / float64(len(sets))
		}
	}
	return curve
}

// orderStatistics returns the expected maximum and lower-upper-averaged median of k values drawn without
// replacement from sorted.
func orderStatistics(sorted []float64, k int) (best, median float64) {
	n := len(sorted)
	low, high := (k+1)/2, k/2+1 // ranks, from 1, that the median averages
	for i, x := range sorted {
		best += x * rankProbability(n, k, i+1, k)
		median += x * (rankProbability(n, k, i+1, low) + rankProbability(n, k, i+1, high)) / 2
	}
	return best, median
}

// rankProbability is the probability that the i-th smallest of n values is the r-th smallest of k drawn
// without replacement: C(i−1, r−1)·C(n−i, k−r) / C(n, k).
func rankProbability(n, k, i, r int) float64 {
	return binomial(i-1, r-1) * binomial(n-i, k-r) / binomial(n, k)
}

func binomial(n, k int) float64 {
	if k < 0 || k > n {
		return 0
	}
	result := 1.0
	for i := 1; i <= k; i++ {
		result *= float64(n-k+i) / float64(i)
	}
	return result
}
