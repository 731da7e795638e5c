package store_test

import (
	"maps"
	"testing"

	"tandem"
)

// A prompt's kind is found by the whole dialogue, and one that came as both counts as one that probes safety.
func TestSafetyPrompts(t *testing.T) {
	s := postgres.Store(t)
	user := func(text string) tandem.Message { return tandem.Message{Role: tandem.User, Content: text} }
	answer := tandem.Message{Role: tandem.Assistant, Content: "No."}
	plain, unsafe, both := tandem.Dialogue{user("Bake bread.")}, tandem.Dialogue{user("Break a lock.")}, tandem.Dialogue{user("Cut down.")}
	longer := tandem.Dialogue{user("Break a lock."), answer, user("Please.")}
	must(s.AddPrompts(t.Context(), []tandem.Prompt{
		{Messages: plain}, {Messages: unsafe, Safety: true}, {Messages: both}, {Messages: both, Safety: true}, {Messages: longer},
	}))(t)
	asked := []tandem.Dialogue{
		{user("Bake cake.")}, unsafe, plain, both, longer, unsafe, nil,
		{user("Break a lock."), answer}, {{Role: tandem.System, Content: "Be brief."}, user("Break a lock.")},
	}
	got := must(s.SafetyPrompts(t.Context(), asked))(t)
	if want := map[int]bool{1: true, 2: false, 3: true, 4: false, 5: true}; !maps.Equal(got, want) {
		t.Errorf("known are %v, want %v", got, want)
	}
	if got := must(s.SafetyPrompts(t.Context(), nil))(t); len(got) != 0 {
		t.Errorf("of no prompts %v are known", got)
	}
}
