package demo

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem"
	"tandem/internal/practice"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
)

func smallWorld(t *testing.T) (*practice.World, Config) {
	t.Helper()
	w, err := practice.New(practice.DefaultConfig(7))
	if err != nil {
		t.Fatal(err)
	}
	c := Miniature(7)
	c.Texts, c.Demonstrations = 60, 20
	return w, c
}

// The base model reads dialogues as the chat template will write them.
func TestTranscriptIsWhatTheTemplateWrites(t *testing.T) {
	w, _ := smallWorld(t)
	config := tokenizer.DefaultTrainConfig()
	config.VocabSize, config.ChatTemplate = 300, chat.Compact
	words, err := tokenizer.Train(t.Context(), slices.Values([]string{"hello there"}), config)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.NewTemplate(words, chat.TemplateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	turns := 0
	for i := range uint64(40) {
		d := w.Demonstration(i)
		turns = max(turns, d.Turns())
		want, err := template.Text(t.Context(), d, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := config.BOS + transcript(d) + config.EOS; got != want {
			t.Errorf("demonstration %d: transcript %q, want %q", i, got, want)
		}
	}
	if turns < 4 {
		t.Errorf("the longest demonstration has %d turns; the test wants one of several", turns)
	}
}

// No opening of a held-out prompt occurs in anything that the loop learns from.
func TestHeldOutPromptsStayOut(t *testing.T) {
	w, c := smallWorld(t)
	c.Demonstrations = 500
	f, err := c.write(w, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	openings := func(path string) map[string]bool {
		set := make(map[string]bool)
		for _, p := range read[tandem.Prompt](t, path) {
			set[p.Messages.Opening()] = true
		}
		return set
	}
	heldOut := openings(f.heldOut)
	if len(heldOut) == 0 {
		t.Fatal("there are no held-out prompts")
	}
	for _, path := range []string{f.prompts.Helpfulness, f.prompts.Safety, f.prompts.Improve, f.prompts.Reference} {
		for opening := range openings(path) {
			if heldOut[opening] {
				t.Errorf("%s holds the held-out opening %q", filepath.Base(path), opening)
			}
		}
	}
	for _, d := range read[struct{ Messages tandem.Dialogue }](t, f.demonstrations) {
		if heldOut[d.Messages.Opening()] {
			t.Errorf("a demonstration opens with the held-out %q", d.Messages.Opening())
		}
	}
	for i := range uint64(c.Texts) {
		if d := w.Demonstration(uint64(c.Demonstrations) + i); heldOut[d.Opening()] {
			t.Errorf("a pretraining dialogue opens with the held-out %q", d.Opening())
		}
	}
}

// Written again, as a resumed demo does, the world's files are the same.
func TestFilesAreReproducible(t *testing.T) {
	w, c := smallWorld(t)
	contents := func() map[string]string {
		folder := t.TempDir()
		if _, err := c.write(w, folder); err != nil {
			t.Fatal(err)
		}
		if _, err := c.write(w, folder); err != nil { // what is there is kept
			t.Fatal(err)
		}
		files := make(map[string]string)
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = string(text)
		}
		return files
	}
	if a, b := contents(), contents(); !maps.Equal(a, b) {
		t.Error("two writes of one world differ")
	}
}
