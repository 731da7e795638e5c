package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

const somePHC = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"

func invited(t *testing.T, s *store.Store, email string) (store.Annotator, string) {
	t.Helper()
	person := must(s.AddAnnotator(t.Context(), store.Annotator{Name: "Ada", Email: email}))(t)
	_, token, err := s.Invite(t.Context(), person.ID, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return person, token
}

func TestInvitationIsUsedOnce(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	ctx := t.Context()
	person, token := invited(t, s, "ada@example.org")
	found := must(s.Invitation(ctx, token))(t)
	if found.Kind != store.InviteJoin || found.Person.ID != person.ID || time.Until(found.ExpiresAt) > time.Hour {
		t.Errorf("invitation %+v", found)
	}
	if got := must(s.AcceptInvitation(ctx, token, somePHC, "Europe/Zurich"))(t); got != person.ID {
		t.Errorf("it let %s in, not %s", got, person.ID)
	}
	if a := must(s.Annotator(ctx, person.ID))(t); a.TimeZone != "Europe/Zurich" {
		t.Errorf("time zone %q", a.TimeZone)
	}
	_, err := s.AcceptInvitation(ctx, token, somePHC, "")
	wantCode(t, "a second use", err, tandem.NotFound)
	_, err = s.Invitation(ctx, "nonsense")
	wantCode(t, "a token that nobody has", err, tandem.NotFound)

	reset, second, err := s.Invite(ctx, person.ID, "test", time.Hour)
	if err != nil || reset.Kind != store.InviteReset {
		t.Errorf("a second link: %+v, %v", reset, err)
	}
	_, third, err := s.Invite(ctx, person.ID, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `UPDATE invitations SET created_at = created_at - interval '2 hours', expires_at = expires_at - interval '2 hours'`); err != nil {
		t.Fatal(err)
	}
	_, err = s.Invitation(ctx, second)
	wantCode(t, "a link that a newer one replaced", err, tandem.NotFound)
	_, err = s.Invitation(ctx, third)
	wantCode(t, "a link that has expired", err, tandem.NotFound)

	_, token, err = s.Invite(ctx, person.ID, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.AcceptInvitation(ctx, token, somePHC, "Nowhere/Never")
	wantCode(t, "a time zone that is none", err, tandem.Invalid)
	if _, err := s.Invitation(ctx, token); err != nil {
		t.Errorf("the link was used up: %v", err)
	}

	nobody := must(s.AddAnnotator(ctx, store.Annotator{Name: "No address"}))(t)
	_, _, err = s.Invite(ctx, nobody.ID, "test", time.Hour)
	wantCode(t, "who has no address", err, tandem.Conflict)
}

func TestSessions(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	ctx := t.Context()
	person, token := invited(t, s, "ada@example.org")
	must(s.AcceptInvitation(ctx, token, somePHC, ""))(t)
	start := func(earlier string) string {
		t.Helper()
		session, _, err := s.StartSession(ctx, person.ID, earlier)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	gone := func(what, session string) {
		t.Helper()
		_, err := s.Session(ctx, session)
		wantCode(t, what, err, tandem.Unauthorized)
	}
	first := start("")
	if a := must(s.Session(ctx, first))(t); a.ID != person.ID || a.Name != "Ada" {
		t.Errorf("session of %+v", a)
	}
	second := start(first)
	gone("the session before signing in anew", first)
	if err := s.EndSession(ctx, second); err != nil {
		t.Fatal(err)
	}
	gone("a session that was signed out", second)

	idle := start("")
	if _, err := owner.Exec(ctx, `UPDATE sessions SET seen_at = clock_timestamp() - interval '13 hours' WHERE ended_at IS NULL`); err != nil {
		t.Fatal(err)
	}
	gone("an idle session", idle)
	old := start("")
	if _, err := owner.Exec(ctx, `UPDATE sessions SET created_at = clock_timestamp() - interval '8 days', expires_at = clock_timestamp() - interval '1 second' WHERE ended_at IS NULL`); err != nil {
		t.Fatal(err)
	}
	gone("a session past its lifetime", old)

	seen := start("")
	if _, err := owner.Exec(ctx, `UPDATE sessions SET seen_at = clock_timestamp() - interval '5 minutes' WHERE ended_at IS NULL`); err != nil {
		t.Fatal(err)
	}
	must(s.Session(ctx, seen))(t)
	var fresh bool
	if err := owner.QueryRow(ctx, `SELECT bool_or(seen_at > clock_timestamp() - interval '1 minute') FROM sessions`).Scan(&fresh); err != nil || !fresh {
		t.Errorf("a request does not keep its session: %v, %v", fresh, err)
	}

	_, another, err := s.Invite(ctx, person.ID, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	must(s.AcceptInvitation(ctx, another, somePHC, ""))(t)
	gone("a session from before the password changed", seen)
	last := start("")
	if err := s.DisableAnnotator(ctx, person.ID, "test"); err != nil {
		t.Fatal(err)
	}
	gone("a disabled person's session", last)
	// Whoever disabled them, and whatever became of their sessions.
	if _, err := owner.Exec(ctx, `UPDATE sessions SET ended_at = NULL`); err != nil {
		t.Fatal(err)
	}
	gone("a disabled person's open session", last)
}

// Ten use one link at once, each with a password of their own: one is in.
func TestLinkUsedAtOnce(t *testing.T) {
	const times = 10
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL+"&pool_max_conns=10")
	person, token := invited(t, s, "ada@example.org")
	used := make(chan error, times)
	start := make(chan struct{})
	for i := range times {
		go func() {
			<-start
			_, err := s.AcceptInvitation(t.Context(), token, fmt.Sprint(somePHC, i), "")
			used <- err
		}()
	}
	close(start)
	in := 0
	for range times {
		if err := <-used; err == nil {
			in++
		} else {
			wantCode(t, "a link that another was quicker with", err, tandem.NotFound)
		}
	}
	if entries := must(s.Audit(t.Context(), person.ID))(t); in != 1 || entries[0].Action != "annotator.password" || len(entries) != 2 {
		t.Errorf("%d came in; audit %+v", in, entries)
	}
}

// Each lock is twice as long as the one before, up to an hour.
func TestLocksGrow(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	ctx := t.Context()
	for try := range 14 {
		if _, _, err := s.Password(ctx, "ada@example.org"); err != nil {
			t.Fatalf("try %d: %v", try+1, err)
		}
		var locked, want time.Duration
		if err := owner.QueryRow(ctx, `SELECT coalesce(locked_until - failed_at, '0') FROM sign_in_failures`).Scan(&locked); err != nil {
			t.Fatal(err)
		}
		if try >= 4 {
			want = min(30*time.Second<<(try-4), time.Hour)
		}
		if locked.Round(time.Second) != want {
			t.Errorf("after %d failures it is locked for %v, want %v", try+1, locked, want)
		}
		if _, err := owner.Exec(ctx, `UPDATE sign_in_failures SET locked_until = clock_timestamp() - interval '1 second' WHERE locked_until IS NOT NULL`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLockout(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	ctx := t.Context()
	person, token := invited(t, s, "Ada@Example.org")
	must(s.AcceptInvitation(ctx, token, somePHC, ""))(t)
	for _, email := range []string{"ada@example.org", "nobody@example.org"} {
		for range 5 {
			if _, _, err := s.Password(ctx, email); err != nil {
				t.Fatalf("%s is locked too early: %v", email, err)
			}
		}
		_, _, err := s.Password(ctx, strings.ToUpper(email))
		var locked *store.LockedError
		if !errors.As(err, &locked) || time.Until(locked.Until) > time.Minute {
			t.Errorf("%s after five failures: %v", email, err)
		}
	}
	if _, err := owner.Exec(ctx, `UPDATE sign_in_failures SET locked_until = clock_timestamp() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	annotator, phc, err := s.Password(ctx, "ada@example.ORG")
	if err != nil || annotator != person.ID || phc != somePHC {
		t.Errorf("after the lock: %s, %s, %v", annotator, phc, err)
	}
	if _, _, err := s.StartSession(ctx, person.ID, ""); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := owner.QueryRow(ctx, `SELECT count(*) FROM sign_in_failures`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d addresses have failures after one signed in, %v", left, err)
	}
	if annotator, phc, err := s.Password(ctx, "who@example.org"); annotator != "" || phc != "" || err != nil {
		t.Errorf("an address that nobody has: %q, %q, %v", annotator, phc, err)
	}
	if _, err := owner.Exec(ctx, `UPDATE sign_in_failures SET failed_at = clock_timestamp() - interval '25 hours'`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.StartSession(ctx, person.ID, ""); err != nil {
		t.Fatal(err)
	}
	if err := owner.QueryRow(ctx, `SELECT count(*) FROM sign_in_failures`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d addresses have failures a day later, %v", left, err)
	}
}

// Guesses side by side are all counted before any hash is made: forty of them are five tries, and when the lock
// opens one more.
func TestGuessesSideBySide(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	_, token := invited(t, s, "ada@example.org")
	must(s.AcceptInvitation(t.Context(), token, somePHC, ""))(t)
	guess := func() (made int) {
		results := make(chan error, 40)
		for range cap(results) {
			go func() {
				_, _, err := s.Password(t.Context(), "ada@example.org")
				results <- err
			}()
		}
		for range cap(results) {
			var locked *store.LockedError
			switch err := <-results; {
			case err == nil:
				made++
			case !errors.As(err, &locked):
				t.Error(err)
			}
		}
		return made
	}
	if made := guess(); made != 5 {
		t.Errorf("%d tries were made before the lock", made)
	}
	for range 2 {
		if _, err := owner.Exec(t.Context(), `UPDATE sign_in_failures SET locked_until = clock_timestamp() - interval '1 second'`); err != nil {
			t.Fatal(err)
		}
		if made := guess(); made != 1 {
			t.Errorf("%d tries were made after a lock", made)
		}
	}
}

// Addresses that the table of identities takes for the same share a lock, also where Go folds letters otherwise.
func TestLockoutFoldsAddressesAsIdentitiesDo(t *testing.T) {
	s := postgres.Store(t)
	_, token := invited(t, s, "kÄte@example.org")
	must(s.AcceptInvitation(t.Context(), token, somePHC, ""))(t)
	tries := 0
	for _, email := range []string{"KÄTE@example.org", "käte@EXAMPLE.org", " kÄte@example.org ", "Käte@example.org", "kätE@example.org", "käTe@example.org"} {
		if annotator, _, err := s.Password(t.Context(), email); err == nil && annotator != "" {
			tries++
		}
	}
	if tries != 5 {
		t.Errorf("six spellings of an address allow %d tries", tries)
	}
}

// Who signs in with a password that is changed before the session begins is not in.
func TestSignInWithAPasswordThatWasChanged(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	person, token := invited(t, s, "ada@example.org")
	must(s.AcceptInvitation(ctx, token, somePHC, ""))(t)
	if _, _, err := s.SignIn(ctx, person.ID, somePHC, ""); err != nil {
		t.Fatal(err)
	}
	_, another, err := s.Invite(ctx, person.ID, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	must(s.AcceptInvitation(ctx, another, somePHC+"B", ""))(t)
	_, _, err = s.SignIn(ctx, person.ID, somePHC, "")
	wantCode(t, "the old password", err, tandem.Unauthorized)
	if _, _, err := s.SignIn(ctx, person.ID, somePHC+"B", ""); err != nil {
		t.Error(err)
	}
}

func TestErasingTakesThePasswordAlong(t *testing.T) {
	s := postgres.Store(t)
	person, token := invited(t, s, "ada@example.org")
	must(s.AcceptInvitation(t.Context(), token, somePHC, ""))(t)
	session, _, err := s.StartSession(t.Context(), person.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EraseAnnotator(t.Context(), person.ID, "test"); err != nil {
		t.Fatal(err)
	}
	if annotator, _, err := s.Password(t.Context(), "ada@example.org"); annotator != "" || err != nil {
		t.Errorf("an erased person signs in: %q, %v", annotator, err)
	}
	_, err = s.Session(t.Context(), session)
	wantCode(t, "an erased person's session", err, tandem.Unauthorized)
}
