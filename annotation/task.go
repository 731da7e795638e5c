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

type taskStore interface {
	AddResponses(ctx context.Context, responses []store.Response) ([]string, error)
	CreateTasks(ctx context.Context, projectID string, tasks []store.NewTask) ([]string, error)
	Tasks(ctx context.Context, projectID string, page store.Page) ([]store.Task, error)
}

// NewTask is a task to be made: answers to a prompt, to be judged.
type NewTask struct {
	Kind      store.TaskKind `json:"kind" enum:"pairwise,ranking,rating,side_by_side"`
	Prompt    string         `json:"prompt_id"`
	Responses []NewResponse  `json:"responses" minItems:"1" maxItems:"100" doc:"Two for a pairwise task, two or more for a ranking, one for a rating."`
	Batch     int            `json:"batch,omitempty" minimum:"0" maximum:"2147483647" doc:"Collection batch, from 1; 0 for none."`
	Priority  int            `json:"priority,omitempty" minimum:"-2147483648" maximum:"2147483647" doc:"Higher ones are handed out first."`
}

// NewResponse is an answer: one that is kept already, by its id, or one to be kept.
type NewResponse struct {
	ID      string `json:"id,omitempty" doc:"Of an answer that is kept already; nothing else is set then."`
	Content string `json:"content,omitempty"`
	// An answer that a model sampled names it, and the key of its randomness.
	Model    string              `json:"model,omitempty" doc:"Id of the model that sampled it."`
	Sampling *tandem.Sampling    `json:"sampling,omitempty" doc:"How it was sampled; required with model."`
	Seed     uint64              `json:"seed,omitempty"`
	Sample   uint64              `json:"sample,omitempty" doc:"0 … K−1"`
	Finish   tandem.FinishReason `json:"finish_reason,omitempty" enum:"stop,length"`
	Tokens   int                 `json:"tokens,omitempty" minimum:"0" maximum:"2147483647"`
	Origin   string              `json:"origin,omitempty" doc:"Where it comes from, if no model of tandem's sampled it."`
}

func (r NewResponse) validate() error {
	const op = "annotation.NewResponse"
	switch {
	case r.ID != "" && (r.Content != "" || r.Model != "" || r.Origin != ""):
		return tandem.Errorf(tandem.Invalid, op, "the response %s is kept already and says more than its id", r.ID)
	case r.Model != "" && r.Sampling == nil:
		return tandem.Errorf(tandem.Invalid, op, "a response of the model %s does not say how it was sampled", r.Model)
	case r.Finish != "" && r.Finish != tandem.FinishStop && r.Finish != tandem.FinishLength:
		return tandem.Errorf(tandem.Invalid, op, "finish_reason is %q, and should be stop or length", r.Finish)
	case r.Model != "" && r.Origin != "":
		return tandem.Errorf(tandem.Invalid, op, "a response has either a model or an origin")
	}
	return nil
}

type tasksInput struct {
	web.PathID
	Body struct {
		Items []NewTask `json:"items" minItems:"1" maxItems:"1000"`
	}
}

// madeTask names a task and its answers, in the order in which they were sent.
type madeTask struct {
	ID        string   `json:"id"`
	Responses []string `json:"responses" doc:"Ids of the answers."`
}

type madeTasksOutput struct{ Body web.List[madeTask] }

// Task is a task as those see it who set it up.
type Task struct {
	ID        string         `json:"id"`
	Project   string         `json:"project_id"`
	Prompt    string         `json:"prompt_id"`
	Kind      store.TaskKind `json:"kind" enum:"pairwise,ranking,rating,side_by_side"`
	Responses []string       `json:"responses" doc:"Ids of the answers."`
	Batch     int            `json:"batch,omitempty"`
	Wanted    int            `json:"wanted" doc:"Judgments wanted."`
	Done      int            `json:"done" doc:"Of them made."`
	Closed    bool           `json:"closed,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
}

// ofProject is the input of a list that a project has.
type ofProject struct {
	web.PathID
	web.Cursor
}

type tasksOutput struct{ Body web.List[Task] }

func registerTasks(api web.API, s taskStore) {
	web.Create(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "create-tasks", Method: http.MethodPost, Path: "/api/v1/projects/{id}/tasks", MaxBodyBytes: 16 << 20, BodyReadTimeout: time.Minute,
		Summary: "Make tasks, with their answers", Tags: []string{"tasks"},
		Description: "Safe to repeat: an answer or a task that is there already is not made again. Answers with the tasks in the order sent.",
	}, func(ctx context.Context, in *tasksInput) (*madeTasksOutput, error) {
		made, err := createTasks(ctx, s, in.ID, in.Body.Items)
		return &madeTasksOutput{web.List[madeTask]{Items: made}}, err
	})
	web.Register(api, web.Scopes{store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-tasks", Method: http.MethodGet, Path: "/api/v1/projects/{id}/tasks",
		Summary: "A project's tasks, the first one first", Tags: []string{"tasks"},
	}, func(ctx context.Context, in *ofProject) (*tasksOutput, error) {
		stored, err := s.Tasks(ctx, in.ID, store.Page{After: in.After, Limit: in.Limit})
		tasks := make([]Task, len(stored))
		for i, t := range stored {
			tasks[i] = Task{ID: t.ID, Project: t.ProjectID, Prompt: t.PromptID, Kind: t.Kind, Responses: t.Responses,
				Batch: t.Batch, Wanted: t.Wanted, Done: t.Done, Closed: t.Closed, CreatedAt: t.CreatedAt}
		}
		return &tasksOutput{web.ListOf(tasks, in.Limit, func(t Task) string { return t.ID })}, err
	})
}

// createTasks keeps the answers that are new and makes the tasks. Should it fail in between, what was
// kept is found again when it is repeated.
func createTasks(ctx context.Context, s taskStore, project string, items []NewTask) ([]madeTask, error) {
	var responses []store.Response
	for i, item := range items {
		for _, r := range item.Responses {
			if err := r.validate(); err != nil {
				return nil, tandem.Errorf(tandem.Invalid, "annotation.CreateTasks", "task %d: %w", i+1, err)
			}
			if r.ID != "" {
				continue
			}
			kept := store.Response{PromptID: item.Prompt, Content: r.Content, Model: r.Model, Origin: r.Origin,
				Seed: r.Seed, Sample: r.Sample, Finish: r.Finish, Tokens: r.Tokens}
			if r.Sampling != nil {
				kept.Sampling = *r.Sampling
			}
			responses = append(responses, kept)
		}
	}
	var added []string
	if len(responses) > 0 {
		var err error
		if added, err = s.AddResponses(ctx, responses); err != nil {
			return nil, err
		}
	}
	tasks, made := make([]store.NewTask, len(items)), make([]madeTask, len(items))
	for i, item := range items {
		ids := make([]string, len(item.Responses))
		for at, r := range item.Responses {
			if ids[at] = r.ID; r.ID == "" {
				ids[at], added = added[0], added[1:]
			}
		}
		tasks[i] = store.NewTask{Kind: item.Kind, PromptID: item.Prompt, Responses: ids, Batch: item.Batch, Priority: item.Priority}
		made[i].Responses = ids
	}
	ids, err := s.CreateTasks(ctx, project, tasks)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		made[i].ID = id
	}
	return made, nil
}
