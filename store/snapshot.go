package store

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Snapshot is a frozen set of comparisons under a name: what a model was fitted to.
type Snapshot struct {
	ID          string
	Name        string
	Hash        string // hexadecimal SHA-256 over what the comparisons say; the same data has the same hash anywhere
	Comparisons int
	CreatedAt   time.Time
}

// CreateSnapshot freezes what q selects now. Errors: Conflict when the name is taken, Invalid when
// nothing is selected.
func (s *Store) CreateSnapshot(ctx context.Context, name string, q ComparisonQuery) (Snapshot, error) {
	const op = "store.CreateSnapshot"
	args, err := q.args(op)
	if err != nil {
		return Snapshot{}, err
	}
	args["name"] = name
	var id int64
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		// One statement, so the set is of one moment. A comparison's line names texts by their hashes.
		if err := tx.QueryRow(ctx, `
			WITH chosen AS MATERIALIZED (
				SELECT c.kind, c.number, concat_ws('|', c.aspect, p.safety, encode(p.message_id, 'hex'),
				           encode(a.content_hash, 'hex'), encode(b.content_hash, 'hex'),
				           c.degree, coalesce(c.margin::text, ''), c.chosen_label, c.rejected_label) AS line
				FROM (SELECT c.*`+fromComparisons+`) c
				JOIN prompts p ON p.id = c.prompt_id
				JOIN responses a ON a.id = c.chosen
				JOIN responses b ON b.id = c.rejected
			), snapshot AS (
				INSERT INTO snapshots (name, hash, comparisons)
				SELECT @name, sha256(convert_to(coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), ''), 'UTF8')), count(*)
				FROM chosen
				RETURNING id
			), items AS (
				INSERT INTO snapshot_items (snapshot_id, kind, number)
				SELECT DISTINCT snapshot.id, chosen.kind, chosen.number FROM snapshot, chosen
			)
			SELECT id FROM snapshot`, args).Scan(&id); err != nil {
			return err
		}
		var comparisons int
		if err := tx.QueryRow(ctx, `SELECT comparisons FROM snapshots WHERE id = $1`, id).Scan(&comparisons); err != nil {
			return err
		}
		if comparisons == 0 {
			return tandem.Errorf(tandem.Invalid, op, "there are no comparisons to put into the snapshot %q", name)
		}
		return nil
	})
	if tandem.CodeOf(err) == tandem.Conflict {
		return Snapshot{}, tandem.Errorf(tandem.Conflict, op, "there is a snapshot %q already: %w", name, err)
	}
	if err != nil {
		return Snapshot{}, err
	}
	return s.Snapshot(ctx, idText(id))
}

const selectSnapshot = `SELECT id, name, hash, comparisons, created_at FROM snapshots`

func scanSnapshot(row pgx.CollectableRow) (Snapshot, error) {
	var snapshot Snapshot
	var id int64
	var hash []byte
	err := row.Scan(&id, &snapshot.Name, &hash, &snapshot.Comparisons, &snapshot.CreatedAt)
	snapshot.ID, snapshot.Hash = idText(id), hex.EncodeToString(hash)
	return snapshot, err
}

// Snapshot finds a snapshot by its id.
func (s *Store) Snapshot(ctx context.Context, id string) (Snapshot, error) {
	const op = "store.Snapshot"
	n, err := parseID(op, "snapshot", id)
	if err != nil {
		return Snapshot{}, err
	}
	return one(ctx, s.db, op, "snapshot "+id, selectSnapshot+` WHERE id = @id`, pgx.NamedArgs{"id": n}, scanSnapshot)
}

// Snapshots lists all snapshots, the newest first.
func (s *Store) Snapshots(ctx context.Context) ([]Snapshot, error) {
	return all(ctx, s.db, "store.Snapshots", selectSnapshot+` ORDER BY id DESC`, nil, scanSnapshot)
}
