package web

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
)

// Problem is an error as programs get it: RFC 9457's members, and a code that does not change when the
// words do.
type Problem struct {
	Type    string        `json:"type" doc:"Always about:blank: the code says which problem it is."`
	Title   string        `json:"title" doc:"The HTTP status in words."`
	Status  int           `json:"status" doc:"The HTTP status."`
	Code    string        `json:"code" doc:"What went wrong, for programs." enum:"invalid,unauthorized,forbidden,not_found,conflict,stale,unsupported,corrupt,unavailable,internal,method_not_allowed,too_large,timeout,too_many"`
	Detail  string        `json:"detail,omitempty" doc:"What went wrong, for people."`
	Request string        `json:"request_id,omitempty" doc:"The request, as the server's log names it."`
	Errors  []FieldDetail `json:"errors,omitempty" doc:"What is wrong in which place of the request."`

	retryAfter time.Duration // until another try is worth it; 0 where nobody knows
}

// FieldDetail says what is wrong in one place of a request.
type FieldDetail struct {
	Location string `json:"location,omitempty" example:"body.chosen"`
	Message  string `json:"message"`
}

// statuses maps the domain's codes; it is the one place where they become HTTP statuses.
var statuses = map[tandem.Code]int{
	tandem.Invalid:      http.StatusUnprocessableEntity,
	tandem.Unauthorized: http.StatusUnauthorized,
	tandem.Forbidden:    http.StatusForbidden,
	tandem.NotFound:     http.StatusNotFound,
	tandem.Conflict:     http.StatusConflict,
	tandem.Stale:        http.StatusPreconditionFailed,
	tandem.Unsupported:  http.StatusUnprocessableEntity,
	tandem.Corrupt:      http.StatusInternalServerError,
	tandem.Unavailable:  http.StatusServiceUnavailable,
	tandem.Internal:     http.StatusInternalServerError,
}

// codes maps the statuses of requests that never reached the domain.
var codes = map[int]string{
	http.StatusBadRequest:            string(tandem.Invalid),
	http.StatusUnauthorized:          string(tandem.Unauthorized),
	http.StatusForbidden:             string(tandem.Forbidden),
	http.StatusNotFound:              string(tandem.NotFound),
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusNotAcceptable:         string(tandem.Unsupported),
	http.StatusRequestTimeout:        "timeout",
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType:  string(tandem.Unsupported),
	http.StatusUnprocessableEntity:   string(tandem.Invalid),
	http.StatusTooManyRequests:       "too_many",
	http.StatusServiceUnavailable:    string(tandem.Unavailable),
}

// ProblemOf is the problem that err is to a caller: err itself where it is one. What is the server's own fault is not
// described: the log has it.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	code := tandem.CodeOf(err)
	p := NewProblem(statuses[code], "")
	p.Code = string(code)
	switch code {
	case tandem.Internal, tandem.Corrupt:
		p.Detail = "Something is wrong with the server; its log says more."
	case tandem.Unavailable:
		p.Detail = "The server cannot do this now; try again."
	default:
		p.Detail = message(err)
	}
	return p
}

// NewProblem is the problem of a status.
func NewProblem(status int, detail string) *Problem {
	code, ok := codes[status]
	if !ok {
		code = string(tandem.Internal)
	}
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Busy is the problem of a server that has too much to do, and says when another try is worth it.
func Busy(after time.Duration, detail string) *Problem {
	p := NewProblem(http.StatusTooManyRequests, detail)
	p.retryAfter = after
	return p
}

// message is what the domain says of err, without the names of operations, and without causes that are not the
// domain's, such as SQL.
func message(err error) string {
	var e *tandem.Error
	if !errors.As(err, &e) {
		return ""
	}
	var cause *tandem.Error
	if e.Err == nil {
		return e.Message
	}
	if errors.As(e.Err, &cause) {
		return strings.Replace(e.Message, cause.Error(), message(cause), 1)
	}
	return strings.TrimSuffix(strings.TrimSuffix(e.Message, e.Err.Error()), ": ")
}

// Error makes a Problem an error that huma answers with.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status that huma answers with.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders adds what a status asks for.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="tandem"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	return h
}

// WriteProblem answers a request with p, where huma does not.
func WriteProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.Request = RequestID(r.Context())
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone needs no answer
}

// problems is a huma transformer: what huma itself refuses becomes a Problem too, and each learns its
// request's id. Values of the request are not sent back.
func problems(ctx huma.Context, _ string, body any) (any, error) {
	p, ok := body.(*Problem)
	if model, isModel := body.(*huma.ErrorModel); isModel {
		p, ok = NewProblem(model.Status, model.Detail), true
		for _, e := range model.Errors {
			p.Errors = append(p.Errors, FieldDetail{Location: e.Location, Message: e.Message})
		}
		if p.Status >= http.StatusInternalServerError {
			p.Detail, p.Errors = "Something is wrong with the server; its log says more.", nil
		}
	}
	if !ok {
		return body, nil
	}
	p.Request = RequestID(ctx.Context())
	return p, nil
}
