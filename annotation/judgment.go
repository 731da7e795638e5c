package annotation

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type judgmentStore interface {
	Submit(ctx context.Context, sub store.Submission) (store.Judgment, error)
	Revise(ctx context.Context, sub store.Submission, version int) (store.Judgment, error)
	History(ctx context.Context, annotator string, page store.Page) ([]store.Judgment, error)
	ProjectJudgments(ctx context.Context, projectID string, page store.Page) ([]store.Judgment, error)
}

// Verdict is what an annotator says of a task; which fields are set follows from the task's kind.
type Verdict struct {
	Chosen   string                        `json:"chosen,omitempty" doc:"Pairwise: the id of the better answer."`
	Rejected string                        `json:"rejected,omitempty" doc:"Pairwise: the id of the other."`
	Degree   string                        `json:"degree,omitempty" enum:"negligibly_better,slightly_better,better,significantly_better" doc:"Pairwise: by how much; negligibly_better includes unsure."`
	Ranking  [][]string                    `json:"ranking,omitempty" doc:"Ranking: every answer's id once, best first; ties share a place."`
	Rating   int                           `json:"rating,omitempty" minimum:"1" maximum:"7" doc:"Rating: 1 to 7; of an answer to an attack 1 to 5, of which 1 and 2 are violations. Side by side: from 1, the answer with the smaller id is much better, over 4, they are about the same, to 7, the other is much better."`
	Labels   map[string]tandem.SafetyLabel `json:"labels,omitempty" doc:"Safe or unsafe, by answer id; in a safety task every answer has one, but in red teaming none."`
	Comment  string                        `json:"comment,omitempty" maxLength:"10000"`
}

func (v Verdict) stored() (store.Verdict, error) {
	out := store.Verdict{Chosen: v.Chosen, Rejected: v.Rejected, Ranking: v.Ranking, Rating: v.Rating, Labels: v.Labels, Comment: v.Comment}
	return out, out.Degree.UnmarshalText([]byte(v.Degree))
}

func verdictOf(v store.Verdict) (Verdict, error) {
	degree, err := v.Degree.MarshalText()
	return Verdict{Chosen: v.Chosen, Rejected: v.Rejected, Degree: string(degree), Ranking: v.Ranking, Rating: v.Rating,
		Labels: v.Labels, Comment: v.Comment}, err
}

// Submission is a verdict on its way in.
type Submission struct {
	Verdict
	Seconds   float64 `json:"seconds,omitempty" minimum:"0" maximum:"604800" doc:"How long it took; does not count for whether two submissions are the same."`
	Guideline int     `json:"guideline_version,omitempty" minimum:"0" maximum:"2147483647" doc:"The version of the guideline that was shown; does not count for that either."`
}

// Judgment is a verdict that was kept.
type Judgment struct {
	ID         string         `json:"id"`
	Assignment string         `json:"assignment_id"`
	Task       string         `json:"task_id"`
	Annotator  string         `json:"annotator_id" doc:"A pseudonym."`
	Kind       store.TaskKind `json:"kind" enum:"pairwise,ranking,rating,side_by_side"`
	Version    int            `json:"version" doc:"From 1; a revision adds one."`
	Replaces   string         `json:"replaces,omitempty" doc:"The id of the version before."`
	Verdict    Verdict        `json:"verdict"`
	Surplus    bool           `json:"surplus,omitempty" doc:"It came after its place was taken; it counts like any other."`
	Shown      []string       `json:"shown" doc:"Answer ids in the order in which they stood."`
	Seconds    float64        `json:"seconds,omitempty"`
	Guideline  int            `json:"guideline_version,omitempty" doc:"The version of the guideline that was shown."`
	CreatedAt  time.Time      `json:"created_at"`
}

func judgmentOf(j store.Judgment) (Judgment, error) {
	verdict, err := verdictOf(j.Verdict)
	return Judgment{ID: j.ID, Assignment: j.Assignment, Task: j.TaskID, Annotator: j.Annotator, Kind: j.Kind, Version: j.Version, Replaces: j.Replaces,
		Verdict: verdict, Surplus: j.Surplus, Shown: j.Shown, Seconds: j.Duration.Seconds(), Guideline: j.Guideline, CreatedAt: j.CreatedAt}, err
}

// SubmitInput is the request that brings a verdict.
type SubmitInput struct {
	web.PathID
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"200" doc:"Drawn by the client, once a judgment: repeating the request with it returns what was kept."`
	Body Submission
}

func (in SubmitInput) submission(ctx context.Context) (store.Submission, error) {
	verdict, err := in.Body.stored()
	return store.Submission{Annotator: web.Caller(ctx).Annotator, Assignment: in.ID, Key: in.Key, Verdict: verdict,
		Duration: seconds(in.Body.Seconds), Guideline: in.Body.Guideline}, err
}

type reviseInput struct {
	SubmitInput
	Version string `header:"If-Match" required:"true" pattern:"^\"[0-9]{1,9}\"$" doc:"The version that is replaced, in quotes."`
}

type judgmentOutput struct {
	Replayed bool   `header:"Idempotency-Replayed" doc:"True when the judgment was kept by an earlier request with the same key."`
	Version  string `header:"ETag" doc:"The judgment's version, in quotes."`
	Body     Judgment
}

// kept is the answer to a submit.
func kept(j store.Judgment, err error) (*judgmentOutput, error) {
	if err != nil {
		return nil, err
	}
	body, err := judgmentOf(j)
	return &judgmentOutput{Replayed: j.Replayed, Version: strconv.Quote(strconv.Itoa(j.Version)), Body: body}, err
}

type judgmentsOutput struct{ Body web.List[Judgment] }

func registerJudgments(api web.API, s judgmentStore) {
	annotate := web.Scopes{store.ScopeAnnotate}
	web.Register(api, annotate, huma.Operation{
		OperationID: "submit-judgment", Method: http.MethodPost, Path: "/api/v1/assignments/{id}/judgment", DefaultStatus: http.StatusCreated,
		Summary: "Judge a task", Tags: []string{"annotation"},
		Description: "Kept in one transaction, which closes the draft. It is never too late: after the lease ran out the judgment is kept, as surplus if somebody else has the place. " +
			"The problem conflict says that the key came with another judgment before, or that the task was judged or skipped already.",
	}, func(ctx context.Context, in *SubmitInput) (*judgmentOutput, error) {
		submission, err := in.submission(ctx)
		if err != nil {
			return nil, err
		}
		return kept(s.Submit(ctx, submission))
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "revise-judgment", Method: http.MethodPut, Path: "/api/v1/assignments/{id}/judgment",
		Summary: "Replace one's judgment by a new version", Tags: []string{"annotation"},
		Description: "Earlier versions stay. The problem stale says that If-Match does not name the newest version.",
	}, func(ctx context.Context, in *reviseInput) (*judgmentOutput, error) {
		submission, err := in.submission(ctx)
		if err != nil {
			return nil, err
		}
		version, err := strconv.Atoi(in.Version[1 : len(in.Version)-1])
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "annotation.Revise", "If-Match: %w", err)
		}
		return kept(s.Revise(ctx, submission, version))
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "list-own-judgments", Method: http.MethodGet, Path: "/api/v1/judgments",
		Summary: "One's own judgments, the last one first", Tags: []string{"annotation"},
	}, func(ctx context.Context, in *web.Cursor) (*judgmentsOutput, error) {
		return listOf(in.Limit)(s.History(ctx, web.Caller(ctx).Annotator, store.Page{After: in.After, Limit: in.Limit}))
	})
	web.Register(api, web.Scopes{store.ScopeRead, store.ScopeAdmin}, huma.Operation{
		OperationID: "list-judgments", Method: http.MethodGet, Path: "/api/v1/projects/{id}/judgments",
		Summary: "A project's judgments, the first one first", Tags: []string{"tasks"},
		Description: "The newest version of each; excluded ones are left out.",
	}, func(ctx context.Context, in *ofProject) (*judgmentsOutput, error) {
		return listOf(in.Limit)(s.ProjectJudgments(ctx, in.ID, store.Page{After: in.After, Limit: in.Limit}))
	})
}

// listOf makes a page of judgments.
func listOf(limit int) func([]store.Judgment, error) (*judgmentsOutput, error) {
	return func(stored []store.Judgment, err error) (*judgmentsOutput, error) {
		if err != nil {
			return nil, err
		}
		judgments := make([]Judgment, len(stored))
		for i, j := range stored {
			if judgments[i], err = judgmentOf(j); err != nil {
				return nil, err
			}
		}
		return &judgmentsOutput{web.ListOf(judgments, limit, func(j Judgment) string { return j.ID })}, nil
	}
}
