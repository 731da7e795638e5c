package demo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tandem"
	"tandem/internal/practice"
	"tandem/pipeline"
)

// files are the world's, as the stages read them.
type files struct {
	texts, demonstrations, heldOut string
	prompts                        pipeline.Prompts
}

// write puts the world on disk. Files that are there are kept: the same seed writes the same.
func (c Config) write(w *practice.World, folder string) (files, error) {
	f := files{
		texts:          filepath.Join(folder, "texts.jsonl"),
		demonstrations: filepath.Join(folder, "demonstrations.jsonl"),
		heldOut:        filepath.Join(folder, "held-out.jsonl"),
		prompts: pipeline.Prompts{
			Helpfulness: filepath.Join(folder, "prompts-helpful.jsonl"),
			Safety:      filepath.Join(folder, "prompts-unsafe.jsonl"),
			Improve:     filepath.Join(folder, "prompts-improve.jsonl"),
			Reference:   filepath.Join(folder, "prompts-reference.jsonl"),
		},
	}
	text := func(i uint64) any {
		if i%6 == 0 {
			return map[string]string{"text": w.Text(i)}
		}
		// A base model has met dialogues among its texts; these are none of the demonstrations.
		return map[string]string{"text": transcript(w.Demonstration(uint64(c.Demonstrations) + i))}
	}
	demonstration := func(i uint64) any {
		return map[string]tandem.Dialogue{"messages": w.Demonstration(i)}
	}
	if err := writeFile(f.texts, c.Texts, text); err != nil {
		return f, err
	}
	if err := writeFile(f.demonstrations, c.Demonstrations, demonstration); err != nil {
		return f, err
	}
	for _, p := range []struct {
		path  string
		parts []part
	}{
		{f.prompts.Helpfulness, c.helpfulnessParts()},
		{f.prompts.Safety, c.safetyParts()},
		{f.prompts.Improve, []part{
			{families[false], practice.Train, 0, c.ImproveHelpful}, {families[true], practice.Train, 0, c.ImproveUnsafe}, {instructions, practice.Train, 0, c.ImproveHarmless},
			{families[false], practice.HeldOut, c.HeldOutHelpful, c.WatchHelpful}, {families[true], practice.HeldOut, c.HeldOutUnsafe, c.WatchUnsafe},
		}},
		{f.prompts.Reference, []part{{families[false], practice.Train, 0, c.ReferenceHelpful}, {families[true], practice.Train, 0, c.ReferenceUnsafe}}},
		{f.heldOut, []part{{families[false], practice.HeldOut, 0, c.HeldOutHelpful}, {families[true], practice.HeldOut, 0, c.HeldOutUnsafe}}},
	} {
		prompts, err := drawParts(w, p.parts)
		if err != nil {
			return f, err
		}
		if err := writeFile(p.path, len(prompts), func(i uint64) any { return prompts[i] }); err != nil {
			return f, err
		}
	}
	return f, nil
}

// part is n of the prompts of some families on one side of the split, after those that stand elsewhere.
type part struct {
	families []practice.Family
	split    practice.Split
	after, n int
}

// drawParts draws the prompts of some parts.
func drawParts(w *practice.World, parts []part) (prompts []tandem.Prompt, err error) {
	for _, part := range parts {
		drawn, err := w.Prompts(part.split, part.families, part.after+part.n)
		if err != nil {
			return nil, err
		}
		prompts = append(prompts, drawn[part.after:]...)
	}
	return prompts, nil
}

// helpfulnessParts are the prompts that answers are compared to for the helpfulness model, safetyParts those for the safety model.
func (c Config) helpfulnessParts() []part {
	return []part{{families[false], practice.Train, 0, c.HelpfulPrompts}}
}

func (c Config) safetyParts() []part {
	return []part{{families[true], practice.Train, 0, c.UnsafePrompts}, {instructions, practice.Train, 0, c.HarmlessSafety}}
}

// transcript is a dialogue as the compact template renders it, between BOS and EOS.
func transcript(d tandem.Dialogue) string {
	text := ""
	for i, m := range d {
		text += "<|" + string(m.Role) + "|>" + m.Content
		if m.Role == tandem.Assistant && i < len(d)-1 {
			text += "<|end|>"
		}
	}
	return text
}

// writeFile writes n JSON lines, unless the file is there.
func writeFile(path string, n int, line func(i uint64) any) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return pipeline.WriteLines(path, func(yield func(any) bool) {
		for i := range uint64(n) {
			if !yield(line(i)) {
				return
			}
		}
	})
}
