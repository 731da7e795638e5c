// Package site is tandem's front door: one router, one OpenAPI document and one chain of middleware over
// what annotation, the dashboard and the score and chat APIs register. [Handler] composes them, [Serve]
// runs the result until it is told to stop.
//
// A request passes, from the outside in: an id, the access log, recovery from panics, security headers,
// protection from cross-origin requests, a limit of its body. Operations of the API then ask for a key
// and bound their time (package internal/web).
package site
