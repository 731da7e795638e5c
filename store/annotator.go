package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// AnnotatorRole is what a person is to tandem.
type AnnotatorRole string

const (
	RoleAnnotator AnnotatorRole = "annotator" // judges
	RoleReviewer  AnnotatorRole = "reviewer"  // and reads what others judged, and sends it back
	RoleEngineer  AnnotatorRole = "engineer"  // and reads rounds, runs and models, and asks models
	RoleAdmin     AnnotatorRole = "admin"     // and looks after projects, people and keys
)

// Scopes are what somebody of the role may do when signed in: each role may do what the one before may.
func (r AnnotatorRole) Scopes() []Scope {
	scopes := []Scope{ScopeAnnotate}
	switch r {
	case RoleAdmin:
		return Scopes()
	case RoleEngineer:
		scopes = append(scopes, ScopeReview, ScopeRead, ScopeScore, ScopeChat)
	case RoleReviewer:
		scopes = append(scopes, ScopeReview)
	}
	return scopes
}

// Annotator is a person (or a simulated one). The id is a pseudonym: judgments keep it, and it leads to a
// name only as long as the identity stands.
type Annotator struct {
	ID        string
	Role      AnnotatorRole
	Simulated bool
	Name      string // empty once erased
	Email     string // optional
	CreatedAt time.Time
	Disabled  bool
	TimeZone  string // an IANA name, by which their days are counted; defaults to UTC
}

// AddAnnotator keeps a person. Role defaults to annotator. Errors: Conflict when the e-mail address is taken.
func (s *Store) AddAnnotator(ctx context.Context, a Annotator) (Annotator, error) {
	const op = "store.AddAnnotator"
	if a.Role == "" {
		a.Role = RoleAnnotator
	}
	if a.TimeZone == "" {
		a.TimeZone = "UTC"
	}
	err := s.within(ctx, op, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `INSERT INTO annotators (role, simulated, time_zone) VALUES (@role, @simulated, @zone) RETURNING id::text, created_at`,
			pgx.NamedArgs{"role": string(a.Role), "simulated": a.Simulated, "zone": a.TimeZone}).Scan(&a.ID, &a.CreatedAt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO identities (annotator_id, name, email) VALUES (@id, @name, nullif(@email, ''))`,
			pgx.NamedArgs{"id": a.ID, "name": a.Name, "email": a.Email})
		return err
	})
	if err != nil {
		return Annotator{}, err
	}
	return a, nil
}

const annotatorColumns = `a.id::text, a.role, a.simulated, coalesce(i.name, ''), coalesce(i.email, ''), a.created_at, a.disabled_at IS NOT NULL, a.time_zone`

const selectAnnotator = `
	SELECT ` + annotatorColumns + `
	FROM annotators a LEFT JOIN identities i ON i.annotator_id = a.id`

// Annotator finds a person by their pseudonym.
func (s *Store) Annotator(ctx context.Context, id string) (Annotator, error) {
	const op = "store.Annotator"
	person, err := parseAnnotator(op, id)
	if err != nil {
		return Annotator{}, err
	}
	return one(ctx, s.db, op, "annotator "+id, selectAnnotator+` WHERE a.id = @id`,
		pgx.NamedArgs{"id": person}, pgx.RowToStructByPos[Annotator])
}

// Annotators lists everyone, the first to come first.
func (s *Store) Annotators(ctx context.Context) ([]Annotator, error) {
	return all(ctx, s.db, "store.Annotators", selectAnnotator+` ORDER BY a.created_at, a.id`, nil, pgx.RowToStructByPos[Annotator])
}

// DisableAnnotator keeps a person out; what they judged stays. It is audited in the same transaction.
func (s *Store) DisableAnnotator(ctx context.Context, id, by string) error {
	const op = "store.DisableAnnotator"
	person, err := parseAnnotator(op, id)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE annotators SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE id = @id`, pgx.NamedArgs{"id": person})
		if err == nil && tag.RowsAffected() == 0 {
			return tandem.Errorf(tandem.NotFound, op, "there is no annotator %q", id)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "annotator.disable", Subject: id})
	})
}

// EraseAnnotator removes who a person is, and keeps them out. Their judgments keep a pseudonym that leads
// nowhere. It is audited in the same transaction.
func (s *Store) EraseAnnotator(ctx context.Context, id, by string) error {
	const op = "store.EraseAnnotator"
	person, err := parseAnnotator(op, id)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM identities WHERE annotator_id = @id`, pgx.NamedArgs{"id": person})
		if err == nil && tag.RowsAffected() == 0 {
			return tandem.Errorf(tandem.NotFound, op, "there is no annotator %q, or they were erased before", id)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE annotators SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE id = @id`, pgx.NamedArgs{"id": person}); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "annotator.erase", Subject: id})
	})
}

// AuditEntry says what was done in whose name.
type AuditEntry struct {
	At      time.Time       // given by the database
	Actor   string          // an annotator's id, "key:ID" or "cli"
	Action  string          // "key.revoke"
	Subject string          // the id of what it was done to
	Detail  json.RawMessage // anything else worth keeping; no names of people
}

// AddAudit keeps an entry that no other operation writes by itself.
func (s *Store) AddAudit(ctx context.Context, entry AuditEntry) error {
	return fail("store.AddAudit", audit(ctx, s.db, entry))
}

func audit(ctx context.Context, db querier, entry AuditEntry) error {
	if len(entry.Detail) == 0 {
		entry.Detail = json.RawMessage(`{}`)
	}
	_, err := db.Exec(ctx, `INSERT INTO audit (actor, action, subject, detail) VALUES (@actor, @action, @subject, @detail)`,
		pgx.NamedArgs{"actor": entry.Actor, "action": entry.Action, "subject": entry.Subject, "detail": entry.Detail})
	return err
}

// Audit lists what was done to a subject, the last first.
func (s *Store) Audit(ctx context.Context, subject string) ([]AuditEntry, error) {
	return all(ctx, s.db, "store.Audit", `SELECT at, actor, action, subject, detail FROM audit WHERE subject = @subject ORDER BY id DESC`,
		pgx.NamedArgs{"subject": subject}, pgx.RowToStructByPos[AuditEntry])
}
