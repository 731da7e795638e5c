package site_test

import (
	"testing"

	"tandem/store"
)

// TestNumbersTooLarge: a number that no column holds is the caller's mistake, wherever it stands.
func TestNumbersTooLarge(t *testing.T) {
	w := newWorld(t)
	_, admin := w.key(store.Key{Name: "admin", Scopes: []store.Scope{store.ScopeAdmin, store.ScopeRead, store.ScopeReview}})
	_, ada := w.key(store.Key{Name: "ada", Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: w.ada.ID})
	project, assignment := "/api/v1/projects/"+w.ids["project"], "/api/v1/assignments/"+w.ids["assignment"]
	for _, large := range []string{"2147483648", "9223372036854775807", "99999999999999999999"} {
		for _, test := range []struct{ secret, method, path, body string }{
			{admin, "GET", "/api/v1/rounds/" + large, ""},
			{admin, "GET", "/api/v1/runs?round=" + large, ""},
			{admin, "GET", project + "/review?batch=" + large, ""},
			{admin, "POST", project + "/batches/" + large + "/prompts", `{"items":[{"messages":[{"role":"user","content":"p"}]}]}`},
			{admin, "POST", project + "/returns", `{"reason":"x","batch":` + large + `}`},
			{admin, "POST", project + "/exclusions", `{"reason":"x","excluded":true,"batch":` + large + `}`},
			{admin, "POST", project + "/import?batch=" + large, `{"prompt":"p","responses":["a","b"]}`},
			{admin, "POST", project + "/tasks", `{"items":[{"kind":"pairwise","prompt_id":"1","responses":[{"content":"a"},{"content":"b"}],"batch":` + large + `}]}`},
			{admin, "POST", project + "/tasks", `{"items":[{"kind":"pairwise","prompt_id":"1","responses":[{"content":"a"},{"content":"b"}],"priority":-` + large + `0}]}`},
			{admin, "PATCH", project + "/settings", `{"daily_limit":` + large + `}`},
			{admin, "PATCH", project + "/settings", `{"gold_every":` + large + `}`},
			{admin, "POST", "/api/v1/projects", `{"name":"n","aspect":"helpfulness","daily_limit":` + large + `}`},
			{ada, "PUT", assignment + "/draft", `{"body":{},"revision":` + large + `}`},
			{ada, "POST", assignment + "/judgment", `{"chosen":"1","rejected":"2","degree":"better","guideline_version":` + large + `}`},
		} {
			answer := w.ask(test.method, test.path, test.body, "Authorization", "Bearer "+test.secret, "Idempotency-Key", "k"+large)
			if answer.Code < 400 || answer.Code >= 500 || answer.Code == 401 || answer.Code == 403 || answer.Code == 404 || answer.Code == 405 {
				t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, answer.Code, answer.Body)
			}
		}
	}
	answer := w.ask("POST", "/assignments/"+w.ids["assignment"]+"/judgment", "position=1&key=k&guideline=9223372036854775807",
		"Cookie", w.session(w.ada), "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded")
	if answer.Code >= 500 {
		t.Errorf("a form: %d %s", answer.Code, answer.Body)
	}
}
