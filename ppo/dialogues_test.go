package ppo

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"tandem"
	"tandem/llama/chat"
)

// spelled renders a prompt as the letters of its last message, and reads answers the same way.
type spelled struct{}

func (spelled) Prompt(_ context.Context, d tandem.Dialogue, _ int) (chat.Example, error) {
	var e chat.Example
	for _, b := range []byte(d[len(d)-1].Content) {
		e.Tokens = append(e.Tokens, int32(b))
	}
	return e, nil
}

func (spelled) Stops() []int32 { return []int32{'.'} }

func (spelled) Decode(ids []int32) string {
	var text []byte
	for _, id := range ids {
		if id != '.' {
			text = append(text, byte(id))
		}
	}
	return string(text)
}

// heard notes what was scored; a safety prompt's answers are worth less.
type heard struct{ requests []tandem.ScoreRequest }

func (h *heard) Score(_ context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	h.requests = append(h.requests, requests...)
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		scores[i].Combined = 1
		if r.Safety {
			scores[i].Combined = -1
		}
	}
	return scores, nil
}

func ask(text string, safety bool) tandem.Prompt {
	return tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: text}}, Safety: safety}
}

func TestDialoguesGoThroughEveryPrompt(t *testing.T) {
	training := []tandem.Prompt{ask("a", false), ask("b", true), ask("c", false)}
	d, err := NewDialogues(t.Context(), spelled{}, spelled{}, &heard{}, training, []tandem.Prompt{ask("h", false)}, 100, 5)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for iteration := range 3 { // two questions each: two epochs of three
		questions, err := d.Questions(iteration, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range questions {
			seen = append(seen, spelled{}.Decode(q.Tokens))
		}
	}
	for epoch := range 2 {
		got := slices.Sorted(slices.Values(seen[3*epoch : 3*epoch+3]))
		if !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("epoch %d asks %v", epoch, seen[3*epoch:3*epoch+3])
		}
	}
	again, err := d.Questions(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(spelled{}.Decode(again[0].Tokens), spelled{}.Decode(again[1].Tokens)); got != fmt.Sprint(seen[0], seen[1]) {
		t.Errorf("the first iteration asks %s when asked again, before %v", got, seen[:2])
	}
	if held := d.HeldOut(); len(held) != 1 || (spelled{}).Decode(held[0].Tokens) != "h" {
		t.Errorf("held out: %v", held)
	}
}

func TestDialoguesScoreTheRightPrompt(t *testing.T) {
	scorer := &heard{}
	d, err := NewDialogues(t.Context(), spelled{}, spelled{}, scorer, []tandem.Prompt{ask("a", false), ask("b", true)}, []tandem.Prompt{ask("h", true)}, 100, 5)
	if err != nil {
		t.Fatal(err)
	}
	questions := []Question{d.questions[1], d.questions[0], d.heldOut[0]}
	var answers []Answer
	for _, q := range questions {
		answers = append(answers, Answer{Question: q, Tokens: []int32{'y', 'e', 's', '.'}, Finish: tandem.FinishStop})
	}
	scores, err := d.Score(t.Context(), answers)
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != 3 || scores[0].Combined != -1 || scores[1].Combined != 1 || scores[2].Combined != -1 {
		t.Errorf("scores %v", scores)
	}
	if got := scorer.requests[0].Messages; len(got) != 2 || got[0].Content != "b" || got[1].Role != tandem.Assistant || got[1].Content != "yes" {
		t.Errorf("scored %v", got)
	}
	if _, err := NewDialogues(t.Context(), spelled{}, spelled{}, scorer, nil, nil, 100, 5); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("no prompts: %v", err)
	}
}
