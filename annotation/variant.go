package annotation

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// variantStore keeps what answers in live projects.
type variantStore interface {
	AddVariant(ctx context.Context, v store.Variant, by string) (store.Variant, error)
	Variant(ctx context.Context, id string) (store.Variant, error)
	Variants(ctx context.Context) ([]store.Variant, error)
	RetireVariant(ctx context.Context, id, by string) error
	Drawing(ctx context.Context, projectID string) (store.Drawing, error)
	SetDrawing(ctx context.Context, projectID string, variants []string, temperatures []float64, answerTokens int, by string) error
	Projects(ctx context.Context) ([]store.Project, error)
}

// Variant is something that answers in live projects. Annotators are not shown it.
type Variant struct {
	ID        string            `json:"id" readOnly:"true" required:"false"`
	Name      string            `json:"name" minLength:"1" maxLength:"200"`
	Kind      store.VariantKind `json:"kind" enum:"folder,endpoint"`
	URL       string            `json:"url" minLength:"1" maxLength:"2000" doc:"An absolute folder on the server's machine, or the address of an endpoint that speaks OpenAI's protocol, up to /v1; or practice:town, whose models are the practice world's writers."`
	Model     string            `json:"model,omitempty" maxLength:"200" doc:"What the endpoint calls the model."`
	KeyEnv    string            `json:"key_env,omitempty" maxLength:"200" doc:"The environment variable of the server that holds the endpoint's key, such as OPENAI_API_KEY; the key itself is kept nowhere."`
	Retired   bool              `json:"retired,omitempty" readOnly:"true" doc:"It is drawn no more."`
	CreatedAt time.Time         `json:"created_at" readOnly:"true" required:"false"`
}

func variantOf(v store.Variant) Variant {
	return Variant{ID: v.ID, Name: v.Name, Kind: v.Kind, URL: v.URL, Model: v.ModelName, KeyEnv: v.KeyEnv, Retired: v.Retired, CreatedAt: v.CreatedAt}
}

// Drawing is what a live project's answers are drawn from.
type Drawing struct {
	Variants     []string  `json:"variants" maxItems:"100" doc:"Ids. Two different ones answer each prompt; with one alone both answers are its own. In red teaming each stretch attacks one, and without any the policy that serves."`
	Temperatures []float64 `json:"temperatures" minItems:"1" maxItems:"20" doc:"From 0 to 2. The two answers have different ones, where there are two. In red teaming there is one."`
	AnswerTokens int       `json:"answer_tokens" minimum:"1" maximum:"4096" doc:"Tokens of an answer at most."`
}

func drawingOf(d store.Drawing) Drawing {
	out := Drawing{Variants: []string{}, Temperatures: d.Temperatures, AnswerTokens: d.AnswerTokens}
	for _, v := range d.Variants {
		out.Variants = append(out.Variants, v.ID)
	}
	return out
}

// Trial is what came of asking a variant for a short answer.
type Trial struct {
	OK      bool    `json:"ok"`
	Text    string  `json:"text,omitempty"`
	Problem string  `json:"problem,omitempty" doc:"Why it does not answer."`
	Seconds float64 `json:"seconds"`
}

// trialTime is how long a trial may take: less than an operation may.
const trialTime = 25 * time.Second

// trial asks a variant for a short answer.
func (l *Live) trial(ctx context.Context, id string) (store.Variant, Trial, error) {
	v, err := l.store.Variant(ctx, id)
	if err != nil {
		return v, Trial{}, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, trialTime, tandem.Errorf(tandem.Unavailable, "annotation.trial", "it does not answer within %v", trialTime))
	defer cancel()
	began := time.Now()
	answer, err := l.try(limited, v)
	if cause := context.Cause(limited); err != nil && cause != nil {
		err = cause
	}
	if ctx.Err() != nil {
		return v, Trial{}, ctx.Err()
	}
	out := Trial{OK: err == nil, Text: answer.Text, Seconds: time.Since(began).Seconds()}
	if err != nil {
		out.Problem = plain(err)
		l.config.Log.InfoContext(ctx, "a variant does not answer", "variant", v.Name, "error", err)
	}
	return v, out, nil
}

type variantOutput struct{ Body Variant }

type variantsOutput struct{ Body web.List[Variant] }

type drawingOutput struct{ Body Drawing }

type trialOutput struct{ Body Trial }

type drawingInput struct {
	web.PathID
	Body Drawing
}

func registerVariants(api web.API, l *Live) {
	readers, admin := web.Scopes{store.ScopeRead, store.ScopeAdmin}, web.Scopes{store.ScopeAdmin}
	web.Create(api, admin, huma.Operation{
		OperationID: "create-variant", Method: http.MethodPost, Path: "/api/v1/variants", DefaultStatus: http.StatusCreated,
		Summary: "Add a model that may answer in live projects", Tags: []string{"live"},
		Description: "A model's folder, or an endpoint that speaks OpenAI's protocol. It stays as it is: what should change is retired, and another made.",
	}, func(ctx context.Context, in *struct{ Body Variant }) (*variantOutput, error) {
		v, err := l.store.AddVariant(ctx, store.Variant{Name: in.Body.Name, Kind: in.Body.Kind, URL: in.Body.URL, ModelName: in.Body.Model, KeyEnv: in.Body.KeyEnv},
			web.Caller(ctx).Actor())
		return &variantOutput{variantOf(v)}, err
	})
	web.Register(api, readers, huma.Operation{
		OperationID: "list-variants", Method: http.MethodGet, Path: "/api/v1/variants",
		Summary: "All variants, the newest first, retired ones too", Tags: []string{"live"},
	}, func(ctx context.Context, _ *struct{}) (*variantsOutput, error) {
		stored, err := l.store.Variants(ctx)
		list := web.List[Variant]{Items: []Variant{}}
		for _, v := range stored {
			list.Items = append(list.Items, variantOf(v))
		}
		return &variantsOutput{list}, err
	})
	web.Register(api, admin, huma.Operation{
		OperationID: "retire-variant", Method: http.MethodPost, Path: "/api/v1/variants/{id}/retire",
		Summary: "Draw a variant no more", Tags: []string{"live"},
	}, func(ctx context.Context, in *web.PathID) (*struct{}, error) {
		return nil, l.store.RetireVariant(ctx, in.ID, web.Caller(ctx).Actor())
	})
	web.Register(api, admin, huma.Operation{
		OperationID: "test-variant", Method: http.MethodPost, Path: "/api/v1/variants/{id}/test",
		Summary: "Ask a variant for a short answer", Tags: []string{"live"},
	}, func(ctx context.Context, in *web.PathID) (*trialOutput, error) {
		_, trial, err := l.trial(ctx, in.ID)
		return &trialOutput{trial}, err
	})
	web.Register(api, readers, huma.Operation{
		OperationID: "get-project-variants", Method: http.MethodGet, Path: "/api/v1/projects/{id}/variants",
		Summary: "What a live project's answers are drawn from", Tags: []string{"live"},
	}, func(ctx context.Context, in *web.PathID) (*drawingOutput, error) {
		d, err := l.store.Drawing(ctx, in.ID)
		return &drawingOutput{drawingOf(d)}, err
	})
	web.Register(api, admin, huma.Operation{
		OperationID: "set-project-variants", Method: http.MethodPut, Path: "/api/v1/projects/{id}/variants",
		Summary: "Choose what a live project's answers are drawn from", Tags: []string{"live"},
		Description: "From the next prompt on. Old models can be sampled beside new ones: choose both.",
	}, func(ctx context.Context, in *drawingInput) (*drawingOutput, error) {
		if err := l.store.SetDrawing(ctx, in.ID, in.Body.Variants, in.Body.Temperatures, in.Body.AnswerTokens, web.Caller(ctx).Actor()); err != nil {
			return nil, err
		}
		d, err := l.store.Drawing(ctx, in.ID)
		return &drawingOutput{drawingOf(d)}, err
	})
}

// variantsPage is where variants are looked after.
type variantsPage struct {
	Variants []store.Variant
	Projects []store.Project // those in which prompts are written, open
	Form     store.Variant   // as it was sent and refused
	Problem  string
	Tried    *store.Variant // just now
	Trial    Trial
}

var variantAdmins = web.Scopes{store.ScopeAdmin}

func (p livePages) registerVariantPages() {
	p.api.AddLink("/variants", "Variants", variantAdmins)
	p.api.Page(http.MethodGet, "/variants", variantAdmins, func(w http.ResponseWriter, r *http.Request) error {
		return p.showVariants(w, r, http.StatusOK, variantsPage{})
	})
	p.api.Page(http.MethodPost, "/variants", variantAdmins, p.addVariant)
	p.api.Page(http.MethodPost, "/variants/{id}/retire", variantAdmins, p.retireVariant)
	p.api.Page(http.MethodPost, "/variants/{id}/test", variantAdmins, p.testVariant)
	p.api.Page(http.MethodGet, "/projects/{id}/variants", variantAdmins, p.showDrawing)
	p.api.Page(http.MethodPost, "/projects/{id}/variants", variantAdmins, p.setDrawing)
}

func (p livePages) showVariants(w http.ResponseWriter, r *http.Request, status int, page variantsPage) error {
	var err error
	if page.Variants, err = p.live.store.Variants(r.Context()); err != nil {
		return err
	}
	projects, err := p.live.store.Projects(r.Context())
	if err != nil {
		return err
	}
	for _, project := range projects {
		if project.Source.Written() && !project.Closed {
			page.Projects = append(page.Projects, project)
		}
	}
	return p.api.Render(w, r, status, p.Pages["variants.html"], "Variants", page)
}

func (p livePages) addVariant(w http.ResponseWriter, r *http.Request) error {
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	v := store.Variant{Name: field("name"), Kind: store.VariantKind(field("kind")), URL: field("url"), ModelName: field("model"), KeyEnv: field("key_env")}
	_, err := p.live.store.AddVariant(r.Context(), v, web.Caller(r.Context()).Actor())
	switch tandem.CodeOf(err) {
	case "":
		return see(w, r, "/variants")
	case tandem.Invalid, tandem.Conflict:
		problem := web.ProblemOf(err)
		return p.showVariants(w, r, problem.Status, variantsPage{Form: v, Problem: sentence(problem.Detail)})
	}
	return err
}

func (p livePages) retireVariant(w http.ResponseWriter, r *http.Request) error {
	if err := p.live.store.RetireVariant(r.Context(), chi.URLParam(r, "id"), web.Caller(r.Context()).Actor()); err != nil {
		return err
	}
	return see(w, r, "/variants")
}

func (p livePages) testVariant(w http.ResponseWriter, r *http.Request) error {
	v, trial, err := p.live.trial(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.showVariants(w, r, http.StatusOK, variantsPage{Tried: &v, Trial: trial})
}

// drawingPage is where a project's variants and temperatures are chosen.
type drawingPage struct {
	store.Project
	Choices      []drawingChoice
	Temperatures string
	AnswerTokens string
	Kept         bool
	Problem      string
}

// drawingChoice is a variant that can be chosen.
type drawingChoice struct {
	store.Variant
	Chosen bool
}

// choices are the variants that are not retired, and those of the chosen that are.
func (p livePages) choices(ctx context.Context, chosen []string) ([]drawingChoice, error) {
	variants, err := p.live.store.Variants(ctx)
	if err != nil {
		return nil, err
	}
	in := make(map[string]bool, len(chosen))
	for _, id := range chosen {
		in[id] = true
	}
	var out []drawingChoice
	for _, v := range variants {
		if in[v.ID] || !v.Retired {
			out = append(out, drawingChoice{v, in[v.ID]})
		}
	}
	return out, nil
}

func (p livePages) showDrawing(w http.ResponseWriter, r *http.Request) error {
	project, err := p.live.store.Project(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	d, err := p.live.store.Drawing(r.Context(), project.ID)
	if err != nil {
		return err
	}
	page := drawingPage{Project: project, AnswerTokens: strconv.Itoa(d.AnswerTokens), Kept: r.URL.Query().Get("kept") != ""}
	texts := make([]string, len(d.Temperatures))
	for i, t := range d.Temperatures {
		texts[i] = strconv.FormatFloat(t, 'g', -1, 64)
	}
	page.Temperatures = strings.Join(texts, ", ")
	if page.Choices, err = p.choices(r.Context(), drawingOf(d).Variants); err != nil {
		return err
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["drawing.html"], "Variants of "+project.Name, page)
}

func (p livePages) setDrawing(w http.ResponseWriter, r *http.Request) error {
	project, err := p.live.store.Project(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	page := drawingPage{Project: project, Temperatures: r.PostFormValue("temperatures"), AnswerTokens: r.PostFormValue("answer_tokens")}
	chosen := r.PostForm["variant"]
	temperatures, err := numbers(page.Temperatures)
	tokens := 0
	if err == nil {
		if tokens, err = strconv.Atoi(strings.TrimSpace(page.AnswerTokens)); err != nil {
			err = tandem.Errorf(tandem.Invalid, "annotation.drawing", "%q is no number of tokens", page.AnswerTokens)
		}
	}
	if err == nil {
		err = p.live.store.SetDrawing(r.Context(), project.ID, chosen, temperatures, tokens, web.Caller(r.Context()).Actor())
	}
	switch tandem.CodeOf(err) {
	case "":
		return see(w, r, "/projects/"+project.ID+"/variants?kept=1")
	case tandem.Invalid, tandem.Conflict:
	default:
		return err
	}
	problem := web.ProblemOf(err)
	page.Problem = sentence(problem.Detail)
	if page.Choices, err = p.choices(r.Context(), chosen); err != nil {
		return err
	}
	return p.api.Render(w, r, problem.Status, p.Pages["drawing.html"], "Variants of "+project.Name, page)
}

// numbers reads "0.7, 1.0".
func numbers(text string) ([]float64, error) {
	var out []float64
	for field := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "annotation.numbers", "%q is no temperature", field)
		}
		out = append(out, n)
	}
	return out, nil
}
