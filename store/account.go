package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// A token is 32 random bytes, too many to guess, so a fast hash of it is enough to keep.
func newToken() (token string, hash []byte) {
	bytes := make([]byte, 32)
	_, _ = rand.Read(bytes) // never fails
	token = base64.RawURLEncoding.EncodeToString(bytes)
	return token, hashToken(token)
}

func hashToken(token string) []byte {
	hash := sha256.Sum256([]byte(token))
	return hash[:]
}

// InvitationKind says what a link is for.
type InvitationKind string

const (
	InviteJoin  InvitationKind = "join"  // a new person sets their first password
	InviteReset InvitationKind = "reset" // a person sets another one
)

// Invitation is a link that lets a person set their password, once.
type Invitation struct {
	ID        string
	Kind      InvitationKind
	Person    Annotator
	ExpiresAt time.Time
}

// Invite makes a link for a person and returns its token, which is kept nowhere: only its hash is. An
// earlier link of theirs that was not used ends. Who has no password joins, others reset it. It is
// audited in the same transaction. Errors: NotFound for no such person, Conflict for who is disabled or has no address
// to sign in with.
func (s *Store) Invite(ctx context.Context, annotator, by string, lasts time.Duration) (invitation Invitation, token string, err error) {
	const op = "store.Invite"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return Invitation{}, "", err
	}
	token, hash := newToken()
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		who, err := one(ctx, tx, op, "annotator "+annotator, selectAnnotator+` WHERE a.id = @id FOR UPDATE OF a`,
			pgx.NamedArgs{"id": person}, pgx.RowToStructByPos[Annotator])
		if err != nil {
			return err
		}
		if who.Disabled || who.Email == "" {
			return tandem.Errorf(tandem.Conflict, op, "%s is disabled or has no e-mail address to sign in with", annotator)
		}
		args := pgx.NamedArgs{"id": person, "hash": hash, "by": by, "lasts": lasts}
		if _, err := tx.Exec(ctx, `
			UPDATE invitations SET revoked_at = clock_timestamp() WHERE annotator_id = @id AND used_at IS NULL AND revoked_at IS NULL`, args); err != nil {
			return err
		}
		invitation = Invitation{Person: who}
		if err := tx.QueryRow(ctx, `
			INSERT INTO invitations (annotator_id, kind, token_hash, created_by, expires_at)
			SELECT @id, CASE WHEN EXISTS (SELECT FROM passwords WHERE annotator_id = @id) THEN 'reset' ELSE 'join' END,
			       @hash, @by, clock_timestamp() + @lasts
			RETURNING id::text, kind, expires_at`, args).Scan(&invitation.ID, &invitation.Kind, &invitation.ExpiresAt); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "annotator.invite", Subject: who.ID})
	})
	return invitation, token, err
}

// goodInvitation finds the link i that a token is of, as long as it can be used.
const goodInvitation = `
	FROM invitations i JOIN annotators a ON a.id = i.annotator_id
	WHERE i.token_hash = @hash AND i.used_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp() AND a.disabled_at IS NULL`

// Invitation finds the link that a token is of. Errors: NotFound when there is none, or it was used, has
// expired or was taken back; which of these is not said.
func (s *Store) Invitation(ctx context.Context, token string) (Invitation, error) {
	const op = "store.Invitation"
	type row struct {
		ID        string
		Kind      InvitationKind
		ExpiresAt time.Time
		Person    string
	}
	found, err := one(ctx, s.db, op, "such invitation, or it was used or has expired",
		`SELECT i.id::text, i.kind, i.expires_at, i.annotator_id::text `+goodInvitation, pgx.NamedArgs{"hash": hashToken(token)}, pgx.RowToStructByPos[row])
	if err != nil {
		return Invitation{}, err
	}
	person, err := s.Annotator(ctx, found.Person)
	return Invitation{found.ID, found.Kind, person, found.ExpiresAt}, err
}

// AcceptInvitation uses a link: the person has the password whose PHC string is given, and whoever was
// signed in as them is out. A time zone is kept where it is not empty. Errors: NotFound as Invitation, Invalid for an unknown time zone.
func (s *Store) AcceptInvitation(ctx context.Context, token, phc, timeZone string) (annotator string, err error) {
	const op = "store.AcceptInvitation"
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"hash": hashToken(token), "phc": phc, "zone": timeZone}
		// The person's row comes first, as wherever somebody's account changes: nobody waits in a circle.
		if _, err := tx.Exec(ctx, `
			SELECT FROM annotators WHERE id = (SELECT annotator_id FROM invitations WHERE token_hash = @hash) FOR NO KEY UPDATE`, args); err != nil {
			return err
		}
		annotator, err = one(ctx, tx, op, "such invitation, or it was used or has expired",
			`SELECT i.annotator_id::text `+goodInvitation+` FOR UPDATE OF i`, args, pgx.RowTo[string])
		if err != nil {
			return err
		}
		args["id"] = annotator
		for _, sql := range []string{
			`UPDATE invitations SET used_at = clock_timestamp() WHERE token_hash = @hash`,
			`INSERT INTO passwords (annotator_id, phc) VALUES (@id, @phc)
			 ON CONFLICT (annotator_id) DO UPDATE SET phc = excluded.phc, changed_at = clock_timestamp()`,
			`UPDATE sessions SET ended_at = clock_timestamp() WHERE annotator_id = @id AND ended_at IS NULL`,
			`UPDATE annotators SET time_zone = coalesce(nullif(@zone, ''), time_zone) WHERE id = @id`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return audit(ctx, tx, AuditEntry{Actor: annotator, Action: "annotator.password", Subject: annotator})
	})
	return annotator, err
}

// Lockout: after so many failures in a row an address is refused for a while, twice as long each time.
const (
	lockAfter   = 5
	firstLock   = 30 * time.Second
	longestLock = time.Hour
	// forgetFailures is after how long without a try an address starts anew.
	forgetFailures = 24 * time.Hour
)

// addressHash is what failures are counted by: addresses that identities takes for the same share it.
const addressHash = `sha256(convert_to(lower(@email), 'UTF8'))`

// Password finds who signs in with an e-mail address, and their password's PHC string; both are empty
// where nobody does. It counts as a try that fails, whether anybody has the address or not; StartSession takes that
// back. So it is one statement: of tries side by side each is counted, and none is made once the lock is shut.
// Errors: LockedError while the address is locked.
func (s *Store) Password(ctx context.Context, email string) (annotator, phc string, err error) {
	const op = "store.Password"
	args := pgx.NamedArgs{"email": strings.TrimSpace(email), "forget": forgetFailures, "after": lockAfter, "first": firstLock, "longest": longestLock}
	tried := false
	err = s.db.QueryRow(ctx, `
		WITH tried AS (
			INSERT INTO sign_in_failures AS f (address_hash, failures) VALUES (`+addressHash+`, 1)
			ON CONFLICT (address_hash) DO UPDATE SET
				failures = CASE WHEN f.failed_at < clock_timestamp() - @forget::interval THEN 1 ELSE f.failures + 1 END,
				failed_at = clock_timestamp(),
				locked_until = CASE WHEN f.failed_at >= clock_timestamp() - @forget::interval AND f.failures + 1 >= @after
					THEN clock_timestamp() + least(@longest::interval, @first::interval * power(2, least(f.failures + 1 - @after, 20))) END
			WHERE f.locked_until IS NULL OR f.locked_until <= clock_timestamp()
			RETURNING true AS yes)
		SELECT EXISTS (SELECT FROM tried), coalesce(a.id::text, ''), coalesce(p.phc, '')
		FROM (SELECT) AS once
		LEFT JOIN (identities i JOIN annotators a ON a.id = i.annotator_id JOIN passwords p ON p.annotator_id = a.id)
			ON lower(i.email) = lower(@email) AND a.disabled_at IS NULL`, args).Scan(&tried, &annotator, &phc)
	if err != nil {
		return "", "", fail(op, err)
	}
	if tried {
		return annotator, phc, nil
	}
	var until time.Time
	err = s.db.QueryRow(ctx, `
		SELECT coalesce(max(locked_until), clock_timestamp()) FROM sign_in_failures WHERE address_hash = `+addressHash, args).Scan(&until)
	if err != nil {
		return "", "", fail(op, err)
	}
	return "", "", &LockedError{until}
}

// LockedError says that too many sign-ins failed, and until when there is no point in trying.
type LockedError struct{ Until time.Time }

func (e *LockedError) Error() string {
	return "too many sign-ins failed; try again after " + e.Until.UTC().Format(time.RFC3339)
}

// Sessions end after so long without a request, and after so long whatever happens.
const (
	sessionIdle     = 12 * time.Hour
	sessionLifetime = 7 * 24 * time.Hour
	// sessionTouch is how old the last request may look: not every one is worth a write.
	sessionTouch = time.Minute
)

// StartSession signs a person in and returns the session's token. Failures counted for their address are
// forgotten, and an earlier session that the same browser had, by its token, ends.
func (s *Store) StartSession(ctx context.Context, annotator, earlier string) (token string, expires time.Time, err error) {
	return s.startSession(ctx, "store.StartSession", annotator, "", earlier)
}

// SignIn is StartSession for who has shown the password with a PHC string. Errors: Unauthorized when theirs is
// another by now: who changes a password ends the sessions that are open, and this would be one more.
func (s *Store) SignIn(ctx context.Context, annotator, phc, earlier string) (token string, expires time.Time, err error) {
	return s.startSession(ctx, "store.SignIn", annotator, phc, earlier)
}

func (s *Store) startSession(ctx context.Context, op, annotator, phc, earlier string) (token string, expires time.Time, err error) {
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return "", time.Time{}, err
	}
	token, hash := newToken()
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"id": person, "hash": hash, "phc": phc, "earlier": hashToken(earlier), "lifetime": sessionLifetime, "forget": forgetFailures}
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		if phc != "" {
			same, err := one(ctx, tx, op, "password", `SELECT phc = @phc FROM passwords WHERE annotator_id = @id FOR SHARE`, args, pgx.RowTo[bool])
			if code := tandem.CodeOf(err); err == nil && !same || err != nil && code == tandem.NotFound {
				return tandem.Errorf(tandem.Unauthorized, op, "the password was changed in the meantime")
			}
			if err != nil {
				return err
			}
		}
		email := ""
		if err := tx.QueryRow(ctx, `SELECT coalesce(email, '') FROM identities WHERE annotator_id = @id`, args).Scan(&email); err != nil {
			return err
		}
		args["email"] = email
		for _, sql := range []string{
			`UPDATE sessions SET ended_at = clock_timestamp() WHERE token_hash = @earlier AND ended_at IS NULL`,
			`DELETE FROM sign_in_failures WHERE address_hash = ` + addressHash,
			// Guessers leave a row for each address that they try.
			`DELETE FROM sign_in_failures WHERE address_hash IN (
				SELECT address_hash FROM sign_in_failures WHERE failed_at < clock_timestamp() - @forget::interval LIMIT 100 FOR UPDATE SKIP LOCKED)`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `
			INSERT INTO sessions (token_hash, annotator_id, expires_at) VALUES (@hash, @id, clock_timestamp() + @lifetime)
			RETURNING expires_at`, args).Scan(&expires)
	})
	return token, expires, err
}

// Session finds who a session's token is of. Errors: Unauthorized when there is no such session, it
// ended, or its person is disabled or erased.
func (s *Store) Session(ctx context.Context, token string) (Annotator, error) {
	const op = "store.Session"
	args := pgx.NamedArgs{"hash": hashToken(token), "idle": sessionIdle, "touch": sessionTouch}
	type row struct {
		Annotator
		Stale bool
	}
	found, err := one(ctx, s.db, op, "session", `
		SELECT `+annotatorColumns+`, s.seen_at < clock_timestamp() - @touch::interval
		FROM sessions s JOIN annotators a ON a.id = s.annotator_id JOIN identities i ON i.annotator_id = a.id
		WHERE s.token_hash = @hash AND s.ended_at IS NULL AND a.disabled_at IS NULL
		  AND s.expires_at > clock_timestamp() AND s.seen_at > clock_timestamp() - @idle::interval`, args, pgx.RowToStructByPos[row])
	if tandem.CodeOf(err) == tandem.NotFound {
		return Annotator{}, tandem.Errorf(tandem.Unauthorized, op, "you are not signed in")
	}
	if err == nil && found.Stale {
		_, err = s.db.Exec(ctx, `UPDATE sessions SET seen_at = clock_timestamp() WHERE token_hash = @hash`, args)
	}
	return found.Annotator, fail(op, err)
}

// EndSession signs out. A token that is of no session is no error.
func (s *Store) EndSession(ctx context.Context, token string) error {
	_, err := s.db.Exec(ctx, `UPDATE sessions SET ended_at = clock_timestamp() WHERE token_hash = @hash AND ended_at IS NULL`,
		pgx.NamedArgs{"hash": hashToken(token)})
	return fail("store.EndSession", err)
}
