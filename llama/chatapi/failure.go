package chatapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tandem/internal/web"
)

// ErrorAnswer is an error in OpenAI's form.
type ErrorAnswer struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail says what is wrong.
type ErrorDetail struct {
	Message string  `json:"message" doc:"What went wrong, for people."`
	Type    string  `json:"type" enum:"invalid_request_error,authentication_error,permission_error,rate_limit_error,server_error" doc:"Follows from the HTTP status."`
	Param   *string `json:"param" doc:"The parameter that is wrong, such as messages[2].content."`
	Code    *string `json:"code" doc:"What went wrong, for programs."`
}

// failure is why a request is not answered.
type failure struct {
	status  int
	code    code
	param   string // empty where no parameter is to blame
	message string
	reason  string        // as Metrics count it; empty where they do not
	after   time.Duration // until another try is worth it; 0 where nobody knows
	cause   error         // for the log alone; nil where the server is not to blame
}

// code is a failure's name for programs. Most are OpenAI's own.
type code string

const (
	invalidJSON      code = "invalid_json"
	invalidValue     code = "invalid_value"
	unknownParameter code = "unknown_parameter"
	unsupported      code = "unsupported_parameter"
	unsupportedValue code = "unsupported_value"
	contextExceeded  code = "context_length_exceeded"
	modelNotFound    code = "model_not_found"
	tooLarge         code = "too_large"
	queueFull        code = "queue_full"
	noPolicy         code = "no_policy"
	timedOut         code = "timeout"
	stopping         code = "stopping"
	internal         code = "internal"
)

// invalid is the failure of a request with one wrong parameter.
func invalid(param string, c code, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, code: c, param: param, message: fmt.Sprintf(format, args...), reason: refusedInvalid}
}

// broken is a failure of the server's own, which its log describes.
func broken(cause error) *failure {
	return &failure{status: http.StatusInternalServerError, code: internal, message: "Something is wrong with the server; its log says more.", cause: cause}
}

// body is f as it is sent.
func (f *failure) body() ErrorAnswer {
	e := ErrorDetail{Message: f.message, Type: typeOf(f.status)}
	if f.param != "" {
		e.Param = &f.param
	}
	if name := string(f.code); name != "" {
		e.Code = &name
	}
	return ErrorAnswer{e}
}

func typeOf(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

// write answers with f.
func (f *failure) write(w http.ResponseWriter) {
	p := web.NewProblem(f.status, "")
	if f.after > 0 {
		p = web.Busy(f.after, "")
	}
	writeFailure(w, p.GetHeaders(), f.status, f.body())
}

// refuse answers with a problem of the site around this package, in OpenAI's form.
func refuse(w http.ResponseWriter, _ *http.Request, p *web.Problem) {
	f := failure{status: p.Status, code: code(p.Code), message: p.Detail}
	switch p.Status {
	case http.StatusUnauthorized:
		f.code = "invalid_api_key"
	case http.StatusTooManyRequests:
		f.code = "rate_limit_exceeded"
	}
	writeFailure(w, p.GetHeaders(), f.status, f.body())
}

func writeFailure(w http.ResponseWriter, headers http.Header, status int, body ErrorAnswer) {
	for name, values := range headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}
