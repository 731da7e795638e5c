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
		path            string
		split           practice.Split
		helpful, unsafe int
		harmless        int // instructions
	}{
		{f.prompts.Helpfulness, practice.Train, c.HelpfulPrompts, 0, 0},
		{f.prompts.Safety, practice.Train, 0, c.UnsafePrompts, c.HarmlessSafety},
		{f.prompts.Improve, practice.Train, c.ImproveHelpful, c.ImproveUnsafe, c.ImproveHarmless},
		{f.prompts.Reference, practice.Train, c.ReferenceHelpful, c.ReferenceUnsafe, 0},
		{f.heldOut, practice.HeldOut, c.HeldOutHelpful, c.HeldOutUnsafe, 0},
	} {
		prompts, err := w.Prompts(p.split, families[false], p.helpful)
		if err != nil {
			return f, err
		}
		unsafe, err := w.Prompts(p.split, families[true], p.unsafe)
		if err != nil {
			return f, err
		}
		harmless, err := w.Prompts(p.split, instructions, p.harmless)
		if err != nil {
			return f, err
		}
		prompts = append(append(prompts, unsafe...), harmless...)
		for i := range prompts {
			prompts[i].HeldOut = p.split == practice.HeldOut
		}
		if err := writeFile(p.path, len(prompts), func(i uint64) any { return prompts[i] }); err != nil {
			return f, err
		}
	}
	return f, nil
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
