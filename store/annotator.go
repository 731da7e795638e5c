package store

import (
	"context"
	"encoding/json"
	"net/mail"
	"strings"
	"time"
	_ "time/tzdata" // so that zones are known on machines without a list of them

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

// Roles lists all roles; each may do what the one before may.
func Roles() []AnnotatorRole {
	return []AnnotatorRole{RoleAnnotator, RoleReviewer, RoleEngineer, RoleAdmin}
}

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

// AddAnnotator keeps a person. Role defaults to annotator. Errors: Invalid for no name, and for an address or a
// time zone that is none, Conflict when somebody has the e-mail address.
func (s *Store) AddAnnotator(ctx context.Context, a Annotator) (Annotator, error) {
	const op = "store.AddAnnotator"
	if a.Role == "" {
		a.Role = RoleAnnotator
	}
	if a.TimeZone == "" {
		a.TimeZone = "UTC"
	}
	if err := a.validate(op); err != nil {
		return Annotator{}, err
	}
	err := s.within(ctx, op, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `INSERT INTO annotators (role, simulated, time_zone) VALUES (@role, @simulated, @zone) RETURNING id::text, created_at`,
			pgx.NamedArgs{"role": string(a.Role), "simulated": a.Simulated, "zone": a.TimeZone}).Scan(&a.ID, &a.CreatedAt); err != nil {
			return err
		}
		args := pgx.NamedArgs{"id": a.ID, "name": a.Name, "email": a.Email}
		if err := freeAddress(ctx, tx, op, args); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO identities (annotator_id, name, email) VALUES (@id, @name, nullif(@email, ''))`, args)
		return err
	})
	if err != nil {
		return Annotator{}, err
	}
	return a, nil
}

// validate reports what the tables would refuse, in words.
func (a *Annotator) validate(op string) error {
	a.Name, a.Email = strings.TrimSpace(a.Name), strings.TrimSpace(a.Email)
	if a.Name == "" {
		return tandem.Errorf(tandem.Invalid, op, "a person needs a name")
	}
	if a.Email != "" {
		if parsed, err := mail.ParseAddress(a.Email); err != nil || parsed.Address != a.Email {
			return tandem.Errorf(tandem.Invalid, op, "%q is no e-mail address", a.Email)
		}
	}
	if _, err := time.LoadLocation(a.TimeZone); err != nil || a.TimeZone == "Local" || a.TimeZone == "" {
		return tandem.Errorf(tandem.Invalid, op, "there is no time zone %q; one is Europe/Zurich, for instance", a.TimeZone)
	}
	for _, role := range Roles() {
		if a.Role == role {
			return nil
		}
	}
	return tandem.Errorf(tandem.Invalid, op, "there is no role %q", a.Role)
}

// freeAddress refuses an e-mail address that somebody else has. The constraint would, in words for nobody.
func freeAddress(ctx context.Context, tx pgx.Tx, op string, args pgx.NamedArgs) error {
	taken := false
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM identities WHERE lower(email) = lower(nullif(@email, '')) AND annotator_id <> @id)`, args).Scan(&taken)
	if err == nil && taken {
		err = tandem.Errorf(tandem.Conflict, op, "somebody has the e-mail address %s already", args["email"])
	}
	return err
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

// AnnotatorChange is what to change about a person; nil leaves a thing as it is.
type AnnotatorChange struct {
	Name, Email, TimeZone *string
	Role                  *AnnotatorRole
	Disabled              *bool // true signs them out and ends their link
}

// ChangeAnnotator changes what is known of a person and what they may do. Each change that makes a difference is
// audited, in the same transaction. Errors: NotFound for who is not there or erased, Invalid and Conflict as
// AddAnnotator, Conflict when it would leave nobody who can sign in as an admin.
func (s *Store) ChangeAnnotator(ctx context.Context, id string, change AnnotatorChange, by string) (Annotator, error) {
	const op = "store.ChangeAnnotator"
	person, err := parseAnnotator(op, id)
	if err != nil {
		return Annotator{}, err
	}
	var a Annotator
	err = s.keepingAnAdmin(ctx, op, func(tx pgx.Tx) error {
		before, err := one(ctx, tx, op, "annotator "+id, selectAnnotator+` WHERE a.id = @id FOR UPDATE OF a`,
			pgx.NamedArgs{"id": person}, pgx.RowToStructByPos[Annotator])
		if err != nil {
			return err
		}
		if before.Name == "" {
			return tandem.Errorf(tandem.NotFound, op, "annotator %s is erased", id)
		}
		a = before
		change.apply(&a)
		// Whoever is to be kept out may have what is not valid any more, such as a time zone whose name went.
		if change != (AnnotatorChange{Disabled: change.Disabled}) {
			if err := a.validate(op); err != nil {
				return err
			}
		}
		args := pgx.NamedArgs{"id": person, "name": a.Name, "email": a.Email, "zone": a.TimeZone, "role": string(a.Role), "disabled": a.Disabled}
		if err := freeAddress(ctx, tx, op, args); err != nil {
			return err
		}
		statements := []string{
			`UPDATE annotators SET role = @role, time_zone = @zone,
				disabled_at = CASE WHEN @disabled THEN coalesce(disabled_at, clock_timestamp()) END WHERE id = @id`,
			`UPDATE identities SET name = @name, email = nullif(@email, '') WHERE annotator_id = @id`,
		}
		if a.Disabled {
			statements = append(statements, endSessions, endInvitations)
		}
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return auditChange(ctx, tx, before, a, by)
	})
	return a, err
}

// apply makes the change.
func (c AnnotatorChange) apply(a *Annotator) {
	for value, given := range map[*string]*string{&a.Name: c.Name, &a.Email: c.Email, &a.TimeZone: c.TimeZone} {
		if given != nil {
			*value = *given
		}
	}
	if c.Role != nil {
		a.Role = *c.Role
	}
	if c.Disabled != nil {
		a.Disabled = *c.Disabled
	}
}

// auditChange says what changed between before and after. Names and addresses are not written down.
func auditChange(ctx context.Context, tx pgx.Tx, before, after Annotator, by string) error {
	var entries []AuditEntry
	if before.Role != after.Role {
		detail, err := json.Marshal(map[string]AnnotatorRole{"from": before.Role, "to": after.Role})
		if err != nil {
			return err
		}
		entries = append(entries, AuditEntry{Action: "annotator.role", Detail: detail})
	}
	if before.Disabled != after.Disabled {
		action := "annotator.enable"
		if after.Disabled {
			action = "annotator.disable"
		}
		entries = append(entries, AuditEntry{Action: action})
	}
	if before.Name != after.Name || before.Email != after.Email || before.TimeZone != after.TimeZone {
		entries = append(entries, AuditEntry{Action: "annotator.edit"})
	}
	for _, entry := range entries {
		entry.Actor, entry.Subject = by, after.ID
		if err := audit(ctx, tx, entry); err != nil {
			return err
		}
	}
	return nil
}

// What keeps a person out at once.
const (
	endSessions    = `UPDATE sessions SET ended_at = clock_timestamp() WHERE annotator_id = @id AND ended_at IS NULL`
	endInvitations = `UPDATE invitations SET revoked_at = clock_timestamp() WHERE annotator_id = @id AND used_at IS NULL AND revoked_at IS NULL`
)

// keepingAnAdmin runs a transaction that may take a person's rights away. Errors: Conflict when nobody would be
// left who can sign in as an admin, where somebody could before.
func (s *Store) keepingAnAdmin(ctx context.Context, op string, fn func(tx pgx.Tx) error) error {
	const admins = `
		SELECT count(*) FROM annotators a JOIN passwords p ON p.annotator_id = a.id
		WHERE a.role = 'admin' AND a.disabled_at IS NULL AND NOT a.simulated`
	return s.within(ctx, op, func(tx pgx.Tx) error {
		// One at a time: two admins could demote each other.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tandem admins'))`); err != nil {
			return err
		}
		var before, after int
		if err := tx.QueryRow(ctx, admins).Scan(&before); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, admins).Scan(&after); err != nil {
			return err
		}
		if before > 0 && after == 0 {
			return tandem.Errorf(tandem.Conflict, op, "this is the last admin who can sign in; make somebody else an admin first")
		}
		return nil
	})
}

// DisableAnnotator keeps a person out; what they judged stays. Errors as ChangeAnnotator's.
func (s *Store) DisableAnnotator(ctx context.Context, id, by string) error {
	_, err := s.ChangeAnnotator(ctx, id, AnnotatorChange{Disabled: new(true)}, by)
	return err
}

// EraseAnnotator removes who a person is, and keeps them out. Their judgments keep a pseudonym that leads
// nowhere. It is audited in the same transaction. Errors: NotFound for who is not there or was erased, Conflict
// for the last admin who can sign in.
func (s *Store) EraseAnnotator(ctx context.Context, id, by string) error {
	const op = "store.EraseAnnotator"
	person, err := parseAnnotator(op, id)
	if err != nil {
		return err
	}
	return s.keepingAnAdmin(ctx, op, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"id": person}
		if _, err := tx.Exec(ctx, `SELECT FROM annotators WHERE id = @id FOR NO KEY UPDATE`, args); err != nil { // first, as everywhere
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM identities WHERE annotator_id = @id`, args)
		if err == nil && tag.RowsAffected() == 0 {
			return tandem.Errorf(tandem.NotFound, op, "there is no annotator %q, or they were erased before", id)
		}
		if err != nil {
			return err
		}
		for _, sql := range []string{
			`UPDATE annotators SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE id = @id`,
			endSessions, endInvitations,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "annotator.erase", Subject: id})
	})
}
