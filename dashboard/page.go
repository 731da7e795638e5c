package dashboard

import (
	"embed"
	"net/http"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

//go:embed _admin.html account.html audit.html keys.html people.html person*.html
var adminFiles embed.FS

// pages are what admins see, and everybody of their own account. They stand on the store's operations, as the API does,
// and every one works without JavaScript.
type pages struct {
	api   web.API
	store Store
	web.Pages
}

// admins look after people, keys and projects.
var admins = web.Scopes{store.ScopeAdmin}

func registerAdmin(api web.API, s Store) error {
	parsed, err := web.ParsePages(adminFiles)
	if err != nil {
		return err
	}
	p := pages{api, s, parsed}
	p.registerPeople()
	p.registerKeys()
	p.registerAudit()
	p.registerAccount()
	return nil
}

// onPage is how many rows a page of a list shows.
const onPage = 50

// see leads the browser to a page after a form.
func see(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// actor is who asks, as the audit names them.
func actor(r *http.Request) string { return web.Caller(r.Context()).Actor() }

// shownOnce is a secret that a page shows and nothing keeps.
type shownOnce struct{ Label, Text string }

// wrong is what to tell somebody whose form was refused; empty for an error that a form cannot help.
func wrong(err error) string {
	switch tandem.CodeOf(err) {
	case tandem.Invalid, tandem.Conflict:
		return web.ProblemOf(err).Detail
	}
	return ""
}
