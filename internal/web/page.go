package web

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tandem"
	"tandem/store"
)

//go:embed layout.html error.html signin.html join.html
var templates embed.FS

// Pages are a package's pages, by file name. Each file defines "main", and may define parts of its own.
type Pages map[string]*template.Template

// ParsePages parses every *.html file of files as a page within the site's layout. A file whose name
// begins with "_" is no page: all pages may use what it defines.
func ParsePages(files fs.FS) (Pages, error) {
	const op = "web.ParsePages"
	layout, err := template.New("layout.html").Funcs(functions).ParseFS(templates, "layout.html")
	if err != nil {
		return nil, tandem.Errorf(tandem.Internal, op, "%w", err)
	}
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, tandem.Errorf(tandem.Internal, op, "%w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			if _, err := layout.ParseFS(files, name); err != nil {
				return nil, tandem.Errorf(tandem.Internal, op, "%s: %w", name, err)
			}
		}
	}
	pages := make(Pages)
	for _, name := range names {
		if strings.HasPrefix(name, "_") || name == "layout.html" {
			continue
		}
		page, err := layout.Clone()
		if err == nil {
			_, err = page.ParseFS(files, name)
		}
		if err != nil {
			return nil, tandem.Errorf(tandem.Internal, op, "%s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, nil
}

// View is what the layout shows around a page.
type View struct {
	Title  string // of the browser's tab, and what a screen reader says first
	Person *store.Annotator
	Path   string // of the request
	Links  []Link // that the person may follow
	Data   any    // the page's own
}

// Link is an entry of the site's navigation.
type Link struct {
	Path, Text string
	Scopes     Scopes
}

// Current reports whether a link leads to the page that is shown, or to one above it.
func (v View) Current(l Link) bool {
	return v.Path == l.Path || l.Path != "/" && strings.HasPrefix(v.Path, l.Path+"/")
}

// AddLink puts a page into the navigation of those who may open it.
func (api API) AddLink(path, text string, scopes Scopes) {
	*api.links = append(*api.links, Link{path, text, scopes})
}

// PageHandler answers a request with a page. An error becomes the page that says so.
type PageHandler func(w http.ResponseWriter, r *http.Request) error

// Page adds a page, or a form's target, for people with one of the scopes. Who is not signed in is led to
// do so, and comes back.
func (api API) Page(method, pattern string, scopes Scopes, handler PageHandler) {
	*api.routes = append(*api.routes, Route{method, pattern, scopes})
	api.Router.Method(method, pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := api.Authorize(r, scopes)
		if tandem.CodeOf(err) == tandem.Unauthorized && secretOf(r) == "" {
			api.askToSignIn(w, r)
			return
		}
		if err == nil {
			r = r.WithContext(WithCaller(r.Context(), p))
			err = handler(w, r)
		}
		if err != nil {
			api.ErrorPage(w, r, err)
		}
	}))
}

// askToSignIn leads to the sign-in page. A form that was sent without being signed in is not lost: the answer
// says so with 401, and the page that sent it keeps its draft.
func (api API) askToSignIn(w http.ResponseWriter, r *http.Request) {
	target := "/signin"
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("HX-Request") == "" {
		if r.URL.Path != "/" {
			target += "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
		return
	}
	api.ErrorPage(w, r, tandem.Errorf(tandem.Unauthorized, "web.Page", "You are not signed in any more. What you entered is not lost: sign in in another tab, then reload this page, which sends it again."))
}

// Render answers with a page. Data is what the page's template sees as .Data.
func (api API) Render(w http.ResponseWriter, r *http.Request, status int, page *template.Template, title string, data any) error {
	caller := Caller(r.Context())
	view := View{Title: title, Person: caller.Person, Path: r.URL.Path, Data: data}
	for _, l := range *api.links {
		if caller.Person != nil && l.Scopes.open(caller) {
			view.Links = append(view.Links, l)
		}
	}
	var body bytes.Buffer
	if err := page.ExecuteTemplate(&body, "layout.html", view); err != nil {
		return tandem.Errorf(tandem.Internal, "web.Render", "%w", err)
	}
	writeHTML(w, status, body.Bytes())
	return nil
}

// RenderPart answers with one part of a page, without the layout, for htmx.
func (api API) RenderPart(w http.ResponseWriter, status int, page *template.Template, part string, data any) error {
	var body bytes.Buffer
	if err := page.ExecuteTemplate(&body, part, data); err != nil {
		return tandem.Errorf(tandem.Internal, "web.RenderPart", "%w", err)
	}
	writeHTML(w, status, body.Bytes())
	return nil
}

func writeHTML(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// ErrorPage answers a request with what went wrong, as a page for browsers and a problem for programs,
// and logs what is the server's fault.
func (api API) ErrorPage(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, r.Context().Err()) {
		logFailure(r.Context(), api.log, r.Method+" "+r.URL.Path, err)
	}
	api.WriteFailure(w, r, p)
}

// WriteFailure answers with a problem: a page where the request is a browser's, and in the form of the protocol that the
// path belongs to.
func (api API) WriteFailure(w http.ResponseWriter, r *http.Request, p *Problem) {
	if api.refuseForeign(w, r, p) {
		return
	}
	p.Request = RequestID(r.Context())
	if !strings.Contains(r.Header.Get("Accept"), "text/html") || strings.HasPrefix(r.URL.Path, "/api/") {
		WriteProblem(w, r, p)
		return
	}
	for name, values := range p.GetHeaders() {
		if name != "Www-Authenticate" { // the browser would ask for a password by itself
			w.Header()[name] = values
		}
	}
	if err := api.Render(w, r, p.Status, api.pages["error.html"], p.Title, p); err != nil {
		WriteProblem(w, r, p)
	}
}

// Route is one way into the site, and who may take it: what tests of the roles go through.
type Route struct {
	Method, Pattern string
	Scopes          Scopes // none: everyone
}

// Has reports whether something is registered at a pattern, so that a page may lead there.
func (api API) Has(method, pattern string) bool {
	return slices.ContainsFunc(*api.routes, func(r Route) bool { return r.Method == method && r.Pattern == pattern })
}

// Routes lists every operation and page.
func (api API) Routes() []Route { return slices.Clone(*api.routes) }
