package store_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// world is a project with tasks to judge.
type world struct {
	*testing.T
	store   *store.Store
	project store.Project
	tasks   []string
	people  int
	keys    int
}

type worldConfig struct {
	project   store.Project
	tasks     int
	kind      store.TaskKind // defaults to pairwise
	responses int            // to each task; defaults to 2
}

func newWorld(t *testing.T, s *store.Store, c worldConfig) *world {
	t.Helper()
	if c.kind == "" {
		c.kind = store.Pairwise
	}
	if c.responses == 0 {
		c.responses = 2
	}
	w := &world{T: t, store: s}
	var err error
	if w.project, err = s.CreateProject(t.Context(), c.project, "test"); err != nil {
		t.Fatal(err)
	}
	tasks := w.newTasks(c.project.Name, c)
	if w.tasks, err = s.CreateTasks(t.Context(), w.project.ID, tasks); err != nil {
		t.Fatal(err)
	}
	again, err := s.CreateTasks(t.Context(), w.project.ID, tasks)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(w.tasks) {
		t.Fatalf("making the tasks again gave %v, %v; want %v", again, err, w.tasks)
	}
	return w
}

// newTasks are tasks to make, whose prompts are called by a name that is new.
func (w *world) newTasks(name string, c worldConfig) []store.NewTask {
	w.Helper()
	prompts := make([]tandem.Prompt, c.tasks)
	for i := range prompts {
		prompts[i] = tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("%s, question %d", name, i)}}}
	}
	prompts, err := w.store.AddPrompts(w.Context(), prompts)
	if err != nil {
		w.Fatal(err)
	}
	var responses []store.Response
	for _, p := range prompts {
		for r := range c.responses {
			responses = append(responses, store.Response{PromptID: p.ID, Content: fmt.Sprintf("Answer %d to prompt %s", r, p.ID)})
		}
	}
	ids, err := w.store.AddResponses(w.Context(), responses)
	if err != nil {
		w.Fatal(err)
	}
	tasks := make([]store.NewTask, c.tasks)
	for i, p := range prompts {
		tasks[i] = store.NewTask{Kind: c.kind, PromptID: p.ID, Responses: ids[i*c.responses : (i+1)*c.responses], Batch: 1}
	}
	return tasks
}

func (w *world) annotator() string {
	w.Helper()
	w.people++
	a, err := w.store.AddAnnotator(w.Context(), store.Annotator{Name: fmt.Sprintf("Person %d", w.people), Simulated: true})
	if err != nil {
		w.Fatal(err)
	}
	return a.ID
}

// claim claims a task that must be there.
func (w *world) claim(annotator string) store.Assignment {
	w.Helper()
	claimed, err := w.store.Claim(w.Context(), annotator, w.project.ID)
	if err != nil {
		w.Fatal(err)
	}
	if claimed.Assignment == nil {
		w.Fatalf("nothing to claim; held until %v", claimed.HeldUntil)
	}
	return *claimed.Assignment
}

// submission prefers the first answer as it stood.
func (w *world) submission(a store.Assignment) store.Submission {
	w.keys++
	return store.Submission{
		Annotator: a.Annotator, Assignment: a.ID, Key: strconv.Itoa(w.keys), Duration: 3 * time.Second,
		Verdict: store.Verdict{Chosen: a.Responses[0].ID, Rejected: a.Responses[1].ID, Degree: tandem.Better},
	}
}

func (w *world) submit(sub store.Submission) store.Judgment {
	w.Helper()
	j, err := w.store.Submit(w.Context(), sub)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

// expire lets every lease run out.
func (w *world) expire(db pgtest.Database) {
	w.Helper()
	if _, err := connect(w.T, db.URL).Exec(w.Context(), `UPDATE slots SET lease_until = clock_timestamp() WHERE done_at IS NULL AND lease_until IS NOT NULL`); err != nil {
		w.Fatal(err)
	}
}

// progress reads how far the project is.
func (w *world) progress() store.Progress {
	w.Helper()
	p, err := w.store.Progress(w.Context(), w.project.ID)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// wantCode reports an error that has not the code.
func wantCode(t *testing.T, what string, err error, code tandem.Code) {
	t.Helper()
	if tandem.CodeOf(err) != code || err == nil {
		t.Errorf("%s: got %v, want code %s", what, err, code)
	}
}
