package annotation_test

import (
	"net/http"
	"strings"
	"testing"

	"tandem"
	"tandem/annotation"
)

func TestDrafts(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	a := claim(t, ann, project.ID)
	path := "/api/v1/assignments/" + a.ID + "/draft"
	if status, text, _ := w.raw(ann, "GET", path, ""); status != http.StatusNotFound {
		t.Errorf("before the first: %d %s", status, text)
	}
	for _, step := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"revision":0,"body":{"degree":"better"}}`, 200, `"revision":1`},
		{`{"revision":1,"body":{"degree":"slightly_better"}}`, 200, `"revision":2`},
		{`{"revision":1,"body":{"degree":"from another tab"}}`, 412, `"stale"`},
		{`{"revision":0,"body":{}}`, 412, `"stale"`},
	} {
		if status, text, _ := w.raw(ann, "PUT", path, step.body); status != step.status || !strings.Contains(text, step.says) {
			t.Errorf("%s: %d %s", step.body, status, text)
		}
	}
	if status, text, _ := w.raw(ann, "GET", path, ""); status != http.StatusOK || !strings.Contains(text, "slightly_better") || !strings.Contains(text, `"revision":2`) {
		t.Errorf("the draft: %d %s", status, text)
	}
	if _, err := ann.Submit(t.Context(), a.ID, "k", verdict(a)); err != nil {
		t.Fatal(err)
	}
	if status, text, _ := w.raw(ann, "PUT", path, `{"revision":2,"body":{}}`); status != http.StatusPreconditionFailed {
		t.Errorf("a late save: %d %s", status, text)
	}
	if _, text, _ := w.raw(ann, "GET", path, ""); !strings.Contains(text, `"closed":true`) {
		t.Errorf("after the submit: %s", text)
	}
}
