package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"tandem"
	"tandem/dataset"
	"tandem/store"
)

// Imported is what became of one file of comparisons.
type Imported struct {
	Aspect     tandem.Aspect  `json:"aspect"`
	File       string         `json:"file"`
	SHA256     string         `json:"sha256"`
	Records    int            `json:"records"` // comparisons that were kept, duplicates among them
	Added      int            `json:"added"`
	Duplicates int            `json:"duplicates"`
	Skipped    map[string]int `json:"skipped,omitempty"` // records left out, by reason
}

// importFiles brings all files into the store. A file that is there already changes nothing.
func (r Real) importFiles(ctx context.Context) ([]Imported, error) {
	var imports []Imported
	for _, part := range []struct {
		aspect tandem.Aspect
		files  []string
	}{{tandem.Helpfulness, r.Helpful}, {tandem.Safety, r.Safety}} {
		for _, file := range part.files {
			kept, err := r.importFile(ctx, file, part.aspect)
			if err != nil {
				return nil, err
			}
			imports = append(imports, Imported{part.aspect, file, kept.SHA256, kept.Records, kept.Added, kept.Duplicates, kept.Skipped})
		}
	}
	return imports, nil
}

func (r Real) importFile(ctx context.Context, name string, aspect tandem.Aspect) (store.Import, error) {
	format := cmp.Or(r.Format, dataset.HH)
	reader, err := dataset.NewImport(dataset.ImportConfig{Format: format, As: dataset.As(aspect)})
	if err != nil {
		return store.Import{}, err
	}
	file, err := dataset.Open(name)
	if err != nil {
		return store.Import{}, err
	}
	defer file.Close()
	var sum [sha256.Size]byte
	comparisons := func(yield func(tandem.Comparison, error) bool) {
		for c, err := range reader.Read(name, file) {
			if !yield(c, err) || err != nil {
				return
			}
		}
		// Here, while an error can still end the import.
		if sum, err = file.Sum(); err != nil {
			yield(tandem.Comparison{}, err)
		}
	}
	return r.Loop.Store.ImportComparisons(ctx, store.ImportSource{
		File: name, Format: string(format), Aspects: string(aspect), Comparisons: comparisons,
		End: func() ([sha256.Size]byte, map[string]int) { return sum, reader.Report().Skipped() },
	})
}

// aspects in the order in which they are always gone through.
func aspects() []tandem.Aspect { return []tandem.Aspect{tandem.Helpfulness, tandem.Safety} }

// pairs are all comparisons of the store, by aspect, each with its side of the split.
func (r Real) pairs(ctx context.Context) (map[tandem.Aspect][]tandem.Comparison, error) {
	pairs := make(map[tandem.Aspect][]tandem.Comparison)
	for _, aspect := range aspects() {
		var err error
		if pairs[aspect], err = collect(r.Loop.Store.Comparisons(ctx, store.ComparisonQuery{Aspect: aspect})); err != nil {
			return nil, err
		}
		if len(pairs[aspect]) == 0 {
			return nil, tandem.Errorf(tandem.Invalid, "pipeline.Real", "there are no comparisons for %s", aspect)
		}
	}
	return pairs, nil
}

// realFiles are the loop's data, as its stages read them.
type realFiles struct {
	demonstrations string
	texts          string // to pretrain on; empty where there is no need
	prompts        Prompts
	heldOut        string
}

// writeFiles divides the pairs into the loop's data. All but the prompts to evaluate on come from the
// training side of the split.
func (r Real) writeFiles(pairs map[tandem.Aspect][]tandem.Comparison) (realFiles, error) {
	f := realFiles{
		demonstrations: filepath.Join(r.Folder, "data", "demonstrations.jsonl"),
		prompts: Prompts{
			Improve:   filepath.Join(r.Folder, "data", "prompts-improve.jsonl"),
			Reference: filepath.Join(r.Folder, "data", "prompts-reference.jsonl"),
		},
		heldOut: filepath.Join(r.Folder, "data", "prompts-held-out.jsonl"),
	}
	var training []tandem.Comparison
	var improve, reference, heldOut []tandem.Prompt
	for _, aspect := range aspects() {
		var prompts []tandem.Prompt
		for _, c := range pairs[aspect] {
			prompts = append(prompts, c.Prompt)
			if !c.HeldOut {
				training = append(training, c)
			}
		}
		here, held := drawPrompts(prompts)
		need := r.Config.Improve + r.Config.Reference
		if len(here) < need || len(held) < r.Config.HeldOut {
			return f, tandem.Errorf(tandem.Invalid, "pipeline.Real", "for %s there are %d prompts to train on and %d held out, where %d and %d are asked for",
				aspect, len(here), len(held), need, r.Config.HeldOut)
		}
		improve = append(improve, here[:r.Config.Improve]...)
		reference = append(reference, here[r.Config.Improve:need]...)
		heldOut = append(heldOut, held[:r.Config.HeldOut]...)
	}
	if err := writeChosen(f.demonstrations, training); err != nil {
		return f, err
	}
	if r.Config.Pretrain != nil {
		f.texts = filepath.Join(r.Folder, "data", "texts.jsonl")
		if err := writeTexts(f.texts, training); err != nil {
			return f, err
		}
	}
	for path, prompts := range map[string][]tandem.Prompt{f.prompts.Improve: improve, f.prompts.Reference: reference, f.heldOut: heldOut} {
		if err := WriteLines(path, slices.Values(prompts)); err != nil {
			return f, err
		}
	}
	return f, nil
}

// drawPrompts lists different prompts of each side of the split in an order that is by lot, yet the same
// every time and wherever a prompt stands in its file.
func drawPrompts(prompts []tandem.Prompt) (training, heldOut []tandem.Prompt) {
	seen := make(map[uint64]bool)
	for _, p := range prompts {
		key := p.Messages.Key()
		if seen[key] {
			continue
		}
		seen[key] = true
		if p.HeldOut {
			heldOut = append(heldOut, p)
		} else {
			training = append(training, p)
		}
	}
	byKey := func(a, b tandem.Prompt) int { return cmp.Compare(a.Messages.Key(), b.Messages.Key()) }
	slices.SortFunc(training, byKey)
	slices.SortFunc(heldOut, byKey)
	return training, heldOut
}

// writeChosen writes the chosen sides as dialogues to fine-tune on; every assistant message is trained on.
func writeChosen(path string, comparisons []tandem.Comparison) error {
	return WriteLines(path, func(yield func(targetLine) bool) {
		for _, c := range comparisons {
			chosen, _ := c.Dialogues()
			if !yield(targetLine{chosen}) {
				return
			}
		}
	})
}

// textLine is a document to pretrain on.
type textLine struct {
	Text string `json:"text"`
}

// writeTexts writes both sides of the comparisons as the compact template renders dialogues, without the
// BOS and the EOS that pretraining puts around a document.
func writeTexts(path string, comparisons []tandem.Comparison) error {
	return WriteLines(path, func(yield func(textLine) bool) {
		for _, c := range comparisons {
			chosen, rejected := c.Dialogues()
			if !yield(textLine{compactText(chosen)}) || !yield(textLine{compactText(rejected)}) {
				return
			}
		}
	})
}

func compactText(d tandem.Dialogue) string {
	var b strings.Builder
	for i, m := range d {
		fmt.Fprintf(&b, "<|%s|>%s", m.Role, m.Content)
		if m.Role == tandem.Assistant && i < len(d)-1 {
			b.WriteString("<|end|>")
		}
	}
	return b.String()
}
