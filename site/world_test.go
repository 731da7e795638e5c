package site_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/dashboard"
	"tandem/internal/pgtest"
	"tandem/internal/web"
	"tandem/llama/chatapi"
	"tandem/rewardmodel/scoreapi"
	"tandem/site"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) {
	code := postgres.Run(m)
	chromium.Close()
	os.Exit(code)
}

// world is the whole site on a database of its own, with something of everything in it.
type world struct {
	t       *testing.T
	db      pgtest.Database
	store   *store.Store
	handler http.Handler
	api     web.API
	ada     store.Annotator   // an annotator, whose things these are:
	ids     map[string]string // by what they are ids of
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := postgres.Database(t)
	w := &world{t: t, db: db, store: pgtest.OpenStore(t, db.URL), ids: make(map[string]string)}
	var err error
	w.handler, err = site.Handler(site.Config{Keys: w.store, Accounts: w.store, Answers: w.store},
		func(api web.API) error { return annotation.Register(api, w.store) },
		func(api web.API) error { return registerLive(api, w.store) },
		func(api web.API) error { return annotation.RegisterSetup(api, w.store, site.PracticeProjects(w.store)) },
		func(api web.API) error { return dashboard.Register(api, w.store) },
		registerScores, registerChat,
		func(api web.API) error { w.api = api; return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.fill()
	return w
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// fill makes a safety project in which Ada judges, skips, flags, drafts, and holds.
func (w *world) fill() {
	t, ctx, s := w.t, w.t.Context(), w.store
	t.Helper()
	w.ada = w.person("Ada", store.RoleAnnotator)
	project := must(s.CreateProject(ctx, store.Project{Name: "Project", Aspect: tandem.Safety, Guideline: "Guideline", Overlap: 1,
		Settings: store.Settings{Lease: time.Hour, Warning: "Warning"}}, w.ada.ID))(t)
	model := tandem.Model{ID: "model", Name: "model", Kind: tandem.PolicyModel, URL: "file:///nowhere", Stage: tandem.StageSFT}
	if err := s.AddModel(ctx, model); err != nil {
		t.Fatal(err)
	}
	var tasks []store.NewTask
	for range 5 {
		prompt := must(s.AddPrompts(ctx, []tandem.Prompt{{Source: "source", Messages: tandem.Dialogue{
			{Role: tandem.System, Content: "Instruction"}, {Role: tandem.User, Content: "Hello"}, {Role: tandem.Assistant, Content: "Hi"},
			{Role: tandem.User, Content: "Question " + string(rune('A'+len(tasks)))}}}}))(t)[0]
		answers := must(s.AddResponses(ctx, []store.Response{{PromptID: prompt.ID, Content: "Answer one"}, {PromptID: prompt.ID, Content: "Answer two"}}))(t)
		tasks = append(tasks, store.NewTask{Kind: store.Pairwise, PromptID: prompt.ID, Responses: answers, Batch: 1})
		w.ids["prompt"] = prompt.ID
	}
	w.ids["task"] = must(s.CreateTasks(ctx, project.ID, tasks))(t)[0]
	claim := func() store.Assignment {
		t.Helper()
		claimed := must(s.Claim(ctx, w.ada.ID, project.ID))(t)
		if claimed.Assignment == nil {
			t.Fatal("nothing to claim")
		}
		return *claimed.Assignment
	}
	judge := func(a store.Assignment, key string) store.Judgment {
		t.Helper()
		return must(s.Submit(ctx, store.Submission{Annotator: w.ada.ID, Assignment: a.ID, Key: key, Verdict: store.Verdict{
			Chosen: a.Responses[0].ID, Rejected: a.Responses[1].ID, Degree: tandem.Better, Comment: "Comment",
			Labels: map[string]tandem.SafetyLabel{a.Responses[0].ID: tandem.Safe, a.Responses[1].ID: tandem.Unsafe}}}))(t)
	}
	judged := claim()
	w.ids["judgment"], w.ids["judged"] = judge(judged, "one").ID, judged.ID
	flagged := claim()
	if err := s.Flag(ctx, w.ada.ID, flagged.ID, "Flagged because"); err != nil {
		t.Fatal(err)
	}
	judge(flagged, "two")
	skipped := claim()
	if err := s.Skip(ctx, w.ada.ID, skipped.ID, "Skipped because"); err != nil {
		t.Fatal(err)
	}
	held := claim()
	must(s.SaveDraft(ctx, w.ada.ID, held.ID, 0, []byte(`{"comment":"Draft"}`)))(t)
	w.fillLive()
	w.fillLoop(model.ID)
	key, _ := w.key(store.Key{Name: "Key", Scopes: []store.Scope{store.ScopeRead}})
	w.ids["project"], w.ids["assignment"], w.ids["person"], w.ids["key"], w.ids["model"] = project.ID, held.ID, w.ada.ID, key.ID, model.ID
}

// fillLoop makes a round with a stage, a run that failed with figures and an event, and answers of two policies to a prompt.
func (w *world) fillLoop(model string) {
	t, ctx, s := w.t, w.t.Context(), w.store
	t.Helper()
	round := must(s.CreateRound(ctx, ""))(t)
	run := must(s.StartRun(ctx, store.Run{Round: round.Number, Stage: tandem.StagePPO, Config: []byte(`{"beta":0.01}`), Kernel: "kernel", Host: "host"}, 0))(t)
	reward := func(id string, kind tandem.ModelKind) tandem.Model {
		return tandem.Model{ID: id, Name: id, Kind: kind, URL: "file:///nowhere", Round: round.Number, Stage: tandem.StageImport,
			Metrics: map[string]float64{"eval_loss": 1}}
	}
	other := reward("other", tandem.PolicyModel)
	other.Parent = model
	for _, err := range []error{
		s.AddMetrics(ctx, run.ID, []store.Metric{{Name: "objective/kl", Step: 1, Value: 0.5}, {Name: "objective/kl", Step: 2, Value: 0.75}, {Name: "loss", Step: 1, Value: math.NaN()}}),
		s.AddEvent(ctx, run.ID, "warning", "the KL rises"),
		s.FinishRun(ctx, run.ID, "", errors.New("failed because")),
		s.AddUnits(ctx, []tandem.Unit{{Round: round.Number, Stage: tandem.StagePPO}}, []json.RawMessage{nil}),
		s.AddModel(ctx, other), s.AddModel(ctx, reward("helpfulness", tandem.HelpfulnessModel)), s.AddModel(ctx, reward("safety", tandem.SafetyModel)),
		s.Promote(ctx, other.ID, w.ada.ID, "because"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	answers := must(s.AddResponses(ctx, []store.Response{{PromptID: w.ids["prompt"], Content: "Sampled one", Model: model}, {PromptID: w.ids["prompt"], Content: "Sampled two", Model: other.ID}}))(t)
	if err := s.AddScores(ctx, "helpfulness", "safety", []store.ResponseScore{{ResponseID: answers[0], Score: tandem.Score{Branch: tandem.HelpfulnessBranch}}}); err != nil {
		t.Fatal(err)
	}
	w.ids["run"], w.ids["number"] = run.ID, fmt.Sprint(round.Number)
}

// fillLive makes a live project with a variant, and a prompt of Ada's that she gave up; and one of red teaming with a stretch
// of hers.
func (w *world) fillLive() {
	t, ctx, s := w.t, w.t.Context(), w.store
	t.Helper()
	project := must(s.CreateProject(ctx, store.Project{Name: "Live", Aspect: tandem.Helpfulness, Source: store.Live}, w.ada.ID))(t)
	variant := must(s.AddVariant(ctx, store.Variant{Name: "Variant", Kind: store.FolderVariant, URL: "/nowhere"}, w.ada.ID))(t)
	if err := s.SetDrawing(ctx, project.ID, []string{variant.ID}, []float64{1}, 16, w.ada.ID); err != nil {
		t.Fatal(err)
	}
	turn := must(s.BeginTurn(ctx, store.NewTurn{Annotator: w.ada.ID, Project: project.ID, Key: "turn", Text: "Question, live"}))(t)
	if err := s.AbandonTurn(ctx, w.ada.ID, turn.ID); err != nil {
		t.Fatal(err)
	}
	w.ids["variant"], w.ids["turn"] = variant.ID, turn.ID
	red := must(s.CreateProject(ctx, store.Project{Name: "Red", Aspect: tandem.Safety, Source: store.RedTeam}, "test"))(t)
	if err := s.SetDrawing(ctx, red.ID, []string{variant.ID}, []float64{1}, 16, w.ada.ID); err != nil {
		t.Fatal(err)
	}
	w.ids["stretch"] = must(s.BeginStretch(ctx, store.NewStretch{Annotator: w.ada.ID, Project: red.ID, Key: "stretch"}))(t).ID
}

// registerScores adds the score API, without models.
func registerScores(api web.API) error {
	batcher, err := scoreapi.NewBatcher(scoreapi.DefaultBatchConfig(), nil)
	if err != nil {
		return err
	}
	return scoreapi.Register(api, scoreapi.Config{Serving: scoreapi.NewServing(nil), Batcher: batcher})
}

// registerChat adds the chat API, without a policy.
func registerChat(api web.API) error {
	serving, err := chatapi.NewServing(chatapi.ServingConfig{Batch: chatapi.DefaultBatchConfig()})
	if err != nil {
		return err
	}
	return chatapi.Register(api, chatapi.Config{Serving: serving})
}

// registerLive adds what is live, with variants that do not answer.
func registerLive(api web.API, s *store.Store) error {
	live, err := annotation.NewLive(s, annotation.LiveConfig{Open: func(context.Context, store.Variant) (tandem.Generator, error) {
		return nil, tandem.Errorf(tandem.NotFound, "test", "there is no such model")
	}})
	if err != nil {
		return err
	}
	return annotation.RegisterLive(api, live)
}

// person makes somebody who can sign in.
func (w *world) person(name string, role store.AnnotatorRole) store.Annotator {
	w.t.Helper()
	return must(w.store.AddAnnotator(w.t.Context(), store.Annotator{Name: name, Email: strings.ToLower(name) + "@example.org", Role: role}))(w.t)
}

// session signs somebody in and returns their cookie.
func (w *world) session(person store.Annotator) string {
	w.t.Helper()
	token, _, err := w.store.StartSession(w.t.Context(), person.ID, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return "tandem=" + token
}

func (w *world) key(k store.Key) (store.Key, string) {
	w.t.Helper()
	key, secret, err := w.store.CreateKey(w.t.Context(), k)
	if err != nil {
		w.t.Fatal(err)
	}
	return key, secret
}

// ask sends a request as a browser of this site would; headers come in pairs.
func (w *world) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}
