package web

import (
	"context"
	"errors"
	"log/slog"
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

// API is where packages register their operations: a router, its OpenAPI document, and who may call.
type API struct {
	Router chi.Router
	Huma   huma.API
	keys   Keys
	log    *slog.Logger
}

// NewAPI puts an API on a router. Its OpenAPI 3.1 document is at /openapi.json; no page comes with it,
// and no answer has fields beside its own.
func NewAPI(router chi.Router, version string, keys Keys, log *slog.Logger) API {
	config := huma.DefaultConfig("tandem", version)
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.Transformers = []huma.Transformer{problems}
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Info.Description = "Collects comparisons of answers, and serves what was learnt from them."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "A key made by tandem key create."},
	}
	return API{Router: router, Huma: humachi.New(router, config), keys: keys, log: log}
}

// Register adds an operation that callers with one of the scopes may use. The handler's errors are the domain's;
// what is the server's own fault is logged and not sent.
func Register[I, O any](api API, scopes Scopes, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Security = []map[string][]string{{"key": {}}}
	op.Middlewares = append(op.Middlewares, api.authorized(scopes))
	if op.Description != "" {
		op.Description += "\n\n"
	}
	op.Description += "Scope: " + scopes.String() + "."
	op.Responses = map[string]*huma.Response{"default": {
		Description: "A problem",
		Content: map[string]*huma.MediaType{"application/problem+json": {
			Schema: api.Huma.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem"),
		}},
	}}
	huma.Register(api.Huma, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, operationTimeout)
		defer cancel()
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		if errors.Is(err, context.DeadlineExceeded) && tandem.CodeOf(err) == tandem.Internal {
			err = tandem.Errorf(tandem.Unavailable, op.OperationID, "no answer within %v: %w", operationTimeout, err)
		}
		p := ProblemOf(err)
		if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
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
