package annotation_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/internal/web"
	"tandem/store"
)

// TestProjectLists reads what engineers see of a project, two items a page.
func TestProjectLists(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 3)
	for range 3 {
		a := claim(t, ann, project.ID)
		if _, err := ann.Submit(t.Context(), a.ID, "k"+a.ID, verdict(a)); err != nil {
			t.Fatal(err)
		}
	}
	reader := w.client(store.Key{Name: "reader", Scopes: []store.Scope{store.ScopeRead}})
	var tasks []annotation.Task
	for after := ""; ; {
		var page web.List[annotation.Task]
		status, text, _ := w.raw(reader, "GET", "/api/v1/projects/"+project.ID+"/tasks?limit=2&after="+after, "")
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		tasks = append(tasks, page.Items...)
		if after = page.Next; after == "" {
			break
		}
	}
	judgments := make(map[string]annotation.Judgment) // by task
	for after := ""; ; {
		var page web.List[annotation.Judgment]
		status, text, _ := w.raw(reader, "GET", "/api/v1/projects/"+project.ID+"/judgments?limit=2&after="+after, "")
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		for _, j := range page.Items {
			judgments[j.Task] = j
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(tasks) != 3 || len(judgments) != 3 {
		t.Fatalf("%d tasks, %d judgments", len(tasks), len(judgments))
	}
	for _, task := range tasks {
		j := judgments[task.ID]
		// The better answer is the first by its text, and was the first to be sent.
		if task.Wanted != 1 || task.Done != 1 || len(task.Responses) != 2 || j.Verdict.Chosen != task.Responses[0] || j.Annotator == "" {
			t.Errorf("task %+v, judgment %+v", task, j)
		}
	}
	for _, list := range []string{"tasks", "judgments"} {
		if status, text, _ := w.raw(ann, "GET", "/api/v1/projects/"+project.ID+"/"+list, ""); status != http.StatusForbidden {
			t.Errorf("%s for an annotator: %d %s", list, status, text)
		}
		if status, text, _ := w.raw(reader, "GET", "/api/v1/projects/"+project.ID+"/"+list+"?after=x", ""); status != http.StatusNotFound {
			t.Errorf("%s after nothing: %d %s", list, status, text)
		}
	}
}

// TestAnnotatorsAreBlind looks for the model's name in everything that an annotator can read.
func TestAnnotatorsAreBlind(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	a := claim(t, ann, project.ID)
	if _, err := ann.Submit(t.Context(), a.ID, "k", verdict(a)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/assignments/" + a.ID, "/api/v1/judgments", "/api/v1/projects", "/api/v1/projects/" + project.ID, "/api/v1/prompts"} {
		if _, text, _ := w.raw(ann, "GET", path, ""); strings.Contains(text, hiddenModel) {
			t.Errorf("%s names the model: %s", path, text)
		}
	}
	if status, text, _ := w.raw(w.admin, "GET", "/api/v1/projects/"+project.ID, ""); status != http.StatusOK || !strings.Contains(text, `"lease_seconds":1800`) {
		t.Errorf("the project: %d %s", status, text)
	}
}

// TestRefusalsNameTheField: who sends something wrong learns which field it is, and nothing breaks on numbers that
// the database cannot hold.
func TestRefusalsNameTheField(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	p := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	a := claim(t, ann, p.ID)
	project := "/api/v1/projects/" + p.ID
	const huge = "9223372036854775807"
	asks := `{"messages": [{"role": "user", "content": "Why?"}]`
	for _, c := range []struct {
		client             *annotation.Client
		method, path, body string
		status             int
		says               string
	}{
		{w.admin, "POST", "/api/v1/projects", `{"name": " ", "aspect": "safety"}`, 422, "name cannot have this value in projects"},
		{w.admin, "POST", "/api/v1/projects", `{"name": "p", "aspect": "safety"}`, 409, "one with this name exists already in projects"},
		{w.admin, "POST", "/api/v1/projects", `{"name": "q", "aspect": "safety", "temperatures": [3]}`, 422, "temperatures cannot have this value"},
		{w.admin, "POST", "/api/v1/projects", `{"name": "q", "aspect": "safety", "qualification_id": "99"}`, 404, "qualification_id names something that does not exist"},
		{w.admin, "POST", "/api/v1/projects", `{"name": "q", "aspect": "safety", "warning": "a\u0000b"}`, 400, "body.warning holds a NUL character"},
		{w.admin, "PATCH", project + "/settings", `{"gold_every": ` + huge + `}`, 422, "body.gold_every"},
		{w.admin, "PATCH", project + "/settings", `{"daily_limit": ` + huge + `}`, 422, "body.daily_limit"},
		{w.admin, "POST", "/api/v1/prompts", `{"items": [` + asks + `, "risk_category": "rude"}]}`, 422, `prompt 1: risk_category is \"rude\", and should be one of`},
		{w.admin, "POST", "/api/v1/prompts", `{"items": [` + asks + `}, ` + asks + `, "attack_vector": "rude"}]}`, 422, `prompt 2: attack_vector is \"rude\"`},
		{w.admin, "POST", "/api/v1/prompts", `{"items": [` + asks + `, "source": "a\u0000"}]}`, 400, "body.items[0].source holds a NUL"},
		{w.admin, "POST", project + "/batches/" + huge + "/prompts", `{"items": [` + asks + `}]}`, 422, "path.number"},
		{w.admin, "GET", project + "/review?batch=" + huge, "", 422, "query.batch"},
		{w.admin, "POST", project + "/returns", `{"batch": ` + huge + `, "reason": "r"}`, 422, "body.batch"},
		{w.admin, "POST", project + "/tasks", `{"items": [{"kind": "pairwise", "prompt_id": "1", "priority": ` + huge + `, "responses": [{"content": "a"}]}]}`, 422, "body.items[0].priority"},
		{ann, "PUT", "/api/v1/assignments/" + a.ID + "/draft", `{"revision": ` + huge + `, "body": {}}`, 422, "body.revision"},
	} {
		if status, text, _ := w.raw(c.client, c.method, c.path, c.body); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, text)
		}
	}
}
