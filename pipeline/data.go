package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"tandem"
	"tandem/dataset"
)

// Stages hand data to each other as JSON Lines, which other machines and other programs can read.

// writeLines writes one JSON object a line, whole or not at all.
func writeLines[T any](path string, items iter.Seq[T]) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // already failing
			_ = os.Remove(f.Name()) // already failing
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	buffered := bufio.NewWriter(f)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for item := range items {
		if err := encoder.Encode(item); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// readLines reads what writeLines wrote.
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

// readDialogues reads dialogues to fine-tune on, in the messages form, of all files.
func readDialogues(paths ...string) ([]tandem.Dialogue, error) {
	var dialogues []tandem.Dialogue
	for _, path := range paths {
		f, err := dataset.Open(path)
		if err != nil {
			return nil, err
		}
		for d, err := range dataset.ReadDialogues(path, f, dataset.Messages) {
			if err != nil {
				_ = f.Close() // already failing
				return nil, err
			}
			dialogues = append(dialogues, d)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return dialogues, nil
}
