package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/store"
)

// Register keeps a model's row in the database, and first those of its ancestors that are not there, as far
// as their folders are: each model's configuration names the one that it started from.
func Register(ctx context.Context, s *store.Store, m tandem.Model) error {
	if m.Parent != "" {
		if _, err := s.Model(ctx, m.Parent); tandem.CodeOf(err) == tandem.NotFound {
			var from struct {
				Model string `json:"model"`
			}
			if len(m.Config) > 0 {
				if err := json.Unmarshal(m.Config, &from); err != nil {
					return fmt.Errorf("the configuration of %s: %w", m.ID, err)
				}
			}
			parent, err := checkpoint.ReadLineage(ctx, from.Model)
			if err != nil || parent == nil || parent.ID != m.Parent {
				return tandem.Errorf(tandem.NotFound, "pipeline.Register", "the model %s came from %s, which is neither in the database nor in %q", m.ID, m.Parent, from.Model)
			}
			parent.URL = from.Model
			if err := Register(ctx, s, *parent); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return s.AddModel(ctx, m)
}

// Adopt keeps the row of a policy in a folder, so that a round may start from it. One that tandem has not
// made gets an id of its files' contents. A model whose ancestors cannot be found is kept without them.
func Adopt(ctx context.Context, s *store.Store, folder string) (tandem.Model, error) {
	return adopt(ctx, s, folder, tandem.PolicyModel)
}

// adopt keeps the row of a model in a folder, which is of the kind given where it does not say it itself.
func adopt(ctx context.Context, s *store.Store, folder string, kind tandem.ModelKind) (tandem.Model, error) {
	lineage, err := checkpoint.ReadLineage(ctx, folder)
	if err != nil {
		return tandem.Model{}, err
	}
	if lineage == nil {
		weights, err := filepath.Glob(filepath.Join(folder, "*.safetensors"))
		if err != nil || len(weights) == 0 {
			return tandem.Model{}, tandem.Errorf(tandem.NotFound, "pipeline.Adopt", "%s holds no model in the Hugging Face layout", folder)
		}
		slices.Sort(weights)
		hash, err := HashFiles(append(weights, filepath.Join(folder, "config.json"))...)
		if err != nil {
			return tandem.Model{}, err
		}
		lineage = &tandem.Model{ID: hash[:16], Name: filepath.Base(folder), Kind: kind, Stage: tandem.StageImport, Snapshot: hash}
	}
	m := *lineage
	m.URL, m.Round = folder, 0 // the round that it came from may be another database's
	if there, err := s.Model(ctx, m.ID); err == nil {
		there.URL = folder
		return there, nil
	} else if tandem.CodeOf(err) != tandem.NotFound {
		return m, err
	}
	err = Register(ctx, s, m)
	if tandem.CodeOf(err) == tandem.NotFound {
		m.Parent = ""
		err = s.AddModel(ctx, m)
	}
	return m, err
}
