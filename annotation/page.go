package annotation

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

//go:embed *.html
var files embed.FS

// pageStore is what the annotators' pages need beside what the operations need.
type pageStore interface {
	Workplaces(ctx context.Context, annotator string) ([]store.Workplace, error)
	Day(ctx context.Context, annotator string) (store.Day, error)
	Pieces(ctx context.Context, annotator string, returned bool, page store.Page) ([]store.Piece, error)
	OwnJudgment(ctx context.Context, annotator, assignment string) (store.Judgment, error)
	Undo(ctx context.Context, annotator, assignment string, draft json.RawMessage) error
	LastStretch(ctx context.Context, annotator, projectID string) (store.Stretch, error)
}

// pages are what an annotator sees in the browser. They stand on the store's operations, as the API does,
// and every one works without JavaScript.
type pages struct {
	api   web.API
	store Store
	web.Pages
}

// annotators may open every page here.
var annotators = web.Scopes{store.ScopeAnnotate}

func registerPages(api web.API, s Store) error {
	parsed, err := web.ParsePages(files)
	if err != nil {
		return err
	}
	p := pages{api, s, parsed}
	api.AddLink("/", "Work", annotators)
	api.AddLink("/history", "History", annotators)
	api.Page(http.MethodGet, "/", annotators, p.home)
	api.Page(http.MethodGet, "/projects/{id}", annotators, p.project)
	api.Page(http.MethodPost, "/projects/{id}/next", annotators, p.next)
	api.Page(http.MethodPost, "/projects/{id}/decline", annotators, p.decline(true))
	api.Page(http.MethodPost, "/projects/{id}/take-up", annotators, p.decline(false))
	api.Page(http.MethodGet, "/assignments/{id}", annotators, p.compare)
	api.Page(http.MethodPost, "/assignments/{id}/judgment", annotators, p.judge)
	api.Page(http.MethodPost, "/assignments/{id}/undo", annotators, p.undo)
	api.Page(http.MethodPost, "/assignments/{id}/skip", annotators, p.skip)
	api.Page(http.MethodPost, "/assignments/{id}/flag", annotators, p.flag)
	api.Page(http.MethodGet, "/history", annotators, p.history)
	// Forms lead here where a browser keeps the address that answered one, and asks for it again.
	api.Page(http.MethodGet, "/projects/{id}/next", annotators, back("/projects/"))
	api.Page(http.MethodGet, "/assignments/{id}/judgment", annotators, back("/assignments/"))
	return nil
}

// back leads from a form's target to the page that the form stands on.
func back(folder string) web.PageHandler {
	return func(w http.ResponseWriter, r *http.Request) error { return see(w, r, folder+chi.URLParam(r, "id")) }
}

// me is the annotator who asks.
func me(r *http.Request) string { return web.Caller(r.Context()).Annotator }

// see leads the browser to a page after a form.
func see(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// homePage is the start page: what there is to do.
type homePage struct {
	Day      store.Day
	Returned []store.Piece
	Places   []store.Workplace // that they have not declined
	Declined []store.Workplace
	Admin    bool // who could open a project
	Practice bool // the practice projects can be made
}

func (p pages) home(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	var page homePage
	var err error
	if page.Day, err = p.store.Day(ctx, me(r)); err != nil {
		return err
	}
	if page.Returned, err = p.store.Pieces(ctx, me(r), true, store.Page{Limit: 20}); err != nil {
		return err
	}
	places, err := p.store.Workplaces(ctx, me(r))
	if err != nil {
		return err
	}
	page.Admin = web.Caller(ctx).Has(store.ScopeAdmin) && p.api.Has(http.MethodGet, "/setup")
	if page.Admin && len(places) == 0 && p.api.Has(http.MethodPost, practicePath) {
		projects, err := p.store.Projects(ctx)
		if err != nil {
			return err
		}
		page.Practice = len(projects) == 0 // closed ones count too
	}
	for _, place := range places {
		if place.Declined {
			page.Declined = append(page.Declined, place)
		} else {
			page.Places = append(page.Places, place)
		}
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["home.html"], "Work", page)
}

// projectPage is what a project asks for, and what can be done in it now.
type projectPage struct {
	store.Project
	store.Standing
	State Claim             // of a claim that brought nothing; the zero value before one
	Told  *store.GoldAnswer // of the judgment before, in a qualification
}

func (p pages) project(w http.ResponseWriter, r *http.Request) error {
	project, err := p.store.Project(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.showProject(w, r, projectPage{Project: project}, "")
}

// next claims the next task and leads there; where there is none it says why.
func (p pages) next(w http.ResponseWriter, r *http.Request) error {
	return p.goOn(w, r, chi.URLParam(r, "id"), "")
}

// goOn leads to the next task of a project; done is the assignment that was judged just now, which can be
// undone there.
func (p pages) goOn(w http.ResponseWriter, r *http.Request, projectID, done string) error {
	claimed, err := p.store.Claim(r.Context(), me(r), projectID)
	if err != nil && tandem.CodeOf(err) != tandem.Forbidden { // the project's page says what keeps them out
		return err
	}
	if claimed.Assignment != nil {
		path := "/assignments/" + claimed.Assignment.ID
		if done != "" {
			path += "?after=" + done
		}
		return see(w, r, path)
	}
	project, readErr := p.store.Project(r.Context(), projectID)
	if readErr != nil {
		return readErr
	}
	page := projectPage{Project: project}
	if err == nil {
		page.State = claimOf(claimed)
	}
	if project.Source.Written() && err == nil {
		path := "/projects/" + project.ID + "/live"
		if done != "" {
			path += "?after=" + done
		}
		return see(w, r, path)
	}
	w.Header().Set("HX-Push-Url", "/projects/"+project.ID)
	return p.showProject(w, r, page, done)
}

// historyPage is a part of what one has judged.
type historyPage struct {
	web.List[pastPiece]
	Revised bool // just now
}

// pastPiece is a judgment with what it says, in words.
type pastPiece struct {
	store.Piece
	Said string
}

// history lists what one has judged, the last one first.
func (p pages) history(w http.ResponseWriter, r *http.Request) error {
	const most = 25
	q := r.URL.Query()
	pieces, err := p.store.Pieces(r.Context(), me(r), false, store.Page{After: q.Get("after"), Limit: most})
	if err != nil {
		return err
	}
	past := make([]pastPiece, len(pieces))
	for i, piece := range pieces {
		past[i] = pastPiece{piece, said(piece.Judgment)}
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["history.html"], "History",
		historyPage{web.ListOf(past, most, func(p pastPiece) string { return p.ID }), q.Get("revised") != ""})
}

// reason is why a task is skipped or flagged: one of the usual ones, or the person's own words.
func reason(r *http.Request) (string, error) {
	given := r.PostFormValue("reason")
	if own := r.PostFormValue("words"); given == "" || given == "other" || own != "" {
		if given != "" && given != "other" {
			return given + ": " + own, nil
		}
		given = own
	}
	if given == "" {
		return "", tandem.Errorf(tandem.Invalid, "annotation.reason", "Say why, in a word or two.")
	}
	return given, nil
}

func (p pages) skip(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	why, err := reason(r)
	if err != nil {
		return err
	}
	assignment, err := p.store.Assignment(r.Context(), me(r), id)
	if err != nil {
		return err
	}
	if err := p.store.Skip(r.Context(), me(r), id, why); err != nil {
		return err
	}
	return p.goOn(w, r, assignment.ProjectID, "")
}

func (p pages) flag(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := p.store.Flag(r.Context(), me(r), id, why); err != nil {
		return err
	}
	return see(w, r, "/assignments/"+id+"?flagged=1")
}

// newKey draws the idempotency key of a form, once for each time that it is shown.
func newKey() string { return rand.Text() }
