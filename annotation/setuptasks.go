package annotation

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// mostTasks is how many tasks stand on a page.
const mostTasks = 25

// setupTasks is a part of a project's tasks, the first one first, for who says what their right answers are.
type setupTasks struct {
	Project store.Project
	web.List[setupTask]
	After   string
	Gold    bool // only gold tasks
	Done    string
	Problem string
}

// setupTask is a task, and its right answer.
type setupTask struct {
	store.Task // of a list of gold tasks, its id and kind alone
	Prompt     tandem.Dialogue
	Answers    []tandem.Response
	Right      *store.Gold // nil where none is known
	Entered    *store.Gold // what a form brought that was not taken; the zero value otherwise
}

// Pair reports whether there is a better answer of two.
func (t setupTask) Pair() bool { return t.Kind == store.Pairwise }

// Letter names the answers, A the first by its id, as for a reviewer.
func (setupTask) Letter(i int) string { return string(rune('A' + i%26)) }

// Asked is the user's last message.
func (t setupTask) Asked() string { return t.Prompt[len(t.Prompt)-1].Content }

// filter is the part of an address that says what is shown.
func (p setupTasks) filter() url.Values {
	v := url.Values{}
	if p.After != "" {
		v.Set("after", p.After)
	}
	if p.Gold {
		v.Set("gold", "yes")
	}
	return v
}

// Later is where the next part of the list is.
func (p setupTasks) Later() string {
	p.After = p.Next
	return "?" + p.filter().Encode()
}

// readTasks reads which tasks an address or a form asks for.
func readTasks(r *http.Request) setupTasks {
	return setupTasks{After: r.FormValue("after"), Gold: r.FormValue("gold") != ""}
}

func (p setup) tasks(w http.ResponseWriter, r *http.Request) error {
	page := readTasks(r)
	page.Done = map[string]string{
		"gold":    "The task is gold from now on.",
		"retired": "The task is handed out no more, and what was answered to it says nothing of anybody.",
	}[r.URL.Query().Get("done")]
	return p.showTasks(w, r, http.StatusOK, page, nil)
}

// showTasks shows a part of a project's tasks, with what a form brought that was not taken.
func (p setup) showTasks(w http.ResponseWriter, r *http.Request, status int, page setupTasks, entered *store.Gold) error {
	ctx, id := r.Context(), chi.URLParam(r, "id")
	var err error
	if page.Project, err = p.store.Project(ctx, id); err != nil {
		return err
	}
	// As many gold tasks as tasks: those of this part are among them.
	part := store.Page{After: page.After, Limit: mostTasks}
	golds, err := p.store.Golds(ctx, id, part)
	if err != nil {
		return err
	}
	right := make(map[string]*store.Gold, len(golds))
	var tasks []store.Task
	for i, g := range golds {
		right[g.TaskID] = &golds[i]
		tasks = append(tasks, store.Task{ID: g.TaskID, Kind: store.Pairwise, Closed: g.Retired})
	}
	if !page.Gold {
		if tasks, err = p.store.Tasks(ctx, id, part); err != nil {
			return err
		}
	}
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.ID
	}
	materials, err := p.store.Materials(ctx, ids)
	if err != nil {
		return err
	}
	rows := make([]setupTask, len(tasks))
	for i, t := range tasks {
		rows[i] = setupTask{Task: t, Prompt: materials[t.ID].Prompt, Answers: materials[t.ID].Responses, Right: right[t.ID], Entered: &store.Gold{}}
		if entered != nil && entered.TaskID == t.ID {
			rows[i].Entered = entered
		}
	}
	page.List = web.ListOf(rows, mostTasks, func(t setupTask) string { return t.ID })
	return p.api.Render(w, r, status, p.Pages["setup_tasks.html"], "Tasks · "+page.Project.Name, page)
}

// markGold keeps the right answer of a task.
func (p setup) markGold(w http.ResponseWriter, r *http.Request) error {
	page := readTasks(r)
	gold := store.Gold{TaskID: chi.URLParam(r, "task"), Chosen: r.PostFormValue("chosen"), Labels: make(map[string]tandem.SafetyLabel), Reason: text(r, "reason")}
	for field := range r.PostForm {
		if response, ok := strings.CutPrefix(field, "label-"); ok && r.PostFormValue(field) != "" {
			gold.Labels[response] = tandem.SafetyLabel(r.PostFormValue(field))
		}
	}
	var err error
	if gold.Chosen == "" {
		err = tandem.Errorf(tandem.Invalid, "annotation.setup", "Say which answer is the better one.")
	} else {
		err = p.store.AddGold(r.Context(), chi.URLParam(r, "id"), []store.Gold{gold}, web.Caller(r.Context()).Actor())
	}
	if page.Problem = refusal(err); page.Problem != "" {
		return p.showTasks(w, r, http.StatusUnprocessableEntity, page, &gold)
	}
	return p.backToTasks(w, r, page, "gold", err)
}

// retireGold ends a gold task whose right answer turned out not to be.
func (p setup) retireGold(w http.ResponseWriter, r *http.Request) error {
	err := p.store.RetireGold(r.Context(), chi.URLParam(r, "id"), chi.URLParam(r, "task"), web.Caller(r.Context()).Actor())
	return p.backToTasks(w, r, readTasks(r), "retired", err)
}

// backToTasks leads to the part of the list that a form stood on.
func (p setup) backToTasks(w http.ResponseWriter, r *http.Request, page setupTasks, done string, err error) error {
	if err != nil {
		return err
	}
	to := page.filter()
	to.Set("done", done)
	return see(w, r, "/setup/"+chi.URLParam(r, "id")+"/tasks?"+to.Encode())
}
