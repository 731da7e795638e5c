package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"tandem"
)

// Shared has workers do units outside a round. They stand in the queue under a row of their own, as a round's do, whose
// name is made of the given one and of what is to be done: asked again for the same, it finds what is done.
func (l *Loop) Shared(name string) Units {
	return func(ctx context.Context, stage tandem.Stage, specs ...any) ([]json.RawMessage, error) {
		text, err := json.Marshal(specs)
		if err != nil {
			return nil, fmt.Errorf("the specifications of units of %s: %w", stage, err)
		}
		sum := sha256.Sum256(text)
		named := name + " " + hex.EncodeToString(sum[:4])
		rows, err := l.rows(ctx, named)
		if err != nil {
			return nil, err
		}
		if err := l.Store.RetryUnits(ctx, rows[named]); err != nil {
			return nil, err
		}
		var results []json.RawMessage
		err = l.under(ctx, rows[named], func(ctx context.Context) (err error) {
			results, err = l.units(rows[named])(ctx, stage, specs...)
			return err
		})
		return results, err
	}
}
