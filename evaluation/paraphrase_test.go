package evaluation_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
)

// wordy scores a dialogue's last message by something of its text.
type wordy func(answer string) float32

func (w wordy) Scores(_ context.Context, dialogues []tandem.Dialogue) (scores []float32, cut int, err error) {
	for _, d := range dialogues {
		scores = append(scores, w(d[len(d)-1].Content))
	}
	return scores, 0, nil
}

func TestParaphrasesKeepTheWords(t *testing.T) {
	for _, p := range evaluation.Paraphrases() {
		for _, answer := range []string{"", "Yes", "Hello.  World. Really?  Yes! 3.5 of them.", "A. B. C.", "One\n\ntwo. Three"} {
			got := p.Of(answer)
			plain := strings.Join(strings.Fields(strings.NewReplacer("**", "", "- ", "").Replace(got)), " ")
			if want := strings.Join(strings.Fields(answer), " "); plain != want {
				t.Errorf("%s of %q: %q", p.Name, answer, got)
			}
		}
		if p.Of("Anna is a baker. She bakes.") == "Anna is a baker. She bakes." {
			t.Errorf("%s changes nothing", p.Name)
		}
	}
}

// What a paraphrase leaves as it is keeps its score, and is not scored again.
func TestRobustScoresWhatChanges(t *testing.T) {
	comparisons := []tandem.Comparison{{
		Prompt: tandem.Prompt{Messages: tandem.Dialogue{}.With(tandem.User, "a")}, Chosen: tandem.Response{Content: "One. Two."}, Rejected: tandem.Response{Content: "One"},
	}}
	scored := 0
	counted := wordy(func(a string) float32 { scored++; return float32(len(a)) })
	all, err := evaluation.Robust(t.Context(), counted, comparisons, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := 2 // as they are
	for _, r := range all {
		want += r.Answers
	}
	if scored != want || want >= 2*(len(all)+1) {
		t.Errorf("%d answers were scored, want %d", scored, want)
	}
}

func TestRobust(t *testing.T) {
	comparisons := []tandem.Comparison{
		{Prompt: tandem.Prompt{Messages: tandem.Dialogue{}.With(tandem.User, "a")}, Chosen: tandem.Response{Content: "Aaaaaaa. B."}, Rejected: tandem.Response{Content: "Aaaa"}},
		{Prompt: tandem.Prompt{Messages: tandem.Dialogue{}.With(tandem.User, "b")}, Chosen: tandem.Response{Content: "Aaaaaaaaaaaaaaaa. B."}, Rejected: tandem.Response{Content: "Aaaaaaaaaaaaaaaaaaa"}},
	}
	found := func(judge evaluation.Judge, name string) evaluation.Robustness {
		t.Helper()
		all, err := evaluation.Robust(t.Context(), judge, comparisons, 1)
		if err != nil || len(all) != len(evaluation.Paraphrases()) {
			t.Fatalf("%+v, %v", all, err)
		}
		for _, r := range all {
			if r.Paraphrase == name {
				return r
			}
		}
		t.Fatalf("no %q", name)
		return evaluation.Robustness{}
	}
	// A judge of letters alone minds nothing.
	letters := wordy(func(a string) float32 { return float32(strings.Count(a, "a")) })
	for _, p := range evaluation.Paraphrases() {
		if r := found(letters, p.Name); r.Shift != 0 || r.Bias != 0 || r.Turned.Value != 0 || r.TurnedBoth.Value != 0 {
			t.Errorf("%+v", r)
		}
	}
	// One that counts characters is fooled: 11, 4, 20 and 19 have the deviation 6.5; three spaces on one side turn the second verdict.
	characters := wordy(func(a string) float32 { return float32(len(a)) })
	deviation := math.Sqrt((2.5*2.5 + 9.5*9.5 + 6.5*6.5 + 5.5*5.5) / 4)
	r := found(characters, "trailing spaces")
	if r.Answers != 4 || math.Abs(r.Shift-3/deviation) > 1e-9 || math.Abs(r.Bias-r.Shift) > 1e-9 || r.Turned.Value != 0.25 || r.Turned.N != 4 || r.TurnedBoth.Value != 0 || r.TurnedBoth.N != 2 {
		t.Errorf("%+v", r)
	}
	// The second sentences alone are pushed down; nobody changes both sides, and the tie counts half.
	r = found(wordy(func(a string) float32 { return -float32(len(a)) }), "two spaces after each sentence")
	if r.Answers != 2 || math.Abs(r.Bias+1/deviation) > 1e-9 || r.TurnedBoth.N != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := evaluation.Robust(t.Context(), wordy(func(string) float32 { return 1 }), comparisons, 1); !statistics.IsUndefined(err) {
		t.Errorf("a judge that says nothing: %v", err)
	}
}
