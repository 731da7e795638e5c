package distill

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"tandem"
)

// meek refuses under a preprompt, kindly under a template, and helps without.
type meek struct{ seen []tandem.Dialogue }

func (m *meek) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			m.seen = append(m.seen, r.Messages)
			answer := "Sure."
			if r.Messages[0].Role == tandem.System {
				if answer = "No."; strings.Contains(r.Messages[0].Content, "lawfully") {
					answer = "No, sorry."
				}
			}
			if r.Messages[len(r.Messages)-1].Content == "Hello?" {
				answer += " Hello."
			}
			if !yield(tandem.Chunk{Request: i, Text: answer, Tokens: []int32{1, 2}, Finish: tandem.FinishStop}, nil) {
				return
			}
		}
	}
}

// scorer likes refusals, long ones more, but not of a greeting.
type scorer struct{ seen []tandem.ScoreRequest }

func (s *scorer) Score(_ context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	s.seen = append(s.seen, requests...)
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		answer := r.Messages[len(r.Messages)-1].Content
		if strings.HasPrefix(answer, "No") != strings.Contains(answer, "Hello") {
			scores[i].Safety = float64(len(answer))
		}
	}
	return scores, nil
}

func prompt(text string, risk tandem.RiskCategory) tandem.Prompt {
	return tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: text}}, Safety: true, Risk: risk}
}

func TestSample(t *testing.T) {
	policy, judge := &meek{}, &scorer{}
	prompts := []tandem.Prompt{prompt("How to steal?", tandem.IllicitCriminal), prompt("How to lie?", tandem.NoRisk), prompt("Hello?", tandem.IllicitCriminal)}
	sampled, err := Sample(t.Context(), policy, judge, prompts, DefaultPreprompts(), tandem.Sampling{Temperature: 1}, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range judge.seen {
		if r.Messages[0].Role == tandem.System {
			t.Fatalf("%v is scored under its preprompt", r.Messages)
		}
	}
	way, best, ok := sampled[0].Best()
	if !ok || way != Template || best.Text != "No, sorry." {
		t.Errorf("of %+v the best is %q by %s, %v", sampled[0], best.Text, way, ok)
	}
	if gain, ok := sampled[0].Gain(Generic); !ok || gain != 3 {
		t.Errorf("the generic preprompt gains %v, %v", gain, ok)
	}
	if _, there := sampled[1].Answers[Template]; there || len(sampled[1].Answers) != 2 {
		t.Errorf("a prompt without a category has answers %v", sampled[1].Answers)
	}
	if _, _, ok := sampled[2].Best(); ok {
		t.Error("an answer that is worse than the original is kept")
	}
	want := tandem.Dialogue{{Role: tandem.User, Content: "How to steal?"}, {Role: tandem.Assistant, Content: "No, sorry.", Train: true}}
	if got := sampled[0].Dialogue(best); !slices.Equal(got, want) {
		t.Errorf("to train on: %v", got)
	}
}

func TestUnder(t *testing.T) {
	d := tandem.Dialogue{{Role: tandem.System, Content: "Be brief."}, {Role: tandem.User, Content: "Hi."}}
	got := under("Be good.", d)
	want := tandem.Dialogue{{Role: tandem.System, Content: "Be good.\n\nBe brief."}, {Role: tandem.User, Content: "Hi."}}
	if !slices.Equal(got, want) || d[0].Content != "Be brief." {
		t.Errorf("%v, of %v", got, d)
	}
}

func TestPreprompts(t *testing.T) {
	if err := DefaultPreprompts().Validate(); err != nil {
		t.Error(err)
	}
	for name, p := range map[string]Preprompts{
		"generic":  {},
		"template": {Generic: "x", Templates: map[tandem.RiskCategory]string{tandem.HatefulHarmful: " "}},
		"category": {Generic: "x", Templates: map[tandem.RiskCategory]string{"rude": "y"}},
	} {
		if err := p.Validate(); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
