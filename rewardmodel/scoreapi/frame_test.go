package scoreapi

import (
	"os"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
)

// dialogue is a dialogue of texts, the first a system message where there is an even number of them.
func dialogue(texts ...string) tandem.Dialogue {
	var d tandem.Dialogue
	if len(texts)%2 == 0 {
		d, texts = d.With(tandem.System, texts[0]), texts[1:]
	}
	for i, text := range texts {
		d = d.With([]tandem.Role{tandem.User, tandem.Assistant}[i%2], text)
	}
	return d
}

// What a template rendered is told apart again, whichever template it is, with its BOS or without.
func TestTellsRenderedPromptsApart(t *testing.T) {
	tok, err := tokenizer.Open("testdata/tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"chatml", "compact", "gemma", "llama2", "llama3", "llama31", "qwen3", "zephyr"} {
		source, err := os.ReadFile("../../llama/chat/testdata/templates/" + name + ".jinja")
		if err != nil {
			t.Fatal(err)
		}
		template, err := chat.NewTemplate(tok, chat.TemplateConfig{Source: string(source)})
		if err != nil {
			t.Fatal(err)
		}
		f := frameOf(t.Context(), template)
		for _, d := range []tandem.Dialogue{
			dialogue("hello"), dialogue("several\nlines, and [brackets] <|too|>"), dialogue("hello", "hi!", "why?"), dialogue("a", "b", "c", "d", "e"),
			dialogue("be kind", "hello"), dialogue("be kind", "hello", "hi!", "why?"), dialogue("a\n\nb", "a", "b", "c", "d", "e"),
		} {
			text, err := template.Text(t.Context(), d, true)
			if err != nil {
				if d[0].Role != tandem.System {
					t.Errorf("%s: %v", name, err)
				}
				continue // gemma has no system messages
			}
			for _, prompt := range []string{text, strings.TrimPrefix(text, template.BOS())} {
				if got := f.dialogues(t.Context(), prompt); !slices.ContainsFunc(got, func(g tandem.Dialogue) bool { return slices.Equal(g, d) }) {
					t.Errorf("%s: %q came of %v, and is told apart as %v", name, prompt, d, got)
				}
			}
		}
		// What it did not render is a message.
		text, err := template.Text(t.Context(), dialogue("a", "b", "c"), true)
		if err != nil {
			t.Fatal(err)
		}
		for _, prompt := range []string{"", "hello", text[1+len(template.BOS()):], text + "x", strings.Replace(text, "b", "b"+f.toUser, 1)} {
			got := f.dialogues(t.Context(), prompt)
			for _, d := range got {
				again, err := template.Text(t.Context(), d, true)
				if one := slices.Equal(d, dialogue(prompt)); !one && (err != nil || again != prompt) {
					t.Errorf("%s: %q is told apart as %v", name, prompt, d)
				}
			}
		}
	}
}
