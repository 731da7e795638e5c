package store

import (
	"context"
	"encoding/json"
	"math"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// VariantKind says what a variant is.
type VariantKind string

const (
	FolderVariant   VariantKind = "folder"   // a model's folder on the server's machine
	EndpointVariant VariantKind = "endpoint" // a model behind OpenAI's protocol
)

// PracticeURL is the address of the practice world, an endpoint within the program: its models are the world's
// writers, who need no training.
const PracticeURL = "practice:town"

// Variant is something that answers in live projects: this week's policy, an old one beside it as a regression
// check (section 3.2.1), or a model of somebody else's. It stays the same for good, since answers name it: what
// should change is retired, and a new one made.
type Variant struct {
	ID        string
	Name      string // for those who look after projects; annotators never see it
	Kind      VariantKind
	URL       string // an absolute folder, or the endpoint's http or https URL up to /v1, or PracticeURL
	ModelName string // what the endpoint calls the model; empty for a folder
	KeyEnv    string // the environment variable of the server that holds the endpoint's key; empty for none
	CreatedBy string
	CreatedAt time.Time
	Retired   bool // it is drawn no more
}

// keyVariables are the environment variables that may hold an endpoint's key. The value is sent to the
// endpoint, so no other secret of the server's environment may be named by who sets a variant up.
var keyVariables = regexp.MustCompile(`^([A-Z][A-Z0-9_]*_API_KEY|TANDEM_[A-Z0-9_]*KEY)$`)

// Validate reports the first thing that no variant can be, in words for who sets it up.
func (v Variant) Validate() error {
	const op = "store.Variant"
	if strings.TrimSpace(v.Name) == "" {
		return tandem.Errorf(tandem.Invalid, op, "the variant has no name")
	}
	switch v.Kind {
	case FolderVariant:
		if !filepath.IsAbs(v.URL) {
			return tandem.Errorf(tandem.Invalid, op, "the folder %q is not an absolute path on the server's machine", v.URL)
		}
		if v.ModelName != "" || v.KeyEnv != "" {
			return tandem.Errorf(tandem.Invalid, op, "a folder has neither a model's name nor a key")
		}
	case EndpointVariant:
		u, err := url.Parse(v.URL)
		switch {
		case v.URL == PracticeURL && v.ModelName != "" && v.KeyEnv == "":
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return tandem.Errorf(tandem.Invalid, op, "the endpoint's address is not an http or https URL")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return tandem.Errorf(tandem.Invalid, op, "the endpoint's address holds more than a host and a path; a key belongs into an environment variable")
		case strings.Trim(u.Path, "/") == "":
			return tandem.Errorf(tandem.Invalid, op, "the endpoint's address %s has no path; most end in /v1", v.URL)
		case strings.TrimSpace(v.ModelName) == "":
			return tandem.Errorf(tandem.Invalid, op, "the endpoint's model has no name")
		case v.KeyEnv != "" && !keyVariables.MatchString(v.KeyEnv):
			return tandem.Errorf(tandem.Invalid, op, "the environment variable %q may not hold an endpoint's key: its name is to end in _API_KEY, or to be TANDEM_…KEY", v.KeyEnv)
		}
	default:
		return tandem.Errorf(tandem.Invalid, op, "there is no kind of variant %q", v.Kind)
	}
	return nil
}

// AddVariant keeps a variant. It is audited in the same transaction. Errors: Invalid as Validate says, Conflict
// when the name is taken.
func (s *Store) AddVariant(ctx context.Context, v Variant, by string) (Variant, error) {
	const op = "store.AddVariant"
	if v.Kind == EndpointVariant {
		v.URL = strings.TrimSuffix(strings.TrimSuffix(v.URL, "/"), "/chat/completions")
	}
	if v.Kind == FolderVariant && filepath.IsAbs(v.URL) {
		v.URL = filepath.Clean(v.URL)
	}
	if err := v.Validate(); err != nil {
		return Variant{}, err
	}
	var made Variant
	err := s.within(ctx, op, func(tx pgx.Tx) error {
		var taken bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM variants WHERE name = @name)`, pgx.NamedArgs{"name": v.Name}).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return tandem.Errorf(tandem.Conflict, op, "there is a variant %q already, or was: names are not given twice", v.Name)
		}
		var id int64
		if err := tx.QueryRow(ctx, `
			INSERT INTO variants (name, kind, url, model_name, key_env, created_by)
			VALUES (@name, @kind, @url, @model, @key, @by) RETURNING id`,
			pgx.NamedArgs{"name": v.Name, "kind": string(v.Kind), "url": v.URL, "model": v.ModelName, "key": v.KeyEnv, "by": by}).Scan(&id); err != nil {
			return err
		}
		var err error
		if made, err = one(ctx, tx, op, "variant", selectVariant+` WHERE v.id = @id`, pgx.NamedArgs{"id": id}, pgx.RowToStructByPos[Variant]); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "variant.create", Subject: "variant:" + made.ID})
	})
	return made, err
}

const selectVariant = `
	SELECT v.id::text, v.name, v.kind, v.url, v.model_name, v.key_env, v.created_by, v.created_at, v.retired_at IS NOT NULL
	FROM variants v`

// Variant finds a variant by its id.
func (s *Store) Variant(ctx context.Context, id string) (Variant, error) {
	const op = "store.Variant"
	n, err := parseID(op, "variant", id)
	if err != nil {
		return Variant{}, err
	}
	return one(ctx, s.db, op, "variant "+id, selectVariant+` WHERE v.id = @id`, pgx.NamedArgs{"id": n}, pgx.RowToStructByPos[Variant])
}

// Variants lists all variants, the newest first, retired ones too.
func (s *Store) Variants(ctx context.Context) ([]Variant, error) {
	return all(ctx, s.db, "store.Variants", selectVariant+` ORDER BY v.id DESC`, nil, pgx.RowToStructByPos[Variant])
}

// RetireVariant takes a variant out of every draw from now on; what it was drawn for already it still answers.
// It is audited in the same transaction.
func (s *Store) RetireVariant(ctx context.Context, id, by string) error {
	const op = "store.RetireVariant"
	n, err := parseID(op, "variant", id)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE variants SET retired_at = clock_timestamp() WHERE id = @id AND retired_at IS NULL`, pgx.NamedArgs{"id": n})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			_, err := one(ctx, tx, op, "variant "+id, `SELECT id FROM variants WHERE id = @id`, pgx.NamedArgs{"id": n}, pgx.RowTo[int64])
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "variant.retire", Subject: "variant:" + id})
	})
}

// Drawing is what a live project's answers are drawn from.
type Drawing struct {
	Variants     []Variant // retired ones too, which are not drawn
	Temperatures []float64 // from 0 to 2
	AnswerTokens int       // of an answer at most
}

// Drawing reads what a project's answers are drawn from.
func (s *Store) Drawing(ctx context.Context, projectID string) (Drawing, error) {
	const op = "store.Drawing"
	n, err := parseID(op, "project", projectID)
	if err != nil {
		return Drawing{}, err
	}
	args := pgx.NamedArgs{"project": n}
	d, err := one(ctx, s.db, op, "project "+projectID, `SELECT temperatures, answer_tokens FROM projects WHERE id = @project`, args,
		func(row pgx.CollectableRow) (d Drawing, err error) {
			return d, row.Scan(&d.Temperatures, &d.AnswerTokens)
		})
	if err != nil {
		return d, err
	}
	d.Variants, err = all(ctx, s.db, op, selectVariant+` JOIN project_variants p ON p.variant_id = v.id WHERE p.project_id = @project ORDER BY v.id`,
		args, pgx.RowToStructByPos[Variant])
	return d, err
}

// SetDrawing chooses what a live project's answers are drawn from, from the next prompt on; variants are given
// by their ids. It is audited in the same transaction. Errors: Invalid for temperatures or a length that no
// sampler can do, or where one variant at temperature 0 would answer everything twice alike; NotFound for no such
// project or variant; Conflict for a project whose prompts are not written. Of a red-teaming project's variants each
// stretch attacks one, at the one temperature; without any it attacks the policy that serves.
func (s *Store) SetDrawing(ctx context.Context, projectID string, variants []string, temperatures []float64, answerTokens int, by string) error {
	const op = "store.SetDrawing"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return err
	}
	ids, err := parseIDs(op, "variant", variants)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	temperatures = slices.Clone(temperatures)
	slices.Sort(temperatures)
	temperatures = slices.Compact(temperatures)
	switch {
	case len(temperatures) == 0:
		return tandem.Errorf(tandem.Invalid, op, "at least one temperature is needed")
	case slices.ContainsFunc(temperatures, func(t float64) bool { return math.IsNaN(t) || t < 0 || t > 2 }):
		return tandem.Errorf(tandem.Invalid, op, "temperatures are from 0 to 2")
	case answerTokens < 1 || answerTokens > 4096:
		return tandem.Errorf(tandem.Invalid, op, "an answer has from 1 to 4096 tokens at most, not %d", answerTokens)
	}
	detail, err := json.Marshal(map[string]any{"variants": ids, "temperatures": temperatures, "answer_tokens": answerTokens})
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "%w", err)
	}
	args := pgx.NamedArgs{"project": project, "variants": ids, "temperatures": temperatures, "tokens": answerTokens}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		source, err := one(ctx, tx, op, "project "+projectID, `SELECT source FROM projects WHERE id = @project FOR NO KEY UPDATE`, args, pgx.RowTo[Source])
		if err != nil {
			return err
		}
		switch {
		case !source.Written():
			return tandem.Errorf(tandem.Conflict, op, "the comparisons of project %s are prepared: nothing is drawn for it", projectID)
		case source == RedTeam && len(temperatures) > 1:
			return tandem.Errorf(tandem.Invalid, op, "a policy is attacked at one temperature, not at %d", len(temperatures))
		case source == Live && len(ids) == 1 && len(temperatures) == 1 && temperatures[0] == 0:
			return tandem.Errorf(tandem.Invalid, op, "one variant at temperature 0 gives the same answer twice; choose another variant or temperature")
		}
		known, err := all(ctx, tx, op, `SELECT id FROM variants WHERE id = ANY (@variants)`, args, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !slices.Contains(known, id) {
				return tandem.Errorf(tandem.NotFound, op, "there is no variant %d", id)
			}
		}
		for _, sql := range []string{
			`UPDATE projects SET temperatures = @temperatures, answer_tokens = @tokens WHERE id = @project`,
			`DELETE FROM project_variants WHERE project_id = @project`,
			`INSERT INTO project_variants (project_id, variant_id) SELECT @project, unnest(@variants::bigint[])`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "project.draw", Subject: "project:" + projectID, Detail: detail})
	})
}
