package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"tandem"
	"tandem/dataset"
	"tandem/llama/checkpoint"
	"tandem/store"
)

// Stages hand data to each other as JSON Lines, which other machines and other programs can read.

// WriteLines writes one JSON object a line, whole or not at all.
func WriteLines[T any](path string, items iter.Seq[T]) error {
	f, err := renewLines(context.Background(), path, items)
	if err != nil {
		return err
	}
	return f.Close()
}

// renewLines is renew with one JSON object a line.
func renewLines[T any](ctx context.Context, path string, items iter.Seq[T]) (*os.File, error) {
	return renew(ctx, path, func(f *os.File) error {
		buffered := bufio.NewWriter(f)
		encoder := json.NewEncoder(buffered)
		encoder.SetEscapeHTML(false)
		for item := range items {
			if err := encoder.Encode(item); err != nil {
				return err
			}
		}
		return buffered.Flush()
	})
}

// writingPrefix begins the names of files that are being written.
const writingPrefix = ".writing-"

// renew replaces a file by a new one, which is filled first, and returns that open to append to. Whoever has the old
// one open writes on to a file that nobody finds any more. The right of ctx to write is asked for as
// checkpoint.WithRight says: takeOver removes what others have half written.
func renew(ctx context.Context, path string, fill func(*os.File) error) (_ *os.File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), writingPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // already failing
			_ = os.Remove(f.Name()) // already failing
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := checkpoint.HoldsRight(ctx); err != nil {
		return nil, err
	}
	if err := fill(f); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f, os.Rename(f.Name(), path)
}

// takeOver ends what others were writing in a run's folder, who have lost the right to it. Without a right of its own
// it does nothing.
func takeOver(ctx context.Context, out string) error {
	if !checkpoint.HasRight(ctx) {
		return nil
	}
	if err := checkpoint.TakeOver(ctx, out); err != nil {
		return err
	}
	begun, err := filepath.Glob(filepath.Join(out, writingPrefix+"*"))
	if err != nil {
		return tandem.Errorf(tandem.Internal, "pipeline", "%w", err)
	}
	if err := checkpoint.HoldsRight(ctx); err != nil { // after the look, so that nobody newer is among them
		return err
	}
	for _, path := range begun {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return tandem.Errorf(tandem.Unavailable, "pipeline", "%w", err)
		}
	}
	return nil
}

// collect reads a sequence to its end or its first error.
func collect[T any](seq iter.Seq2[T, error]) (items []T, err error) {
	for item, err := range seq {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// readLines reads what WriteLines wrote.
func readLines[T any](ctx context.Context, path string) ([]T, error) {
	f, err := dataset.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	decoder := json.NewDecoder(bufio.NewReader(f))
	var items []T
	for decoder.More() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var item T
		if err := decoder.Decode(&item); err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "pipeline", "%s: record %d: %w", path, len(items)+1, err)
		}
		items = append(items, item)
	}
	return items, nil
}

// targetLine is a dialogue in the messages form.
type targetLine struct {
	Messages tandem.Dialogue `json:"messages"`
}

// readDialogues reads dialogues to fine-tune on of all files.
func readDialogues(ctx context.Context, format dataset.DialogueFormat, paths ...string) ([]tandem.Dialogue, error) {
	if format == "" {
		format = dataset.Messages
	}
	return readFiles(ctx, paths, func(path string, r io.Reader) iter.Seq2[tandem.Dialogue, error] {
		return dataset.ReadDialogues(path, r, format)
	})
}

// readPrompts reads the prompts of a file.
func readPrompts(ctx context.Context, path string) ([]tandem.Prompt, error) {
	return readFiles(ctx, []string{path}, dataset.ReadPrompts)
}

// readFiles reads every item of files.
func readFiles[T any](ctx context.Context, paths []string, read func(string, io.Reader) iter.Seq2[T, error]) ([]T, error) {
	var items []T
	for _, path := range paths {
		f, err := dataset.Open(path)
		if err != nil {
			return nil, err
		}
		for item, err := range read(path, f) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				_ = f.Close() // already failing
				return nil, err
			}
			items = append(items, item)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return items, nil
}

// snapshotPrefix makes a snapshot of the database of what would be a file's name.
const snapshotPrefix = "snapshot:"

// Comparisons reads the comparisons of a file, or of a snapshot of the database ("snapshot:ID"; of one
// aspect then). A format of "" is tandem's own, a tandem.Comparison a line; records of another format judge
// the aspect.
func (s *Studio) Comparisons(ctx context.Context, data string, format dataset.Format, aspect tandem.Aspect) ([]tandem.Comparison, error) {
	const op = "pipeline.Comparisons"
	if id, ok := strings.CutPrefix(data, snapshotPrefix); ok {
		if _, err := s.snapshot(ctx, id); err != nil {
			return nil, err
		}
		return collect(s.Store.Comparisons(ctx, store.ComparisonQuery{Snapshot: id, Aspect: aspect}))
	}
	if format == "" {
		comparisons, err := readLines[tandem.Comparison](ctx, data)
		if err != nil {
			return nil, err
		}
		for i, c := range comparisons {
			if err := c.Prompt.Validate(); err != nil {
				return nil, tandem.Errorf(tandem.Invalid, op, "%s: record %d is no comparison in tandem's own form (%w): is the file in another format?", data, i+1, err)
			}
		}
		return comparisons, nil
	}
	source, err := dataset.NewImport(dataset.ImportConfig{Format: format, As: dataset.As(aspect)})
	if err != nil {
		return nil, err
	}
	comparisons, err := readFiles(ctx, []string{data}, source.Read)
	if r := source.Report(); err == nil && r.Kept < r.Read {
		s.Log.Info("comparisons were left out", "file", data, "report", r.String())
	}
	return comparisons, err
}

func (s *Studio) snapshot(ctx context.Context, id string) (store.Snapshot, error) {
	if s.Store == nil {
		return store.Snapshot{}, tandem.Errorf(tandem.Invalid, "pipeline", "%s%s is in a database, and none was named", snapshotPrefix, id)
	}
	return s.Store.Snapshot(ctx, id)
}

// hash is the snapshot's hash, or the SHA-256 of the file.
func (s *Studio) hash(ctx context.Context, data string) (string, error) {
	if id, ok := strings.CutPrefix(data, snapshotPrefix); ok {
		snapshot, err := s.snapshot(ctx, id)
		return snapshot.Hash, err
	}
	return HashFiles(data)
}

// tellSplit says how the data of a run are divided, and refuses to train on nothing.
func (s *Studio) tellSplit(what string, training, heldOut int) error {
	if training == 0 && heldOut > 0 {
		return tandem.Errorf(tandem.Invalid, "pipeline", "all %d %s are held out: a held-out share of 0 leaves out those alone that are marked", heldOut, what)
	}
	s.Log.Info("the train / held-out split", "of", what, "train", training, "held_out", heldOut)
	return nil
}

// splitItems applies the one train / held-out rule: what is marked as held out, and what begins like it.
func splitItems[T any](items []T, opening func(T) string, marked func(T) bool, share float64) (train, heldOut []T) {
	for _, item := range items {
		if marked(item) || tandem.HeldOut(opening(item), share) {
			heldOut = append(heldOut, item)
		} else {
			train = append(train, item)
		}
	}
	return train, heldOut
}
