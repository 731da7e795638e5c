package store_test

import (
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

func TestKeys(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	ctx := t.Context()
	person := must(s.AddAnnotator(ctx, store.Annotator{Name: "Ada", Email: "ada@example.org"}))(t)
	key, secret, err := s.CreateKey(ctx, store.Key{Name: "simulated", Scopes: []store.Scope{store.ScopeAnnotate, store.ScopeRead}, Annotator: person.ID})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, "tandem_"+key.Prefix+"_") || len(secret) < 50 {
		t.Errorf("secret %q of %+v", secret, key)
	}
	found, err := s.VerifyKey(ctx, secret)
	if err != nil || found.ID != key.ID || found.Annotator != person.ID || !found.Has(store.ScopeRead) || found.Has(store.ScopeAdmin) {
		t.Errorf("verified %+v, %v", found, err)
	}
	// Nothing of the secret beyond its prefix is in the database.
	var kept string
	if err := connect(t, db.URL).QueryRow(ctx, `SELECT k::text FROM api_keys k`).Scan(&kept); err != nil || strings.Contains(kept, secret[len(secret)-8:]) {
		t.Errorf("kept %s, %v", kept, err)
	}
	for _, wrong := range []string{"", "tandem_", secret + "x", secret[:len(secret)-1], strings.ToUpper(secret), "Bearer " + secret, "tandem_" + key.Prefix + "_"} {
		_, err := s.VerifyKey(ctx, wrong)
		wantCode(t, "the secret "+wrong, err, tandem.Unauthorized)
	}

	_, expired, err := s.CreateKey(ctx, store.Key{Name: "old", Scopes: []store.Scope{store.ScopeScore}, ExpiresAt: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.VerifyKey(ctx, expired)
	wantCode(t, "an expired key", err, tandem.Unauthorized)
	if err := s.RevokeKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.VerifyKey(ctx, secret)
	wantCode(t, "a revoked key", err, tandem.Unauthorized)
	_, theirs, err := s.CreateKey(ctx, store.Key{Name: "theirs", Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: person.ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DisableAnnotator(ctx, person.ID, "cli"); err != nil {
		t.Fatal(err)
	}
	_, err = s.VerifyKey(ctx, theirs)
	wantCode(t, "the key of a disabled person", err, tandem.Unauthorized)

	_, _, err = s.CreateKey(ctx, store.Key{Name: "k"})
	wantCode(t, "a key without a scope", err, tandem.Invalid)
	_, _, err = s.CreateKey(ctx, store.Key{Name: "k", Scopes: []store.Scope{store.ScopeAnnotate}})
	wantCode(t, "a key that annotates as nobody", err, tandem.Invalid)
	_, _, err = s.CreateKey(ctx, store.Key{Name: "k", Scopes: []store.Scope{"everything"}})
	wantCode(t, "an unknown scope", err, tandem.Invalid)
	wantCode(t, "revoking no key", s.RevokeKey(ctx, "999"), tandem.NotFound)
	if keys := must(s.Keys(ctx))(t); len(keys) != 3 || keys[2].RevokedAt.IsZero() || keys[1].ExpiresAt.IsZero() {
		t.Errorf("keys %+v", keys)
	}
}

// Erasing a person removes who they are and nothing that they judged.
func TestEraseAnnotator(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	person := must(s.AddAnnotator(t.Context(), store.Annotator{Name: "Grace Hopper", Email: "grace@example.org"}))(t)
	_, err := s.AddAnnotator(t.Context(), store.Annotator{Name: "Another", Email: "GRACE@example.org"})
	wantCode(t, "an e-mail address twice", err, tandem.Conflict)
	j := w.submit(w.submission(w.claim(person.ID)))
	if err := s.EraseAnnotator(t.Context(), person.ID, "cli"); err != nil {
		t.Fatal(err)
	}
	erased := must(s.Annotator(t.Context(), person.ID))(t)
	if erased.Name != "" || erased.Email != "" || !erased.Disabled {
		t.Errorf("erased to %+v", erased)
	}
	for kept, err := range s.Judgments(t.Context(), store.JudgmentQuery{}) {
		if err != nil || kept.ID != j.ID || kept.Annotator != person.ID {
			t.Errorf("judgment %+v, %v", kept, err)
		}
	}
	wantCode(t, "erasing twice", s.EraseAnnotator(t.Context(), person.ID, "cli"), tandem.NotFound)
	if entries := must(s.Audit(t.Context(), person.ID))(t); len(entries) != 1 || entries[0].Action != "annotator.erase" || entries[0].Actor != "cli" {
		t.Errorf("audit %+v", entries)
	}
	if all := must(s.Annotators(t.Context()))(t); len(all) != 1 {
		t.Errorf("annotators %+v", all)
	}
}
