package checkpoint

import (
	"context"
	"encoding/json"

	"tandem"
)

// lineageName is the file of a model's lineage: a tandem.Model without its URL, which the folder's place
// tells.
const lineageName = "tandem.json"

// ReadLineage reads a folder's tandem.json and nothing else of it: nil for a model that tandem has not
// made.
func ReadLineage(ctx context.Context, path string) (*tandem.Model, error) {
	s, name, where, err := locate(path)
	if err != nil || isFile(where) {
		return nil, err
	}
	var lineage *tandem.Model
	err = reading(ctx, s, name, where, func(src *source) (err error) {
		lineage, err = loadLineage(src)
		return err
	})
	if err != nil || lineage == nil {
		return nil, err
	}
	lineage.URL = where
	return lineage, nil
}

// WriteLineage replaces a saved model's tandem.json, as when a calibration becomes known after training,
// and leaves the rest of the model as it is.
func WriteLineage(ctx context.Context, path string, lineage tandem.Model) error {
	s, name, _, err := locate(path)
	if err != nil {
		return err
	}
	return amend(ctx, s, name, func(add adder) error { return addLineage(add, lineage) })
}

// SaveLineage writes a folder that holds a tandem.json and nothing else: an ensemble, whose members are folders in it.
// Like Save it replaces what tandem wrote there, and leaves a model of others alone.
func SaveLineage(ctx context.Context, path string, lineage tandem.Model) error {
	s, name, _, err := locate(path)
	if err != nil {
		return err
	}
	return commit(ctx, s, name, func(add adder) error { return addLineage(add, lineage) })
}

func addLineage(add adder, lineage tandem.Model) error {
	lineage.URL = ""
	return add.addJSON(lineageName, lineage)
}

func loadLineage(src *source) (*tandem.Model, error) {
	if !src.has(lineageName) {
		return nil, nil
	}
	text, err := src.readAll(lineageName)
	if err != nil {
		return nil, err
	}
	var lineage tandem.Model
	if err := json.Unmarshal(text, &lineage); err != nil {
		return nil, tandem.Errorf(tandem.Corrupt, "checkpoint.Load", "%s: %w", src.path(lineageName), err)
	}
	return &lineage, nil
}
