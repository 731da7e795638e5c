package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// Stretch is a person's time at attacking a policy in a red-teaming project, as they may know it: what they attack it
// does not say. All times are the database's.
type Stretch struct {
	ID        string
	ProjectID string
	StartedAt time.Time
	Until     time.Time     // when it runs out
	Over      bool          // it ran out, or was ended
	Left      time.Duration // 0 once it is over
	Attacks   int           // written in it
	Rated     int           // of them rated
}

// NewStretch asks for a stretch. The same key returns the stretch that it began.
type NewStretch struct {
	Annotator, Project, Key string
	Seed                    uint64 // draws one of the project's variants, where it has several
}

// byRedTeam is whom the audit names for a variant that is made of the policy that serves.
const byRedTeam = "red_team"

// BeginStretch begins a stretch, for the length that the project says now; who has one in the project that is not over
// gets that one. What is attacked is drawn from the project's variants; without any it is the policy that serves.
// Errors: NotFound for no such project; Conflict where it is closed, not one of red teaming, nothing can be attacked, or
// a stretch of theirs is under way in another project; Forbidden as Claim.
func (s *Store) BeginStretch(ctx context.Context, n NewStretch) (Stretch, error) {
	const op = "store.BeginStretch"
	person, project, err := parsePlace(op, n.Annotator, n.Project)
	if err != nil {
		return Stretch{}, err
	}
	if n.Key == "" {
		return Stretch{}, tandem.Errorf(tandem.Invalid, op, "the stretch has no idempotency key")
	}
	args := pgx.NamedArgs{"annotator": person, "project": project, "key": n.Key}
	var id int64
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		if id, err = runningStretch(ctx, tx, op, args); err != nil || id != 0 {
			return err
		}
		place, err := readPlace(ctx, tx, op, person, project)
		if err == nil {
			err = place.refusal(op)
		}
		if err != nil {
			return err
		}
		target, err := drawTarget(ctx, tx, op, n)
		if err != nil {
			return err
		}
		args["variant"], args["model"] = target.variant, nilIfZero(target.model)
		args["temperature"] = target.temperature
		return tx.QueryRow(ctx, `
			INSERT INTO stretches (project_id, annotator_id, variant_id, model_id, temperature, key, until)
			SELECT @project, @annotator, @variant, @model, @temperature, @key, clock_timestamp() + stretch FROM projects WHERE id = @project
			RETURNING id`, args).Scan(&id)
	})
	if err != nil {
		return Stretch{}, err
	}
	return s.Stretch(ctx, n.Annotator, idText(id))
}

// parsePlace parses a person's id and a project's.
func parsePlace(op, annotator, projectID string) (person pgtype.UUID, project int64, err error) {
	if person, err = parseAnnotator(op, annotator); err != nil {
		return person, 0, err
	}
	project, err = parseID(op, "project", projectID)
	return person, project, err
}

// runningStretch finds the stretch that a start with the key @key made, or that is under way in the project; 0 for none.
// Of the person's others, what ran out is ended, and what did not is in the way.
func runningStretch(ctx context.Context, tx pgx.Tx, op string, args pgx.NamedArgs) (id int64, err error) {
	var there bool
	err = tx.QueryRow(ctx, `SELECT id, project_id = @project FROM stretches WHERE annotator_id = @annotator AND key = @key`, args).Scan(&id, &there)
	if err == nil && !there {
		return 0, tandem.Errorf(tandem.Conflict, op, "the idempotency key %q came with another stretch before", args["key"])
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	if _, err := tx.Exec(ctx, `UPDATE stretches SET ended_at = until WHERE annotator_id = @annotator AND ended_at IS NULL AND until <= clock_timestamp()`, args); err != nil {
		return 0, err
	}
	var other int64
	err = tx.QueryRow(ctx, `SELECT id, project_id FROM stretches WHERE annotator_id = @annotator AND ended_at IS NULL`, args).Scan(&id, &other)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err == nil && other != args["project"] {
		err = tandem.Errorf(tandem.Conflict, op, "a stretch of yours is under way in project %d: end it first", other)
	}
	return id, err
}

// target is what a stretch attacks.
type target struct {
	variant     int64
	model       string // its id; empty for none that is known here
	temperature float64
}

// drawTarget chooses what a stretch attacks.
func drawTarget(ctx context.Context, tx pgx.Tx, op string, n NewStretch) (target, error) {
	project, err := parseID(op, "project", n.Project)
	if err != nil {
		return target{}, err
	}
	args := pgx.NamedArgs{"project": project}
	var source Source
	var pool drawPool
	if err := tx.QueryRow(ctx, `
		SELECT p.source, p.temperatures,
		       ARRAY(SELECT v.id FROM project_variants pv JOIN variants v ON v.id = pv.variant_id WHERE pv.project_id = p.id AND v.retired_at IS NULL ORDER BY v.id)
		FROM projects p WHERE p.id = @project FOR SHARE OF p`, args).Scan(&source, &pool.temperatures, &pool.variants); err != nil {
		return target{}, err
	}
	if source != RedTeam {
		return target{}, tandem.Errorf(tandem.Conflict, op, "project %s is not one of red teaming", n.Project)
	}
	t := target{temperature: pool.temperatures[0]}
	if len(pool.variants) == 0 {
		t.variant, t.model, err = servingVariant(ctx, tx, op)
		return t, err
	}
	t.variant = pool.variants[rand.New(rand.NewPCG(n.Seed, 0x726564)).IntN(len(pool.variants))]
	models, err := all(ctx, tx, op, `
		SELECT m.id FROM variants v JOIN models m ON m.kind = 'policy' AND m.url IN (v.url, 'file://' || v.url)
		WHERE v.id = @variant AND v.kind = 'folder' ORDER BY m.created_at DESC LIMIT 1`, pgx.NamedArgs{"variant": t.variant}, pgx.RowTo[string])
	if len(models) == 1 {
		t.model = models[0]
	}
	return t, err
}

// servingVariant is the policy that serves, as a variant, which is made where there is none of its folder.
func servingVariant(ctx context.Context, tx pgx.Tx, op string) (variant int64, model string, err error) {
	var name, folder string
	err = tx.QueryRow(ctx, `
		SELECT m.id, m.name, m.url FROM promotions p JOIN models m ON m.id = p.model_id WHERE m.kind = 'policy' ORDER BY p.id DESC LIMIT 1`).Scan(&model, &name, &folder)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", tandem.Errorf(tandem.Conflict, op, "there is nothing to attack yet: no policy serves, and whoever looks after the project has chosen none")
	}
	if err != nil {
		return 0, "", err
	}
	if folder = strings.TrimPrefix(folder, "file://"); !filepath.IsAbs(folder) {
		return 0, "", tandem.Errorf(tandem.Conflict, op, "the policy that serves lies at %s, which is no folder of the server's machine", folder)
	}
	args := pgx.NamedArgs{"name": name + " in " + folder, "folder": folder, "by": byRedTeam}
	find := `SELECT id FROM variants WHERE kind = 'folder' AND url = @folder ORDER BY retired_at IS NOT NULL, id LIMIT 1`
	if err = tx.QueryRow(ctx, find, args).Scan(&variant); !errors.Is(err, pgx.ErrNoRows) {
		return variant, model, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO variants (name, kind, url, created_by) VALUES (@name, 'folder', @folder, @by) ON CONFLICT (name) DO NOTHING RETURNING id`, args).Scan(&variant)
	if errors.Is(err, pgx.ErrNoRows) { // somebody else's stretch began in this moment
		return 0, "", errRaced
	}
	if err != nil {
		return 0, "", err
	}
	return variant, model, audit(ctx, tx, AuditEntry{Actor: byRedTeam, Action: "variant.create", Subject: "variant:" + idText(variant)})
}

// openStretch is the stretch of the person @annotator in the project @project that is under way, and what it attacks.
func openStretch(ctx context.Context, tx pgx.Tx, op string, args pgx.NamedArgs) (id int64, pool drawPool, err error) {
	pool = drawPool{variants: make([]int64, 1), temperatures: make([]float64, 1)}
	err = tx.QueryRow(ctx, `
		SELECT id, variant_id, temperature FROM stretches
		WHERE annotator_id = @annotator AND project_id = @project AND ended_at IS NULL AND until > clock_timestamp() FOR UPDATE`, args).
		Scan(&id, &pool.variants[0], &pool.temperatures[0])
	if errors.Is(err, pgx.ErrNoRows) {
		err = tandem.Errorf(tandem.Conflict, op, "no stretch of yours is under way: begin one, and send this again")
	}
	return id, pool, err
}

const selectStretch = `
	SELECT s.id::text, s.project_id::text, s.started_at, s.until, s.ended_at IS NOT NULL OR s.until <= clock_timestamp(),
	       CASE WHEN s.ended_at IS NULL THEN greatest(s.until - clock_timestamp(), '0') ELSE interval '0' END,
	       (SELECT count(*) FROM live_turns t WHERE t.stretch_id = s.id),
	       (SELECT count(*) FROM live_turns t JOIN assignments a ON a.task_id = t.task_id WHERE t.stretch_id = s.id AND a.outcome = 'submitted')
	FROM stretches s`

// Stretch reads one's own stretch. Errors: NotFound when it is not theirs.
func (s *Store) Stretch(ctx context.Context, annotator, id string) (Stretch, error) {
	const op = "store.Stretch"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return Stretch{}, err
	}
	n, err := parseID(op, "stretch", id)
	if err != nil {
		return Stretch{}, err
	}
	return one(ctx, s.db, op, "stretch "+id, selectStretch+` WHERE s.id = @id AND s.annotator_id = @annotator`,
		pgx.NamedArgs{"id": n, "annotator": person}, pgx.RowToStructByPos[Stretch])
}

// LastStretch is one's newest stretch in a project. Errors: NotFound where there is none.
func (s *Store) LastStretch(ctx context.Context, annotator, projectID string) (Stretch, error) {
	const op = "store.LastStretch"
	person, project, err := parsePlace(op, annotator, projectID)
	if err != nil {
		return Stretch{}, err
	}
	return one(ctx, s.db, op, "stretch of yours in project "+projectID,
		selectStretch+` WHERE s.project_id = @project AND s.annotator_id = @annotator ORDER BY s.id DESC LIMIT 1`,
		pgx.NamedArgs{"project": project, "annotator": person}, pgx.RowToStructByPos[Stretch])
}

// EndStretch ends one's own stretch, now or when it ran out. What was attacked can still be rated. Ending it again
// changes nothing. Errors: NotFound when it is not theirs.
func (s *Store) EndStretch(ctx context.Context, annotator, id string) (Stretch, error) {
	const op = "store.EndStretch"
	if _, err := s.Stretch(ctx, annotator, id); err != nil {
		return Stretch{}, err
	}
	n, err := parseID(op, "stretch", id)
	if err != nil {
		return Stretch{}, err
	}
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return Stretch{}, err
	}
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE stretches SET ended_at = least(until, clock_timestamp()) WHERE id = @id AND annotator_id = @annotator AND ended_at IS NULL`,
			pgx.NamedArgs{"id": n, "annotator": person})
		return err
	})
	if err != nil {
		return Stretch{}, err
	}
	return s.Stretch(ctx, annotator, id)
}
