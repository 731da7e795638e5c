package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tandem"
)

// Units does units of a stage and returns what each came to, in their order.
type Units func(ctx context.Context, stage tandem.Stage, specs ...any) ([]json.RawMessage, error)

// units has workers do them, under a round's row.
func (l *Loop) units(round int) Units {
	return func(ctx context.Context, stage tandem.Stage, specs ...any) ([]json.RawMessage, error) {
		units, err := l.stage(ctx, round, stage, specs...)
		results := make([]json.RawMessage, len(units))
		for i, u := range units {
			results[i] = u.Result
		}
		return results, err
	}
}

// Kept does units in this process and keeps what they came to in a folder; what an interrupted run of the same
// specifications by the same kernels has done is taken from there.
func (s *Studio) Kept(folder string) Units {
	do := s.Units(func(tandem.Stage, int, int) {})
	return func(ctx context.Context, stage tandem.Stage, specs ...any) ([]json.RawMessage, error) {
		results := make([]json.RawMessage, len(specs))
		for i, spec := range specs {
			path, err := s.keptAt(folder, stage, spec)
			if err != nil {
				return nil, err
			}
			switch text, err := os.ReadFile(path); {
			case err == nil && json.Valid(text):
				results[i] = text
				s.observe(Observation{Stage: stage, Step: i + 1, Steps: len(specs)})
				continue
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return nil, tandem.Errorf(tandem.Unavailable, "pipeline", "%w", err)
			}
			done, err := do(ctx, stage, spec)
			if err != nil {
				return nil, err
			}
			results[i] = done[0]
			if err := writeJSON(ctx, path, results[i]); err != nil {
				return nil, err
			}
			s.observe(Observation{Stage: stage, Step: i + 1, Steps: len(specs)})
		}
		return results, nil
	}
}

// keptAt names the file of a unit by what it is made from.
func (s *Studio) keptAt(folder string, stage tandem.Stage, spec any) (string, error) {
	text, err := json.Marshal(struct {
		Stage  tandem.Stage `json:"stage"`
		Kernel string       `json:"kernel"`
		Spec   any          `json:"spec"`
	}{stage, s.Kernel, spec})
	if err != nil {
		return "", fmt.Errorf("the specification of a unit of %s: %w", stage, err)
	}
	sum := sha256.Sum256(text)
	return filepath.Join(folder, fmt.Sprintf("%s-%s.json", stage, hex.EncodeToString(sum[:8]))), nil
}

// Units does units in this process, one after the other and without a queue; progress is told how many
// of a stage are done. What is found done is not done again.
func (s *Studio) Units(progress func(stage tandem.Stage, done, total int)) Units {
	return func(ctx context.Context, stage tandem.Stage, specs ...any) ([]json.RawMessage, error) {
		do := s.Handlers()[stage]
		var results []json.RawMessage
		for i, spec := range specs {
			progress(stage, i, len(specs))
			text, err := json.Marshal(spec)
			if err != nil {
				return nil, fmt.Errorf("the specification of a unit of %s: %w", stage, err)
			}
			result, err := do(ctx, tandem.Unit{Stage: stage, Shard: i}, text)
			if err != nil {
				return nil, err
			}
			if result.Write != nil && s.Store != nil {
				if err := result.Write(ctx, s.Store); err != nil {
					return nil, err
				}
			}
			if text, err = json.Marshal(result.Value); err != nil {
				return nil, fmt.Errorf("the result of a unit of %s: %w", stage, err)
			}
			results = append(results, text)
		}
		progress(stage, len(specs), len(specs))
		return results, nil
	}
}

// sharded has n items done in units of a size and returns what all came to, in order. spec is the unit of the items from
// one to another.
func sharded[T any](ctx context.Context, do Units, stage tandem.Stage, n, size int, spec func(from, to int) any) ([]T, error) {
	if size < 1 {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline", "a unit of %d items", size)
	}
	var specs []any
	for _, shard := range Shards(n, size) {
		specs = append(specs, spec(shard[0], shard[1]))
	}
	results, err := do(ctx, stage, specs...)
	if err != nil {
		return nil, err
	}
	var all []T
	for i, result := range results {
		var of []T
		if err := json.Unmarshal(result, &of); err != nil {
			return nil, fmt.Errorf("the result of unit %d of %s: %w", i, stage, err)
		}
		all = append(all, of...)
	}
	return all, nil
}
