package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

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
