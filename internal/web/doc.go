// Package web is what the packages that speak HTTP have in common: how an operation is registered and
// who may call it, how an error of the domain becomes a problem (RFC 9457), how lists are divided by
// cursor. Package site runs what they register, as one router with one OpenAPI document.
//
// Every operation of /api/v1 goes through [Register], so that errors, time limits and scopes are the
// same everywhere:
//
//	web.Register(api, web.Scopes{store.ScopeAnnotate}, huma.Operation{
//		OperationID: "skip-task", Method: http.MethodPost, Path: "/api/v1/assignments/{id}/skip",
//	}, func(ctx context.Context, in *skipInput) (*struct{}, error) { … })
package web
