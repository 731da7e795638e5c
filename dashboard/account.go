package dashboard

import (
	"context"
	"net/http"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type accountStore interface {
	Sessions(ctx context.Context, annotator, token string) ([]store.OpenSession, error)
	EndSessions(ctx context.Context, annotator, by string) error
	ChangeAnnotator(ctx context.Context, id string, change store.AnnotatorChange, by string) (store.Annotator, error)
}

// everybody who is signed in has an account.
var everybody = web.Scopes{store.ScopeAnnotate}

func (p pages) registerAccount() {
	p.api.Page(http.MethodGet, "/account", everybody, p.account)
	p.api.Page(http.MethodPost, "/account", everybody, p.changeAccount)
	p.api.Page(http.MethodPost, "/account/password", everybody, p.changePassword)
	p.api.Page(http.MethodPost, "/account/signout", everybody, p.signOutEverywhere)
}

// accountPage is what somebody sees of their own account.
type accountPage struct {
	store.Annotator
	Sessions []store.OpenSession
	Admin    bool
	Saved    string // what was done just now
	// Why a form was not taken.
	Problem, PasswordProblem string
}

// self is who is signed in. Errors: Forbidden for a key.
func self(r *http.Request) (store.Annotator, error) {
	person := web.Caller(r.Context()).Person
	if person == nil {
		return store.Annotator{}, tandem.Errorf(tandem.Forbidden, "dashboard.account", "a key has no account")
	}
	return *person, nil
}

func (p pages) account(w http.ResponseWriter, r *http.Request) error {
	me, err := self(r)
	if err != nil {
		return err
	}
	page := accountPage{Annotator: me}
	switch r.URL.Query().Get("saved") {
	case "account":
		page.Saved = "Kept."
	case "password":
		page.Saved = "You have a new password. You are signed out everywhere else."
	}
	return p.showAccount(w, r, http.StatusOK, page)
}

func (p pages) showAccount(w http.ResponseWriter, r *http.Request, status int, page accountPage) error {
	var err error
	if page.Sessions, err = p.store.Sessions(r.Context(), page.ID, p.api.SessionToken(r)); err != nil {
		return err
	}
	page.Admin = page.Role == store.RoleAdmin
	return p.api.Render(w, r, status, p.Pages["account.html"], "Your account", page)
}

func (p pages) changeAccount(w http.ResponseWriter, r *http.Request) error {
	me, err := self(r)
	if err != nil {
		return err
	}
	page := accountPage{Annotator: me}
	page.Name, page.TimeZone = r.PostFormValue("name"), r.PostFormValue("time_zone")
	_, err = p.store.ChangeAnnotator(r.Context(), me.ID, store.AnnotatorChange{Name: &page.Name, TimeZone: &page.TimeZone}, actor(r))
	if err == nil {
		return see(w, r, "/account?saved=account")
	}
	if page.Problem = wrong(err); page.Problem == "" {
		return err
	}
	return p.showAccount(w, r, http.StatusUnprocessableEntity, page)
}

func (p pages) changePassword(w http.ResponseWriter, r *http.Request) error {
	me, err := self(r)
	if err != nil {
		return err
	}
	page := accountPage{Annotator: me}
	password := r.PostFormValue("password")
	if password != r.PostFormValue("repeat") {
		page.PasswordProblem = "The two new passwords differ."
	} else {
		err := p.api.ChangePassword(w, r, r.PostFormValue("old"), password)
		if err == nil {
			return see(w, r, "/account?saved=password")
		}
		if page.PasswordProblem = wrong(err); page.PasswordProblem == "" {
			return err
		}
	}
	return p.showAccount(w, r, http.StatusUnprocessableEntity, page)
}

func (p pages) signOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	me, err := self(r)
	if err != nil {
		return err
	}
	if err := p.store.EndSessions(r.Context(), me.ID, actor(r)); err != nil {
		return err
	}
	return see(w, r, "/signin")
}
