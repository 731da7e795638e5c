package rejection

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"

	"tandem"
	"tandem/statistics"
)

// Temperatures are what answers are sampled at: one, or several for a sweep. As JSON a single one is a number.
type Temperatures []float64

// MarshalJSON writes a single temperature as a number.
func (t Temperatures) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]float64(t))
}

// UnmarshalJSON reads a number or a list of them.
func (t *Temperatures) UnmarshalJSON(text []byte) error {
	var one *float64
	if json.Unmarshal(text, &one) == nil {
		if one != nil { // null leaves what was there
			*t = Temperatures{*one}
		}
		return nil
	}
	return json.Unmarshal(text, (*[]float64)(t))
}

func (t Temperatures) validate(op string, k int) error {
	if len(t) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "there is no temperature")
	}
	for i, x := range t {
		switch {
		case !(x >= 0) || math.IsInf(x, 0):
			return tandem.Errorf(tandem.Invalid, op, "temperature is %g, not 0 or more", x)
		case k > 1 && x == 0:
			return tandem.Errorf(tandem.Invalid, op, "temperature is 0, which makes all %d answers the same", k)
		case slices.Contains(t[:i], x):
			return tandem.Errorf(tandem.Invalid, op, "the temperature %g is there twice", x)
		}
	}
	return nil
}

// AtTemperature is what the samples of one temperature came to.
type AtTemperature struct {
	Temperature float64 `json:"temperature"`
	Samples     int     `json:"samples"`
	Duplicates  int     `json:"duplicates"` // samples that say what an earlier one of the same prompt and temperature has said
	Ended       int     `json:"ended"`      // samples that ended by themselves
	Gated       int     `json:"gated"`      // samples that the safety model gates
	Targets     int     `json:"targets"`    // prompts of which an answer would be kept
	Kept        float64 `json:"kept"`       // mean combined score of these answers
	Curve       Curve   `json:"curve"`
}

// Sweep tells what every temperature's samples came to, the lowest first (figure 8).
func Sweep(sets []Set) []AtTemperature {
	var sweep []AtTemperature
	for _, t := range temperatures(sets) {
		some := At(sets, t)
		a := AtTemperature{Temperature: t, Duplicates: Duplicates(some), Curve: RewardCurve(some)}
		for _, s := range some {
			a.Samples += len(s.Candidates)
			for _, c := range s.Candidates {
				if c.Finish == tandem.FinishStop {
					a.Ended++
				}
				if c.Score.Gated {
					a.Gated++
				}
			}
			if best, ok := s.Best(); ok {
				a.Targets++
				a.Kept += best.Score.Combined
			}
		}
		if a.Targets > 0 {
			a.Kept /= float64(a.Targets)
		}
		sweep = append(sweep, a)
	}
	return sweep
}

// temperatures lists those that were sampled at, the lowest first.
func temperatures(sets []Set) (all []float64) {
	for _, s := range sets {
		for _, c := range s.Candidates {
			if !slices.Contains(all, c.Temperature) {
				all = append(all, c.Temperature)
			}
		}
	}
	slices.Sort(all)
	return all
}

// At leaves every set the candidates of one temperature.
func At(sets []Set, temperature float64) []Set {
	some := make([]Set, len(sets))
	for i, s := range sets {
		some[i].Prompt = s.Prompt
		for _, c := range s.Candidates {
			if c.Temperature == temperature {
				some[i].Candidates = append(some[i].Candidates, c)
			}
		}
	}
	return some
}

// Choice is the temperature to sample at next.
type Choice struct {
	Temperature float64 `json:"temperature"`
	// Over is the next best temperature, and Lead how far the answers that Temperature would keep score above those
	// that Over would keep, mean over prompts. An interval that holds 0 says that the choice may be chance.
	Over float64             `json:"over"`
	Lead statistics.Interval `json:"lead"`
	// Edge says that Temperature is the highest or the lowest of the sweep: a better one may lie beyond.
	Edge bool `json:"edge"`
}

// Next chooses the temperature whose kept answers score best, over the prompts of which every temperature has an answer
// to keep. It counts what would be kept, and not the highest score, because the highest may belong to an answer
// that was cut at the token limit, as more are the higher the temperature is. nil where there is nothing to choose between.
func Next(sets []Set) *Choice {
	all := temperatures(sets)
	if len(all) < 2 {
		return nil
	}
	kept := make([][]float64, len(all)) // by temperature and prompt
	for _, s := range sets {
		scores := make([]float64, 0, len(all))
		for _, t := range all {
			if best, ok := At([]Set{s}, t)[0].Best(); ok {
				scores = append(scores, best.Score.Combined)
			}
		}
		if len(scores) < len(all) {
			continue
		}
		for i, x := range scores {
			kept[i] = append(kept[i], x)
		}
	}
	if len(kept[0]) < 2 {
		return nil
	}
	order := make([]int, len(all))
	means := make([]float64, len(all))
	for i := range all {
		order[i] = i
		means[i], _ = statistics.Moments(kept[i])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(means[b], means[a]) }) // of equals the lowest
	first, second := order[0], order[1]
	differences := make([]float64, len(kept[0]))
	for i := range differences {
		differences[i] = kept[first][i] - kept[second][i]
	}
	lead, err := statistics.Mean(differences)
	if err != nil { // a score that is not finite
		return nil
	}
	return &Choice{Temperature: all[first], Over: all[second], Lead: lead, Edge: first == 0 || first == len(all)-1}
}
