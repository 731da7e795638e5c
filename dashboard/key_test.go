package dashboard_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tandem"
	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/store"
)

func TestKeyPages(t *testing.T) {
	w := newWorld(t)
	ada, _ := w.join("ada", store.RoleAdmin)
	ada.post("/keys", "name", "robot", "scope", "annotate", "scope", "read")
	ada.wants(http.StatusUnprocessableEntity, "so it must say as whom", `value="read" checked`)
	ada.post("/keys", "name", "robot", "scope", "annotate", "annotator", "nobody@example.org")
	ada.wants(http.StatusUnprocessableEntity, "nobody@example.org")
	ada.post("/keys", "name", "robot")
	ada.wants(http.StatusUnprocessableEntity, "no scope")
	ada.post("/keys", "name", "robot", "scope", "annotate", "scope", "read", "annotator", "ada@example.org", "days", "2")
	ada.wants(http.StatusOK, "It is shown this once")
	secret := ada.shown()
	key, err := w.store.VerifyKey(t.Context(), secret)
	if err != nil || !key.Has(store.ScopeRead) || key.ExpiresAt.IsZero() {
		t.Fatalf("key %+v, %v", key, err)
	}
	ada.get("/keys")
	ada.wants(http.StatusOK, "robot")
	if strings.Contains(ada.page, secret) {
		t.Error("the secret is shown twice")
	}
	ada.post(regexp.MustCompile(`/keys/\d+/revoke`).FindString(ada.page))
	ada.wants(http.StatusOK, "revoked")
	if _, err := w.store.VerifyKey(t.Context(), secret); tandem.CodeOf(err) != tandem.Unauthorized {
		t.Errorf("a revoked key: %v", err)
	}
	ada.get("/audit")
	ada.wants(http.StatusOK, "revoked", "key "+key.ID)
}

func TestKeysAPI(t *testing.T) {
	w := newWorld(t)
	admin := w.key(store.ScopeAdmin)
	var made struct {
		Key    dashboard.Key
		Secret string
	}
	if status, _ := w.ask(admin, "POST", "/api/v1/keys", `{"name":"r","scopes":["review","read"]}`, &made); status != http.StatusCreated || !strings.HasPrefix(made.Secret, "tandem_") {
		t.Fatalf("made %d %+v", status, made)
	}
	for body, want := range map[string]int{
		`{"name":"r","scopes":["king"]}`:                                       http.StatusUnprocessableEntity,
		`{"name":"r","scopes":["annotate"]}`:                                   http.StatusUnprocessableEntity,
		`{"name":"r","scopes":["read"],"expires_at":"2001-01-01T00:00:00Z"}`:   http.StatusUnprocessableEntity,
		`{"name":"r","scopes":["annotate"],"annotator":"a-person-who-is-not"}`: http.StatusNotFound,
	} {
		var p web.Problem
		if status, _ := w.ask(admin, "POST", "/api/v1/keys", body, &p); status != want || p.Detail == "" {
			t.Errorf("%s: %d %+v", body, status, p)
		}
	}
	var list web.List[dashboard.Key]
	if w.ask(admin, "GET", "/api/v1/keys?limit=1", "", &list); len(list.Items) != 1 || list.Items[0].ID != made.Key.ID || list.Next == "" {
		t.Errorf("first page %+v", list)
	}
	if status, _ := w.ask(admin, "DELETE", "/api/v1/keys/"+made.Key.ID, "", nil); status != http.StatusNoContent {
		t.Errorf("revoked: %d", status)
	}
	if status, _ := w.ask(made.Secret, "GET", "/api/v1/models", "", nil); status != http.StatusUnauthorized {
		t.Errorf("a revoked key: %d", status)
	}
}
