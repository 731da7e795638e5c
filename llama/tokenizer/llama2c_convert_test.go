package tokenizer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/internal/sharedtest"
)

// TestForHuggingFace converts llama2.c's tokenizer and compares ids and texts of many strings.
func TestForHuggingFace(t *testing.T) {
	from, err := Open(filepath.Join(sharedtest.Path(t), "stories260K", "tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	to, err := from.ForHuggingFace()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	readTestdata(t, "strings.json", &texts)
	compared := 0
	for _, text := range texts {
		if strings.Contains(text, "▁") {
			continue
		}
		want, err := from.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := to.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
		if got, want := to.Decode(want), from.Decode(want); got != want {
			t.Errorf("Decode of %q = %q, want %q", text, got, want)
		}
		compared++
	}
	if compared < 300 || to.Special() != from.Special() || to.VocabSize() != from.VocabSize() {
		t.Errorf("%d texts compared; special tokens %v and %v, %d and %d tokens", compared, from.Special(), to.Special(), from.VocabSize(), to.VocabSize())
	}
	if same, err := to.ForHuggingFace(); err != nil || same != to {
		t.Errorf("a tokenizer.json is converted: %v", err)
	}
}
