package dataset

import (
	"encoding/json"
	"fmt"

	"tandem"
)

// decodeUltraFeedback reads either form of UltraFeedback (https://github.com/OpenBMB/UltraFeedback): the original one, an
// "instruction" with its "completions", or pairs made of it, prompt, chosen, rejected and the judge's scores of the two
// sides, 1 to 10, in "metadata" or beside the texts as score_chosen and score_rejected. Without scores a pair is unrated.
func decodeUltraFeedback(raw json.RawMessage, aspect tandem.Aspect) ([]pair, error) {
	type scores struct {
		Chosen   *float64 `json:"score_chosen"`
		Rejected *float64 `json:"score_rejected"`
	}
	var r struct {
		Prompt, Chosen, Rejected turns
		Metadata                 *scores
		scores
		Instruction *string
		Completions []completion
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Completions != nil {
		if r.Instruction == nil {
			return nil, fmt.Errorf("a record with \"completions\" has an \"instruction\" that they answer")
		}
		return pairsOfCompletions(*r.Instruction, r.Completions, aspect)
	}
	judged := r.scores
	if r.Metadata != nil {
		judged = *r.Metadata
	}
	p, err := newPair(r.Prompt, r.Chosen, r.Rejected)
	if err != nil {
		return nil, err
	}
	p.Aspect, p.Prompt.Safety = aspect, aspect == tandem.Safety
	if judged.Chosen == nil || judged.Rejected == nil {
		return []pair{p}, nil
	}
	switch gap := *judged.Chosen - *judged.Rejected; {
	case gap == 0:
		p.outcome = tied
	case gap < 0:
		p.outcome = contradicted
	default:
		p.Degree = DegreeOfGap(gap)
	}
	return []pair{p}, nil
}

// completion is one answer of UltraFeedback's original form.
type completion struct {
	Model    string
	Response *string
	// Overall is the judge's score of the whole, 1 to 10; FineGrained the mean of its four ratings, 1 to 5.
	Overall     *float64 `json:"overall_score"`
	FineGrained *float64 `json:"fine-grained_score"`
}

// fineToOverall stretches a gap on FineGrained's scale of 1 to 5 to that of 1 to 10, linearly.
const fineToOverall = 9. / 4

// gap is by how much the judge likes c better than o, on the scale of 1 to 10: by their overall scores, or by their
// fine-grained ones where one of them has no other. ok is false where nothing was said of one of them.
func (c completion) gap(o completion) (gap float64, ok bool) {
	switch {
	case c.Overall != nil && o.Overall != nil:
		return *c.Overall - *o.Overall, true
	case c.FineGrained != nil && o.FineGrained != nil:
		return (*c.FineGrained - *o.FineGrained) * fineToOverall, true
	}
	return 0, false
}

// pairsOfCompletions is every pair of a record's answers, graded by the gap of their scores (see DegreeOfGap). Equal
// scores make a tie, as do answers that were not scored. The pairs of more than two answers are one ranking: they are
// learnt from as one verdict, and stay on one side of every split, since all of them begin alike.
func pairsOfCompletions(instruction string, completions []completion, aspect tandem.Aspect) ([]pair, error) {
	for i, c := range completions {
		if c.Response == nil {
			return nil, fmt.Errorf("completion %d has no \"response\"", i+1)
		}
	}
	prompt := tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: instruction}}, Safety: aspect == tandem.Safety}
	ranking := ""
	if len(completions) > 2 {
		var all tandem.Comparison // whose fingerprint names the prompt and every answer
		all.Aspect, all.Prompt = aspect, prompt
		for _, c := range completions {
			all.Prompt.Messages = all.Prompt.Messages.With(tandem.Assistant, *c.Response)
		}
		ranking = uuidOf(fingerprint(all))
	}
	var pairs []pair
	for i, a := range completions {
		for _, b := range completions[i+1:] {
			chosen, rejected := a, b
			gap, ok := a.gap(b)
			if gap < 0 {
				chosen, rejected, gap = b, a, -gap
			}
			p := pair{Comparison: tandem.Comparison{
				Aspect: aspect, Prompt: prompt, Ranking: ranking,
				Chosen:   tandem.Response{Content: *chosen.Response, Model: chosen.Model},
				Rejected: tandem.Response{Content: *rejected.Response, Model: rejected.Model},
			}}
			if !ok || gap == 0 {
				p.outcome = tied
			} else {
				p.Degree = DegreeOfGap(gap)
			}
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}

// DegreeOfGap grades a gap > 0 between two scores on UltraFeedback's scale of 1 to 10: below 1
// negligibly, below 2 slightly, below 4 better, from 4 on significantly better. [choice] On the sample
// that these bounds were chosen on they hold 22, 35, 24 and 19 % of the pairs with a gap.
func DegreeOfGap(gap float64) tandem.Degree {
	switch {
	case gap < 1:
		return tandem.NegligiblyBetter
	case gap < 2:
		return tandem.SlightlyBetter
	case gap < 4:
		return tandem.Better
	}
	return tandem.SignificantlyBetter
}
