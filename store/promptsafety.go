package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// SafetyPrompts says of the prompts that are stored, by index, whether they probe safety. A prompt that is stored both as
// one that does and as one that does not is taken for one that does.
func (s *Store) SafetyPrompts(ctx context.Context, prompts []tandem.Dialogue) (known map[int]bool, err error) {
	ids := make([][]byte, len(prompts))
	for i, prompt := range prompts {
		for _, m := range prompt {
			ids[i] = messageID(ids[i], m)
		}
	}
	type row struct {
		MessageID []byte
		Safety    bool
	}
	// One index answers it, UNIQUE (message_id, safety).
	rows, err := all(ctx, s.db, "store.SafetyPrompts", `SELECT message_id, bool_or(safety) FROM prompts WHERE message_id = ANY(@ids) GROUP BY message_id`,
		pgx.NamedArgs{"ids": ids}, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, err
	}
	safety := make(map[string]bool, len(rows))
	for _, r := range rows {
		safety[string(r.MessageID)] = r.Safety
	}
	known = make(map[int]bool, len(rows))
	for i, id := range ids {
		if s, ok := safety[string(id)]; ok {
			known[i] = s
		}
	}
	return known, nil
}
