package annotation_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/internal/pgtest"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) {
	code := postgres.Run(m)
	chromium.Close()
	os.Exit(code)
}

// world is a server on a database of its own.
type world struct {
	t     testing.TB
	store *store.Store
	url   string
	admin *annotation.Client
}

func newWorld(t testing.TB) world {
	t.Helper()
	s := postgres.Store(t)
	handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Ready: s.Ping}, func(api web.API) error { return annotation.Register(api, s) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w := world{t: t, store: s, url: server.URL}
	w.admin = w.client(store.Key{Name: "engineer", Scopes: []store.Scope{store.ScopeAdmin}})
	return w
}

func (w world) client(key store.Key) *annotation.Client {
	w.t.Helper()
	_, secret, err := w.store.CreateKey(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return &annotation.Client{URL: w.url, Key: secret}
}

// annotator makes a person and their client.
func (w world) annotator(name string) *annotation.Client {
	w.t.Helper()
	a, err := w.store.AddAnnotator(w.t.Context(), store.Annotator{Name: name, Simulated: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.client(store.Key{Name: name, Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: a.ID})
}

const hiddenModel = "policy-v3-hidden"

// project makes a project of n pairs, sampled by hiddenModel.
func (w world) project(p annotation.Project, n int) annotation.Project {
	w.t.Helper()
	ctx := w.t.Context()
	p, err := w.admin.CreateProject(ctx, p)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.AddModel(ctx, tandem.Model{ID: hiddenModel, Name: hiddenModel, Kind: tandem.PolicyModel, URL: "file:///nowhere", Stage: tandem.StageSFT}); err != nil {
		w.t.Fatal(err)
	}
	var prompts []tandem.Prompt
	for i := range n {
		prompts = append(prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("Question %d?", i)}}, Source: p.Name})
	}
	for some := range slices.Chunk(prompts, 1000) { // what one request may hold
		w.tasks(p.ID, some)
	}
	return p
}

// tasks makes a pair of answers to each prompt.
func (w world) tasks(project string, prompts []tandem.Prompt) {
	w.t.Helper()
	ctx := w.t.Context()
	prompts, err := w.admin.AddPrompts(ctx, prompts)
	if err != nil {
		w.t.Fatal(err)
	}
	var tasks []annotation.NewTask
	for _, prompt := range prompts {
		task := annotation.NewTask{Kind: store.Pairwise, Prompt: prompt.ID}
		for sample := range uint64(2) {
			task.Responses = append(task.Responses, annotation.NewResponse{Content: fmt.Sprintf("answer %d to %s", sample, prompt.ID),
				Model: hiddenModel, Sampling: &tandem.Sampling{Temperature: 1}, Sample: sample, Finish: tandem.FinishStop})
		}
		tasks = append(tasks, task)
	}
	for range 2 { // repeating makes none
		if _, err := w.admin.CreateTasks(ctx, project, tasks); err != nil {
			w.t.Fatal(err)
		}
	}
}

// verdict chooses by the answers' text, not by where they stand.
func verdict(a annotation.Assignment) annotation.Submission {
	chosen, rejected := a.Answers[0], a.Answers[1]
	if chosen.Content > rejected.Content {
		chosen, rejected = rejected, chosen
	}
	s := annotation.Submission{Verdict: annotation.Verdict{Chosen: chosen.ID, Rejected: rejected.ID, Degree: tandem.Better.String()}, Seconds: 0.25}
	if a.Aspect == tandem.Safety {
		s.Labels = map[string]tandem.SafetyLabel{chosen.ID: tandem.Safe, rejected.ID: tandem.Unsafe}
	}
	return s
}

// claim claims a task that must be there.
func claim(t testing.TB, client *annotation.Client, project string) annotation.Assignment {
	t.Helper()
	c, err := client.Claim(t.Context(), project)
	if err != nil || c.State != annotation.ClaimAssigned {
		t.Fatalf("claim: %+v, error %v", c, err)
	}
	return *c.Assignment
}

// raw sends a request for which Client has no method.
func (w world) raw(client *annotation.Client, method, path, body string, headers ...string) (int, string, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+client.Key)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header
}
