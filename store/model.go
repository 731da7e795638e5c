package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// AddModel keeps a model's row, as tandem.json in its folder says it. Adding the same model again changes
// nothing. Errors: Conflict when its id stands for another model, NotFound when its parent or round does not exist.
func (s *Store) AddModel(ctx context.Context, m tandem.Model) error {
	const op = "store.AddModel"
	if m.ID == "" || m.URL == "" {
		return tandem.Errorf(tandem.Invalid, op, "the model %q needs an id and a url", m.Name)
	}
	config, metrics, ensemble := m.Config, m.Metrics, m.Ensemble
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	if metrics == nil {
		metrics = map[string]float64{}
	}
	if ensemble == nil {
		ensemble = []string{}
	}
	tag, err := s.db.Exec(ctx, `
		INSERT INTO models (id, name, kind, url, parent, round, stage, snapshot, config, seed, kernel, metrics, calibration, ensemble, created_at)
		VALUES (@id, @name, @kind, @url, nullif(@parent, ''), nullif(@round, 0), @stage, @snapshot, @config, @seed, @kernel, @metrics,
		        @calibration, @ensemble, coalesce(@created_at, clock_timestamp()))
		ON CONFLICT (id) DO NOTHING`,
		pgx.NamedArgs{"id": m.ID, "name": m.Name, "kind": string(m.Kind), "url": m.URL, "parent": m.Parent, "round": m.Round,
			"stage": string(m.Stage), "snapshot": m.Snapshot, "config": config, "seed": int64(m.Seed), "kernel": m.Kernel,
			"metrics": metrics, "calibration": m.Calibration, "ensemble": ensemble, "created_at": nilIfZero(m.CreatedAt)})
	if err != nil || tag.RowsAffected() == 1 {
		return fail(op, err)
	}
	there, err := s.Model(ctx, m.ID)
	if err != nil {
		return err
	}
	if there.Name != m.Name || there.Kind != m.Kind || there.Parent != m.Parent || there.Stage != m.Stage || there.Round != m.Round || there.Seed != m.Seed {
		return tandem.Errorf(tandem.Conflict, op, "the id %s stands for another model, %s (%s)", m.ID, there.Name, there.Kind)
	}
	return nil
}

// MeasureModel adds what was measured of a model after it was made. Metrics are merged by name; a
// calibration replaces the last one, nil leaves it.
func (s *Store) MeasureModel(ctx context.Context, id string, metrics map[string]float64, calibration *tandem.Calibration) error {
	const op = "store.MeasureModel"
	if metrics == nil {
		metrics = map[string]float64{}
	}
	tag, err := s.db.Exec(ctx, `
		UPDATE models SET metrics = metrics || @metrics, calibration = coalesce(@calibration, calibration) WHERE id = @id`,
		pgx.NamedArgs{"id": id, "metrics": metrics, "calibration": calibration})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.NotFound, op, "there is no model %q", id)
	}
	return fail(op, err)
}

const selectModel = `
	SELECT m.id, m.name, m.kind, m.url, coalesce(m.parent, ''), coalesce(m.round, 0), m.stage, m.snapshot, m.config, m.seed, m.kernel,
	       m.metrics, m.calibration, m.ensemble, m.created_at
	FROM models m`

func scanModel(row pgx.CollectableRow) (tandem.Model, error) {
	var m tandem.Model
	var seed int64
	err := row.Scan(&m.ID, &m.Name, &m.Kind, &m.URL, &m.Parent, &m.Round, &m.Stage, &m.Snapshot, &m.Config, &seed, &m.Kernel,
		&m.Metrics, &m.Calibration, &m.Ensemble, &m.CreatedAt)
	m.Seed = uint64(seed)
	return m, err
}

// Model finds a model by its id.
func (s *Store) Model(ctx context.Context, id string) (tandem.Model, error) {
	return one(ctx, s.db, "store.Model", "model "+id, selectModel+` WHERE m.id = @id`, pgx.NamedArgs{"id": id}, scanModel)
}

// Models lists the models of a kind (all for an empty one), the newest first.
func (s *Store) Models(ctx context.Context, kind tandem.ModelKind, page Page) ([]tandem.Model, error) {
	return all(ctx, s.db, "store.Models", selectModel+`
		WHERE (@kind = '' OR m.kind = @kind)
		  AND (@after = '' OR (m.created_at, m.id) < (SELECT a.created_at, a.id FROM models a WHERE a.id = @after))
		ORDER BY m.created_at DESC, m.id DESC LIMIT @limit`,
		pgx.NamedArgs{"kind": string(kind), "after": page.After, "limit": page.limit()}, scanModel)
}

// Lineage lists a model and its ancestors, the model itself first.
func (s *Store) Lineage(ctx context.Context, id string) ([]tandem.Model, error) {
	models, err := all(ctx, s.db, "store.Lineage", `
		WITH RECURSIVE line AS (
			SELECT id, parent, 0 AS back FROM models WHERE id = @id
			UNION ALL
			SELECT m.id, m.parent, line.back + 1 FROM models m JOIN line ON m.id = line.parent
		)`+selectModel+` JOIN line ON line.id = m.id ORDER BY line.back`,
		pgx.NamedArgs{"id": id}, scanModel)
	if err == nil && len(models) == 0 {
		return nil, tandem.Errorf(tandem.NotFound, "store.Lineage", "there is no model %q", id)
	}
	return models, err
}

// Promote makes a model the one of its kind that serves. A rollback is the promotion of an older one.
func (s *Store) Promote(ctx context.Context, id, by, reason string) error {
	_, err := s.db.Exec(ctx, promote, pgx.NamedArgs{"id": id, "by": by, "reason": reason})
	return fail("store.Promote", err)
}

const promote = `INSERT INTO promotions (model_id, promoted_by, reason) VALUES (@id, @by, @reason)`

// Promoted finds the model of a kind that serves. Errors: NotFound when none was promoted.
func (s *Store) Promoted(ctx context.Context, kind tandem.ModelKind) (tandem.Model, error) {
	return one(ctx, s.db, "store.Promoted", "promoted "+string(kind)+" model", selectModel+`
		JOIN promotions p ON p.model_id = m.id WHERE m.kind = @kind ORDER BY p.id DESC LIMIT 1`,
		pgx.NamedArgs{"kind": string(kind)}, scanModel)
}

// Promotion is the moment from which a model served.
type Promotion struct {
	Model  string // id
	By     string
	Reason string
	At     time.Time
}

// Promotions lists what was promoted of a kind, the last one first.
func (s *Store) Promotions(ctx context.Context, kind tandem.ModelKind) ([]Promotion, error) {
	return all(ctx, s.db, "store.Promotions", `
		SELECT p.model_id, p.promoted_by, p.reason, p.promoted_at FROM promotions p JOIN models m ON m.id = p.model_id
		WHERE m.kind = @kind ORDER BY p.id DESC`,
		pgx.NamedArgs{"kind": string(kind)}, pgx.RowToStructByPos[Promotion])
}

// ServedBefore is the model that served before the present one, empty for none. history has the newest promotion
// first. A promotion of a model that served before takes back those since, so that rolling back twice goes
// two models back and not to and fro.
func ServedBefore(history []Promotion) string {
	var served []string // each took over from the one before it
	for i := len(history) - 1; i >= 0; i-- {
		id := history[i].Model
		for j, earlier := range served {
			if earlier == id {
				served = served[:j]
				break
			}
		}
		served = append(served, id)
	}
	if len(served) < 2 {
		return ""
	}
	return served[len(served)-2]
}
