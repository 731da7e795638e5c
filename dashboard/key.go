package dashboard

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type keyStore interface {
	CreateKey(ctx context.Context, k store.Key) (store.Key, string, error)
	KeyPage(ctx context.Context, page store.Page) ([]store.Key, error)
	RevokeKey(ctx context.Context, id string) error
	FindAnnotator(ctx context.Context, who string) (store.Annotator, error)
	Names(ctx context.Context, ids []string) (map[string]string, error)
	AddAudit(ctx context.Context, entry store.AuditEntry) error
	Together(ctx context.Context, fn func(ctx context.Context) error) error
}

// Key lets a program in.
type Key struct {
	ID        string        `json:"id"`
	Name      string        `json:"name" doc:"What it is for."`
	Prefix    string        `json:"prefix" doc:"The part of the secret that may be shown."`
	Scopes    []store.Scope `json:"scopes"`
	Annotator string        `json:"annotator,omitempty" doc:"Id of whoever judges with it."`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt *time.Time    `json:"expires_at,omitempty"`
	RevokedAt *time.Time    `json:"revoked_at,omitempty"`
}

func keyOf(k store.Key) Key {
	out := Key{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, Annotator: k.Annotator, CreatedAt: k.CreatedAt}
	if !k.ExpiresAt.IsZero() {
		out.ExpiresAt = &k.ExpiresAt
	}
	if !k.RevokedAt.IsZero() {
		out.RevokedAt = &k.RevokedAt
	}
	return out
}

type keysOutput struct{ Body web.List[Key] }

type keyInput struct {
	Body struct {
		Name      string        `json:"name" minLength:"1" maxLength:"200"`
		Scopes    []store.Scope `json:"scopes" minItems:"1" enum:"annotate,review,score,chat,read,admin"`
		Annotator string        `json:"annotator,omitempty" doc:"Id of whoever judges with the key; the scope annotate needs it."`
		ExpiresAt *time.Time    `json:"expires_at,omitempty" doc:"Until when it is good; until it is revoked without."`
	}
}

type madeKeyOutput struct {
	Body struct {
		Key    Key    `json:"key"`
		Secret string `json:"secret" doc:"Shown this once."`
	}
}

func registerKeys(api web.API, s keyStore) {
	web.Register(api, admins, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/api/v1/keys",
		Summary: "Keys, the newest first", Tags: []string{"keys"},
	}, func(ctx context.Context, in *web.Cursor) (*keysOutput, error) {
		stored, err := s.KeyPage(ctx, store.Page{After: in.After, Limit: in.Limit})
		keys := make([]Key, len(stored))
		for i, k := range stored {
			keys[i] = keyOf(k)
		}
		return &keysOutput{web.ListOf(keys, in.Limit, func(k Key) string { return k.ID })}, err
	})
	web.CreateSecret(api, admins, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/api/v1/keys", DefaultStatus: http.StatusCreated,
		Summary: "Make a key", Tags: []string{"keys"},
	}, func(ctx context.Context, in *keyInput) (*madeKeyOutput, error) {
		key := store.Key{Name: in.Body.Name, Scopes: in.Body.Scopes, Annotator: in.Body.Annotator}
		if in.Body.ExpiresAt != nil {
			key.ExpiresAt = *in.Body.ExpiresAt
		}
		made, secret, err := makeKey(ctx, s, key)
		var out madeKeyOutput
		out.Body.Key, out.Body.Secret = keyOf(made), secret
		return &out, err
	})
	web.Register(api, admins, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/api/v1/keys/{id}",
		Summary: "End a key for good", Tags: []string{"keys"},
	}, func(ctx context.Context, in *web.PathID) (*struct{}, error) { return nil, revokeKey(ctx, s, in.ID) })
}

// makeKey makes a key and says so in the audit, in one transaction.
func makeKey(ctx context.Context, s keyStore, key store.Key) (made store.Key, secret string, err error) {
	if !key.ExpiresAt.IsZero() && key.ExpiresAt.Before(time.Now()) {
		return made, "", tandem.Errorf(tandem.Invalid, "dashboard.makeKey", "the key would have expired at %v", key.ExpiresAt.UTC().Format(time.RFC3339))
	}
	err = s.Together(ctx, func(ctx context.Context) error {
		if key.Annotator != "" {
			if _, err := s.FindAnnotator(ctx, key.Annotator); err != nil {
				return err
			}
		}
		if made, secret, err = s.CreateKey(ctx, key); err != nil {
			return err
		}
		return s.AddAudit(ctx, store.AuditEntry{Actor: web.Caller(ctx).Actor(), Action: "key.create", Subject: made.ID})
	})
	return made, secret, err
}

func revokeKey(ctx context.Context, s keyStore, id string) error {
	return s.Together(ctx, func(ctx context.Context) error {
		if err := s.RevokeKey(ctx, id); err != nil {
			return err
		}
		return s.AddAudit(ctx, store.AuditEntry{Actor: web.Caller(ctx).Actor(), Action: "key.revoke", Subject: id})
	})
}

func (p pages) registerKeys() {
	p.api.AddLink("/keys", "Keys", admins)
	p.api.Page(http.MethodGet, "/keys", admins, p.keys)
	p.api.Page(http.MethodPost, "/keys", admins, p.createKey)
	p.api.Page(http.MethodPost, "/keys/{id}/revoke", admins, p.revokeKey)
}

// keysPage is the list of keys with the form for another.
type keysPage struct {
	web.List[store.Key]
	Names map[string]string // of whom keys judge as
	Now   time.Time

	Name, Who, Days string
	Chosen          map[store.Scope]bool
	Problem         string
	Secret          string // of a key that was just made
}

// Shown is the secret as the page shows it.
func (p keysPage) Shown() shownOnce { return shownOnce{"The key", p.Secret} }

// scopeWords is what a scope lets a key do.
type scopeWords struct {
	Scope store.Scope
	Means string
}

// Scopes lists what a key may do.
func (keysPage) Scopes() []scopeWords {
	return []scopeWords{
		{store.ScopeAnnotate, "claim and judge tasks as somebody"},
		{store.ScopeReview, "read what others judged, exclude it, send it back"},
		{store.ScopeScore, "ask the reward models"},
		{store.ScopeChat, "ask a policy"},
		{store.ScopeRead, "read prompts, models, rounds and runs"},
		{store.ScopeAdmin, "look after projects, people and keys"},
	}
}

// Over reports whether a key has expired.
func (p keysPage) Over(k store.Key) bool { return !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(p.Now) }

func (p pages) keys(w http.ResponseWriter, r *http.Request) error {
	return p.showKeys(w, r, http.StatusOK, keysPage{})
}

func (p pages) showKeys(w http.ResponseWriter, r *http.Request, status int, page keysPage) error {
	keys, err := p.store.KeyPage(r.Context(), store.Page{After: r.URL.Query().Get("after"), Limit: onPage})
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.Annotator)
	}
	if page.Names, err = p.store.Names(r.Context(), ids); err != nil {
		return err
	}
	page.List, page.Now = web.ListOf(keys, onPage, func(k store.Key) string { return k.ID }), time.Now()
	return p.api.Render(w, r, status, p.Pages["keys.html"], "Keys", page)
}

func (p pages) createKey(w http.ResponseWriter, r *http.Request) error {
	page := keysPage{Name: r.PostFormValue("name"), Who: r.PostFormValue("annotator"), Days: r.PostFormValue("days"), Chosen: make(map[store.Scope]bool)}
	key := store.Key{Name: page.Name}
	for _, scope := range r.PostForm["scope"] {
		key.Scopes = append(key.Scopes, store.Scope(scope))
		page.Chosen[store.Scope(scope)] = true
	}
	err := func() error {
		const op = "dashboard.createKey"
		if page.Days != "" {
			days, err := strconv.Atoi(page.Days)
			if err != nil || days < 1 || days > 36500 {
				return tandem.Errorf(tandem.Invalid, op, "%q is no number of days", page.Days)
			}
			key.ExpiresAt = time.Now().AddDate(0, 0, days)
		}
		if page.Who != "" {
			person, err := p.store.FindAnnotator(r.Context(), page.Who)
			if tandem.CodeOf(err) == tandem.NotFound {
				return tandem.Errorf(tandem.Invalid, op, "Nobody here has the e-mail address or the id %q.", page.Who)
			}
			if err != nil {
				return err
			}
			key.Annotator = person.ID
		}
		_, secret, err := makeKey(r.Context(), p.store, key)
		page.Secret = secret
		return err
	}()
	if err == nil {
		return p.showKeys(w, r, http.StatusOK, keysPage{Name: page.Name, Secret: page.Secret})
	}
	if page.Problem = wrong(err); page.Problem == "" {
		return err
	}
	page.Secret = ""
	return p.showKeys(w, r, http.StatusUnprocessableEntity, page)
}

func (p pages) revokeKey(w http.ResponseWriter, r *http.Request) error {
	if err := revokeKey(r.Context(), p.store, chi.URLParam(r, "id")); err != nil {
		return err
	}
	return see(w, r, "/keys")
}
