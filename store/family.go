package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Family lists a model with its ancestors and all that were made from it, the oldest first and at most so many.
func (s *Store) Family(ctx context.Context, id string, most int) ([]tandem.Model, error) {
	models, err := all(ctx, s.db, "store.Family", `
		WITH RECURSIVE up AS (
			SELECT id, parent FROM models WHERE id = @id
			UNION ALL
			SELECT m.id, m.parent FROM models m JOIN up ON m.id = up.parent
		), down AS (
			SELECT id FROM models WHERE id = @id
			UNION ALL
			SELECT m.id FROM models m JOIN down ON m.parent = down.id
		)`+selectModel+` WHERE m.id IN (SELECT id FROM up UNION SELECT id FROM down) ORDER BY m.created_at, m.id LIMIT @most`,
		pgx.NamedArgs{"id": id, "most": most}, scanModel)
	if err == nil && len(models) == 0 {
		return nil, tandem.Errorf(tandem.NotFound, "store.Family", "there is no model %q", id)
	}
	return models, err
}
