package annotation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/pgtest"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// world is a server on a database of its own.
type world struct {
	t     *testing.T
	store *store.Store
	url   string
	admin *annotation.Client
}

func newWorld(t *testing.T) world {
	t.Helper()
	s := postgres.Store(t)
	handler, err := site.Handler(site.Config{Keys: s, Ready: s.Ping}, func(api web.API) { annotation.Register(api, s) })
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
	prompts, err = w.admin.AddPrompts(ctx, prompts)
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
		if _, err := w.admin.CreateTasks(ctx, p.ID, tasks); err != nil {
			w.t.Fatal(err)
		}
	}
	return p
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

// lossy loses every third answer on its way back, after the server did what it was asked to.
type lossy struct{ requests atomic.Int64 }

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.requests.Add(1)%3 == 0 {
		response.Body.Close()
		return nil, errors.New("the connection was lost")
	}
	return response, err
}

// TestManyAnnotators has six annotators, over a bad network, judge 30 safety pairs twice each. Some skip.
func TestManyAnnotators(t *testing.T) {
	const people, pairs, overlap = 6, 30, 2
	w := newWorld(t)
	project := w.project(annotation.Project{Name: "safety", Aspect: tandem.Safety, Overlap: overlap}, pairs)

	type kept struct{ assignment, id, chosen string }
	judged := make([][]kept, people)
	var flipped atomic.Int64 // how often the better answer stood second
	work := func(ctx context.Context, me int, client *annotation.Client) error {
		for {
			claim, err := client.Claim(ctx, project.ID)
			switch {
			case err != nil:
				return err
			case claim.State == annotation.ClaimDone:
				return nil
			case claim.State == annotation.ClaimHeld:
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(5 * time.Millisecond):
				}
				continue
			}
			a := *claim.Assignment
			if pick(a.Task, me)%10 == 0 {
				if err := client.Skip(ctx, a.ID, "cannot tell"); err != nil {
					return err
				}
				continue
			}
			s := verdict(a)
			if s.Chosen == a.Answers[1].ID {
				flipped.Add(1)
			}
			j, err := client.Submit(ctx, a.ID, "key of "+a.ID, s)
			if err != nil {
				return err
			}
			again, err := client.Submit(ctx, a.ID, "key of "+a.ID, s)
			if err != nil || again.ID != j.ID {
				return fmt.Errorf("the replay of judgment %s gave %s: %w", j.ID, again.ID, err)
			}
			judged[me] = append(judged[me], kept{a.ID, j.ID, s.Chosen})
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wait sync.WaitGroup
	for me := range people {
		client := w.annotator(fmt.Sprint("person ", me))
		client.HTTP, client.Retries = &http.Client{Transport: &lossy{}}, 5
		wait.Go(func() {
			if err := work(ctx, me, client); err != nil {
				t.Errorf("person %d: %v", me, err)
			}
			// What one's own history says is what one said.
			history, err := client.Judgments(ctx, "")
			if err != nil || len(history.Items) != len(judged[me]) {
				t.Errorf("person %d: %d judgments in the history, %d made, error %v", me, len(history.Items), len(judged[me]), err)
				return
			}
			for i, j := range history.Items {
				if want := judged[me][len(judged[me])-1-i]; (kept{j.Assignment, j.ID, j.Verdict.Chosen}) != want {
					t.Errorf("person %d: judgment %+v, want %+v", me, j, want)
				}
			}
		})
	}
	wait.Wait()

	made := 0
	for _, own := range judged {
		made += len(own)
	}
	progress, err := w.admin.Progress(t.Context(), project.ID)
	want := annotation.Progress{Tasks: pairs, Wanted: pairs * overlap, Done: pairs * overlap, Judgments: pairs * overlap}
	if err != nil || progress != want || made != pairs*overlap {
		t.Errorf("%d judgments made, progress %+v, want %+v, error %v", made, progress, want, err)
	}
	perTask, perTurn := make(map[string]int), make(map[string]int)
	for j, err := range w.store.Judgments(t.Context(), store.JudgmentQuery{Project: project.ID, Versions: true}) {
		if err != nil {
			t.Fatal(err)
		}
		perTask[j.TaskID]++
		perTurn[j.TaskID+" "+j.Annotator]++
	}
	for task, n := range perTask {
		if n != overlap {
			t.Errorf("task %s has %d judgments", task, n)
		}
	}
	if len(perTurn) != pairs*overlap {
		t.Errorf("%d pairs of task and annotator, want %d", len(perTurn), pairs*overlap)
	}
	if n := flipped.Load(); n < pairs*overlap/5 || n > pairs*overlap*4/5 {
		t.Errorf("the better answer stood second %d times of %d: the order is not random", n, made)
	}
}

// pick is a number that a task and a person have for good.
func pick(task string, person int) uint32 {
	hash := fnv.New32a()
	fmt.Fprint(hash, task, " ", person)
	return hash.Sum32()
}

// claim claims a task that must be there.
func claim(t *testing.T, client *annotation.Client, project string) annotation.Assignment {
	t.Helper()
	c, err := client.Claim(t.Context(), project)
	if err != nil || c.State != annotation.ClaimAssigned {
		t.Fatalf("claim: %+v, error %v", c, err)
	}
	return *c.Assignment
}

func TestALateJudgmentIsKept(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.annotator("ann"), w.annotator("bob")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness, LeaseSeconds: 0.1}, 1)

	late := claim(t, ann, project.ID)
	if again := claim(t, ann, project.ID); again.ID != late.ID || again.Answers[0] != late.Answers[0] {
		t.Errorf("a second claim gave %+v, the first %+v", again, late)
	}
	if c, err := bob.Claim(t.Context(), project.ID); err != nil || c.State != annotation.ClaimHeld && c.State != annotation.ClaimAssigned {
		t.Errorf("while it is held: %+v, error %v", c, err)
	}
	time.Sleep(150 * time.Millisecond)
	taken := claim(t, bob, project.ID)
	if taken.Task != late.Task {
		t.Fatalf("bob got task %s, not %s", taken.Task, late.Task)
	}
	first, err := bob.Submit(t.Context(), taken.ID, "b", verdict(taken))
	if err != nil || first.Surplus {
		t.Errorf("who holds it: %+v, error %v", first, err)
	}
	second, err := ann.Submit(t.Context(), late.ID, "a", verdict(late))
	if err != nil || !second.Surplus {
		t.Errorf("who comes late: %+v, error %v", second, err)
	}
	progress, err := w.admin.Progress(t.Context(), project.ID)
	if err != nil || progress.Done != 1 || progress.Judgments != 2 || progress.Surplus != 1 {
		t.Errorf("progress %+v, error %v", progress, err)
	}
}

func TestALateJudgmentTakesAFreePlace(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness, LeaseSeconds: 0.05}, 1)
	late := claim(t, ann, project.ID)
	time.Sleep(100 * time.Millisecond)
	if j, err := ann.Submit(t.Context(), late.ID, "a", verdict(late)); err != nil || j.Surplus {
		t.Errorf("%+v, error %v", j, err)
	}
}

func TestSubmittingTwice(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.annotator("ann"), w.annotator("bob")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 2)
	a := claim(t, ann, project.ID)
	s := verdict(a)
	first, err := ann.Submit(t.Context(), a.ID, "k", s)
	if err != nil {
		t.Fatal(err)
	}
	other := s
	other.Chosen, other.Rejected = s.Rejected, s.Chosen
	if _, err := ann.Submit(t.Context(), a.ID, "k", other); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("the same key with another verdict: %v", err)
	}
	if _, err := ann.Submit(t.Context(), a.ID, "another key", other); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("another key: %v", err)
	}
	if _, err := bob.Submit(t.Context(), a.ID, "k", s); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("somebody else's assignment: %v", err)
	}
	if j, err := ann.Submit(t.Context(), a.ID, "k", s); err != nil || j.ID != first.ID {
		t.Errorf("a replay: %+v, error %v", j, err)
	}
	missing := verdict(claim(t, ann, project.ID))
	missing.Degree = ""
	if _, err := ann.Submit(t.Context(), claim(t, ann, project.ID).ID, "m", missing); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("no degree: %v", err)
	}
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

func TestRevising(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 3)
	for range 3 {
		a := claim(t, ann, project.ID)
		if _, err := ann.Submit(t.Context(), a.ID, "k"+a.ID, verdict(a)); err != nil {
			t.Fatal(err)
		}
	}
	history, err := ann.Judgments(t.Context(), "")
	if err != nil || len(history.Items) != 3 {
		t.Fatalf("%+v, error %v", history, err)
	}
	last := history.Items[0]
	path := "/api/v1/assignments/" + last.Assignment + "/judgment"
	body := fmt.Sprintf(`{"chosen":%q,"rejected":%q,"degree":"negligibly_better","comment":"on second thoughts"}`, last.Verdict.Rejected, last.Verdict.Chosen)
	if status, text, header := w.raw(ann, "PUT", path, body, "Idempotency-Key", "r", "If-Match", `"1"`); status != http.StatusOK || header.Get("ETag") != `"2"` {
		t.Errorf("a revision: %d %s", status, text)
	}
	if status, text, header := w.raw(ann, "PUT", path, body, "Idempotency-Key", "r", "If-Match", `"1"`); status != http.StatusOK || header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("its replay: %d %s", status, text)
	}
	if status, text, _ := w.raw(ann, "PUT", path, body, "Idempotency-Key", "s", "If-Match", `"1"`); status != http.StatusPreconditionFailed || !strings.Contains(text, `"stale"`) {
		t.Errorf("a revision of an old version: %d %s", status, text)
	}
	history, err = ann.Judgments(t.Context(), "")
	if err != nil || len(history.Items) != 3 || history.Items[0].Version != 2 || history.Items[0].Replaces != last.ID || history.Items[0].Verdict.Comment != "on second thoughts" {
		t.Errorf("history %+v, error %v", history, err)
	}
	// Page by page, nothing is missed.
	var ids []string
	for after := ""; ; {
		status, text, _ := w.raw(ann, "GET", "/api/v1/judgments?limit=2&after="+after, "")
		var page web.List[annotation.Judgment]
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		for _, j := range page.Items {
			ids = append(ids, j.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(ids) != 3 || ids[0] != history.Items[0].ID || ids[2] != history.Items[2].ID {
		t.Errorf("pages hold %v", ids)
	}
}

func TestDrafts(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	a := claim(t, ann, project.ID)
	path := "/api/v1/assignments/" + a.ID + "/draft"
	if status, text, _ := w.raw(ann, "GET", path, ""); status != http.StatusNotFound {
		t.Errorf("before the first: %d %s", status, text)
	}
	for _, step := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"revision":0,"body":{"degree":"better"}}`, 200, `"revision":1`},
		{`{"revision":1,"body":{"degree":"slightly_better"}}`, 200, `"revision":2`},
		{`{"revision":1,"body":{"degree":"from another tab"}}`, 412, `"stale"`},
		{`{"revision":0,"body":{}}`, 412, `"stale"`},
	} {
		if status, text, _ := w.raw(ann, "PUT", path, step.body); status != step.status || !strings.Contains(text, step.says) {
			t.Errorf("%s: %d %s", step.body, status, text)
		}
	}
	if status, text, _ := w.raw(ann, "GET", path, ""); status != http.StatusOK || !strings.Contains(text, "slightly_better") || !strings.Contains(text, `"revision":2`) {
		t.Errorf("the draft: %d %s", status, text)
	}
	if _, err := ann.Submit(t.Context(), a.ID, "k", verdict(a)); err != nil {
		t.Fatal(err)
	}
	if status, text, _ := w.raw(ann, "PUT", path, `{"revision":2,"body":{}}`); status != http.StatusPreconditionFailed {
		t.Errorf("a late save: %d %s", status, text)
	}
	if _, text, _ := w.raw(ann, "GET", path, ""); !strings.Contains(text, `"closed":true`) {
		t.Errorf("after the submit: %s", text)
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
