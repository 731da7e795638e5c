package web

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Foreign is an operation of somebody else's protocol, whose answers, streams and errors have that protocol's form.
type Foreign struct {
	// Operation describes it, but for who may call it and how it fails, which RegisterForeign adds.
	Operation huma.Operation
	// Input and Output are described in the OpenAPI document; nil Input is a request without a body.
	Input, Output reflect.Type
	// Failure is the type of the body that Refuse writes.
	Failure reflect.Type
	// Refuse answers with a problem, in the protocol's form: whatever refuses a request before Handler sees it does so too.
	Refuse func(http.ResponseWriter, *http.Request, *Problem)
	// Handler answers callers that may call it. It bounds its own time.
	Handler http.HandlerFunc
}

// foreignPath is where problems have another form.
type foreignPath struct {
	path   string // and all below it, where it ends with a slash
	refuse func(http.ResponseWriter, *http.Request, *Problem)
}

// RegisterForeign adds an operation that callers with one of the scopes may use.
func (api API) RegisterForeign(scopes Scopes, f Foreign) {
	op := f.Operation
	*api.routes = append(*api.routes, Route{op.Method, op.Path, scopes})
	path, _, _ := strings.Cut(op.Path, "{")
	*api.foreign = append(*api.foreign, foreignPath{path, f.Refuse})

	op.Security = []map[string][]string{{"key": {}}, {"session": {}}}
	op.Description = strings.TrimPrefix(op.Description+"\n\nScope: "+scopes.String()+".", "\n\n")
	schemas := api.Huma.OpenAPI().Components.Schemas
	content := func(t reflect.Type) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(t, true, t.Name())}}
	}
	if f.Input != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: content(f.Input)}
	}
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	op.Responses["200"] = &huma.Response{Description: "OK", Content: content(f.Output)}
	op.Responses["default"] = &huma.Response{Description: "A problem, in the protocol's form", Content: content(f.Failure)}
	api.Huma.OpenAPI().AddOperation(&op)

	api.Router.Method(op.Method, op.Path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := api.Authorize(r, scopes)
		if err != nil {
			problem := ProblemOf(err)
			if problem.Status >= http.StatusInternalServerError {
				logFailure(r.Context(), api.log, op.OperationID, err)
			}
			f.Refuse(w, r, problem)
			return
		}
		f.Handler(w, r.WithContext(WithCaller(r.Context(), p)))
	}))
}

// refuseForeign answers with a problem in the form of the operation that a request was for, and reports whether it has
// another form than all others.
func (api API) refuseForeign(w http.ResponseWriter, r *http.Request, p *Problem) bool {
	for _, f := range *api.foreign {
		if r.URL.Path == f.path || strings.HasSuffix(f.path, "/") && strings.HasPrefix(r.URL.Path, f.path) {
			f.refuse(w, r, p)
			return true
		}
	}
	return false
}
