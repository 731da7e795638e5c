package store_test

import (
	"fmt"
	"testing"

	"tandem"
)

// An opening is held out as the database decided when it came, and by the one rule before that.
func TestHeldOutOpenings(t *testing.T) {
	s := postgres.Store(t)
	openings := make(map[string]bool)
	var byRule int
	for i := range 40 {
		opening := tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprint("Opening ", i)}}.Opening()
		openings[opening] = true
		if tandem.HeldOut(opening, tandem.HeldOutShare) {
			byRule++
		}
	}
	before := must(s.HeldOutOpenings(t.Context(), openings))(t)
	var held int
	var prompts []tandem.Prompt
	for opening := range openings {
		if before[opening] != tandem.HeldOut(opening, tandem.HeldOutShare) {
			t.Errorf("%q, which has not come yet: %v", opening, before[opening])
		}
		if before[opening] {
			held++
		}
		prompts = append(prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: opening}}, HeldOut: true})
	}
	if held != byRule || held == 0 || held == len(openings) {
		t.Errorf("%d of %d are held out, by the rule %d", held, len(openings), byRule)
	}
	// They come marked as held out, all of them.
	kept := must(s.AddPrompts(t.Context(), prompts))(t)
	after := must(s.HeldOutOpenings(t.Context(), openings))(t)
	for _, p := range kept {
		if after[p.Messages.Opening()] != p.HeldOut {
			t.Errorf("%q is kept as held out: %v, and told as %v", p.Messages.Opening(), p.HeldOut, after[p.Messages.Opening()])
		}
	}
}
