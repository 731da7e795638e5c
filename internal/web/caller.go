package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"tandem"
	"tandem/store"
)

// Keys finds out who a secret belongs to; a store is one. Errors: Unauthorized for a key that is
// unknown, expired or revoked.
type Keys interface {
	VerifyKey(ctx context.Context, secret string) (store.Key, error)
}

// WithCaller returns a context of a request that was made with key.
func WithCaller(ctx context.Context, key store.Key) context.Context {
	return context.WithValue(ctx, callerKey, key)
}

// Caller is the key that the request of ctx was made with.
func Caller(ctx context.Context) store.Key {
	key, _ := ctx.Value(callerKey).(store.Key)
	return key
}

// Scopes are what a key may be used for; any of them opens an operation.
type Scopes []store.Scope

func (s Scopes) String() string {
	texts := make([]string, len(s))
	for i, scope := range s {
		texts[i] = string(scope)
	}
	return strings.Join(texts, " or ")
}

// Authorize returns the key that a request carries, if it has one of the scopes. Errors: Unauthorized,
// Forbidden.
func Authorize(keys Keys, r *http.Request, scopes Scopes) (store.Key, error) {
	const op = "web.Authorize"
	secret := secretOf(r)
	if secret == "" {
		return store.Key{}, tandem.Errorf(tandem.Unauthorized, op, "the request carries no key: send Authorization: Bearer KEY")
	}
	key, err := keys.VerifyKey(r.Context(), secret)
	if err != nil {
		return store.Key{}, err
	}
	if !slices.ContainsFunc(scopes, key.Has) {
		return store.Key{}, tandem.Errorf(tandem.Forbidden, op, "the key does not have the scope %v", scopes)
	}
	return key, nil
}

// secretOf is the secret that a request carries: a Bearer token, or the password of HTTP Basic from
// clients that know nothing else.
func secretOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	_, password, _ := r.BasicAuth()
	return password
}

// authorized is a huma middleware that lets callers with one of the scopes through.
func (api API) authorized(scopes Scopes) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		key, err := Authorize(api.keys, r, scopes)
		if err != nil {
			p := ProblemOf(err)
			if p.Status >= http.StatusInternalServerError {
				logFailure(r.Context(), api.log, ctx.Operation().OperationID, err)
			}
			WriteProblem(w, r, p)
			return
		}
		next(huma.WithContext(ctx, WithCaller(ctx.Context(), key)))
	}
}
