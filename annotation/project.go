package annotation

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type projectStore interface {
	CreateProject(ctx context.Context, p store.Project, by string) (store.Project, error)
	Reconfigure(ctx context.Context, projectID string, change func(*store.Settings), by string) (store.Project, error)
	Project(ctx context.Context, id string) (store.Project, error)
	Projects(ctx context.Context) ([]store.Project, error)
	CloseProject(ctx context.Context, id string) error
	Progress(ctx context.Context, projectID string) (store.Progress, error)
	SetGuideline(ctx context.Context, projectID, markdown, by string) error
	Guidelines(ctx context.Context, projectID string) ([]store.Guideline, error)
}

// Project is a body of tasks under one guideline.
type Project struct {
	ID           string        `json:"id" readOnly:"true" required:"false"`
	Name         string        `json:"name" minLength:"1" maxLength:"200"`
	Aspect       tandem.Aspect `json:"aspect" enum:"helpfulness,safety"`
	Source       store.Source  `json:"source,omitempty" enum:"prepared,live,red_team" default:"prepared" doc:"Where its tasks come from: what was made beforehand, prompts that annotators write and compare two answers to, or attacks that they write in timed stretches and rate the answers to."`
	Guideline    string        `json:"guideline,omitempty" maxLength:"100000" doc:"What annotators are asked to do, in Markdown; the newest version."`
	Version      int           `json:"guideline_version,omitempty" readOnly:"true" doc:"The guideline's; absent where there is none."`
	Overlap      int           `json:"overlap,omitempty" minimum:"1" maximum:"100" default:"1" doc:"Judgments wanted of each task."`
	LeaseSeconds float64       `json:"lease_seconds,omitempty" exclusiveMinimum:"0" maximum:"604800" default:"1800" doc:"How long a claimed task is held."`
	Settings
	Closed    bool      `json:"closed,omitempty" readOnly:"true"`
	CreatedAt time.Time `json:"created_at" readOnly:"true" required:"false"`
}

// Settings are what else may change about a project while people work in it. Those that would tell annotators
// more than they should know are absent for them.
type Settings struct {
	Qualification string    `json:"qualification_id,omitempty" doc:"The project whose gold tasks one must have passed to work here."`
	PassShare     float64   `json:"pass_share,omitempty" exclusiveMinimum:"0" maximum:"1" doc:"The share of them to get right; 0.8 unless said otherwise."`
	GoldEvery     int       `json:"gold_every,omitempty" minimum:"0" maximum:"2147483647" doc:"One judgment in so many is of a gold task; none without."`
	GoldWindow    int       `json:"gold_window,omitempty" minimum:"1" maximum:"10000" doc:"Who gets too few of their last so many gold tasks right is warned; 20 unless said otherwise."`
	GoldFloor     float64   `json:"gold_floor,omitempty" exclusiveMinimum:"0" maximum:"1" doc:"The share of them that is too few to be below; 0.6 unless said otherwise."`
	Warning       string    `json:"warning,omitempty" maxLength:"10000" doc:"What to know before one starts; safety projects have one of their own where this is empty."`
	DailyLimit    int       `json:"daily_limit,omitempty" minimum:"0" maximum:"2147483647" doc:"Judgments that one person may make of their day; any number without."`
	Blurred       bool      `json:"blurred,omitempty" doc:"Texts stay blurred until they are asked for."`
	Temperatures  []float64 `json:"temperatures,omitempty" minItems:"1" maxItems:"20" doc:"Of live projects: what the temperatures of the two answers are drawn from; 0.7 and 1 unless said otherwise. Of red teaming: the one temperature; 1 unless said otherwise."`
	AnswerTokens  int       `json:"answer_tokens,omitempty" minimum:"1" maximum:"4096" doc:"Of live projects and red teaming: the longest answer; 256 unless said otherwise."`

	StretchMinutes float64               `json:"stretch_minutes,omitempty" minimum:"1" maximum:"480" doc:"Of red teaming: how long a stretch is; 60 unless said otherwise."`
	Risks          []tandem.RiskCategory `json:"risk_categories,omitempty" minItems:"1" maxItems:"3" doc:"Of red teaming: which attacks are asked for; all unless said otherwise."`
	Vectors        []tandem.AttackVector `json:"attack_vectors,omitempty" minItems:"1" maxItems:"7" doc:"Of red teaming: in which ways; all unless said otherwise."`
}

// projectOf shows a project to a caller.
func projectOf(ctx context.Context, p store.Project) Project {
	out := Project{ID: p.ID, Name: p.Name, Aspect: p.Aspect, Source: p.Source, Guideline: p.Guideline, Version: p.GuidelineVersion, Overlap: p.Overlap,
		LeaseSeconds: p.Lease.Seconds(), Closed: p.Closed, CreatedAt: p.CreatedAt,
		Settings: Settings{Qualification: p.Qualification, PassShare: p.PassShare, Warning: p.Warning, DailyLimit: p.DailyLimit, Blurred: p.Blurred}}
	caller := web.Caller(ctx)
	if caller.Has(store.ScopeReview) || caller.Has(store.ScopeRead) || caller.Has(store.ScopeAdmin) {
		out.GoldEvery, out.GoldWindow, out.GoldFloor = p.GoldEvery, p.GoldWindow, p.GoldFloor
		out.Temperatures, out.AnswerTokens = p.Temperatures, p.AnswerTokens
	}
	if p.Source == store.RedTeam {
		out.StretchMinutes, out.Risks, out.Vectors = p.Stretch.Minutes(), p.Risks, p.Vectors
	}
	return out
}

func (p Project) stored() store.Project {
	return store.Project{Name: p.Name, Aspect: p.Aspect, Source: p.Source, Guideline: p.Guideline, Overlap: p.Overlap, Settings: store.Settings{
		Lease: seconds(p.LeaseSeconds), Qualification: p.Qualification, PassShare: p.PassShare,
		GoldEvery: p.GoldEvery, GoldWindow: p.GoldWindow, GoldFloor: p.GoldFloor,
		Warning: p.Warning, DailyLimit: p.DailyLimit, Blurred: p.Blurred, Temperatures: p.Temperatures, AnswerTokens: p.AnswerTokens,
		Stretch: seconds(60 * p.StretchMinutes), Risks: p.Risks, Vectors: p.Vectors,
	}}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// ChangedSettings are settings to change; what is absent stays as it is.
type ChangedSettings struct {
	LeaseSeconds  *float64   `json:"lease_seconds,omitempty" exclusiveMinimum:"0" maximum:"604800"`
	Qualification *string    `json:"qualification_id,omitempty" doc:"Empty for none."`
	PassShare     *float64   `json:"pass_share,omitempty" exclusiveMinimum:"0" maximum:"1"`
	GoldEvery     *int       `json:"gold_every,omitempty" minimum:"0" maximum:"2147483647"`
	GoldWindow    *int       `json:"gold_window,omitempty" minimum:"1" maximum:"10000"`
	GoldFloor     *float64   `json:"gold_floor,omitempty" exclusiveMinimum:"0" maximum:"1"`
	Warning       *string    `json:"warning,omitempty" maxLength:"10000"`
	DailyLimit    *int       `json:"daily_limit,omitempty" minimum:"0" maximum:"2147483647"`
	Blurred       *bool      `json:"blurred,omitempty"`
	Temperatures  *[]float64 `json:"temperatures,omitempty" minItems:"1" maxItems:"20"`
	AnswerTokens  *int       `json:"answer_tokens,omitempty" minimum:"1" maximum:"4096"`

	StretchMinutes *float64               `json:"stretch_minutes,omitempty" minimum:"1" maximum:"480" doc:"It holds for stretches that begin from then on."`
	Risks          *[]tandem.RiskCategory `json:"risk_categories,omitempty" minItems:"1" maxItems:"3"`
	Vectors        *[]tandem.AttackVector `json:"attack_vectors,omitempty" minItems:"1" maxItems:"7"`
}

func (c ChangedSettings) apply(s *store.Settings) {
	if c.LeaseSeconds != nil {
		s.Lease = seconds(*c.LeaseSeconds)
	}
	set(&s.Qualification, c.Qualification)
	set(&s.PassShare, c.PassShare)
	set(&s.GoldEvery, c.GoldEvery)
	set(&s.GoldWindow, c.GoldWindow)
	set(&s.GoldFloor, c.GoldFloor)
	set(&s.Warning, c.Warning)
	set(&s.DailyLimit, c.DailyLimit)
	set(&s.Blurred, c.Blurred)
	set(&s.Temperatures, c.Temperatures)
	set(&s.AnswerTokens, c.AnswerTokens)
	if c.StretchMinutes != nil {
		s.Stretch = seconds(60 * *c.StretchMinutes)
	}
	set(&s.Risks, c.Risks)
	set(&s.Vectors, c.Vectors)
}

// set makes value what changed says, if it says something.
func set[T any](value, changed *T) {
	if changed != nil {
		*value = *changed
	}
}

// Guideline is one version of what a project's annotators are asked to do.
type Guideline struct {
	Version   int       `json:"version"`
	Markdown  string    `json:"markdown"`
	CreatedAt time.Time `json:"created_at"`
}

// Progress says how far a project is.
type Progress struct {
	Tasks     int `json:"tasks"`
	Wanted    int `json:"wanted" doc:"Judgments wanted."`
	Done      int `json:"done" doc:"Wanted judgments that were made."`
	Held      int `json:"held" doc:"Places that somebody holds now."`
	Judgments int `json:"judgments" doc:"Judgments made, surplus ones included, each counted once however often it was revised."`
	Surplus   int `json:"surplus" doc:"Judgments that came after their place was taken."`
}

type projectOutput struct{ Body Project }

type progressOutput struct{ Body Progress }

type projectsOutput struct{ Body web.List[Project] }

type settingsInput struct {
	web.PathID
	Body ChangedSettings
}

type guidelineInput struct {
	web.PathID
	Body struct {
		Markdown string `json:"markdown" minLength:"1" maxLength:"100000"`
	}
}

type guidelinesOutput struct{ Body web.List[Guideline] }

func registerProjects(api web.API, s projectStore) {
	everyone := web.Scopes{store.ScopeAnnotate, store.ScopeReview, store.ScopeRead, store.ScopeAdmin}
	web.Create(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "create-project", Method: http.MethodPost, Path: "/api/v1/projects", DefaultStatus: http.StatusCreated,
		Summary: "Open a project", Tags: []string{"projects"},
	}, func(ctx context.Context, in *struct{ Body Project }) (*projectOutput, error) {
		p, err := s.CreateProject(ctx, in.Body.stored(), web.Caller(ctx).Actor())
		return &projectOutput{projectOf(ctx, p)}, err
	})
	web.Register(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "change-settings", Method: http.MethodPatch, Path: "/api/v1/projects/{id}/settings",
		Summary: "Change a project's settings; what is absent stays", Tags: []string{"projects"},
		Description: "It applies to what is claimed from then on.",
	}, func(ctx context.Context, in *settingsInput) (*projectOutput, error) {
		p, err := s.Reconfigure(ctx, in.ID, in.Body.apply, web.Caller(ctx).Actor())
		return &projectOutput{projectOf(ctx, p)}, err
	})
	web.Create(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "add-guideline", Method: http.MethodPost, Path: "/api/v1/projects/{id}/guidelines", DefaultStatus: http.StatusNoContent,
		Summary: "Give a project a new version of its guideline", Tags: []string{"projects"},
		Description: "Each judgment names the version that its annotator was shown.",
	}, func(ctx context.Context, in *guidelineInput) (*struct{}, error) {
		return nil, s.SetGuideline(ctx, in.ID, in.Body.Markdown, web.Caller(ctx).Actor())
	})
	web.Register(api, everyone, huma.Operation{
		OperationID: "list-guidelines", Method: http.MethodGet, Path: "/api/v1/projects/{id}/guidelines",
		Summary: "The versions of a project's guideline, the newest first", Tags: []string{"projects"},
	}, func(ctx context.Context, in *web.PathID) (*guidelinesOutput, error) {
		versions, err := s.Guidelines(ctx, in.ID)
		list := web.List[Guideline]{Items: []Guideline{}}
		for _, v := range versions {
			list.Items = append(list.Items, Guideline{v.Version, v.Markdown, v.CreatedAt})
		}
		return &guidelinesOutput{list}, err
	})
	web.Register(api, everyone, huma.Operation{
		OperationID: "list-projects", Method: http.MethodGet, Path: "/api/v1/projects",
		Summary: "All projects, the first one first", Tags: []string{"projects"},
	}, func(ctx context.Context, _ *struct{}) (*projectsOutput, error) {
		projects, err := s.Projects(ctx)
		list := web.List[Project]{Items: []Project{}}
		for _, p := range projects {
			list.Items = append(list.Items, projectOf(ctx, p))
		}
		return &projectsOutput{list}, err
	})
	web.Register(api, everyone, huma.Operation{
		OperationID: "get-project", Method: http.MethodGet, Path: "/api/v1/projects/{id}",
		Summary: "One project", Tags: []string{"projects"},
	}, func(ctx context.Context, in *web.PathID) (*projectOutput, error) {
		p, err := s.Project(ctx, in.ID)
		return &projectOutput{projectOf(ctx, p)}, err
	})
	web.Register(api, web.Scopes{store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "get-progress", Method: http.MethodGet, Path: "/api/v1/projects/{id}/progress",
		Summary: "How far a project is", Tags: []string{"projects"},
	}, func(ctx context.Context, in *web.PathID) (*progressOutput, error) {
		p, err := s.Progress(ctx, in.ID)
		return &progressOutput{Progress{p.Tasks, p.Slots, p.Done, p.Held, p.Judgments, p.Surplus}}, err
	})
	web.Register(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "close-project", Method: http.MethodPost, Path: "/api/v1/projects/{id}/close",
		Summary: "End claiming; who holds a task may still submit it", Tags: []string{"projects"},
	}, func(ctx context.Context, in *web.PathID) (*struct{}, error) {
		return nil, s.CloseProject(ctx, in.ID)
	})
}
