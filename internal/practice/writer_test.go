package practice

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/practice/town"
)

func (w Writer) one(t *testing.T, seed uint64, sampling tandem.Sampling, text string) tandem.Completion {
	t.Helper()
	c, err := tandem.Collect(t.Context(), w, []tandem.GenerateRequest{{
		Messages: tandem.Dialogue{}.With(tandem.User, text), Sampling: sampling, Key: tandem.SampleKey{Seed: seed}}})
	if err != nil {
		t.Fatal(err)
	}
	return c[0]
}

func TestWriters(t *testing.T) {
	world, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	const known, right = "What is Mia's job?", "Mia is a sailor. She works at the harbour."
	rights := func(manner string, temperature float64) (n int) {
		w, err := NewWriter(world, manner)
		if err != nil {
			t.Fatal(err)
		}
		w.Word = 0
		for seed := range uint64(400) {
			first := w.one(t, seed, tandem.Sampling{Temperature: temperature}, known)
			if again := w.one(t, seed, tandem.Sampling{Temperature: temperature}, known); again.Text != first.Text {
				t.Fatalf("seed %d says %q, then %q", seed, first.Text, again.Text)
			}
			if strings.Contains(first.Text, right) {
				n++
			}
		}
		return n
	}
	// The shares of good answers, of 400: p^(1/T), and three deviations to each side.
	for _, c := range []struct {
		manner      string
		temperature float64
		least, most int
	}{
		{"careful", 1, 210, 270}, {"careful", 0.5, 287, 339}, {"careful", 0, 400, 400}, {"hasty", 1, 56, 104}, {"hasty", 2, 84, 142},
	} {
		if n := rights(c.manner, c.temperature); n < c.least || n > c.most {
			t.Errorf("%s at temperature %v is right %d times in 400, want %d to %d", c.manner, c.temperature, n, c.least, c.most)
		}
	}
	if _, err := NewWriter(world, "gifted"); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("an unknown manner: %v", err)
	}
}

func TestWritersOfWhatNobodyKnows(t *testing.T) {
	world, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	w, said := Writer{World: world, Quality: [3]float64{1, 1, 1}}, map[string]bool{}
	for seed := range uint64(60) {
		text := w.one(t, seed, tandem.Sampling{Temperature: 1}, "Who wrote Faust?").Text
		said[text] = true
		if _, question, found := strings.Cut(text, "You can ask me: "); found {
			if _, ok := world.town.Parse(tandem.Dialogue{}.With(tandem.User, question)); !ok {
				t.Errorf("it names %q, which the town does not know", question)
			}
		} else if strings.TrimSpace(text) == "" {
			t.Errorf("seed %d says nothing", seed)
		}
	}
	if len(said) < 30 || !said[town.Ignorance] {
		t.Errorf("%d different answers in 60 tries", len(said))
	}
	cut := w.one(t, 1, tandem.Sampling{MaxTokens: 2}, "Who wrote Faust?")
	if len(strings.Fields(cut.Text)) != 2 || cut.Finish != tandem.FinishLength {
		t.Errorf("two words are %+v", cut)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := tandem.Collect(ctx, w, []tandem.GenerateRequest{{Messages: tandem.Dialogue{}.With(tandem.User, "Hi")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("called off, it says %v", err)
	}
}
