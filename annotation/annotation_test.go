package annotation_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

// fakeStore answers claims and submits; what else a test needs it does not have.
type fakeStore struct {
	annotation.Store
	claimed   store.Claimed
	err       error
	submitted []store.Submission
	responses []store.Response
	tasks     []store.NewTask
}

func (f *fakeStore) Claim(context.Context, string, string) (store.Claimed, error) {
	return f.claimed, f.err
}

func (f *fakeStore) Submit(_ context.Context, s store.Submission) (store.Judgment, error) {
	f.submitted = append(f.submitted, s)
	return store.Judgment{ID: "9", Assignment: s.Assignment, Annotator: s.Annotator, Kind: store.Pairwise, Version: 1, Verdict: s.Verdict, Shown: []string{"2", "1"}}, f.err
}

func (f *fakeStore) AddResponses(_ context.Context, r []store.Response) ([]string, error) {
	f.responses = append(f.responses, r...)
	return []string{"101", "102", "103"}[:len(r)], f.err
}

func (f *fakeStore) CreateTasks(_ context.Context, _ string, t []store.NewTask) ([]string, error) {
	f.tasks = append(f.tasks, t...)
	return []string{"1", "2"}[:len(t)], f.err
}

// fakeKeys knows an annotator, an engineer and a reader.
type fakeKeys struct{}

func (fakeKeys) VerifyKey(_ context.Context, secret string) (store.Key, error) {
	switch secret {
	case "annotator":
		return store.Key{Annotator: "ann", Scopes: []store.Scope{store.ScopeAnnotate}}, nil
	case "engineer":
		return store.Key{Scopes: []store.Scope{store.ScopeAdmin}}, nil
	case "reader":
		return store.Key{Scopes: []store.Scope{store.ScopeRead}}, nil
	}
	return store.Key{}, tandem.Errorf(tandem.Unauthorized, "fake", "the key is not valid")
}

func handlerOf(t *testing.T, s annotation.Store, keys web.Keys) http.Handler {
	t.Helper()
	handler, err := site.Handler(site.Config{Keys: keys}, func(api web.API) error { return annotation.Register(api, s) })
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// ask sends a request as somebody; headers come in pairs.
func ask(handler http.Handler, who, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+who)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestClaimIsBlind(t *testing.T) {
	until := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	fake := &fakeStore{claimed: store.Claimed{Assignment: &store.Assignment{
		ID: "5", TaskID: "7", ProjectID: "3", Annotator: "ann", Aspect: tandem.Safety, Kind: store.Pairwise,
		Prompt: tandem.Prompt{ID: "1", Source: "hidden-source", Risk: tandem.IllicitCriminal, Safety: true, HeldOut: true,
			Messages: tandem.Dialogue{{Role: tandem.User, Content: "Q"}}},
		Responses: []tandem.Response{{ID: "2", Content: "A", Model: "hidden-model", Label: tandem.Unsafe}, {ID: "1", Content: "B", Model: "hidden-model"}},
		Until:     until,
	}}}
	w := ask(handlerOf(t, fake, fakeKeys{}), "annotator", "POST", "/api/v1/projects/3/claims", "")
	var got annotation.Claim
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "hidden") || strings.Contains(w.Body.String(), "illicit") || strings.Contains(w.Body.String(), "unsafe") || strings.Contains(w.Body.String(), "held_out") {
		t.Errorf("the answer tells too much: %s", w.Body)
	}
	a := got.Assignment
	if got.State != annotation.ClaimAssigned || a.ID != "5" || len(a.Answers) != 2 || a.Answers[0] != (annotation.Answer{ID: "2", Content: "A"}) || !a.Until.Equal(until) {
		t.Errorf("got %s", w.Body)
	}
}

func TestClaimWithoutATask(t *testing.T) {
	fake := &fakeStore{}
	handler := handlerOf(t, fake, fakeKeys{})
	if w := ask(handler, "annotator", "POST", "/api/v1/projects/3/claims", ""); strings.TrimSpace(w.Body.String()) != `{"state":"done"}` {
		t.Errorf("nothing left: %s", w.Body)
	}
	fake.claimed.HeldUntil = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	if w := ask(handler, "annotator", "POST", "/api/v1/projects/3/claims", ""); !strings.Contains(w.Body.String(), `"held"`) || !strings.Contains(w.Body.String(), "2026-05-04T03:02:01Z") {
		t.Errorf("held by others: %s", w.Body)
	}
	fake.err = tandem.Errorf(tandem.Conflict, "fake", "the project 3 is closed")
	if w := ask(handler, "annotator", "POST", "/api/v1/projects/3/claims", ""); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "closed") {
		t.Errorf("closed: %d %s", w.Code, w.Body)
	}
}

func TestSubmit(t *testing.T) {
	fake := &fakeStore{}
	w := ask(handlerOf(t, fake, fakeKeys{}), "annotator", "POST", "/api/v1/assignments/5/judgment",
		`{"chosen":"1","rejected":"2","degree":"slightly_better","labels":{"1":"safe","2":"unsafe"},"seconds":1.5}`, "Idempotency-Key", "k")
	if w.Code != http.StatusCreated || w.Header().Get("ETag") != `"1"` || w.Header().Get("Idempotency-Replayed") != "false" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if len(fake.submitted) != 1 {
		t.Fatalf("submitted %v", fake.submitted)
	}
	s := fake.submitted[0]
	if s.Annotator != "ann" || s.Assignment != "5" || s.Key != "k" || s.Duration != 1500*time.Millisecond || s.Verdict.Degree != tandem.SlightlyBetter || s.Verdict.Labels["2"] != tandem.Unsafe {
		t.Errorf("submitted %+v", s)
	}
}

func TestRefusals(t *testing.T) {
	const submit = "/api/v1/assignments/5/judgment"
	const verdict = `{"chosen":"1","rejected":"2","degree":"better"}`
	tests := []struct {
		name, who, method, path, body string
		headers                       []string
		status                        int
		says                          string
	}{
		{"no idempotency key", "annotator", "POST", submit, verdict, nil, 422, "Idempotency-Key"},
		{"unknown degree", "annotator", "POST", submit, `{"chosen":"1","rejected":"2","degree":"much"}`, []string{"Idempotency-Key", "k"}, 422, "body.degree"},
		{"unknown field", "annotator", "POST", submit, `{"chosen":"1","side":"left"}`, []string{"Idempotency-Key", "k"}, 422, "side"},
		{"impossible rating", "annotator", "POST", submit, `{"rating":8}`, []string{"Idempotency-Key", "k"}, 422, "body.rating"},
		{"revision without a version", "annotator", "PUT", submit, verdict, []string{"Idempotency-Key", "k"}, 422, "If-Match"},
		{"revision of no version", "annotator", "PUT", submit, verdict, []string{"Idempotency-Key", "k", "If-Match", "*"}, 422, "If-Match"},
		{"judging as an engineer", "engineer", "POST", submit, verdict, []string{"Idempotency-Key", "k"}, 403, "annotate"},
		{"claiming as a reader", "reader", "POST", "/api/v1/projects/1/claims", "", nil, 403, "annotate"},
		{"setting up as an annotator", "annotator", "POST", "/api/v1/projects", `{"name":"p","aspect":"safety"}`, nil, 403, "admin"},
		{"prompts as an annotator", "annotator", "GET", "/api/v1/prompts", "", nil, 403, "read"},
		{"nobody", "nobody", "GET", "/api/v1/judgments", "", nil, 401, "unauthorized"},
		{"unknown aspect", "engineer", "POST", "/api/v1/projects", `{"name":"p","aspect":"taste"}`, nil, 422, "body.aspect"},
		{"skip without a reason", "annotator", "POST", "/api/v1/assignments/5/skip", `{"reason":""}`, nil, 422, "body.reason"},
		{"too many at once", "reader", "GET", "/api/v1/prompts?limit=100000", "", nil, 422, "query.limit"},
		{"a kept response that says more", "engineer", "POST", "/api/v1/projects/1/tasks",
			`{"items":[{"kind":"rating","prompt_id":"1","responses":[{"id":"7","content":"x"}]}]}`, nil, 422, "task 1"},
		{"a model without its sampling", "engineer", "POST", "/api/v1/projects/1/tasks",
			`{"items":[{"kind":"rating","prompt_id":"1","responses":[{"content":"x","model":"m"}]}]}`, nil, 422, "sampled"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := ask(handlerOf(t, &fakeStore{}, fakeKeys{}), test.who, test.method, test.path, test.body, test.headers...)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %s, want %d and %q", w.Code, w.Body, test.status, test.says)
			}
		})
	}
}

// TestCreateTasks mixes answers that are kept with new ones; each task gets its own, in order.
func TestCreateTasks(t *testing.T) {
	fake := &fakeStore{}
	w := ask(handlerOf(t, fake, fakeKeys{}), "engineer", "POST", "/api/v1/projects/1/tasks", `{"items":[
		{"kind":"pairwise","prompt_id":"1","batch":2,"responses":[{"content":"a","origin":"web"},{"id":"7"}]},
		{"kind":"pairwise","prompt_id":"2","responses":[{"content":"b","model":"m","sampling":{"temperature":1},"seed":3,"sample":4},{"content":"c"}]}]}`)
	if want := `{"items":[{"id":"1","responses":["101","7"]},{"id":"2","responses":["102","103"]}]}`; w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(fake.responses) != 3 || fake.responses[1].Model != "m" || fake.responses[1].Sampling.Temperature != 1 || fake.responses[1].PromptID != "2" {
		t.Errorf("responses %+v", fake.responses)
	}
	if len(fake.tasks) != 2 || fake.tasks[0].Batch != 2 || fake.tasks[1].Responses[0] != "102" {
		t.Errorf("tasks %+v", fake.tasks)
	}
}
