package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/store"
)

// Accounts is how people come in; a store is one.
type Accounts interface {
	Session(ctx context.Context, token string) (store.Annotator, error)
	StartSession(ctx context.Context, annotator, earlier string) (token string, expires time.Time, err error)
	EndSession(ctx context.Context, token string) error
	SignIn(ctx context.Context, annotator, phc, earlier string) (token string, expires time.Time, err error)
	Password(ctx context.Context, email string) (annotator, phc string, err error)
	Invitation(ctx context.Context, token string) (store.Invitation, error)
	AcceptInvitation(ctx context.Context, token, phc, timeZone string) (annotator string, err error)
	SetPassword(ctx context.Context, annotator, phc string) error
}

// The session's cookie. With https its name binds it to this host and to https
// (https://www.rfc-editor.org/rfc/rfc6265bis#section-4.1.3).
const (
	cookieName       = "tandem"
	secureCookieName = "__Host-tandem"
)

func (api API) cookieName() string {
	if api.secure {
		return secureCookieName
	}
	return cookieName
}

// sessionToken is the token in a request's cookie, empty for none.
func (api API) sessionToken(r *http.Request) string {
	if api.accounts == nil {
		return ""
	}
	cookie, err := r.Cookie(api.cookieName())
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setSession gives the browser its cookie, or takes it away where the token is empty.
func (api API) setSession(w http.ResponseWriter, token string, expires time.Time) {
	cookie := &http.Cookie{Name: api.cookieName(), Value: token, Path: "/", Expires: expires, Secure: api.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// registerAccounts adds the pages by which people come in: sign in, sign out, join.
func (api API) registerAccounts() {
	if api.accounts == nil {
		return
	}
	api.public(http.MethodGet, "/signin", api.showSignIn)
	api.public(http.MethodPost, "/signin", api.signIn)
	api.public(http.MethodPost, "/signout", api.signOut)
	api.public(http.MethodGet, "/join/{token}", api.showJoin)
	api.public(http.MethodPost, "/join/{token}", api.join)
}

// public adds a page that anybody may open. Its forms are small, and are no uploads.
func (api API) public(method, pattern string, handler PageHandler) {
	*api.routes = append(*api.routes, Route{Method: method, Pattern: pattern})
	api.Router.Method(method, pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "multipart/") {
			api.WriteFailure(w, r, NewProblem(http.StatusUnsupportedMediaType, "This form comes as application/x-www-form-urlencoded."))
			return
		}
		if err := handler(w, r); err != nil {
			api.ErrorPage(w, r, err)
		}
	}))
}

// signInForm is what the sign-in page shows.
type signInForm struct {
	Email, Next, Problem string
}

func (api API) showSignIn(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if _, err := api.identify(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return api.Render(w, r, http.StatusOK, api.pages["signin.html"], "Sign in", signInForm{Next: next})
}

func (api API) signIn(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	email, password, next := r.PostFormValue("email"), r.PostFormValue("password"), localPath(r.PostFormValue("next"))
	again := func(status int, problem string) error {
		return api.Render(w, r, status, api.pages["signin.html"], "Sign in", signInForm{email, next, problem})
	}
	annotator, phc, err := api.checkPassword(ctx, email, password)
	var token string
	var expires time.Time
	if err == nil {
		token, expires, err = api.accounts.SignIn(ctx, annotator, phc, api.sessionToken(r))
	}
	var locked *store.LockedError
	switch {
	case errors.As(err, &locked):
		w.Header().Set("Retry-After", locked.Until.UTC().Format(http.TimeFormat))
		return again(http.StatusTooManyRequests, "Too many sign-ins failed. Try again "+waitUntil(locked.Until)+", or ask an admin for a link to reset your password.")
	case tandem.CodeOf(err) == tandem.Unauthorized:
		return again(http.StatusUnauthorized, "The e-mail address or the password is not right.")
	case err != nil:
		return err
	}
	api.setSession(w, token, expires)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// checkPassword finds who has an e-mail address and a password, and the password's PHC string. The try is
// counted before the hash is made, so that guesses side by side do not slip past the lock. Errors:
// Unauthorized, LockedError while the address is locked.
func (api API) checkPassword(ctx context.Context, email, password string) (annotator, phc string, err error) {
	good, err := api.hasher.verify(ctx, password, func() (string, error) {
		annotator, phc, err = api.accounts.Password(ctx, email)
		return phc, err
	})
	if err == nil && !good {
		err = tandem.Errorf(tandem.Unauthorized, "web.checkPassword", "the e-mail address or the password is not right")
	}
	return annotator, phc, err
}

func (api API) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := api.accounts.EndSession(r.Context(), api.sessionToken(r)); err != nil {
		return err
	}
	api.setSession(w, "", time.Time{})
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}

// joinForm is what the page behind an invitation shows.
type joinForm struct {
	Invitation store.Invitation
	Reset      bool
	Least      int
	Problem    string
}

func (api API) showJoin(w http.ResponseWriter, r *http.Request) error {
	return api.renderJoin(w, r, http.StatusOK, "")
}

func (api API) renderJoin(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	invitation, err := api.accounts.Invitation(r.Context(), chi.URLParam(r, "token"))
	if tandem.CodeOf(err) == tandem.NotFound {
		return tandem.Errorf(tandem.NotFound, "web.join", "This link was used already, has expired or was taken back. Ask whoever sent it for a new one.")
	}
	if err != nil {
		return err
	}
	title := "Join tandem"
	if invitation.Kind == store.InviteReset {
		title = "Set a new password"
	}
	// The address is a secret, and no page but this one learns it. (no-referrer would make the form's Origin
	// null, which says nothing to crossOrigin where browsers send no Sec-Fetch-Site: https://fetch.spec.whatwg.org/#append-a-request-origin-header.)
	w.Header().Set("Referrer-Policy", "strict-origin")
	return api.Render(w, r, status, api.pages["join.html"], title,
		joinForm{invitation, invitation.Kind == store.InviteReset, leastPassword, problem})
}

func (api API) join(w http.ResponseWriter, r *http.Request) error {
	password := r.PostFormValue("password")
	if password != r.PostFormValue("repeat") {
		return api.renderJoin(w, r, http.StatusUnprocessableEntity, "The two passwords differ.")
	}
	token := chi.URLParam(r, "token")
	if _, err := api.accounts.Invitation(r.Context(), token); err != nil { // before a hash is spent on it
		return api.renderJoin(w, r, http.StatusNotFound, "")
	}
	phc, err := api.hasher.hash(r.Context(), password)
	if tandem.CodeOf(err) == tandem.Invalid {
		return api.renderJoin(w, r, http.StatusUnprocessableEntity, ProblemOf(err).Detail)
	}
	if err != nil {
		return err
	}
	zone := r.PostFormValue("time_zone")
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		zone = ""
	}
	annotator, err := api.accounts.AcceptInvitation(r.Context(), token, phc, zone)
	if err != nil {
		return err
	}
	session, expires, err := api.accounts.StartSession(r.Context(), annotator, api.sessionToken(r))
	if err != nil {
		return err
	}
	api.setSession(w, session, expires)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// localPath is a path of this site that a redirect may lead to; anything else becomes the home page.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, "\\") || strings.ContainsFunc(next, unicode.IsControl) {
		return "/"
	}
	return next
}

// waitUntil says how long to wait, in words.
func waitUntil(t time.Time) string {
	switch wait := time.Until(t); {
	case wait < time.Minute:
		return "in a minute"
	case wait < time.Hour:
		return "in " + strings.TrimSuffix((wait.Round(time.Minute)+time.Minute).String(), "0s")
	}
	return "in an hour"
}
