package annotation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// Stretch is a person's time at attacking a policy. It does not say which one.
type Stretch struct {
	ID          string    `json:"id"`
	Project     string    `json:"project_id"`
	StartedAt   time.Time `json:"started_at"`
	Until       time.Time `json:"until" doc:"When it runs out, by the server's clock."`
	Over        bool      `json:"over" doc:"It ran out, or was ended: nothing more is attacked in it, and what was is still rated."`
	LeftSeconds float64   `json:"left_seconds"`
	Attacks     int       `json:"attacks"`
	Rated       int       `json:"rated" doc:"Of them."`
}

func stretchOf(s store.Stretch) Stretch {
	return Stretch{ID: s.ID, Project: s.ProjectID, StartedAt: s.StartedAt, Until: s.Until, Over: s.Over, LeftSeconds: s.Left.Seconds(), Attacks: s.Attacks, Rated: s.Rated}
}

// StretchInput is the request that begins a stretch.
type StretchInput struct {
	web.PathID
	Key string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"200" doc:"Drawn by the client, once a stretch: repeating the request with it returns the stretch that was begun."`
}

type stretchOutput struct{ Body Stretch }

func registerStretches(api web.API, l *Live) {
	annotate := web.Scopes{store.ScopeAnnotate}
	reply := func(s store.Stretch, err error) (*stretchOutput, error) {
		if err != nil {
			return nil, err
		}
		return &stretchOutput{stretchOf(s)}, nil
	}
	web.Register(api, annotate, huma.Operation{
		OperationID: "begin-stretch", Method: http.MethodPost, Path: "/api/v1/projects/{id}/stretches", DefaultStatus: http.StatusCreated,
		Summary: "Begin a stretch of red teaming", Tags: []string{"red teaming"},
		Description: "Attacks are turns of it. Who has one in the project that is not over gets that one; the problem conflict says that one is under way elsewhere, or that there is nothing to attack.",
	}, func(ctx context.Context, in *StretchInput) (*stretchOutput, error) {
		return reply(l.store.BeginStretch(ctx, store.NewStretch{Annotator: web.Caller(ctx).Annotator, Project: in.ID, Key: in.Key, Seed: l.config.Seed()}))
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "get-stretch", Method: http.MethodGet, Path: "/api/v1/projects/{id}/stretch",
		Summary: "One's newest stretch in a project", Tags: []string{"red teaming"},
	}, func(ctx context.Context, in *web.PathID) (*stretchOutput, error) {
		return reply(l.store.LastStretch(ctx, web.Caller(ctx).Annotator, in.ID))
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "end-stretch", Method: http.MethodPost, Path: "/api/v1/stretches/{id}/end",
		Summary: "End one's stretch before it runs out", Tags: []string{"red teaming"},
		Description: "Ending it again changes nothing.",
	}, func(ctx context.Context, in *web.PathID) (*stretchOutput, error) {
		return reply(l.store.EndStretch(ctx, web.Caller(ctx).Annotator, in.ID))
	})
}

// clock is what the pages of a red-teaming project show of a person's time.
type clock struct {
	Attacking bool           // it is such a project
	Newest    *store.Stretch // the person's; nil before the first
}

type stretchReader interface {
	LastStretch(ctx context.Context, annotator, projectID string) (store.Stretch, error)
}

// clockOf reads it.
func clockOf(ctx context.Context, s stretchReader, project store.Project, annotator string) (clock, error) {
	if project.Source != store.RedTeam {
		return clock{}, nil
	}
	c := clock{Attacking: true}
	newest, err := s.LastStretch(ctx, annotator, project.ID)
	switch tandem.CodeOf(err) {
	case "":
		c.Newest = &newest
	case tandem.NotFound:
		err = nil
	}
	return c, err
}

// Running reports whether attacks may be written now.
func (c clock) Running() bool { return c.Newest != nil && !c.Newest.Over }

// Left is how long, in whole seconds, and LeftWords the same for people.
func (c clock) Left() int { return int(c.Newest.Left.Seconds()) }

func (c clock) LeftWords() string {
	if left := c.Left(); left < 120 {
		return fmt.Sprintf("%d seconds", left)
	}
	return fmt.Sprintf("%d minutes", c.Left()/60)
}

// asked are those of all options that a red-teaming project asks for; elsewhere all are.
func asked[T ~string](project store.Project, wanted []T, all []option) []option {
	if project.Source != store.RedTeam {
		return all
	}
	return slices.DeleteFunc(all, func(o option) bool { return !slices.Contains(wanted, T(o.Value)) })
}

// beginStretch begins a stretch and leads to where attacks are written. Where there is nothing to attack the page says so.
func (p livePages) beginStretch(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	_, err := p.live.store.BeginStretch(r.Context(), store.NewStretch{Annotator: me(r), Project: id, Key: r.PostFormValue("key"), Seed: p.live.config.Seed()})
	switch tandem.CodeOf(err) {
	case "":
		return see(w, r, "/projects/"+id+"/live")
	case tandem.Conflict, tandem.Forbidden, tandem.Unavailable:
	default:
		return err
	}
	page, openErr := p.open(r, id)
	if openErr != nil {
		return err
	}
	problem := web.ProblemOf(err)
	page.Problem = sentence(problem.Detail)
	return p.showWrite(w, r, problem.Status, page)
}

// endStretch ends one. What is still to be rated comes first then.
func (p livePages) endStretch(w http.ResponseWriter, r *http.Request) error {
	ended, err := p.live.store.EndStretch(r.Context(), me(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return see(w, r, "/projects/"+ended.ProjectID+"/live")
}

// backToAttack leads from the target of the form that begins a stretch to the page that it stands on.
func (p livePages) backToAttack(w http.ResponseWriter, r *http.Request) error {
	return see(w, r, "/projects/"+chi.URLParam(r, "id")+"/live")
}
