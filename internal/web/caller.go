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

// Principal is who a request comes from: a program by its key, or a person who is signed in, with the
// scopes of their role.
type Principal struct {
	store.Key
	Person *store.Annotator // nil for a program
}

// Actor is how the audit log names who it was.
func (p Principal) Actor() string {
	if p.Person != nil {
		return p.Person.ID
	}
	return "key:" + p.ID
}

// WithCaller returns a context of a request that p made.
func WithCaller(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, callerKey, p)
}

// Caller is who made the request of ctx.
func Caller(ctx context.Context) Principal {
	p, _ := ctx.Value(callerKey).(Principal)
	return p
}

// Scopes are what a caller may do; any of them opens an operation or a page.
type Scopes []store.Scope

func (s Scopes) String() string {
	texts := make([]string, len(s))
	for i, scope := range s {
		texts[i] = string(scope)
	}
	return strings.Join(texts, " or ")
}

// open reports whether a caller may come through.
func (s Scopes) open(p Principal) bool { return slices.ContainsFunc(s, p.Has) }

// identify finds out who a request comes from: by the key that it carries, else by its session's cookie.
// Errors: Unauthorized.
func (api API) identify(r *http.Request) (Principal, error) {
	const op = "web.Authorize"
	if secret := secretOf(r); secret != "" {
		key, err := api.keys.VerifyKey(r.Context(), secret)
		return Principal{Key: key}, err
	}
	if token := api.sessionToken(r); token != "" {
		person, err := api.accounts.Session(r.Context(), token)
		if err != nil {
			return Principal{}, err
		}
		return Principal{Key: store.Key{Name: person.Name, Annotator: person.ID, Scopes: person.Role.Scopes()}, Person: &person}, nil
	}
	return Principal{}, tandem.Errorf(tandem.Unauthorized, op, "the request carries no key: send Authorization: Bearer KEY")
}

// Authorize finds out who a request comes from, if they have one of the scopes. Errors: Unauthorized,
// Forbidden.
func (api API) Authorize(r *http.Request, scopes Scopes) (Principal, error) {
	p, err := api.identify(r)
	switch {
	case err != nil:
		return Principal{}, err
	case !scopes.open(p) && p.Person != nil:
		return Principal{}, tandem.Errorf(tandem.Forbidden, "web.Authorize", "this is not for the role %s", p.Person.Role)
	case !scopes.open(p):
		return Principal{}, tandem.Errorf(tandem.Forbidden, "web.Authorize", "the key does not have the scope %v", scopes)
	}
	return p, nil
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

// Credential is what a request says about who it comes from, whether that is true or not: a key, else a
// session's token. Empty for neither.
func Credential(r *http.Request) string {
	if secret := secretOf(r); secret != "" {
		return secret
	}
	for _, name := range []string{secureCookieName, cookieName} {
		if cookie, err := r.Cookie(name); err == nil && cookie.Value != "" {
			return cookie.Value
		}
	}
	return ""
}

// authorized is a huma middleware that lets callers with one of the scopes through.
func (api API) authorized(scopes Scopes) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		p, err := api.Authorize(r, scopes)
		if err != nil {
			api.refuse(w, r, ctx.Operation().OperationID, err)
			return
		}
		next(huma.WithContext(ctx, WithCaller(ctx.Context(), p)))
	}
}

// refuse answers a request with what went wrong, and logs what is the server's fault.
func (api API) refuse(w http.ResponseWriter, r *http.Request, operation string, err error) {
	p := ProblemOf(err)
	if p.Status >= http.StatusInternalServerError {
		logFailure(r.Context(), api.log, operation, err)
	}
	WriteProblem(w, r, p)
}
