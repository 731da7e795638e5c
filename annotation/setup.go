package annotation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// SetupStore is what the pages need kept by which projects are set up; a *store.Store is one.
type SetupStore interface {
	projectStore
	importStore
	RetireGold(ctx context.Context, projectID, taskID, by string) error
	Golds(ctx context.Context, projectID string, page store.Page) ([]store.Gold, error)
	Materials(ctx context.Context, tasks []string) (map[string]store.Material, error)
	Configure(ctx context.Context, projectID string, settings store.Settings, by string) (store.Project, error)
	SetGuideline(ctx context.Context, projectID, markdown, by string) error
	Guidelines(ctx context.Context, projectID string) ([]store.Guideline, error)
	AddBatch(ctx context.Context, projectID, name string, heldOutShare float64, by string) (store.Batch, error)
	Batches(ctx context.Context, projectID string) ([]store.Batch, error)
}

// Practice makes projects with comparisons to try the site on, in somebody's name, and returns the id of the
// first.
type Practice func(ctx context.Context, by string) (project string, err error)

// setup is the pages by which admins look after projects.
type setup struct {
	api      web.API
	store    SetupStore
	practice Practice
	web.Pages
}

// practicePath is the target of the form that makes the practice projects.
const practicePath = "/setup/practice"

// RegisterSetup adds the pages by which admins open projects, set them up and bring comparisons in, and the
// operations that belong to them alone. Practice may be nil.
func RegisterSetup(api web.API, s SetupStore, practice Practice) error {
	parsed, err := web.ParsePages(files)
	if err != nil {
		return err
	}
	registerImport(api, s)
	p := setup{api, s, practice, parsed}
	admins := web.Scopes{store.ScopeAdmin}
	api.AddLink("/setup", "Projects", admins)
	api.Page(http.MethodGet, "/setup", admins, p.list)
	api.Page(http.MethodPost, "/setup", admins, p.open)
	api.Page(http.MethodGet, "/setup/new", admins, p.ask)
	api.Page(http.MethodGet, "/setup/{id}", admins, p.project)
	api.Page(http.MethodPost, "/setup/{id}/settings", admins, p.configure)
	api.Page(http.MethodPost, "/setup/{id}/guideline", admins, p.guideline)
	api.Page(http.MethodPost, "/setup/{id}/import", admins, p.upload)
	api.Page(http.MethodPost, "/setup/{id}/batches", admins, p.batch)
	api.Page(http.MethodPost, "/setup/{id}/close", admins, p.close)
	api.Page(http.MethodGet, "/setup/{id}/tasks", admins, p.tasks)
	api.Page(http.MethodPost, "/setup/{id}/tasks/{task}/gold", admins, p.markGold)
	api.Page(http.MethodPost, "/setup/{id}/tasks/{task}/retire", admins, p.retireGold)
	if practice != nil {
		api.Page(http.MethodPost, practicePath, admins, p.makePractice)
	}
	return nil
}

// refusal is what to tell somebody whose form was refused; empty for an error that a form cannot help.
func refusal(err error) string {
	switch tandem.CodeOf(err) {
	case tandem.Invalid, tandem.Conflict:
		return web.ProblemOf(err).Detail
	}
	return ""
}

// setupRow is a project in the list.
type setupRow struct {
	store.Project
	store.Progress
}

// setupList is the list of projects.
type setupList struct {
	Projects []setupRow
	Practice bool // the practice projects can be made
}

func (p setup) list(w http.ResponseWriter, r *http.Request) error {
	projects, err := p.store.Projects(r.Context())
	if err != nil {
		return err
	}
	page := setupList{Practice: p.practice != nil && len(projects) == 0}
	for _, project := range projects {
		progress, err := p.store.Progress(r.Context(), project.ID)
		if err != nil {
			return err
		}
		page.Projects = append(page.Projects, setupRow{project, progress})
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["setup.html"], "Projects", page)
}

// setupForm is what can be set of a project.
type setupForm struct {
	store.Project
	Others  []store.Project // that can qualify people for it
	New     bool
	Problem string
}

// Minutes is the lease in minutes.
func (f setupForm) Minutes() string { return short(f.Lease.Minutes()) }

// PassPercent and FloorPercent are shares in percent.
func (f setupForm) PassPercent() string { return short(100 * f.PassShare) }

func (f setupForm) FloorPercent() string { return short(100 * f.GoldFloor) }

// Temps are the temperatures, divided by spaces.
func (f setupForm) Temps() string {
	texts := make([]string, len(f.Temperatures))
	for i, t := range f.Temperatures {
		texts[i] = short(t)
	}
	return strings.Join(texts, " ")
}

// Temp is the one temperature of red teaming, and StretchMinutes how long a stretch is.
func (f setupForm) Temp() string {
	if len(f.Temperatures) != 1 {
		return "1"
	}
	return short(f.Temperatures[0])
}

func (f setupForm) StretchMinutes() string { return short(f.Stretch.Minutes()) }

// AttackRisks and AttackVectors are what can be asked for in red teaming, and whether it is.
func (f setupForm) AttackRisks() []choice { return choices(tandem.RiskCategories(), f.Risks) }

func (f setupForm) AttackVectors() []choice { return choices(tandem.AttackVectors(), f.Vectors) }

// choice is one of several things that can be chosen.
type choice struct {
	Value, Text string
	Chosen      bool
}

func choices[T ~string](all, chosen []T) []choice {
	var out []choice
	for _, v := range all {
		out = append(out, choice{string(v), strings.ReplaceAll(string(v), "_", " "), slices.Contains(chosen, v)})
	}
	return out
}

// short is a number without needless digits.
func short(x float64) string { return strconv.FormatFloat(math.Round(x*1e6)/1e6, 'f', -1, 64) }

// read takes the settings from a form; what the form does not hold stays.
func (f *setupForm) read(r *http.Request) error {
	var errs []error
	number := func(field, name string, least, most float64, set func(float64)) {
		text := strings.TrimSpace(r.PostFormValue(field))
		if !r.PostForm.Has(field) {
			return
		}
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x >= least && x <= most) {
			errs = append(errs, fmt.Errorf("%s: %q is no number from %s to %s", name, text, short(least), short(most)))
			return
		}
		set(x)
	}
	whole := func(field, name string, least, most int, into *int) {
		number(field, name, float64(least), float64(most), func(x float64) {
			if x != math.Trunc(x) {
				errs = append(errs, fmt.Errorf("%s: %s is no whole number", name, short(x)))
				return
			}
			*into = int(x)
		})
	}
	number("lease", "Minutes that a task is held", 1, 10080, func(x float64) { f.Lease = time.Duration(x * float64(time.Minute)) })
	number("pass", "Share to get right", 1, 100, func(x float64) { f.PassShare = x / 100 })
	number("floor", "Least share of gold right", 1, 100, func(x float64) { f.GoldFloor = x / 100 })
	whole("overlap", "Judgments of each comparison", 1, 100, &f.Overlap)
	whole("gold_every", "Comparisons to one gold task", 0, 1000, &f.GoldEvery)
	whole("gold_window", "Gold tasks that count", 1, 1000, &f.GoldWindow)
	whole("limit", "Judgments a day", 0, 100000, &f.DailyLimit)
	whole("tokens", "Longest answer", 1, 4096, &f.AnswerTokens)
	if r.PostForm.Has("stretch") {
		number("stretch", "Minutes of a stretch", store.ShortestStretch.Minutes(), store.LongestStretch.Minutes(), func(x float64) { f.Stretch = time.Duration(x * float64(time.Minute)) })
		f.Risks, f.Vectors = nil, nil
		for _, v := range r.PostForm["risk"] {
			f.Risks = append(f.Risks, tandem.RiskCategory(v))
		}
		for _, v := range r.PostForm["vector"] {
			f.Vectors = append(f.Vectors, tandem.AttackVector(v))
		}
		if len(f.Risks) == 0 || len(f.Vectors) == 0 {
			errs = append(errs, errors.New("choose at least one risk category and one attack vector"))
		}
	}
	if f.Source == store.RedTeam {
		number("temperature", "Temperature", 0, 2, func(x float64) { f.Temperatures = []float64{x} })
	} else if r.PostForm.Has("temperatures") {
		f.Temperatures = nil
		for _, text := range strings.Fields(r.PostFormValue("temperatures")) {
			t, err := strconv.ParseFloat(text, 64)
			if err != nil || !(t >= 0 && t <= 2) {
				errs = append(errs, fmt.Errorf("%s: %q is no number from 0 to 2", "Temperatures", text))
				continue
			}
			f.Temperatures = append(f.Temperatures, t)
		}
	}
	f.Qualification, f.Warning, f.Blurred = r.PostFormValue("qualification"), strings.TrimSpace(r.PostFormValue("warning")), r.PostFormValue("blurred") != ""
	if err := errors.Join(errs...); err != nil {
		return tandem.Errorf(tandem.Invalid, "annotation.setup", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func (p setup) ask(w http.ResponseWriter, r *http.Request) error {
	form := setupForm{Project: store.Project{Aspect: tandem.Helpfulness, Source: store.Prepared, Overlap: 1,
		Settings: store.Settings{Lease: 30 * time.Minute, PassShare: 0.8, GoldWindow: 20, GoldFloor: 0.6, Temperatures: []float64{0.7, 1}, AnswerTokens: 256,
			Stretch: time.Hour, Risks: tandem.RiskCategories(), Vectors: tandem.AttackVectors()}}}
	return p.showNew(w, r, http.StatusOK, form)
}

func (p setup) showNew(w http.ResponseWriter, r *http.Request, status int, form setupForm) error {
	var err error
	if form.Others, err = p.store.Projects(r.Context()); err != nil {
		return err
	}
	form.New = true
	return p.api.Render(w, r, status, p.Pages["setup_new.html"], "Open a project", form)
}

// text is a field of a form with a browser's line ends made plain.
func text(r *http.Request, field string) string {
	return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(field), "\r\n", "\n"))
}

func (p setup) open(w http.ResponseWriter, r *http.Request) error {
	form := setupForm{Project: store.Project{Name: text(r, "name"), Aspect: tandem.Aspect(r.PostFormValue("aspect")),
		Source: store.Source(r.PostFormValue("source")), Guideline: text(r, "guideline")}}
	err := form.read(r)
	switch {
	case err != nil:
	case form.Name == "":
		err = tandem.Errorf(tandem.Invalid, "annotation.setup", "The project needs a name.")
	case form.Aspect != tandem.Helpfulness && form.Aspect != tandem.Safety || form.Source != store.Prepared && !form.Source.Written():
		err = tandem.Errorf(tandem.Invalid, "annotation.setup", "Choose what is judged, and where the comparisons come from.")
	default:
		var made store.Project
		if made, err = p.store.CreateProject(r.Context(), form.Project, web.Caller(r.Context()).Actor()); err == nil {
			return see(w, r, "/setup/"+made.ID)
		}
		if tandem.CodeOf(err) == tandem.Conflict {
			form.Problem = "There is a project " + form.Name + " already."
			return p.showNew(w, r, http.StatusUnprocessableEntity, form)
		}
	}
	if form.Problem = refusal(err); form.Problem == "" {
		return err
	}
	return p.showNew(w, r, http.StatusUnprocessableEntity, form)
}

// setupPage is all that an admin sees of a project.
type setupPage struct {
	Form       setupForm
	Progress   store.Progress
	Guidelines []store.Guideline
	Batches    []store.Batch
	Variants   bool   // there is a page that says which models answer
	Draft      string // of the guideline
	BatchName  string // of the next batch
	HeldOut    string // of the next batch, in percent
	Into       string // number of the batch that a file is brought into
	Done       string // what was done just now
	Problem    string // why a form was not taken
}

// Percent is a share in percent.
func (setupPage) Percent(share float64) string { return short(100 * share) }

// notices are what a page says after a form, by what stands in its address.
var notices = map[string]string{
	"settings": "The settings are kept. They hold for what is claimed from now on.", "guideline": "The new version is shown from now on.",
	"batch": "The batch has begun.", "closed": "The project is closed: who holds a task may still submit it.",
}

func (p setup) project(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, http.StatusOK, func(page *setupPage) {
		page.Done = notices[r.URL.Query().Get("done")]
		if made, err := strconv.Atoi(r.URL.Query().Get("made")); err == nil {
			lines, _ := strconv.Atoi(r.URL.Query().Get("of")) // an address that somebody made up
			page.Done = fmt.Sprintf("The file holds %d comparisons. %d are new here.", lines, made)
			if gold, err := strconv.Atoi(r.URL.Query().Get("gold")); err == nil && gold > 0 {
				page.Done += fmt.Sprintf(" It says the right answer of %d.", gold)
			}
		}
	})
}

// show shows a project; change puts in what a form brought.
func (p setup) show(w http.ResponseWriter, r *http.Request, status int, change func(*setupPage)) error {
	ctx, id := r.Context(), chi.URLParam(r, "id")
	project, err := p.store.Project(ctx, id)
	if err != nil {
		return err
	}
	page := setupPage{Form: setupForm{Project: project}, Draft: project.Guideline, HeldOut: short(100 * tandem.HeldOutShare)}
	if page.Progress, err = p.store.Progress(ctx, id); err != nil {
		return err
	}
	if page.Guidelines, err = p.store.Guidelines(ctx, id); err != nil {
		return err
	}
	if page.Batches, err = p.store.Batches(ctx, id); err != nil {
		return err
	}
	page.Variants = project.Source.Written() && p.api.Has(http.MethodGet, "/projects/{id}/variants")
	change(&page)
	projects, err := p.store.Projects(ctx)
	if err != nil {
		return err
	}
	for _, other := range projects {
		if other.ID != id {
			page.Form.Others = append(page.Form.Others, other)
		}
	}
	return p.api.Render(w, r, status, p.Pages["setup_project.html"], project.Name, page)
}

// back leads to the project after a form, or shows the form again with what was wrong.
func (p setup) back(w http.ResponseWriter, r *http.Request, query string, err error, entered func(*setupPage)) error {
	if err == nil {
		return see(w, r, "/setup/"+chi.URLParam(r, "id")+"?"+query)
	}
	problem := refusal(err)
	if problem == "" {
		return err
	}
	return p.show(w, r, http.StatusUnprocessableEntity, func(page *setupPage) {
		page.Problem = problem
		if entered != nil {
			entered(page)
		}
	})
}

func (p setup) configure(w http.ResponseWriter, r *http.Request) error {
	project, err := p.store.Project(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	form := setupForm{Project: project}
	if err = form.read(r); err == nil {
		_, err = p.store.Configure(r.Context(), project.ID, form.Settings, web.Caller(r.Context()).Actor())
	}
	return p.back(w, r, "done=settings", err, func(page *setupPage) { page.Form = form })
}

func (p setup) guideline(w http.ResponseWriter, r *http.Request) error {
	markdown := text(r, "guideline")
	var err error
	if markdown == "" {
		err = tandem.Errorf(tandem.Invalid, "annotation.setup", "The guideline is empty.")
	} else {
		err = p.store.SetGuideline(r.Context(), chi.URLParam(r, "id"), markdown, web.Caller(r.Context()).Actor())
	}
	return p.back(w, r, "done=guideline", err, func(page *setupPage) { page.Draft = markdown })
}

func (p setup) upload(w http.ResponseWriter, r *http.Request) error {
	const op = "annotation.setup"
	made, err := func() (Imported, error) {
		file, head, err := r.FormFile("file")
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return Imported{}, tandem.Errorf(tandem.Invalid, op, "The file is larger than %d MiB. Bring it in in parts: what is there already is not made again.", large.Limit>>20)
		}
		if err != nil {
			return Imported{}, tandem.Errorf(tandem.Invalid, op, "Choose a file.")
		}
		defer file.Close()
		batch := 0
		if given := r.PostFormValue("batch"); given != "" {
			n, err := strconv.ParseInt(given, 10, 32)
			if batch = int(n); err != nil || batch < 0 {
				return Imported{}, tandem.Errorf(tandem.Invalid, op, "%q is no batch.", given)
			}
		}
		return importPrepared(r.Context(), p.store, chi.URLParam(r, "id"), head.Filename, file, batch)
	}()
	return p.back(w, r, fmt.Sprintf("made=%d&of=%d&gold=%d", made.Tasks, made.Lines, made.Gold), err, func(page *setupPage) { page.Into = r.PostFormValue("batch") })
}

func (p setup) batch(w http.ResponseWriter, r *http.Request) error {
	share, err := strconv.ParseFloat(r.PostFormValue("held_out"), 64)
	if err != nil || !(share >= 0 && share <= 100) {
		err = tandem.Errorf(tandem.Invalid, "annotation.setup", "Held out: %q is no number from 0 to 100.", r.PostFormValue("held_out"))
	} else {
		_, err = p.store.AddBatch(r.Context(), chi.URLParam(r, "id"), text(r, "name"), share/100, web.Caller(r.Context()).Actor())
	}
	return p.back(w, r, "done=batch", err, func(page *setupPage) {
		page.BatchName, page.HeldOut = text(r, "name"), r.PostFormValue("held_out")
	})
}

func (p setup) close(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	err := p.store.Together(r.Context(), func(ctx context.Context) error {
		if err := p.store.CloseProject(ctx, id); err != nil {
			return err
		}
		return p.store.AddAudit(ctx, store.AuditEntry{Actor: web.Caller(ctx).Actor(), Action: "project.close", Subject: "project:" + id})
	})
	return p.back(w, r, "done=closed", err, nil)
}

func (p setup) makePractice(w http.ResponseWriter, r *http.Request) error {
	id, err := p.practice(r.Context(), web.Caller(r.Context()).Actor())
	if tandem.CodeOf(err) == tandem.Conflict {
		return see(w, r, "/setup") // somebody was quicker, or they are closed
	}
	if err != nil {
		return err
	}
	return see(w, r, "/projects/"+id)
}
