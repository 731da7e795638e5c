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

type claimStore interface {
	Claim(ctx context.Context, annotator, projectID string) (store.Claimed, error)
	Assignment(ctx context.Context, annotator, id string) (store.Assignment, error)
	Renew(ctx context.Context, annotator, assignment string) (time.Time, error)
}

type remarkStore interface {
	Skip(ctx context.Context, annotator, assignment, reason string) error
	Flag(ctx context.Context, annotator, assignment, reason string) error
}

// Assignment is an annotator's turn at a task: all that they may know of it.
type Assignment struct {
	ID      string         `json:"id"`
	Project string         `json:"project_id"`
	Task    string         `json:"task_id"`
	Kind    store.TaskKind `json:"kind" enum:"pairwise,ranking,rating,side_by_side"`
	Aspect  tandem.Aspect  `json:"aspect" enum:"helpfulness,safety" doc:"What to judge. In a safety task each answer gets a label too."`
	Prompt  []Message      `json:"prompt" doc:"The dialogue that the answers go on with."`
	Answers []Answer       `json:"responses" doc:"In the order drawn for this annotator; for a pair, left and right."`
	Until   *time.Time     `json:"held_until,omitempty" doc:"When the lease runs out; absent when it is not held. It can be judged all the same."`
}

// Message is one turn of a dialogue.
type Message struct {
	Role    tandem.Role `json:"role" enum:"system,user,assistant"`
	Content string      `json:"content"`
}

// Answer is a response as an annotator sees it: blind.
type Answer struct {
	ID      string `json:"id"`
	Content string `json:"content"`
}

// assignmentOf shows an assignment. Fields are copied one by one, so that what a later version of the
// store knows (a model, a source, gold) is not shown because nobody thought of it.
func assignmentOf(a store.Assignment) Assignment {
	out := Assignment{ID: a.ID, Project: a.ProjectID, Task: a.TaskID, Kind: a.Kind, Aspect: a.Aspect}
	for _, m := range a.Prompt.Messages {
		out.Prompt = append(out.Prompt, Message{m.Role, m.Content})
	}
	for _, r := range a.Responses {
		out.Answers = append(out.Answers, Answer{r.ID, r.Content})
	}
	if !a.Until.IsZero() {
		out.Until = &a.Until
	}
	return out
}

// ClaimState says what came of a claim.
type ClaimState string

const (
	ClaimAssigned ClaimState = "assigned" // there is a task to judge
	ClaimHeld     ClaimState = "held"     // others hold all that is left; try again
	ClaimDone     ClaimState = "done"     // nothing is left for this annotator
)

// Claim is the answer to a claim.
type Claim struct {
	State      ClaimState  `json:"state" enum:"assigned,held,done"`
	Assignment *Assignment `json:"assignment,omitempty"`
	RetryAt    *time.Time  `json:"retry_at,omitempty" doc:"For held: when the first lease of others runs out."`
}

func claimOf(claimed store.Claimed) Claim {
	switch {
	case claimed.Assignment != nil:
		a := assignmentOf(*claimed.Assignment)
		return Claim{State: ClaimAssigned, Assignment: &a}
	case !claimed.HeldUntil.IsZero():
		return Claim{State: ClaimHeld, RetryAt: &claimed.HeldUntil}
	}
	return Claim{State: ClaimDone}
}

type claimOutput struct{ Body Claim }

type assignmentOutput struct{ Body Assignment }

type renewOutput struct {
	Body struct {
		Until time.Time `json:"held_until"`
	}
}

func registerClaims(api web.API, s claimStore) {
	annotate := web.Scopes{store.ScopeAnnotate}
	web.Register(api, annotate, huma.Operation{
		OperationID: "claim-task", Method: http.MethodPost, Path: "/api/v1/projects/{id}/claims",
		Summary: "Claim the next task", Tags: []string{"annotation"},
		Description: "Who holds a task already gets the same one, in the same order.",
	}, func(ctx context.Context, in *web.PathID) (*claimOutput, error) {
		claimed, err := s.Claim(ctx, web.Caller(ctx).Annotator, in.ID)
		if err != nil {
			return nil, err
		}
		return &claimOutput{claimOf(claimed)}, nil
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "get-assignment", Method: http.MethodGet, Path: "/api/v1/assignments/{id}",
		Summary: "One's own assignment, held or not", Tags: []string{"annotation"},
	}, func(ctx context.Context, in *web.PathID) (*assignmentOutput, error) {
		a, err := s.Assignment(ctx, web.Caller(ctx).Annotator, in.ID)
		return &assignmentOutput{assignmentOf(a)}, err
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "renew-assignment", Method: http.MethodPost, Path: "/api/v1/assignments/{id}/renew",
		Summary: "Hold a task for another lease", Tags: []string{"annotation"},
		Description: "The problem stale says that the task is not held any more.",
	}, func(ctx context.Context, in *web.PathID) (*renewOutput, error) {
		var out renewOutput
		var err error
		out.Body.Until, err = s.Renew(ctx, web.Caller(ctx).Annotator, in.ID)
		return &out, err
	})
}

type reasonInput struct {
	web.PathID
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"10000"`
	}
}

func registerRemarks(api web.API, s remarkStore) {
	annotate := web.Scopes{store.ScopeAnnotate}
	web.Register(api, annotate, huma.Operation{
		OperationID: "skip-task", Method: http.MethodPost, Path: "/api/v1/assignments/{id}/skip",
		Summary: "Give a task back unjudged, for good", Tags: []string{"annotation"},
	}, func(ctx context.Context, in *reasonInput) (*struct{}, error) {
		return nil, s.Skip(ctx, web.Caller(ctx).Annotator, in.ID, in.Body.Reason)
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "flag-task", Method: http.MethodPost, Path: "/api/v1/assignments/{id}/flag",
		Summary: "Point at a task for someone to look at", Tags: []string{"annotation"},
	}, func(ctx context.Context, in *reasonInput) (*struct{}, error) {
		return nil, s.Flag(ctx, web.Caller(ctx).Annotator, in.ID, in.Body.Reason)
	})
}
