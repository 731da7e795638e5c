package annotation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tandem"
	"tandem/internal/web"
)

// Client speaks to the operations of this package at a server, for simulated annotators and for programs
// that set work up. It is safe for concurrent use. Errors carry the code that the server's problem has.
type Client struct {
	// URL is the server's, without /api/v1.
	URL string
	// Key is sent with every request.
	Key string
	// HTTP sends the requests. Defaults to http.DefaultClient.
	HTTP *http.Client
	// Retries is how often a request is tried again that the server could not do now, or that was lost on
	// the way. Every operation is safe to repeat but CreateProject, which is sent once. Defaults to 0.
	Retries int
}

// CreateProject opens a project.
func (c *Client) CreateProject(ctx context.Context, p Project) (Project, error) {
	var out Project
	encoded, err := json.Marshal(p)
	if err != nil {
		return out, tandem.Errorf(tandem.Invalid, "annotation.Client", "%w", err)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &body); err != nil {
		return out, tandem.Errorf(tandem.Internal, "annotation.Client", "%w", err)
	}
	for _, decided := range []string{"id", "guideline_version", "closed", "created_at"} { // by the server alone
		delete(body, decided)
	}
	once := *c
	once.Retries = 0
	return out, once.do(ctx, http.MethodPost, "/api/v1/projects", nil, body, &out)
}

// Progress says how far a project is.
func (c *Client) Progress(ctx context.Context, project string) (Progress, error) {
	var out Progress
	return out, c.do(ctx, http.MethodGet, "/api/v1/projects/"+url.PathEscape(project)+"/progress", nil, nil, &out)
}

// AddPrompts keeps prompts, and returns them with their ids and sides of the split.
func (c *Client) AddPrompts(ctx context.Context, prompts []tandem.Prompt) ([]tandem.Prompt, error) {
	var out web.List[tandem.Prompt]
	return out.Items, c.do(ctx, http.MethodPost, "/api/v1/prompts", nil, map[string]any{"items": prompts}, &out)
}

// CreateTasks makes tasks with their answers, and returns their ids.
func (c *Client) CreateTasks(ctx context.Context, project string, tasks []NewTask) ([]string, error) {
	var out web.List[madeTask]
	if err := c.do(ctx, http.MethodPost, "/api/v1/projects/"+url.PathEscape(project)+"/tasks", nil, map[string]any{"items": tasks}, &out); err != nil {
		return nil, err
	}
	ids := make([]string, len(out.Items))
	for i, made := range out.Items {
		ids[i] = made.ID
	}
	return ids, nil
}

// Claim claims the next task of a project.
func (c *Client) Claim(ctx context.Context, project string) (Claim, error) {
	var out Claim
	return out, c.do(ctx, http.MethodPost, "/api/v1/projects/"+url.PathEscape(project)+"/claims", nil, nil, &out)
}

// Submit judges a task. The idempotency key is drawn by the caller, once a judgment.
func (c *Client) Submit(ctx context.Context, assignment, idempotencyKey string, s Submission) (Judgment, error) {
	var out Judgment
	header := http.Header{"Idempotency-Key": {idempotencyKey}}
	return out, c.do(ctx, http.MethodPost, "/api/v1/assignments/"+url.PathEscape(assignment)+"/judgment", header, s, &out)
}

// BeginStretch begins a stretch of red teaming. The idempotency key is drawn by the caller, once a stretch.
func (c *Client) BeginStretch(ctx context.Context, project, idempotencyKey string) (Stretch, error) {
	var out Stretch
	header := http.Header{"Idempotency-Key": {idempotencyKey}}
	return out, c.do(ctx, http.MethodPost, "/api/v1/projects/"+url.PathEscape(project)+"/stretches", header, nil, &out)
}

// EndStretch ends one's stretch.
func (c *Client) EndStretch(ctx context.Context, stretch string) (Stretch, error) {
	var out Stretch
	return out, c.do(ctx, http.MethodPost, "/api/v1/stretches/"+url.PathEscape(stretch)+"/end", nil, nil, &out)
}

// BeginTurn writes a prompt in a live project, or an attack in one of red teaming. The idempotency key is drawn by the caller,
// once a prompt.
func (c *Client) BeginTurn(ctx context.Context, project, idempotencyKey string, n NewTurn) (Turn, error) {
	var out Turn
	header := http.Header{"Idempotency-Key": {idempotencyKey}}
	return out, c.do(ctx, http.MethodPost, "/api/v1/projects/"+url.PathEscape(project)+"/turns", header, n, &out)
}

// Turn reads one's own prompt, and how far its answers are.
func (c *Client) Turn(ctx context.Context, id string) (Turn, error) {
	var out Turn
	return out, c.do(ctx, http.MethodGet, "/api/v1/turns/"+url.PathEscape(id), nil, nil, &out)
}

// AbandonTurn gives a prompt up that is not answered yet.
func (c *Client) AbandonTurn(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, "/api/v1/turns/"+url.PathEscape(id)+"/abandon", nil, nil, nil)
}

// Skip gives a task back unjudged.
func (c *Client) Skip(ctx context.Context, assignment, reason string) error {
	return c.do(ctx, http.MethodPost, "/api/v1/assignments/"+url.PathEscape(assignment)+"/skip", nil, map[string]string{"reason": reason}, nil)
}

// Judgments lists one's own judgments, the last one first; after is the cursor of the page before.
func (c *Client) Judgments(ctx context.Context, after string) (web.List[Judgment], error) {
	var out web.List[Judgment]
	return out, c.do(ctx, http.MethodGet, "/api/v1/judgments?limit=1000&after="+url.QueryEscape(after), nil, nil, &out)
}

// do sends a request, again where that may help, and decodes the answer into out unless out is nil.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body, out any) error {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return tandem.Errorf(tandem.Invalid, "annotation.Client", "%w", err)
		}
	}
	for try := 0; ; try++ {
		err := c.once(ctx, method, path, header, encoded, out)
		if tandem.CodeOf(err) != tandem.Unavailable || try >= c.Retries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(50<<min(try, 6)) * time.Millisecond):
		}
	}
}

func (c *Client) once(ctx context.Context, method, path string, header http.Header, body []byte, out any) error {
	op := method + " " + path
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "%w", err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+c.Key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "the answer breaks off: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return failure(op, response, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return tandem.Errorf(tandem.Internal, op, "the server's answer: %w", err)
	}
	return nil
}

// failure is the error that an answer tells of.
func failure(op string, response *http.Response, answer []byte) error {
	var p web.Problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Code == "" {
		return tandem.Errorf(tandem.Unavailable, op, "the server answers %s", response.Status)
	}
	detail := p.Detail
	for _, e := range p.Errors {
		detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	switch code := tandem.Code(p.Code); code {
	case "too_large", "method_not_allowed":
		return tandem.Errorf(tandem.Invalid, op, "%s", detail)
	case "timeout":
		return tandem.Errorf(tandem.Unavailable, op, "%s", detail)
	default:
		return tandem.Errorf(code, op, "%s", detail)
	}
}
