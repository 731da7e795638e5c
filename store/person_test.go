package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// joined makes a person of a role who has a password.
func joined(t *testing.T, s *store.Store, email string, role store.AnnotatorRole) store.Annotator {
	t.Helper()
	invitation, token, err := s.Welcome(t.Context(), store.Annotator{Name: "Somebody", Email: email, Role: role}, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	must(s.AcceptInvitation(t.Context(), token, somePHC, ""))(t)
	return invitation.Person
}

func actions(t *testing.T, s *store.Store, subject string) string {
	t.Helper()
	var said []string
	for _, entry := range must(s.Audit(t.Context(), subject))(t) {
		said = append(said, strings.TrimPrefix(entry.Action, "annotator."))
	}
	return strings.Join(said, " ")
}

func TestPeople(t *testing.T) {
	s, ctx := postgres.Store(t), t.Context()
	ada := joined(t, s, "ada@example.org", store.RoleAdmin)
	invitation, _, err := s.Welcome(ctx, store.Annotator{Name: " Bob ", Email: "bob@example.org", TimeZone: "Asia/Tokyo"}, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.StartSession(ctx, ada.ID, ""); err != nil {
		t.Fatal(err)
	}
	first := must(s.People(ctx, store.Page{Limit: 1}))(t)
	rest := must(s.People(ctx, store.Page{After: first[0].ID, Limit: 5}))(t)
	if len(first) != 1 || len(rest) != 1 || first[0].Name != "Bob" || rest[0].ID != ada.ID {
		t.Fatalf("pages %+v and %+v", first, rest)
	}
	if b := first[0]; b.Joined || !b.InvitedUntil.Equal(invitation.ExpiresAt) || b.SignedIn != 0 || !b.SeenAt.IsZero() || b.TimeZone != "Asia/Tokyo" {
		t.Errorf("who is invited: %+v", b)
	}
	if a := rest[0]; !a.Joined || !a.InvitedUntil.IsZero() || a.SignedIn != 1 || time.Since(a.SeenAt) > time.Minute {
		t.Errorf("who is signed in: %+v", a)
	}
	if got := actions(t, s, first[0].ID); got != "invite add" {
		t.Errorf("inviting is audited as %q", got)
	}
	for name, a := range map[string]store.Annotator{
		"no name":      {Name: " "},
		"no address":   {Name: "a", Email: "example.org"},
		"no such zone": {Name: "a", TimeZone: "Mars/Olympus"},
		"no such role": {Name: "a", Role: "king"},
	} {
		_, err := s.AddAnnotator(ctx, a)
		wantCode(t, name, err, tandem.Invalid)
	}
	_, _, err = s.Welcome(ctx, store.Annotator{Name: "Eve", Email: "BOB@example.org"}, "test", time.Hour)
	wantCode(t, "an address that somebody has", err, tandem.Conflict)
	if all := must(s.People(ctx, store.Page{}))(t); len(all) != 2 {
		t.Errorf("who could not be invited was added: %d people", len(all))
	}
}

func TestChangeAnnotator(t *testing.T) {
	db := postgres.Database(t)
	s, ctx := pgtest.OpenStore(t, db.URL), t.Context()
	ada := joined(t, s, "ada@example.org", store.RoleAdmin)
	bob := joined(t, s, "bob@example.org", store.RoleAnnotator)
	change := func(id string, c store.AnnotatorChange) error {
		_, err := s.ChangeAnnotator(ctx, id, c, ada.ID)
		return err
	}
	// The last admin stays, whatever an admin who never joined may be.
	if _, _, err := s.Welcome(ctx, store.Annotator{Name: "New", Email: "new@example.org", Role: store.RoleAdmin}, "test", time.Hour); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "demoting the last admin", change(ada.ID, store.AnnotatorChange{Role: new(store.RoleEngineer)}), tandem.Conflict)
	wantCode(t, "disabling the last admin", s.DisableAnnotator(ctx, ada.ID, ada.ID), tandem.Conflict)
	wantCode(t, "erasing the last admin", s.EraseAnnotator(ctx, ada.ID, ada.ID), tandem.Conflict)
	if a := must(s.Annotator(ctx, ada.ID))(t); a.Role != store.RoleAdmin || a.Disabled || a.Name == "" {
		t.Errorf("the last admin became %+v", a)
	}

	token, _, err := s.StartSession(ctx, bob.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []store.AnnotatorChange{
		{Role: new(store.RoleAdmin)}, {Role: new(store.RoleAdmin)}, {Name: new("Robert"), TimeZone: new("Europe/Paris")}, {Disabled: new(true)},
	} {
		if err := change(bob.ID, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := change(bob.ID, store.AnnotatorChange{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Session(ctx, token)
	wantCode(t, "the session of who was disabled, and is not any more", err, tandem.Unauthorized)
	if b := must(s.Annotator(ctx, bob.ID))(t); b.Role != store.RoleAdmin || b.Name != "Robert" || b.TimeZone != "Europe/Paris" || b.Email != "bob@example.org" || b.Disabled {
		t.Errorf("changed to %+v", b)
	}
	if got := actions(t, s, bob.ID); got != "enable disable edit role password invite add" {
		t.Errorf("changes are audited as %q", got)
	}
	wantCode(t, "an address that somebody has", change(bob.ID, store.AnnotatorChange{Email: new("Ada@example.org")}), tandem.Conflict)

	// Who has a time zone that only Postgres takes for one can be kept out.
	if _, err := connect(t, db.OwnerURL).Exec(ctx, `UPDATE annotators SET time_zone = 'GONE+3' WHERE id = $1`, bob.ID); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "another name for them", change(bob.ID, store.AnnotatorChange{Name: new("Bob")}), tandem.Invalid)
	for _, disabled := range []bool{true, false} {
		if err := change(bob.ID, store.AnnotatorChange{Disabled: &disabled}); err != nil {
			t.Error(err)
		}
	}
	if err := change(bob.ID, store.AnnotatorChange{TimeZone: new("UTC")}); err != nil {
		t.Fatal(err)
	}
}

// TestOneAdminStays: two admins take each other's rights away, and both have done it, but for the commit, as far as the
// other lets them before either is through. Exactly one succeeds, and the other stays an admin.
func TestOneAdminStays(t *testing.T) {
	db := postgres.Database(t)
	s, ctx := pgtest.OpenStore(t, db.URL), t.Context()
	owner, watch := connect(t, db.OwnerURL), connect(t, db.AdminURL)
	const held = 4711 // the lock that who commits waits for
	if _, err := owner.Exec(ctx, fmt.Sprintf(`
		CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(%d); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON annotators DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()`, held)); err != nil {
		t.Fatal(err)
	}
	disable := func(id string) error { return s.DisableAnnotator(ctx, id, "test") }
	erase := func(id string) error { return s.EraseAnnotator(ctx, id, "test") }
	demote := func(id string) error {
		_, err := s.ChangeAnnotator(ctx, id, store.AnnotatorChange{Role: new(store.RoleAnnotator)}, "test")
		return err
	}
	stays := joined(t, s, "first@example.org", store.RoleAdmin).ID
	for name, ways := range map[string][2]func(string) error{
		"disabled": {disable, disable}, "demoted": {demote, demote}, "erased": {erase, erase}, "disabled and erased": {disable, erase},
	} {
		admins := [2]string{stays, joined(t, s, strings.ReplaceAll(name, " ", "-")+"@example.org", store.RoleAdmin).ID}
		if _, err := owner.Exec(ctx, `SELECT pg_advisory_lock($1)`, held); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		var errs [2]error
		for i, way := range ways {
			wait.Go(func() { errs[i] = way(admins[i]) })
		}
		for waiting := 0; waiting < 2; time.Sleep(time.Millisecond) {
			if err := watch.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := owner.Exec(ctx, `SELECT pg_advisory_unlock($1)`, held); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
		refused := 0
		if errs[0] == nil {
			refused = 1
		}
		if stays = admins[refused]; errs[1-refused] != nil || tandem.CodeOf(errs[refused]) != tandem.Conflict {
			t.Fatalf("%s at once: %v and %v", name, errs[0], errs[1])
		}
		if a := must(s.Annotator(ctx, stays))(t); a.Role != store.RoleAdmin || a.Disabled || a.Email == "" {
			t.Errorf("%s: who stays is %+v", name, a)
		}
	}
}

func TestWelcomeFirst(t *testing.T) {
	s, ctx := postgres.Store(t), t.Context()
	if _, err := s.AddAnnotator(ctx, store.Annotator{Name: "a program", Simulated: true}); err != nil {
		t.Fatal(err)
	}
	welcome := func() string {
		t.Helper()
		_, token, err := s.WelcomeFirst(ctx, store.Annotator{Name: "Admin", Email: "admin@localhost"}, "serve", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first, second := welcome(), welcome()
	_, err := s.Invitation(ctx, first)
	wantCode(t, "the link of the start before", err, tandem.NotFound)
	if found := must(s.Invitation(ctx, second))(t); found.Person.Role != store.RoleAdmin {
		t.Errorf("it makes %+v", found.Person)
	}
	if people := must(s.People(ctx, store.Page{}))(t); len(people) != 2 {
		t.Errorf("two starts made %d people", len(people))
	}
	must(s.AcceptInvitation(ctx, second, somePHC, ""))(t)
	if welcome() != "" {
		t.Error("there is a link though an admin is in")
	}
}

func TestNobodyIsWelcomedWhereSomebodyIsInvited(t *testing.T) {
	s, ctx := postgres.Store(t), t.Context()
	if _, _, err := s.Welcome(ctx, store.Annotator{Name: "Ada", Email: "ada@example.org", Role: store.RoleAdmin}, "cli", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, token, err := s.WelcomeFirst(ctx, store.Annotator{Name: "Admin", Email: "admin@localhost"}, "serve", time.Hour); err != nil || token != "" {
		t.Errorf("a link %q, error %v", token, err)
	}
}

func TestOwnSessionsAndPassword(t *testing.T) {
	s, ctx := postgres.Store(t), t.Context()
	ada := joined(t, s, "ada@example.org", store.RoleAnnotator)
	var tokens []string
	for range 2 {
		token, _, err := s.StartSession(ctx, ada.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	if open := must(s.Sessions(ctx, ada.ID, tokens[0]))(t); len(open) != 2 || open[0].Current == open[1].Current {
		t.Errorf("sessions %+v", open)
	}
	if err := s.SetPassword(ctx, ada.ID, somePHC+"b"); err != nil {
		t.Fatal(err)
	}
	if open := must(s.Sessions(ctx, ada.ID, ""))(t); len(open) != 0 {
		t.Errorf("sessions after a new password: %+v", open)
	}
	if _, phc, err := s.Password(ctx, "ada@example.org"); phc != somePHC+"b" || err != nil {
		t.Errorf("password %q, %v", phc, err)
	}
	if _, _, err := s.StartSession(ctx, ada.ID, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.EndSessions(ctx, ada.ID, ada.ID); err != nil {
		t.Fatal(err)
	}
	if open := must(s.Sessions(ctx, ada.ID, ""))(t); len(open) != 0 {
		t.Errorf("sessions after signing out everywhere: %+v", open)
	}
}
