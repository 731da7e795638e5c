package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/store"
)

// SessionToken is the token in the cookie of a request, empty for none.
func (api API) SessionToken(r *http.Request) string { return api.sessionToken(r) }

// JoinAddress is where the link with a token leads: at the public URL, or at the host that a request came to.
func (api API) JoinAddress(host, token string) string {
	if api.address != "" {
		return JoinLink(api.address, token)
	}
	return JoinLink("http://"+host, token)
}

// Host is part of the input of an operation that must know at which host it was asked.
type Host struct{ name string }

// Resolve is called by huma.
func (h *Host) Resolve(ctx huma.Context) []error {
	h.name = ctx.Host()
	return nil
}

// Host is what the client calls this server.
func (h *Host) Host() string { return h.name }

// JoinLink is where a link with a token leads at a site.
func JoinLink(base, token string) string { return strings.TrimSuffix(base, "/") + "/join/" + token }

// ChangePassword gives who is signed in another password, if they know the old one. Every session of theirs ends,
// and this browser is given another. Errors: Invalid, in words for them, where the old one is wrong or tried too
// often, or the new one will not do.
func (api API) ChangePassword(w http.ResponseWriter, r *http.Request, old, password string) error {
	const op = "web.ChangePassword"
	ctx, person := r.Context(), Caller(r.Context()).Person
	if person == nil {
		return tandem.Errorf(tandem.Forbidden, op, "a key has no password")
	}
	if err := willDo(password); err != nil { // before a try is counted
		return err
	}
	_, _, err := api.checkPassword(ctx, person.Email, old)
	var locked *store.LockedError
	switch {
	case errors.As(err, &locked):
		return tandem.Errorf(tandem.Invalid, op, "A wrong password was given too often. Try again %s.", waitUntil(locked.Until))
	case tandem.CodeOf(err) == tandem.Unauthorized:
		return tandem.Errorf(tandem.Invalid, op, "The password that you have now is another one.")
	case err != nil:
		return err
	}
	phc, err := api.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := api.accounts.SetPassword(ctx, person.ID, phc); err != nil {
		return err
	}
	token, expires, err := api.accounts.StartSession(ctx, person.ID, "")
	if err != nil {
		return err
	}
	api.setSession(w, token, expires)
	return nil
}
