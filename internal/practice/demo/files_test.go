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

// Those who watch PPO ask held-out prompts that no version is tried on, and nobody learns from them.
func TestWatchedPromptsAreTheirOwn(t *testing.T) {
	for name, sized := range map[string]func(uint64) Config{"default": DefaultConfig, "miniature": Miniature} {
		c := sized(7)
		c.Texts, c.Demonstrations = 1, 1
		w, err := practice.New(practice.DefaultConfig(7))
		if err != nil {
			t.Fatal(err)
		}
		prompts := func(c Config) (training, watched map[string]bool, tried []tandem.Prompt) {
			f, err := c.write(w, t.TempDir())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			training, watched = make(map[string]bool), make(map[string]bool)
			for _, p := range read[tandem.Prompt](t, f.prompts.Improve) {
				if p.HeldOut {
					watched[text(p)] = p.Safety
				} else {
					training[text(p)] = true
				}
			}
			return training, watched, read[tandem.Prompt](t, f.heldOut)
		}
		before, none, _ := prompts(c)
		training, watched, tried := prompts(c.Promoting(1))
		if len(none) > 0 || !maps.Equal(before, training) {
			t.Errorf("%s: what is improved on is not the same, or PPO is watched without a second pair", name)
		}
		unsafe := 0
		for _, safety := range watched {
			if safety {
				unsafe++
			}
		}
		if len(watched) != c.HeldOutHelpful/5+c.HeldOutUnsafe/5 || unsafe != c.HeldOutUnsafe/5 {
			t.Errorf("%s: PPO is watched by %d prompts, %d of them unsafe", name, len(watched), unsafe)
		}
		for _, p := range tried {
			if _, ok := watched[text(p)]; ok {
				t.Errorf("%s: versions are tried on what PPO is watched by: %q", name, text(p))
			}
		}
	}
}

// text is all that a prompt says.
func text(p tandem.Prompt) string {
	said := ""
	for _, m := range p.Messages {
		said += m.Content + "\n"
	}
	return said
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
