package web

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"tandem"
)

// operationTimeout bounds an operation of the API; streams do not go through Register.
const operationTimeout = 30 * time.Second

// timeLimit keys an operation's own limit among its metadata.
const timeLimit = "time limit"

// Within gives an operation that has much to do another time limit than the half minute of all others. A
// server gives up on a request after two minutes, whatever this says.
func Within(limit time.Duration, op huma.Operation) huma.Operation {
	op.Metadata = maps.Clone(op.Metadata)
	if op.Metadata == nil {
		op.Metadata = make(map[string]any)
	}
	op.Metadata[timeLimit] = limit
	return op
}

// limitOf is how long an operation may take.
func limitOf(op *huma.Operation) time.Duration {
	if limit, ok := op.Metadata[timeLimit].(time.Duration); ok {
		return limit
	}
	return operationTimeout
}

// API is where packages register their operations and pages: a router, its OpenAPI document, and who may call.
type API struct {
	Router   chi.Router
	Huma     huma.API
	keys     Keys
	accounts Accounts // nil where nobody can sign in
	answers  Answers  // nil where none are kept
	address  string   // of the site; empty for the one that a request came to
	secure   bool
	log      *slog.Logger
	hasher   *hasher
	pages    Pages
	links    *[]Link
	routes   *[]Route
	foreign  *[]foreignPath
}

// Config says how an API knows its callers.
type Config struct {
	Version  string   // stands in the OpenAPI document
	Keys     Keys     // of programs
	Accounts Accounts // of people; nil where nobody can sign in
	Answers  Answers  // keeps what was made under an Idempotency-Key; nil refuses such requests
	Public   string   // where browsers reach the site, for links; empty for where a request came to
	HTTPS    bool     // browsers come by https, so that cookies may ask for it
	Log      *slog.Logger
}

// NewAPI puts an API on a router. Its OpenAPI 3.1 document is at /openapi.json; no page comes with it,
// and no answer has fields beside its own.
func NewAPI(router chi.Router, c Config) (API, error) {
	pages, err := ParsePages(templates)
	if err != nil {
		return API{}, err
	}
	config := huma.DefaultConfig("tandem", c.Version)
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.Transformers = []huma.Transformer{problems}
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Servers = []*huma.Server{{URL: cmp.Or(c.Public, "/")}}
	config.Formats = maps.Clone(config.Formats)
	config.Formats["application/json"] = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	config.Info.Description = "Collects comparisons of answers, and serves what was learnt from them."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "A key made by tandem key create."},
	}
	config.Components.SecuritySchemes["session"] = &huma.SecurityScheme{
		Type: "apiKey", In: "cookie", Name: cookieName, Description: "The cookie of somebody who is signed in.",
	}
	api := API{Router: router, Huma: humachi.New(router, config), keys: c.Keys, accounts: c.Accounts, answers: c.Answers, address: c.Public,
		secure: c.HTTPS, log: c.Log, hasher: newHasher(), pages: pages, links: new([]Link), routes: new([]Route),
		foreign: new([]foreignPath)}
	serveAssets(router)
	api.registerAccounts()
	return api, nil
}

// Register adds an operation that callers with one of the scopes may use. The handler's errors are the domain's;
// what is the server's own fault is logged and not sent. An error that is a Problem is sent as it is.
func Register[I, O any](api API, scopes Scopes, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	register(api, scopes, op, handler, noForm)
}

// noForm refuses a form where JSON is expected: curl -d sends one where no Content-Type is set.
func noForm(ctx huma.Context, next func(huma.Context)) {
	kind, _, _ := mime.ParseMediaType(ctx.Header("Content-Type"))
	if ctx.Operation().RequestBody == nil || kind != "application/x-www-form-urlencoded" {
		next(ctx)
		return
	}
	r, w := humachi.Unwrap(ctx)
	WriteProblem(w, r, NewProblem(http.StatusUnsupportedMediaType, "The request is a form, and JSON is expected: set Content-Type: application/json."))
}

// register adds an operation with middleware that runs once the caller is known.
func register[I, O any](api API, scopes Scopes, op huma.Operation, handler func(context.Context, *I) (*O, error), within ...func(huma.Context, func(huma.Context))) {
	*api.routes = append(*api.routes, Route{op.Method, op.Path, scopes})
	op.Security = []map[string][]string{{"key": {}}, {"session": {}}}
	op.Middlewares = append(append(op.Middlewares, api.authorized(scopes)), within...)
	if op.Description != "" {
		op.Description += "\n\n"
	}
	op.Description += "Scope: " + scopes.String() + "."
	op.Responses = maps.Clone(op.Responses)
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	op.Responses["default"] = &huma.Response{
		Description: "A problem",
		Content: map[string]*huma.MediaType{"application/problem+json": {
			Schema: api.Huma.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem"),
		}},
	}
	huma.Register(api.Huma, op, func(ctx context.Context, in *I) (*O, error) {
		limit := limitOf(&op)
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		if errors.Is(err, context.DeadlineExceeded) && tandem.CodeOf(err) == tandem.Internal {
			err = tandem.Errorf(tandem.Unavailable, op.OperationID, "no answer within %v: %w", limit, err)
		}
		p := ProblemOf(err)
		if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) && !errors.Is(err, p) {
			logFailure(ctx, api.log, op.OperationID, err)
		}
		return nil, p
	})
}

// schemaName is a type's name in the OpenAPI document: its own for the domain's and this package's, led
// by the package for others, so that two packages may call different things by one word.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	folder := path.Base(t.PkgPath())
	if t.Name() == "" || t.PkgPath() == "" || folder == "tandem" || folder == "web" || folder == "huma" || folder == "v2" {
		return name
	}
	return strings.ToUpper(folder[:1]) + folder[1:] + name
}

// Describe tidies the OpenAPI document once everything is registered: huma's own error, which is never
// sent, is not described.
func (api API) Describe() {
	schemas := api.Huma.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
}

var problemType = reflect.TypeFor[Problem]()
