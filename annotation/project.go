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
	Project(ctx context.Context, id string) (store.Project, error)
	Projects(ctx context.Context) ([]store.Project, error)
	CloseProject(ctx context.Context, id string) error
	Progress(ctx context.Context, projectID string) (store.Progress, error)
}

// Project is a body of tasks under one guideline.
type Project struct {
	ID           string        `json:"id" readOnly:"true" required:"false"`
	Name         string        `json:"name" minLength:"1" maxLength:"200"`
	Aspect       tandem.Aspect `json:"aspect" enum:"helpfulness,safety"`
	Guideline    string        `json:"guideline,omitempty" maxLength:"100000" doc:"What annotators are asked to do."`
	Overlap      int           `json:"overlap,omitempty" minimum:"1" maximum:"100" default:"1" doc:"Judgments wanted of each task."`
	LeaseSeconds float64       `json:"lease_seconds,omitempty" exclusiveMinimum:"0" maximum:"604800" default:"1800" doc:"How long a claimed task is held."`
	Closed       bool          `json:"closed,omitempty" readOnly:"true"`
	CreatedAt    time.Time     `json:"created_at" readOnly:"true" required:"false"`
}

func projectOf(p store.Project) Project {
	return Project{ID: p.ID, Name: p.Name, Aspect: p.Aspect, Guideline: p.Guideline, Overlap: p.Overlap,
		LeaseSeconds: p.Lease.Seconds(), Closed: p.Closed, CreatedAt: p.CreatedAt}
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

func registerProjects(api web.API, s projectStore) {
	web.Register(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "create-project", Method: http.MethodPost, Path: "/api/v1/projects", DefaultStatus: http.StatusCreated,
		Summary: "Open a project", Tags: []string{"projects"},
	}, func(ctx context.Context, in *struct{ Body Project }) (*projectOutput, error) {
		p, err := s.CreateProject(ctx, store.Project{Name: in.Body.Name, Aspect: in.Body.Aspect, Guideline: in.Body.Guideline,
			Overlap: in.Body.Overlap, Settings: store.Settings{Lease: time.Duration(in.Body.LeaseSeconds * float64(time.Second))}}, web.Caller(ctx).Actor())
		return &projectOutput{projectOf(p)}, err
	})
	web.Register(api, web.Scopes{store.ScopeAnnotate, store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-projects", Method: http.MethodGet, Path: "/api/v1/projects",
		Summary: "All projects, the first one first", Tags: []string{"projects"},
	}, func(ctx context.Context, _ *struct{}) (*projectsOutput, error) {
		projects, err := s.Projects(ctx)
		list := web.List[Project]{Items: []Project{}}
		for _, p := range projects {
			list.Items = append(list.Items, projectOf(p))
		}
		return &projectsOutput{list}, err
	})
	web.Register(api, web.Scopes{store.ScopeAnnotate, store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "get-project", Method: http.MethodGet, Path: "/api/v1/projects/{id}",
		Summary: "One project", Tags: []string{"projects"},
	}, func(ctx context.Context, in *web.PathID) (*projectOutput, error) {
		p, err := s.Project(ctx, in.ID)
		return &projectOutput{projectOf(p)}, err
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
