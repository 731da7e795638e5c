package ghost

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"tandem"
)

// obedient says what the last message asks for: "pirate" in it is answered by "Arr!", and French by "oui".
type obedient struct {
	finish tandem.FinishReason
	seen   []tandem.Dialogue
	keys   []tandem.SampleKey
}

func (o *obedient) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			o.seen, o.keys = append(o.seen, r.Messages), append(o.keys, r.Key)
			last := r.Messages[len(r.Messages)-1].Content
			answer := fmt.Sprintf("Answer to %q.", last)
			if strings.Contains(last, "pirate") {
				answer = "Arr! " + answer
			}
			if !yield(tandem.Chunk{Request: i, Text: answer, Tokens: []int32{1}, Finish: o.finish}, nil) {
				return
			}
		}
	}
}

var pirate = Constraint{Kind: Figure, Text: "Always act as a pirate.", Short: "Figure: pirate.", Keep: "^Arr!"}

func dialogue(questions ...string) (d tandem.Dialogue) {
	for _, q := range questions {
		d = d.With(tandem.User, q).With(tandem.Assistant, "an old answer")
	}
	return d
}

func TestSample(t *testing.T) {
	policy := &obedient{finish: tandem.FinishStop}
	c := DefaultConfig()
	c.ShortShare = 0
	sampled, err := Sample(t.Context(), policy, []tandem.Dialogue{dialogue("Who?", "Where?"), dialogue("What?")}, []Constraint{pirate}, c)
	if err != nil {
		t.Fatal(err)
	}
	// The policy sees the instruction before every message, and its own answers.
	for _, d := range policy.seen {
		for i, m := range d {
			switch {
			case m.Role == tandem.User && !strings.HasPrefix(m.Content, "Always act as a pirate. "):
				t.Errorf("message %d of %v lacks the instruction", i, d)
			case m.Role == tandem.Assistant && !strings.HasPrefix(m.Content, "Arr! Answer to"):
				t.Errorf("message %d of %v is not the policy's", i, d)
			}
		}
	}
	want := tandem.Dialogue{
		{Role: tandem.User, Content: "Always act as a pirate. Who?"},
		{Role: tandem.Assistant, Content: `Arr! Answer to "Always act as a pirate. Who?".`},
		{Role: tandem.User, Content: "Where?"},
		{Role: tandem.Assistant, Content: `Arr! Answer to "Always act as a pirate. Where?".`, Train: true},
	}
	if got := sampled[0].Ghost(); !slices.Equal(got, want) {
		t.Errorf("to train on:\n%v\nwant\n%v", got, want)
	}
	want[2].Content = "Always act as a pirate. Where?"
	if got := sampled[0].Plain(); !slices.Equal(got, want) {
		t.Errorf("the control:\n%v\nwant\n%v", got, want)
	}
	if !sampled[0].Kept() || !sampled[0].Usable() || len(sampled[1].Messages) != 2 {
		t.Errorf("%+v", sampled)
	}
}

// What comes of a dialogue does not depend on those beside it.
func TestSampleAlone(t *testing.T) {
	c := DefaultConfig()
	all := DefaultConstraints()
	dialogues := []tandem.Dialogue{dialogue("Who?", "Where?", "Why?"), dialogue("What?"), dialogue("When?", "How?")}
	together, err := Sample(t.Context(), &obedient{finish: tandem.FinishStop}, dialogues, all, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range dialogues {
		policy := &obedient{finish: tandem.FinishStop}
		alone, err := Sample(t.Context(), policy, []tandem.Dialogue{d}, all, c)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(alone[0].Messages, together[i].Messages) || alone[0].Short != together[i].Short {
			t.Errorf("dialogue %d: %v alone, %v beside others", i, alone[0], together[i])
		}
		if len(slices.Compact(slices.Clone(policy.keys))) != len(d)/2 {
			t.Errorf("the turns share their randomness: %v", policy.keys)
		}
	}
}

func TestShortenedHalfOfTheTime(t *testing.T) {
	var dialogues []tandem.Dialogue
	for i := range 2000 {
		dialogues = append(dialogues, dialogue(fmt.Sprint("Question ", i)))
	}
	sampled, err := Sample(t.Context(), &obedient{finish: tandem.FinishStop}, dialogues, DefaultConstraints(), DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	short, sizes := 0, make(map[int]int)
	for _, s := range sampled {
		sizes[len(s.Instruction)]++
		if first := s.Ghost()[0].Content; s.Short {
			short++
			if !strings.HasPrefix(first, s.Instruction.Say(true)) || strings.Contains(first, "Always") {
				t.Fatalf("%q is not short", first)
			}
		}
		kinds := make(map[Kind]bool)
		for _, c := range s.Instruction {
			if kinds[c.Kind] {
				t.Fatalf("%v asks twice for a %s", s.Instruction, c.Kind)
			}
			kinds[c.Kind] = true
		}
	}
	if short < 900 || short > 1100 {
		t.Errorf("%d of 2000 are short", short)
	}
	for n := 1; n <= 3; n++ {
		if sizes[n] < 550 || sizes[n] > 780 {
			t.Errorf("%d of 2000 ask for %d things", sizes[n], n)
		}
	}
}

func TestUnfinishedIsNotTrainedOn(t *testing.T) {
	sampled, err := Sample(t.Context(), &obedient{finish: tandem.FinishLength}, []tandem.Dialogue{dialogue("Who?")}, []Constraint{pirate}, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if sampled[0].Usable() {
		t.Error("an answer that was cut is usable")
	}
}

// A policy that obeys what it is told in the same message alone forgets at once.
func TestHold(t *testing.T) {
	held, err := Hold(t.Context(), &obedient{finish: tandem.FinishStop}, []tandem.Dialogue{dialogue("Who?", "Where?", "Why?"), dialogue("What?")}, []Constraint{pirate}, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if got := held.At(1); !slices.Equal(got, []bool{true, true}) {
		t.Errorf("turn 1: %v", got)
	}
	if got := held.At(2); !slices.Equal(got, []bool{false}) {
		t.Errorf("turn 2: %v", got)
	}
	if got := held.Longest().Messages[2].Content; got != "Where?" {
		t.Errorf("the second message is %q", got)
	}
	if by := held.ByKind(); len(by) != 1 || !slices.Equal(by[Figure].At(1), []bool{true, true}) {
		t.Errorf("by kind: %v", by)
	}
	if _, err := Hold(t.Context(), &obedient{}, nil, []Constraint{{Kind: Hobby, Text: "You enjoy tennis."}}, DefaultConfig()); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("nothing to check: %v", err)
	}
}

func TestConstraints(t *testing.T) {
	for _, c := range DefaultConstraints() {
		if c.Kind != Language {
			continue
		}
		if c.Kept("The house is on the hill, and it is red.") {
			t.Errorf("%s takes English for it", c.Text)
		}
	}
	french := DefaultConstraints()[slices.IndexFunc(DefaultConstraints(), func(c Constraint) bool { return c.Text == "Always answer in French." })]
	if !french.Kept("La maison est sur la colline.") || french.Kept("Das Haus ist auf dem Hügel.") {
		t.Error("French is not told from German")
	}
	for line, want := range map[string]string{
		`{"kind":"figure"}`:                                "text",
		`{"kind":"figure","text":"x","keep":"("}`:          "keep",
		`{"kind":"figure","text":"x","keeps":"y"}`:         "keeps",
		`{"kind":"figure","text":"x"}` + "\n" + `{"kind":`: "constraint 2",
		``: "no constraints",
	} {
		if _, err := ReadConstraints(strings.NewReader(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
