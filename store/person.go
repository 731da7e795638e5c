package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Person is somebody with what an admin wants to know of them beside who they are.
type Person struct {
	Annotator
	Joined       bool      // they have a password
	InvitedUntil time.Time // until when their link is good; zero without one
	SignedIn     int       // sessions that are open
	SeenAt       time.Time // of their last request in an open session; zero without one
}

// selectPerson shows sessions as Session lets them in.
const selectPerson = `
	SELECT ` + annotatorColumns + `,
	       EXISTS (SELECT FROM passwords w WHERE w.annotator_id = a.id),
	       coalesce((SELECT n.expires_at FROM invitations n WHERE n.annotator_id = a.id AND n.used_at IS NULL AND n.revoked_at IS NULL
	                 AND n.expires_at > clock_timestamp() AND a.disabled_at IS NULL), 'epoch'),
	       o.open, coalesce(o.seen, 'epoch')
	FROM annotators a LEFT JOIN identities i ON i.annotator_id = a.id
	CROSS JOIN LATERAL (
		SELECT count(*) AS open, max(s.seen_at) AS seen FROM sessions s
		WHERE s.annotator_id = a.id AND s.ended_at IS NULL AND a.disabled_at IS NULL
		  AND s.expires_at > clock_timestamp() AND s.seen_at > clock_timestamp() - @idle::interval
	) o`

func scanPerson(row pgx.CollectableRow) (Person, error) {
	p, err := pgx.RowToStructByPos[Person](row)
	for _, t := range []*time.Time{&p.InvitedUntil, &p.SeenAt} {
		if t.Unix() == 0 {
			*t = time.Time{}
		}
	}
	return p, err
}

// Person finds somebody by their pseudonym.
func (s *Store) Person(ctx context.Context, id string) (Person, error) {
	const op = "store.Person"
	person, err := parseAnnotator(op, id)
	if err != nil {
		return Person{}, err
	}
	return one(ctx, s.db, op, "annotator "+id, selectPerson+` WHERE a.id = @id`,
		pgx.NamedArgs{"id": person, "idle": sessionIdle}, scanPerson)
}

// People lists everyone, the last to come first.
func (s *Store) People(ctx context.Context, page Page) ([]Person, error) {
	const op = "store.People"
	args := pgx.NamedArgs{"idle": sessionIdle, "limit": page.limit(), "after": nil}
	if page.After != "" {
		after, err := parseAnnotator(op, page.After)
		if err != nil {
			return nil, err
		}
		args["after"] = after
	}
	return all(ctx, s.db, op, selectPerson+`
		WHERE @after::uuid IS NULL OR (a.created_at, a.id) < (SELECT created_at, id FROM annotators WHERE id = @after)
		ORDER BY a.created_at DESC, a.id DESC LIMIT @limit`, args, scanPerson)
}

// Welcome adds a person and makes the link by which they join, in one transaction, which is audited. Errors: as
// AddAnnotator's and Invite's.
func (s *Store) Welcome(ctx context.Context, a Annotator, by string, lasts time.Duration) (invitation Invitation, token string, err error) {
	err = s.Together(ctx, func(ctx context.Context) error {
		added, err := s.AddAnnotator(ctx, a)
		if err != nil {
			return err
		}
		if err := s.AddAudit(ctx, AuditEntry{Actor: by, Action: "annotator.add", Subject: added.ID}); err != nil {
			return err
		}
		invitation, token, err = s.Invite(ctx, added.ID, by, lasts)
		return err
	})
	return invitation, token, err
}

// WelcomeFirst makes a link by which the first admin joins, as long as nobody came in: the admin is added
// where nobody is there at all, and given another link where this same caller had made them.
// Token is empty where there is nothing to do.
func (s *Store) WelcomeFirst(ctx context.Context, admin Annotator, by string, lasts time.Duration) (invitation Invitation, token string, err error) {
	const op = "store.WelcomeFirst"
	admin.Role = RoleAdmin
	err = s.Together(ctx, func(ctx context.Context) error {
		invitation, token = Invitation{}, ""
		if _, err := s.db.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tandem admins'))`); err != nil {
			return err
		}
		type state struct {
			People int
			First  string // whom this caller invited, and who is not in yet
		}
		is, err := one(ctx, s.db, op, "state", `
			SELECT count(*), coalesce(min(a.id::text) FILTER (WHERE EXISTS (
				SELECT FROM invitations n WHERE n.annotator_id = a.id AND n.created_by = @by)
				AND a.role = 'admin' AND i.email IS NOT NULL AND NOT EXISTS (SELECT FROM passwords p WHERE p.annotator_id = a.id)), '')
			FROM annotators a JOIN identities i ON i.annotator_id = a.id
			WHERE NOT a.simulated AND a.disabled_at IS NULL`, pgx.NamedArgs{"by": by}, pgx.RowToStructByPos[state])
		switch {
		case err != nil:
			return err
		case is.People == 0:
			invitation, token, err = s.Welcome(ctx, admin, by, lasts)
		case is.People == 1 && is.First != "":
			invitation, token, err = s.Invite(ctx, is.First, by, lasts)
		}
		return err
	})
	return invitation, token, err
}

// OpenSession is one of a person's sessions.
type OpenSession struct {
	StartedAt, SeenAt, ExpiresAt time.Time
	Current                      bool // it is the one that asks
}

// Sessions lists a person's open sessions, the last one used first. Token is of the session that asks.
func (s *Store) Sessions(ctx context.Context, annotator, token string) ([]OpenSession, error) {
	const op = "store.Sessions"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, `
		SELECT created_at, seen_at, expires_at, token_hash = @hash FROM sessions
		WHERE annotator_id = @id AND ended_at IS NULL AND expires_at > clock_timestamp() AND seen_at > clock_timestamp() - @idle::interval
		ORDER BY seen_at DESC, created_at DESC`,
		pgx.NamedArgs{"id": person, "hash": hashToken(token), "idle": sessionIdle}, pgx.RowToStructByPos[OpenSession])
}

// EndSessions signs a person out everywhere. It is audited in the same transaction.
func (s *Store) EndSessions(ctx context.Context, annotator, by string) error {
	const op = "store.EndSessions"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, endSessions, pgx.NamedArgs{"id": person}); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "annotator.signout", Subject: annotator})
	})
}

// SetPassword gives a person the password whose PHC string it is, and signs them out everywhere. It is audited in
// the same transaction. Errors: NotFound for who is not there or erased.
func (s *Store) SetPassword(ctx context.Context, annotator, phc string) error {
	const op = "store.SetPassword"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"id": person, "phc": phc}
		tag, err := tx.Exec(ctx, `UPDATE passwords SET phc = @phc, changed_at = clock_timestamp() WHERE annotator_id = @id`, args)
		if err == nil && tag.RowsAffected() == 0 {
			return tandem.Errorf(tandem.NotFound, op, "annotator %s has no password to change", annotator)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, endSessions, args); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: annotator, Action: "annotator.password", Subject: annotator})
	})
}

// How long links are good.
const (
	JoinLasts  = 7 * 24 * time.Hour
	ResetLasts = 24 * time.Hour
)

// Names are the names of people by their pseudonyms; who is erased or unknown has none.
func (s *Store) Names(ctx context.Context, ids []string) (map[string]string, error) {
	type row struct{ ID, Name string }
	rows, err := all(ctx, s.db, "store.Names", `SELECT annotator_id::text, name FROM identities WHERE annotator_id::text = ANY (@ids)`,
		pgx.NamedArgs{"ids": ids}, pgx.RowToStructByPos[row])
	names := make(map[string]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, err
}

// FindAnnotator finds a person by their pseudonym or their e-mail address.
func (s *Store) FindAnnotator(ctx context.Context, who string) (Annotator, error) {
	return one(ctx, s.db, "store.FindAnnotator", "person "+who, selectAnnotator+` WHERE a.id::text = @who OR lower(i.email) = lower(@who)`,
		pgx.NamedArgs{"who": who}, pgx.RowToStructByPos[Annotator])
}
