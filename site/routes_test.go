package site_test

// entry says who may use a route, and what a test needs to use it.
type entry struct {
	scopes string // any of these opens it; empty for everyone
	of     string // what {id} is the id of
	body   string // one with which somebody gets as far as the thing itself
}

// table is every operation and page, and who may use it: written by hand, and held against the site by
// TestRolesAndRoutes. A new route gets a line here from whoever has thought about who may use it.
var table = map[string]entry{
	"GET /": {"annotate", "", ""},

	"GET /account":           {"annotate", "", ""},
	"POST /account":          {"annotate", "", ""},
	"POST /account/password": {"annotate", "", ""},
	"POST /account/signout":  {"annotate", "", ""},

	"GET /annotation":                                               {"review read admin", "", ""},
	"GET /annotation/disagreements":                                 {"review read admin", "", ""},
	"GET /annotation/projects/{id}":                                 {"review read admin", "project", ""},
	"GET /annotation/projects/{id}/disagreements":                   {"review read admin", "project", ""},
	"GET /annotation/projects/{id}/red-teaming":                     {"read admin", "project", ""},
	"GET /annotation/projects/{id}/review":                          {"review admin", "project", ""},
	"GET /annotation/red-teaming":                                   {"read admin", "", ""},
	"POST /annotation/projects/{id}/review":                         {"review admin", "project", ""},
	"POST /annotation/projects/{id}/judgments/{judgment}/exclusion": {"review admin", "project", ""},
	"POST /annotation/projects/{id}/judgments/{judgment}/return":    {"review admin", "project", ""},

	"GET /assignments/{id}":           {"annotate", "assignment", ""},
	"POST /assignments/{id}/flag":     {"annotate", "assignment", "reason=x"},
	"GET /assignments/{id}/judgment":  {"annotate", "assignment", ""},
	"POST /assignments/{id}/judgment": {"annotate", "assignment", ""},
	"POST /assignments/{id}/skip":     {"annotate", "assignment", "reason=x"},
	"POST /assignments/{id}/undo":     {"annotate", "assignment", ""},

	"GET /audit": {"admin", "", ""},

	"GET /history": {"annotate", "", ""},

	"GET /join/{token}":  {"", "", ""},
	"POST /join/{token}": {"", "", ""},

	"GET /keys":              {"admin", "", ""},
	"POST /keys":             {"admin", "", ""},
	"POST /keys/{id}/revoke": {"admin", "key", ""},

	"GET /people":                {"admin", "", ""},
	"POST /people":               {"admin", "", ""},
	"GET /people/new":            {"admin", "", ""},
	"GET /people/{id}":           {"admin", "person", ""},
	"POST /people/{id}":          {"admin", "person", ""},
	"POST /people/{id}/disabled": {"admin", "person", ""},
	"GET /people/{id}/erase":     {"admin", "person", ""},
	"POST /people/{id}/erase":    {"admin", "person", ""},
	"POST /people/{id}/link":     {"admin", "person", ""},
	"POST /people/{id}/signout":  {"admin", "person", ""},

	"GET /models":              {"read admin", "", ""},
	"GET /models/{id}":         {"read admin", "model", ""},
	"GET /models/{id}/answers": {"read admin", "model", ""},

	"GET /rounds":                  {"read admin", "", ""},
	"GET /rounds/{number}":         {"read admin", "", ""},
	"GET /rounds/{number}/cancel":  {"read admin", "", ""},
	"POST /rounds/{number}/cancel": {"read admin", "", ""}, // of keys only admin

	"GET /runs":             {"read admin", "", ""},
	"GET /runs/{id}":        {"read admin", "run", ""},
	"GET /runs/{id}/events": {"read admin", "run", ""},

	"GET /projects/{id}":           {"annotate", "project", ""},
	"POST /projects/{id}/decline":  {"annotate", "project", ""},
	"GET /projects/{id}/live":      {"annotate", "project", ""},
	"POST /projects/{id}/live":     {"annotate", "project", ""},
	"GET /projects/{id}/next":      {"annotate", "project", ""},
	"POST /projects/{id}/next":     {"annotate", "project", ""},
	"POST /projects/{id}/take-up":  {"annotate", "project", ""},
	"GET /projects/{id}/variants":  {"admin", "project", ""},
	"POST /projects/{id}/variants": {"admin", "project", ""},

	"GET /setup":                 {"admin", "", ""},
	"POST /setup":                {"admin", "", ""},
	"GET /setup/new":             {"admin", "", ""},
	"POST /setup/practice":       {"admin", "", ""},
	"GET /setup/{id}":            {"admin", "project", ""},
	"POST /setup/{id}/batches":   {"admin", "project", ""},
	"POST /setup/{id}/close":     {"admin", "project", ""},
	"POST /setup/{id}/guideline": {"admin", "project", ""},
	"POST /setup/{id}/import":    {"admin", "project", ""},
	"POST /setup/{id}/settings":  {"admin", "project", ""},

	"GET /setup/{id}/tasks":                {"admin", "project", ""},
	"POST /setup/{id}/tasks/{task}/gold":   {"admin", "project", ""},
	"POST /setup/{id}/tasks/{task}/retire": {"admin", "project", ""},

	"GET /signin":  {"", "", ""},
	"POST /signin": {"", "", ""},

	"POST /signout": {"", "", ""},

	"GET /projects/{id}/stretches":  {"annotate", "project", ""},
	"POST /projects/{id}/stretches": {"annotate", "project", ""},
	"POST /stretches/{id}/end":      {"annotate", "stretch", ""},

	"GET /turns/{id}":          {"annotate", "turn", ""},
	"POST /turns/{id}/abandon": {"annotate", "turn", ""},
	"GET /turns/{id}/events":   {"annotate", "turn", ""},
	"POST /turns/{id}/redraw":  {"annotate", "turn", ""},

	"GET /variants":              {"admin", "", ""},
	"POST /variants":             {"admin", "", ""},
	"POST /variants/{id}/retire": {"admin", "variant", ""},
	"POST /variants/{id}/test":   {"admin", "variant", ""},

	"POST /api/v1/activity": {"annotate", "", ""},

	"GET /api/v1/assignments/{id}":             {"annotate", "assignment", ""},
	"GET /api/v1/assignments/{id}/draft":       {"annotate", "assignment", ""},
	"PUT /api/v1/assignments/{id}/draft":       {"annotate", "assignment", `{"revision":0,"body":{}}`},
	"POST /api/v1/assignments/{id}/flag":       {"annotate", "assignment", `{"reason":"x"}`},
	"GET /api/v1/assignments/{id}/gold-answer": {"annotate", "assignment", ""},
	"POST /api/v1/assignments/{id}/judgment":   {"annotate", "assignment", `{"chosen":"1","rejected":"2","degree":"better"}`},
	"PUT /api/v1/assignments/{id}/judgment":    {"annotate", "assignment", `{"chosen":"1","rejected":"2","degree":"better"}`},
	"POST /api/v1/assignments/{id}/renew":      {"annotate", "assignment", ""},
	"POST /api/v1/assignments/{id}/skip":       {"annotate", "assignment", `{"reason":"x"}`},

	"GET /api/v1/audit": {"admin", "", ""},

	"GET /api/v1/disagreements": {"review read admin", "", ""},

	"GET /api/v1/hours.csv": {"admin", "", ""},

	"GET /api/v1/judgments": {"annotate", "", ""},

	"GET /api/v1/keys":         {"admin", "", ""},
	"POST /api/v1/keys":        {"admin", "", ""},
	"DELETE /api/v1/keys/{id}": {"admin", "key", ""},

	"GET /api/v1/models":              {"read admin", "", ""},
	"GET /api/v1/models/{id}":         {"read admin", "model", ""},
	"GET /api/v1/models/{id}/lineage": {"read admin", "model", ""},
	"GET /api/v1/models/{id}/replays": {"read admin", "model", ""},

	"GET /api/v1/projects":                                {"annotate review read admin", "", ""},
	"POST /api/v1/projects":                               {"admin", "", ""},
	"GET /api/v1/projects/{id}":                           {"annotate review read admin", "project", ""},
	"GET /api/v1/projects/{id}/batches":                   {"review read admin", "project", ""},
	"POST /api/v1/projects/{id}/batches":                  {"admin", "project", ""},
	"POST /api/v1/projects/{id}/batches/{number}/prompts": {"admin", "project", ""},
	"POST /api/v1/projects/{id}/claims":                   {"annotate", "project", ""},
	"POST /api/v1/projects/{id}/close":                    {"admin", "project", ""},
	"PUT /api/v1/projects/{id}/declined":                  {"annotate", "project", ""},
	"POST /api/v1/projects/{id}/exclusions":               {"review admin", "project", ""},
	"GET /api/v1/projects/{id}/gold":                      {"review admin", "project", ""},
	"POST /api/v1/projects/{id}/gold":                     {"admin", "project", ""},
	"GET /api/v1/projects/{id}/gold/results":              {"review admin", "project", ""},
	"POST /api/v1/projects/{id}/gold/{task}/retire":       {"admin", "project", ""},
	"GET /api/v1/projects/{id}/guidelines":                {"annotate review read admin", "project", ""},
	"POST /api/v1/projects/{id}/guidelines":               {"admin", "project", ""},
	"POST /api/v1/projects/{id}/import":                   {"admin", "project", ""},
	"GET /api/v1/projects/{id}/judgments":                 {"read admin", "project", ""},
	"GET /api/v1/projects/{id}/progress":                  {"read admin", "project", ""},
	"POST /api/v1/projects/{id}/returns":                  {"review admin", "project", ""},
	"GET /api/v1/projects/{id}/review":                    {"review admin", "project", ""},
	"PATCH /api/v1/projects/{id}/settings":                {"admin", "project", ""},
	"GET /api/v1/projects/{id}/tasks":                     {"read admin", "project", ""},
	"POST /api/v1/projects/{id}/tasks":                    {"admin", "project", ""},
	"GET /api/v1/projects/{id}/stretch":                   {"annotate", "project", ""},
	"POST /api/v1/projects/{id}/stretches":                {"annotate", "project", ""},
	"POST /api/v1/projects/{id}/turns":                    {"annotate", "project", ""},
	"GET /api/v1/projects/{id}/variants":                  {"read admin", "project", ""},
	"PUT /api/v1/projects/{id}/variants":                  {"admin", "project", ""},

	"GET /api/v1/prompts":  {"read admin", "", ""},
	"POST /api/v1/prompts": {"admin", "", ""},

	"POST /api/v1/returns/{id}/take-back": {"review admin", "return", ""},

	"GET /api/v1/rounds":          {"read admin", "", ""},
	"GET /api/v1/rounds/{number}": {"read admin", "", ""},

	"GET /api/v1/runs":              {"read admin", "", ""},
	"GET /api/v1/runs/{id}":         {"read admin", "run", ""},
	"GET /api/v1/runs/{id}/events":  {"read admin", "run", ""},
	"GET /api/v1/runs/{id}/metrics": {"read admin", "run", ""},

	"GET /api/v1/statistics/agreement":     {"review read admin", "", ""},
	"GET /api/v1/statistics/gold":          {"review read admin", "", ""},
	"GET /api/v1/statistics/position-bias": {"review read admin", "", ""},
	"GET /api/v1/statistics/red-teaming":   {"read admin", "", ""},
	"GET /api/v1/statistics/remarks":       {"review read admin", "", ""},
	"GET /api/v1/statistics/shares":        {"review read admin", "", ""},
	"GET /api/v1/statistics/throughput":    {"review read admin", "", ""},

	"POST /api/v1/stretches/{id}/end": {"annotate", "stretch", ""},
	"GET /api/v1/turns/{id}":          {"annotate", "turn", ""},
	"POST /api/v1/turns/{id}/abandon": {"annotate", "turn", ""},
	"POST /api/v1/turns/{id}/redraw":  {"annotate", "turn", ""},

	"GET /api/v1/users":               {"admin", "", ""},
	"POST /api/v1/users":              {"admin", "", ""},
	"GET /api/v1/users/{id}":          {"admin", "person", ""},
	"PATCH /api/v1/users/{id}":        {"admin", "person", ""},
	"DELETE /api/v1/users/{id}":       {"admin", "person", ""},
	"POST /api/v1/users/{id}/link":    {"admin", "person", ""},
	"POST /api/v1/users/{id}/signout": {"admin", "person", ""},

	"GET /api/v1/variants":              {"read admin", "", ""},
	"POST /api/v1/variants":             {"admin", "", ""},
	"POST /api/v1/variants/{id}/retire": {"admin", "variant", ""},
	"POST /api/v1/variants/{id}/test":   {"admin", "variant", ""},

	"GET /api/v1/workplaces": {"annotate", "", ""},

	"POST /get_reward": {"score", "", `{"query":["x"]}`},

	"POST /v1/chat/completions": {"chat", "", `{"messages":[{"role":"user","content":"x"}]}`},

	"GET /v1/models":         {"chat", "", ""},
	"GET /v1/models/{model}": {"chat", "", ""},

	"POST /v1/score": {"score", "", `{"items":[{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"x"}]}]}`},
}
