package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Scope is what a key lets its holder do.
type Scope string

const (
	ScopeAnnotate Scope = "annotate" // claim and judge tasks as the key's annotator
	ScopeReview   Scope = "review"   // read what others judged, exclude it, send it back
	ScopeScore    Scope = "score"    // ask the reward models
	ScopeChat     Scope = "chat"     // ask a policy
	ScopeRead     Scope = "read"     // read prompts, models, rounds, runs
	ScopeAdmin    Scope = "admin"    // make projects, tasks, annotators and keys
)

// Scopes lists all scopes.
func Scopes() []Scope {
	return []Scope{ScopeAnnotate, ScopeReview, ScopeScore, ScopeChat, ScopeRead, ScopeAdmin}
}

// Key lets a program in.
type Key struct {
	ID        string
	Name      string
	Prefix    string // the part of the secret that may be shown, to tell keys apart
	Scopes    []Scope
	Annotator string // who judges with it; required by ScopeAnnotate
	CreatedAt time.Time
	ExpiresAt time.Time // zero for never
	RevokedAt time.Time // zero while it is good
}

// Has reports whether the key has a scope. Admin does not imply the others.
func (k Key) Has(scope Scope) bool { return slices.Contains(k.Scopes, scope) }

// A secret is "tandem_PREFIX_RANDOM": 8 bytes that find the row and 32 that prove it, in base64url
// without "_". The random part has 256 bits, so a fast hash of it is as safe as a slow one.
const (
	secretLead  = "tandem_"
	prefixBytes = 8
	proofBytes  = 32
)

var secretAlphabet = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.").WithPadding(base64.NoPadding)

// CreateKey makes a key and returns it with its secret, which is kept nowhere: only its SHA-256 is.
func (s *Store) CreateKey(ctx context.Context, k Key) (key Key, secret string, err error) {
	const op = "store.CreateKey"
	if len(k.Scopes) == 0 {
		return Key{}, "", tandem.Errorf(tandem.Invalid, op, "the key %q has no scope", k.Name)
	}
	if k.Has(ScopeAnnotate) && k.Annotator == "" {
		return Key{}, "", tandem.Errorf(tandem.Invalid, op, "the key %q may annotate, so it must say as whom", k.Name)
	}
	bytes := make([]byte, prefixBytes+proofBytes)
	_, _ = rand.Read(bytes) // never fails
	prefix := secretAlphabet.EncodeToString(bytes[:prefixBytes])
	secret = secretLead + prefix + "_" + secretAlphabet.EncodeToString(bytes[prefixBytes:])
	hash := sha256.Sum256([]byte(secret))
	key, err = one(ctx, s.db, op, "key", `
		WITH k AS (
			INSERT INTO api_keys (name, prefix, secret_hash, scopes, annotator_id, expires_at)
			VALUES (@name, @prefix, @hash, @scopes, nullif(@annotator, '')::uuid, @expires) RETURNING *
		) SELECT `+keyColumns+` FROM k`,
		pgx.NamedArgs{"name": k.Name, "prefix": prefix, "hash": hash[:], "scopes": scopeTexts(k.Scopes),
			"annotator": k.Annotator, "expires": nilIfZero(k.ExpiresAt)}, scanKey)
	return key, secret, err
}

// VerifyKey finds the key that a secret proves. Errors: Unauthorized when there is none, or it is
// revoked, expired, or its annotator is disabled; which of these is not said.
func (s *Store) VerifyKey(ctx context.Context, secret string) (Key, error) {
	const op = "store.VerifyKey"
	refused := tandem.Errorf(tandem.Unauthorized, op, "the key is not valid")
	body, ok := strings.CutPrefix(secret, secretLead)
	prefix, _, separated := strings.Cut(body, "_")
	if !ok || !separated {
		return Key{}, refused
	}
	type row struct {
		Key
		hash []byte
		good bool
	}
	found, err := one(ctx, s.db, op, "key", `
		SELECT `+keyColumns+`, k.secret_hash,
		       k.revoked_at IS NULL AND coalesce(k.expires_at > clock_timestamp(), true) AND a.disabled_at IS NULL
		FROM api_keys k LEFT JOIN annotators a ON a.id = k.annotator_id
		WHERE k.prefix = @prefix`, pgx.NamedArgs{"prefix": prefix},
		func(r pgx.CollectableRow) (row, error) {
			var found row
			targets, finish := keyTargets(&found.Key)
			err := r.Scan(append(targets, &found.hash, &found.good)...)
			finish()
			return found, err
		})
	if tandem.CodeOf(err) == tandem.NotFound {
		return Key{}, refused
	}
	if err != nil {
		return Key{}, err
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], found.hash) != 1 || !found.good {
		return Key{}, refused
	}
	return found.Key, nil
}

// RevokeKey ends a key for good. Errors: NotFound when there is none such; a revoked key stays as it was.
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	const op = "store.RevokeKey"
	n, err := parseID(op, "key", id)
	if err != nil {
		return err
	}
	tag, err := s.db.Exec(ctx, `UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = @id`, pgx.NamedArgs{"id": n})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.NotFound, op, "there is no key %s", id)
	}
	return fail(op, err)
}

// Keys lists all keys, the newest first.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	return all(ctx, s.db, "store.Keys", `SELECT `+keyColumns+` FROM api_keys k ORDER BY k.id DESC`, nil, scanKey)
}

// KeyPage lists keys, the newest first.
func (s *Store) KeyPage(ctx context.Context, page Page) ([]Key, error) {
	const op = "store.KeyPage"
	var before *int64
	if page.After != "" {
		n, err := parseID(op, "key", page.After)
		if err != nil {
			return nil, err
		}
		before = &n
	}
	return all(ctx, s.db, op, `SELECT `+keyColumns+` FROM api_keys k WHERE @before::bigint IS NULL OR k.id < @before ORDER BY k.id DESC LIMIT @limit`,
		pgx.NamedArgs{"before": before, "limit": page.limit()}, scanKey)
}

const keyColumns = `k.id::text, k.name, k.prefix, k.scopes, coalesce(k.annotator_id::text, ''), k.created_at, k.expires_at, k.revoked_at`

// keyTargets are the places that keyColumns scan into, and what completes k after the scan.
func keyTargets(k *Key) (targets []any, finish func()) {
	var expires, revoked *time.Time
	var scopes []string
	return []any{&k.ID, &k.Name, &k.Prefix, &scopes, &k.Annotator, &k.CreatedAt, &expires, &revoked}, func() {
		for _, scope := range scopes {
			k.Scopes = append(k.Scopes, Scope(scope))
		}
		if expires != nil {
			k.ExpiresAt = *expires
		}
		if revoked != nil {
			k.RevokedAt = *revoked
		}
	}
}

func scanKey(row pgx.CollectableRow) (Key, error) {
	var k Key
	targets, finish := keyTargets(&k)
	err := row.Scan(targets...)
	finish()
	return k, err
}

func scopeTexts(scopes []Scope) []string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = string(scope)
	}
	return texts
}
