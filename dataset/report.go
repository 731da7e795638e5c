package dataset

import (
	"fmt"
	"strings"
)

// Report says what became of every record of an import. Read counts records; the others count
// comparisons, of which a record makes one, one for each pair of its answers where it ranks several, and twice as many
// where both aspects are asked for:
//
//	kept + ties + contradictions + prompts differ + sides equal + duplicates
//
// is the number of comparisons found.
type Report struct {
	Read int `json:"read"`
	Kept int `json:"kept"`

	// Left out, each under the first reason that applies:
	Ties           int `json:"ties"`           // equal scores, or nobody's verdict
	Contradictions int `json:"contradictions"` // the chosen side has the lower score
	PromptsDiffer  int `json:"prompts_differ"` // the two sides do not answer the same prompt
	SidesEqual     int `json:"sides_equal"`    // both answers are the same text
	Duplicates     int `json:"duplicates"`     // the same comparison was read before

	// Kept, but worth knowing:
	EmptyAnswers int `json:"empty_answers"` // an answer is blank
	UnsafeChosen int `json:"unsafe_chosen"` // chosen unsafe, the other safe: no safety model trains on it (section 3.2.1)
}

// Add returns the sum of two reports.
func (r Report) Add(o Report) Report {
	r.Read += o.Read
	r.Kept += o.Kept
	r.Ties += o.Ties
	r.Contradictions += o.Contradictions
	r.PromptsDiffer += o.PromptsDiffer
	r.SidesEqual += o.SidesEqual
	r.Duplicates += o.Duplicates
	r.EmptyAnswers += o.EmptyAnswers
	r.UnsafeChosen += o.UnsafeChosen
	return r
}

// Skipped is how many comparisons were left out, by reason; what did not occur is missing.
func (r Report) Skipped() map[string]int {
	skipped := make(map[string]int)
	for reason, n := range map[string]int{
		"ties": r.Ties, "contradictions": r.Contradictions, "prompts_differ": r.PromptsDiffer,
		"sides_equal": r.SidesEqual, "duplicates": r.Duplicates,
	} {
		if n > 0 {
			skipped[reason] = n
		}
	}
	return skipped
}

// String is the report in one line; what did not occur is not mentioned.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records read, %d comparisons kept", r.Read, r.Kept)
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Ties, "left out as ties"},
		{r.Contradictions, "left out as their scores contradict the choice"},
		{r.PromptsDiffer, "left out as their prompts differ"},
		{r.SidesEqual, "left out as their sides are equal"},
		{r.Duplicates, "left out as duplicates"},
		{r.EmptyAnswers, "with a blank answer"},
		{r.UnsafeChosen, "whose chosen side alone is unsafe"},
	} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.what)
		}
	}
	return b.String()
}
