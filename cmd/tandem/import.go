package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"tandem"
	"tandem/dataset"
	"tandem/store"
)

// importCommand keeps preference pairs from files in the database, each file whole or not at all.
type importCommand struct {
	Format string   `arg:"" enum:"hh,ultrafeedback,trl,openrlhf,pku,sharegpt" help:"Format of the files: hh, ultrafeedback, trl, openrlhf, pku or sharegpt."`
	Files  []string `arg:"" name:"file" help:"Files, .jsonl or .jsonl.gz."`
	As     string   `enum:",helpfulness,safety,both" default:"" help:"What the pairs were judged for: helpfulness, safety or both (default: what each record says, which tandem's own exports do)." placeholder:"ASPECT"`
	Source string   `help:"Name that is kept with every pair (default: the file's)." placeholder:"NAME"`
	databaseFlags
}

// importReport is import's JSON.
type importReport struct {
	Imports    []importedFile `json:"imports"`
	Added      int            `json:"added"`
	Duplicates int            `json:"duplicates"`
}

// importedFile says what became of one file.
type importedFile struct {
	ID         string         `json:"id"`
	File       string         `json:"file"`
	SHA256     string         `json:"sha256"`
	Records    int            `json:"records"`    // comparisons found
	Added      int            `json:"added"`      // comparisons that are new
	Duplicates int            `json:"duplicates"` // comparisons that were there already
	Skipped    map[string]int `json:"skipped"`    // comparisons left out, by reason
	Repeated   bool           `json:"repeated"`   // the same file was imported before; the counts are of then
}

func (c *importCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		report := importReport{Imports: []importedFile{}}
		var text strings.Builder
		for _, name := range c.Files {
			kept, said, err := c.importFile(ctx, s, name)
			if err != nil {
				return err
			}
			f := importedFile{kept.ID, name, kept.SHA256, kept.Records, kept.Added, kept.Duplicates, kept.Skipped, kept.Repeated}
			if f.Skipped == nil {
				f.Skipped = map[string]int{}
			}
			report.Imports = append(report.Imports, f)
			if kept.Repeated {
				fmt.Fprintf(&text, "%s: imported before, nothing added\n", name)
				continue
			}
			report.Added += f.Added
			report.Duplicates += f.Duplicates
			fmt.Fprintf(&text, "%s: %s; %d added, %d were there already\n", name, said, f.Added, f.Duplicates)
		}
		return w.report(report, "%s", text.String())
	})
}

// importFile imports one file. Pairs that another file of this command had too are the store's to see.
func (c *importCommand) importFile(ctx context.Context, s *store.Store, name string) (store.Import, dataset.Report, error) {
	imp, err := dataset.NewImport(dataset.ImportConfig{Format: dataset.Format(c.Format), As: dataset.As(c.As), Source: c.Source})
	if err != nil {
		return store.Import{}, dataset.Report{}, err
	}
	file, err := dataset.Open(name)
	if err != nil {
		return store.Import{}, dataset.Report{}, err
	}
	defer file.Close()
	var sum [sha256.Size]byte
	comparisons := func(yield func(tandem.Comparison, error) bool) {
		for comparison, err := range imp.Read(name, file) {
			if !yield(comparison, err) || err != nil {
				return
			}
		}
		// Here, while an error can still end the import.
		if sum, err = file.Sum(); err != nil {
			yield(tandem.Comparison{}, err)
		}
	}
	kept, err := s.ImportComparisons(ctx, store.ImportSource{
		File: name, Format: c.Format, Aspects: c.As, Comparisons: comparisons,
		End: func() ([sha256.Size]byte, map[string]int) { return sum, imp.Report().Skipped() },
	})
	return kept, imp.Report(), err
}
