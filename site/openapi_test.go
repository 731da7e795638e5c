package site_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

type noKeys struct{}

func (noKeys) VerifyKey(context.Context, string) (store.Key, error) {
	return store.Key{}, tandem.Errorf(tandem.Unauthorized, "fake", "the key is not valid")
}

// TestTheWholeDocument holds the OpenAPI document of all parts together: every operation has a name of
// its own, asks for a key, refuses without one, and describes its problems; every reference leads somewhere.
func TestTheWholeDocument(t *testing.T) {
	handler, err := site.Handler(site.Config{Keys: noKeys{}},
		func(api web.API) error { return annotation.Register(api, nil) },
		func(api web.API) error { return registerLive(api, nil) },
		func(api web.API) error { return annotation.RegisterSetup(api, nil, nil) },
		func(api web.API) error { return dashboard.Register(api, nil) },
		registerScores,
		registerChat,
	)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	var document struct {
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			OperationID string                     `json:"operationId"`
			Summary     string                     `json:"summary"`
			Tags        []string                   `json:"tags"`
			Security    []map[string][]string      `json:"security"`
			Responses   map[string]json.RawMessage `json:"responses"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for path, operations := range document.Paths {
		for method, operation := range operations {
			if seen[operation.OperationID] || operation.OperationID == "" || operation.Summary == "" {
				t.Errorf("%s %s is called %q", method, path, operation.OperationID)
			}
			seen[operation.OperationID] = true
			problem := "#/components/schemas/Problem"
			if slices.Contains(operation.Tags, "chat") { // OpenAI's form
				problem = "#/components/schemas/ChatapiErrorAnswer"
			}
			if len(operation.Security) != 2 || !strings.Contains(string(operation.Responses["default"]), `"`+problem+`"`) {
				t.Errorf("%s: security %v, problems %s", operation.OperationID, operation.Security, operation.Responses["default"])
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil))
			if w.Code != 401 {
				t.Errorf("%s without a key: %d", operation.OperationID, w.Code)
			}
		}
	}
	if len(document.Servers) != 1 || document.Servers[0].URL != "/" {
		t.Errorf("the servers are %+v", document.Servers)
	}
	if hours := string(document.Paths["/api/v1/hours.csv"]["get"].Responses["200"]); !strings.Contains(hours, `"text/csv"`) || strings.Contains(hours, "application/json") {
		t.Errorf("the hours are described as %s", hours)
	}
	if len(seen) < 20 {
		t.Errorf("the document describes %d operations", len(seen))
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if document.Components.Schemas[ref[1]] == nil {
			t.Errorf("the schema %q is referred to and missing", ref[1])
		}
	}
}

// TestPeopleLeadToTheirHours: the page of people offers what payroll needs, and the offer leads there.
func TestPeopleLeadToTheirHours(t *testing.T) {
	w := newWorld(t)
	cookie := w.session(w.person("Paula", store.RoleAdmin))
	page := w.ask("GET", "/people", "", "Cookie", cookie)
	form := regexp.MustCompile(`action="(/api/v1/hours\.csv)"[^$]*?name="from" value="([-0-9]+)"[^$]*?name="to" value="([-0-9]+)"`).FindStringSubmatch(page.Body.String())
	if form == nil {
		t.Fatalf("%d: no form for the hours in\n%s", page.Code, page.Body)
	}
	table := w.ask("GET", form[1]+"?from="+form[2]+"&to="+form[3], "", "Cookie", cookie)
	if table.Code != 200 || !strings.HasPrefix(table.Body.String(), "annotator_id,name,day,") {
		t.Errorf("the hours: %d %s", table.Code, table.Body)
	}
}
