package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"tandem"
	"tandem/dataset"
	"tandem/rewardmodel"
	"tandem/store"
)

// comparisonFlags select comparisons of the database.
type comparisonFlags struct {
	Aspect string `enum:",helpfulness,safety" default:"" help:"Comparisons of one aspect: helpfulness or safety (default: both)." placeholder:"ASPECT"`
	Split  string `enum:",train,held_out" default:"" help:"Comparisons of one side of the split: train or held_out (default: both)." placeholder:"SIDE"`
}

func (f comparisonFlags) query() store.ComparisonQuery {
	return store.ComparisonQuery{Aspect: tandem.Aspect(f.Aspect), Split: store.Split(f.Split)}
}

// exportCommand writes comparisons as others read them: all of one moment, as a stream.
type exportCommand struct {
	Format   string `arg:"" enum:"trl,openrlhf,hh,csv" help:"Format to write: trl, openrlhf, hh or csv."`
	Output   string `short:"o" help:"File to write, which appears when it is whole (default: stdout)." placeholder:"FILE"`
	Snapshot string `help:"Export a frozen set by its id (default: what counts now)." placeholder:"ID"`
	Margin   string `enum:"none,small,large" default:"none" help:"Margins to write by degree, of the paper's tables: none, small (0 to 1) or large (0 to 3); a pair's own margin is always written (default: none)." placeholder:"TABLE"`
	All      bool   `help:"Write judgments that do not count, too: excluded ones and those of gold tasks; of csv, which says so in columns."`
	comparisonFlags
	databaseFlags
}

// exportReport is export's JSON.
type exportReport struct {
	Format      string `json:"format"`
	Output      string `json:"output,omitempty"`
	Comparisons int    `json:"comparisons"`
	LeftOut     int    `json:"left_out"` // that the format cannot hold
}

func (c *exportCommand) Run(ctx context.Context, w *world) error {
	if c.All && (dataset.Format(c.Format) != dataset.CSV || c.Snapshot != "") {
		return tandem.Errorf(tandem.Invalid, "", "--all is for csv, and not for a snapshot, which holds what it holds")
	}
	return c.use(ctx, w, func(s *store.Store) error {
		report := exportReport{Format: c.Format, Output: c.Output}
		write := func(out io.Writer) error { return c.write(ctx, w, s, out, &report) }
		if c.Output == "" {
			if err := write(w.out); err != nil {
				return err
			}
		} else if err := writeFile(c.Output, write); err != nil {
			return err
		}
		if report.LeftOut > 0 {
			w.log.Warn("comparisons were left out that the format cannot hold", "format", c.Format, "left_out", report.LeftOut, "written", report.Comparisons)
		}
		if w.json {
			return w.encode(report)
		}
		w.log.Info("exported", "comparisons", report.Comparisons)
		return nil
	})
}

// write streams the comparisons to out and counts them.
func (c *exportCommand) write(ctx context.Context, w *world, s *store.Store, out io.Writer, report *exportReport) error {
	config := dataset.ExportConfig{Format: dataset.Format(c.Format)}
	if table := rewardmodel.MarginTable(c.Margin); table != rewardmodel.NoMargin {
		config.Margin = func(d tandem.Degree) float64 { return table.Margin(tandem.Comparison{Degree: d}) }
	}
	writer, err := dataset.NewWriter(out, config)
	if err != nil {
		return err
	}
	query := c.query()
	query.Snapshot, query.All, query.Judgments = c.Snapshot, c.All, config.Format == dataset.CSV
	if c.Snapshot != "" { // an empty result would not tell that it does not exist
		if _, err := s.Snapshot(ctx, c.Snapshot); err != nil {
			return err
		}
	}
	for comparison, err := range s.Comparisons(ctx, query) {
		if err != nil {
			return err
		}
		err = writer.Write(comparison)
		if tandem.CodeOf(err) == tandem.Unsupported {
			if report.LeftOut == 0 {
				w.log.Warn("left out", "reason", err)
			}
			report.LeftOut++
			continue
		}
		if err != nil {
			return err
		}
		report.Comparisons++
	}
	return writer.Close()
}

// writeFile makes a file of what write writes, whole or not at all: what stood at path stays until then.
func writeFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, "", "%s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	if err := errors.Join(write(file), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return tandem.Errorf(tandem.CodeOf(err), "", "%s: %w", path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return tandem.Errorf(tandem.Unavailable, "", "%s: %w", path, err)
	}
	return nil
}
