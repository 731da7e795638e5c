package annotation_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

// newSetupWorld is a world whose admins can set projects up, and whose server keeps answers.
func newSetupWorld(t *testing.T, practice annotation.Practice) world {
	t.Helper()
	s := postgres.Store(t)
	handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Answers: s},
		func(api web.API) error { return annotation.Register(api, s) },
		func(api web.API) error { return annotation.RegisterSetup(api, s, practice) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w := world{t: t, store: s, url: server.URL}
	w.admin = w.client(store.Key{Name: "engineer", Scopes: []store.Scope{store.ScopeAdmin}})
	return w
}

// upload sends a file with the fields of its form.
func (b *browser) upload(path, name, content string, fields ...string) {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		if err := form.WriteField(fields[i], fields[i+1]); err != nil {
			b.t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = io.WriteString(file, content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.page = response.Request.URL.RequestURI(), response.StatusCode, string(page)
}

// settingsForm is the settings as the page has them at first.
func settingsForm(change ...string) url.Values {
	form := url.Values{"lease": {"30"}, "limit": {"0"}, "warning": {""}, "qualification": {""}, "pass": {"80"}, "gold_every": {"0"},
		"gold_window": {"20"}, "floor": {"60"}}
	for i := 0; i < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

const preparedLines = `{"prompt":"Why is the sky blue?","responses":["It scatters.","Because."]}

{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."},{"role":"user","content":"Who are you?"}],"responses":[{"content":"Ann.","origin":"elsewhere"},"Nobody."],"source":"week 1","priority":3}
`

func TestSetupPages(t *testing.T) {
	w := newSetupWorld(t, nil)
	ada := w.join("ada", store.RoleAdmin)
	if ada.wants(http.StatusOK, "/setup/new"); strings.Contains(ada.page, "practice") {
		t.Error("practice projects are offered though there are none")
	}
	w.join("bob", store.RoleAnnotator).wants(http.StatusOK, "Whoever runs this site opens one")

	open := settingsForm("name", "Kindness", "aspect", "safety", "source", "prepared", "guideline", "Be **kind**.", "overlap", "2", "temperatures", "0.5 1", "tokens", "100", "lease", "15")
	open.Set("limit", "-3")
	ada.post("/setup", open)
	ada.wants(http.StatusUnprocessableEntity, `Judgments a day: "-3" is no number from 0 to 100000`, `value="Kindness"`, "Be **kind**.")
	open.Set("limit", "100")
	ada.post("/setup", open)
	ada.wants(http.StatusOK, "Kindness", "each wanted from 2 people", "Version 1")
	page := ada.at
	ada.post("/setup", open)
	ada.wants(http.StatusUnprocessableEntity, "There is a project Kindness already.")
	ada.post("/setup", settingsForm("name", "Exam", "aspect", "safety", "source", "prepared", "overlap", "1"))
	exam := strings.TrimPrefix(ada.at, "/setup/")

	ada.post(page+"/settings", settingsForm("qualification", exam, "pass", "90", "blurred", "yes", "gold_every", "1.5"))
	ada.wants(http.StatusUnprocessableEntity, "Comparisons to one gold task: 1.5 is no whole number", `value="90"`)
	ada.post(page+"/settings", settingsForm("qualification", exam, "pass", "90", "blurred", "yes", "gold_every", "10", "warning", "Unpleasant.", "limit", "7"))
	ada.wants(http.StatusOK, "The settings are kept", "Unpleasant.")
	id := strings.TrimPrefix(page, "/setup/")
	p, err := w.store.Project(t.Context(), id)
	if err != nil || p.Qualification != exam || p.PassShare != 0.9 || !p.Blurred || p.GoldEvery != 10 || p.DailyLimit != 7 || p.AnswerTokens != 100 || p.Overlap != 2 {
		t.Errorf("kept %+v, %v", p, err)
	}
	ada.post(page+"/guideline", url.Values{"guideline": {"Be *kinder*."}})
	ada.wants(http.StatusOK, "Be <em>kinder</em>.", "Version 2", "Version 1")
	ada.post(page+"/batches", url.Values{"name": {"week 1"}, "held_out": {"200"}})
	ada.wants(http.StatusUnprocessableEntity, `Held out: "200"`, `value="week 1"`, `name="held_out" value="200"`)
	ada.post(page+"/batches", url.Values{"name": {"week 1"}, "held_out": {"100"}})
	ada.wants(http.StatusOK, "The batch has begun.", "week 1", "100\u00a0%")

	ada.upload(page+"/import", "week1.jsonl", preparedLines+`{"prompt":"x","responses":["one"]}`, "batch", "1")
	ada.wants(http.StatusUnprocessableEntity, `week1.jsonl:4: "responses" holds 1 answers`, `<option value="1" selected>`)
	ada.upload(page+"/import", "week1.jsonl", preparedLines, "batch", "9")
	if ada.status != http.StatusNotFound {
		t.Errorf("a batch that is not there: %d", ada.status)
	}
	ada.upload(page+"/import", "week1.jsonl", preparedLines, "batch", "1")
	ada.wants(http.StatusOK, "The file holds 2 comparisons. 2 are new here.", "0 of 4 wanted")
	ada.upload(page+"/import", "week1.jsonl", preparedLines, "batch", "1")
	ada.wants(http.StatusOK, "The file holds 2 comparisons. 0 are new here.")
	prompts, err := w.store.Prompts(t.Context(), store.PromptQuery{})
	if err != nil || len(prompts) != 2 || !prompts[0].HeldOut || !prompts[0].Safety || prompts[0].Source != "Kindness" || prompts[1].Source != "week 1" || len(prompts[1].Messages) != 3 {
		t.Errorf("prompts %+v, %v", prompts, err)
	}
	tasks, err := w.store.Tasks(t.Context(), id, store.Page{})
	if err != nil || len(tasks) != 2 || tasks[0].Batch != 1 || tasks[0].Wanted != 2 {
		t.Errorf("tasks %+v, %v", tasks, err)
	}

	ada.post(page+"/close", url.Values{})
	ada.wants(http.StatusOK, "The project is closed")
	ada.get("/setup")
	ada.wants(http.StatusOK, "Kindness", "closed", "Exam")
	entries, err := w.store.AuditLog(t.Context(), "project:"+id, store.Page{})
	if err != nil || len(entries) < 5 || entries[0].Action != "project.close" || strings.HasPrefix(entries[0].Actor, "key:") {
		t.Errorf("audit %+v, %v", entries, err)
	}
	eve := w.join("eve", store.RoleEngineer)
	for _, path := range []string{"/setup", "/setup/new", page} {
		if eve.get(path); eve.status != http.StatusForbidden {
			t.Errorf("an engineer opens %s: %d", path, eve.status)
		}
	}
}

func TestPracticeProjectsAreOffered(t *testing.T) {
	var by, made string
	w := newSetupWorld(t, func(_ context.Context, who string) (string, error) {
		by = who
		return made, nil
	})
	ada := w.join("ada", store.RoleAdmin)
	ada.wants(http.StatusOK, "Set up the practice projects")
	p, err := w.admin.CreateProject(t.Context(), annotation.Project{Name: "practice", Aspect: tandem.Helpfulness})
	if err != nil {
		t.Fatal(err)
	}
	made = p.ID
	if ada.post("/setup/practice", url.Values{}); ada.at != "/projects/"+p.ID || by == "" {
		t.Errorf("it leads to %s, for %q", ada.at, by)
	}
	if err := w.store.CloseProject(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	if ada.get("/"); strings.Contains(ada.page, "/setup/practice") || !strings.Contains(ada.page, "/setup/new") {
		t.Errorf("with a closed project the home page says\n%s", ada.page)
	}
	bob := w.join("bob", store.RoleAnnotator)
	if bob.post("/setup/practice", url.Values{}); bob.status != http.StatusForbidden || strings.Contains(bob.page, "Set up") {
		t.Errorf("an annotator: %d", bob.status)
	}
}

func TestImportNamesTheFirstWrongLine(t *testing.T) {
	w := newSetupWorld(t, nil)
	p, err := w.admin.CreateProject(t.Context(), annotation.Project{Name: "p", Aspect: tandem.Helpfulness})
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/projects/" + p.ID + "/import"
	const good = `{"prompt":"a","responses":["b","c"]}` + "\n"
	for line, want := range map[string]string{
		`{"prompt":"a","responses":["b","c"],"gold":{"chosen":3}}`:             `"chosen" is 3, and should be 1 or 2`,
		`{"prompt":"a","responses":["b","c"],"gold":1}`:                        `"gold" is a number, and should be an object`,
		`{"prompt":"a","responses":["b","c"],"gold":{"chosen":1,"labels":[]}}`: `the project is none of safety`,
		`{"prompt":"a"`:                                                        "unexpected EOF",
		`{"prompt":"a","answers":[]}`:                                          `unknown field "answers"`,
		`{"prompt":"a","responses":["b"]}`:                                     `holds 1 answers`,
		`{"prompt":"a","responses":["b","b"]}`:                                 `both answers are the same`,
		`{"prompt":"a","responses":["b"," "]}`:                                 `answer 2 is empty`,
		`{"responses":["b","c"]}`:                                              `either "prompt" or "messages"`,
		`{"prompt":"a","responses":["b","c\u0000"]}`:                           `NUL`,
		`{"prompt":"a","responses":["b",7]}`:                                   `number`,
		`{"prompt":"a","responses":"b"}`:                                       `responses`,
		`{"messages":[{"role":"king","content":"a"}],"responses":["b","c"]}`:   `king`,
		`{"messages":[{"role":"assistant","content":"a"}],"responses":["b"]}`:  ``,
		`{"prompt":"a","responses":["b",{"content":"c","model":"m"}]}`:         `how it was sampled`,
		`{"prompt":"a","responses":["b","c"]} {"prompt":"a"}`:                  `more than one JSON value`,
		`{"prompt":"a","responses":["b",{"content":"c","colour":"red"}]}`:      `unknown field "colour"`,
		`{"prompt":" ","responses":["b","c"]}`:                                 `the prompt is empty`,
		`{"prompt":3,"responses":["b","c"]}`:                                   `"prompt" is a number, and should be a list`,
		`{"prompt":"a","responses":["b","c"],"risk_category":"rude"}`:          `risk_category is "rude", and should be one of`,
		`{"prompt":"a","responses":["b","c"],"attack_vector":"rude"}`:          `attack_vector is "rude", and should be one of`,
		`{"prompt":"a","responses":["b","c"],"priority":99999999999}`:          `"priority" is a number 99999999999, and should be a whole number of 32 bits`,
		`{"prompt":"a","responses":["b",{"content":"c","finish_reason":"x"}]}`: `finish_reason is "x"`,
	} {
		status, body, _ := w.raw(w.admin, "POST", path, good+"\n"+line+"\n"+good, "Content-Type", "application/x-ndjson")
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, "body:3: ") || !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), want) {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	if progress, err := w.admin.Progress(t.Context(), p.ID); err != nil || progress.Tasks != 0 {
		t.Errorf("a file that was refused left %+v, %v", progress, err)
	}
	if status, body, _ := w.raw(w.admin, "POST", path, "\n", "Content-Type", "application/x-ndjson"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "no comparison") {
		t.Errorf("an empty file: %d %s", status, body)
	}
	var many strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&many, `{"prompt":"question %d","responses":["b","c"]}`+"\n", i)
	}
	if status, body, _ := w.raw(w.admin, "POST", path, many.String(), "Content-Type", "application/x-ndjson"); status != http.StatusOK || !strings.Contains(body, `"comparisons":1500,"tasks":1500`) {
		t.Errorf("many: %d %s", status, body)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	w := newSetupWorld(t, nil)
	const body = `{"name":"p","aspect":"helpfulness"}`
	make := func(body, key string) (int, string, http.Header) {
		return w.raw(w.admin, "POST", "/api/v1/projects", body, "Idempotency-Key", key)
	}
	status, first, header := make(body, "k")
	if status != http.StatusCreated || header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", status, first)
	}
	for range 3 {
		status, again, header := make(body, "k")
		if status != http.StatusCreated || again != first || header.Get("Idempotency-Replayed") != "true" || header.Get("Content-Type") != "application/json" {
			t.Errorf("sent again: %d %s %v", status, again, header)
		}
	}
	if status, answer, _ := make(`{"name":"q","aspect":"helpfulness"}`, "k"); status != http.StatusConflict || !strings.Contains(answer, "another request") {
		t.Errorf("the key with another body: %d %s", status, answer)
	}
	if status, answer, _ := make(body, "other"); status != http.StatusConflict || !strings.Contains(answer, "exists already") {
		t.Errorf("the body with another key: %d %s", status, answer)
	}
	if status, answer, _ := make(`{"name":"","aspect":"helpfulness"}`, "bad"); status != http.StatusUnprocessableEntity {
		t.Errorf("what is invalid: %d %s", status, answer)
	}
	if status, answer, _ := make(`{"name":"r","aspect":"helpfulness"}`, "bad"); status != http.StatusCreated {
		t.Errorf("a key whose request came to nothing: %d %s", status, answer)
	}
	if status, _, _ := make(body, strings.Repeat("k", 201)); status != http.StatusUnprocessableEntity {
		t.Errorf("a long key: %d", status)
	}
	projects, err := w.store.Projects(t.Context())
	if err != nil || len(projects) != 2 {
		t.Errorf("%d projects, %v", len(projects), err)
	}
	// A server that keeps no answers says so, and makes nothing.
	plain := newWorld(t)
	if status, answer, _ := plain.raw(plain.admin, "POST", "/api/v1/projects", body, "Idempotency-Key", "k"); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "keeps no answers") {
		t.Errorf("without a place for answers: %d %s", status, answer)
	}
}
