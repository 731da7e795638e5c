package dashboard_test

import (
	"net/http"
	"testing"

	"tandem/store"
)

func TestAccount(t *testing.T) {
	w := newWorld(t)
	here, person := w.join("ada", store.RoleAnnotator)
	there := w.browser()
	there.post("/signin", "email", "ada@example.org", "password", password, "next", "/account")
	there.wants(http.StatusOK, "Your account", "this browser")

	here.post("/account", "name", "Ada L.", "time_zone", "Nowhere")
	here.wants(http.StatusUnprocessableEntity, `no time zone "Nowhere"`, `value="Ada L."`)
	here.post("/account", "name", "Ada L.", "time_zone", "Europe/London")
	here.wants(http.StatusOK, "Kept.", "Europe/London")
	here.post("/account", "name", "Ada L.", "time_zone", "Europe/London", "role", "admin") // nobody asks for it
	if a, err := w.store.Annotator(t.Context(), person.ID); err != nil || a.Role != store.RoleAnnotator || a.TimeZone != "Europe/London" {
		t.Errorf("became %+v, %v", a, err)
	}

	here.post("/account/password", "old", "wrong horse", "password", "a newer horse", "repeat", "a newer horse")
	here.wants(http.StatusUnprocessableEntity, "is another one")
	here.post("/account/password", "old", password, "password", "a newer horse", "repeat", "a newer house")
	here.wants(http.StatusUnprocessableEntity, "passwords differ")
	for range 6 { // one more than the wrong ones that lock the address
		here.post("/account/password", "old", password, "password", "short", "repeat", "short")
		here.wants(http.StatusUnprocessableEntity, "at least 8 characters")
	}
	there.get("/account")
	there.wants(http.StatusOK, "Your account") // nothing has happened so far
	here.post("/account/password", "old", password, "password", "a newer horse", "repeat", "a newer horse")
	here.wants(http.StatusOK, "You have a new password")
	there.get("/account")
	there.wants(http.StatusOK, "<h1>Sign in</h1>")
	there.post("/signin", "email", "ada@example.org", "password", password, "next", "/account")
	there.wants(http.StatusUnauthorized)
	there.post("/signin", "email", "ada@example.org", "password", "a newer horse", "next", "/account")
	there.wants(http.StatusOK, "Your account")

	here.post("/account/signout")
	here.wants(http.StatusOK, "<h1>Sign in</h1>")
	there.get("/account")
	there.wants(http.StatusOK, "<h1>Sign in</h1>")
}
