package annotation

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/statistics"
	"tandem/store"
)

type goldStore interface {
	AddGold(ctx context.Context, projectID string, golds []store.Gold, by string) error
	RetireGold(ctx context.Context, projectID, taskID, by string) error
	Golds(ctx context.Context, projectID string, page store.Page) ([]store.Gold, error)
	GoldResults(ctx context.Context, projectID string) ([]store.GoldResult, error)
	GoldAnswer(ctx context.Context, annotator, assignment string) (store.GoldAnswer, error)
}

// Gold is a pairwise task whose right answer is known.
type Gold struct {
	Task      string                        `json:"task_id"`
	Chosen    string                        `json:"chosen" doc:"The id of the better answer."`
	Labels    map[string]tandem.SafetyLabel `json:"labels,omitempty" doc:"The right safety labels by answer id, in a safety project; where one is absent it does not matter."`
	Reason    string                        `json:"reason,omitempty" maxLength:"10000" doc:"Why; told to who gets it wrong in a qualification."`
	Answered  int                           `json:"answered" readOnly:"true" required:"false" doc:"People's answers that count: what they said unaided, and is not excluded."`
	Right     int                           `json:"right" readOnly:"true" required:"false"`
	Retired   bool                          `json:"retired,omitempty" readOnly:"true"`
	CreatedAt time.Time                     `json:"created_at" readOnly:"true" required:"false"`
}

// GoldResult is how an annotator does on a project's gold tasks.
type GoldResult struct {
	Annotator      string  `json:"annotator_id" doc:"A pseudonym."`
	Answered       int     `json:"answered"`
	Right          int     `json:"right"`
	Share          float64 `json:"share" doc:"Of right answers."`
	Low            float64 `json:"low" doc:"Of Wilson's 95 % interval of the share."`
	High           float64 `json:"high"`
	RecentAnswered int     `json:"recent_answered" doc:"Of the last ones, as many as the project's gold_window holds."`
	RecentRight    int     `json:"recent_right"`
	Warned         bool    `json:"warned" doc:"The window is full, and the share of right answers in it is below gold_floor. The annotator is told so."`
}

type goldInput struct {
	web.PathID
	Body struct {
		Items []Gold `json:"items" minItems:"1" maxItems:"1000"`
	}
}

type goldsOutput struct{ Body web.List[Gold] }

type goldResultsOutput struct{ Body web.List[GoldResult] }

type goldAnswerOutput struct {
	Body struct {
		Right  bool   `json:"right"`
		Reason string `json:"reason,omitempty" doc:"Why another answer is right."`
	}
}

// pathTask is the input of an operation on one of a project's tasks.
type pathTask struct {
	web.PathID
	Task string `path:"task"`
}

func registerGold(api web.API, s goldStore) {
	web.Create(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "add-gold", Method: http.MethodPost, Path: "/api/v1/projects/{id}/gold", DefaultStatus: http.StatusNoContent,
		Summary: "Mark tasks as gold: their right answer is known", Tags: []string{"quality"},
		Description: "A gold task is handed to everyone, beside the overlap, and its judgments are never learnt from. All of a qualification's tasks are gold. " +
			"Marking one again in the same way does nothing; with another answer it is the problem conflict.",
	}, func(ctx context.Context, in *goldInput) (*struct{}, error) {
		golds := make([]store.Gold, len(in.Body.Items))
		for i, g := range in.Body.Items {
			golds[i] = store.Gold{TaskID: g.Task, Chosen: g.Chosen, Labels: g.Labels, Reason: g.Reason}
		}
		return nil, s.AddGold(ctx, in.ID, golds, web.Caller(ctx).Actor())
	})
	web.Register(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "retire-gold", Method: http.MethodPost, Path: "/api/v1/projects/{id}/gold/{task}/retire",
		Summary: "End a gold task that turned out to be wrong", Tags: []string{"quality"},
		Description: "It is handed out no more, and what was answered to it says nothing of anybody.",
	}, func(ctx context.Context, in *pathTask) (*struct{}, error) {
		return nil, s.RetireGold(ctx, in.ID, in.Task, web.Caller(ctx).Actor())
	})
	web.Register(api, web.Scopes{store.ScopeReview, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-gold", Method: http.MethodGet, Path: "/api/v1/projects/{id}/gold",
		Summary: "A project's gold tasks, the first one first", Tags: []string{"quality"},
	}, func(ctx context.Context, in *ofProject) (*goldsOutput, error) {
		stored, err := s.Golds(ctx, in.ID, store.Page{After: in.After, Limit: in.Limit})
		golds := make([]Gold, len(stored))
		for i, g := range stored {
			golds[i] = Gold{g.TaskID, g.Chosen, g.Labels, g.Reason, g.Answered, g.Right, g.Retired, g.CreatedAt}
		}
		return &goldsOutput{web.ListOf(golds, in.Limit, func(g Gold) string { return g.Task })}, err
	})
	web.Register(api, web.Scopes{store.ScopeReview, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-gold-results", Method: http.MethodGet, Path: "/api/v1/projects/{id}/gold/results",
		Summary: "How everyone does on a project's gold tasks", Tags: []string{"quality"},
	}, func(ctx context.Context, in *web.PathID) (*goldResultsOutput, error) {
		stored, err := s.GoldResults(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		list := web.List[GoldResult]{Items: []GoldResult{}}
		for _, r := range stored {
			share, err := statistics.Wilson(float64(r.Right), r.Answered)
			if err != nil {
				return nil, err
			}
			list.Items = append(list.Items, GoldResult{r.Annotator, r.Answered, r.Right, share.Value, share.Low, share.High, r.RecentAnswered, r.RecentRight, r.Warned})
		}
		return &goldResultsOutput{list}, nil
	})
	web.Register(api, web.Scopes{store.ScopeAnnotate}, huma.Operation{
		OperationID: "get-gold-answer", Method: http.MethodGet, Path: "/api/v1/assignments/{id}/gold-answer",
		Summary: "In a qualification: whether one's own judgment was right, and why not", Tags: []string{"annotation"},
		Description: "Elsewhere nobody is told, and there is none.",
	}, func(ctx context.Context, in *web.PathID) (*goldAnswerOutput, error) {
		answer, err := s.GoldAnswer(ctx, web.Caller(ctx).Annotator, in.ID)
		var out goldAnswerOutput
		out.Body.Right, out.Body.Reason = answer.Right, answer.Reason
		return &out, err
	})
}
