package annotation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/web"
)

func TestALateJudgmentIsKept(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.annotator("ann"), w.annotator("bob")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness, LeaseSeconds: 0.1}, 1)

	late := claim(t, ann, project.ID)
	if again := claim(t, ann, project.ID); again.ID != late.ID || again.Answers[0] != late.Answers[0] {
		t.Errorf("a second claim gave %+v, the first %+v", again, late)
	}
	if c, err := bob.Claim(t.Context(), project.ID); err != nil || c.State != annotation.ClaimHeld && c.State != annotation.ClaimAssigned {
		t.Errorf("while it is held: %+v, error %v", c, err)
	}
	time.Sleep(150 * time.Millisecond)
	taken := claim(t, bob, project.ID)
	if taken.Task != late.Task {
		t.Fatalf("bob got task %s, not %s", taken.Task, late.Task)
	}
	first, err := bob.Submit(t.Context(), taken.ID, "b", verdict(taken))
	if err != nil || first.Surplus {
		t.Errorf("who holds it: %+v, error %v", first, err)
	}
	second, err := ann.Submit(t.Context(), late.ID, "a", verdict(late))
	if err != nil || !second.Surplus {
		t.Errorf("who comes late: %+v, error %v", second, err)
	}
	progress, err := w.admin.Progress(t.Context(), project.ID)
	if err != nil || progress.Done != 1 || progress.Judgments != 2 || progress.Surplus != 1 {
		t.Errorf("progress %+v, error %v", progress, err)
	}
}

func TestALateJudgmentTakesAFreePlace(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness, LeaseSeconds: 0.05}, 1)
	late := claim(t, ann, project.ID)
	time.Sleep(100 * time.Millisecond)
	if j, err := ann.Submit(t.Context(), late.ID, "a", verdict(late)); err != nil || j.Surplus {
		t.Errorf("%+v, error %v", j, err)
	}
}

func TestSubmittingTwice(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.annotator("ann"), w.annotator("bob")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 2)
	a := claim(t, ann, project.ID)
	s := verdict(a)
	first, err := ann.Submit(t.Context(), a.ID, "k", s)
	if err != nil {
		t.Fatal(err)
	}
	other := s
	other.Chosen, other.Rejected = s.Rejected, s.Chosen
	if _, err := ann.Submit(t.Context(), a.ID, "k", other); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("the same key with another verdict: %v", err)
	}
	if _, err := ann.Submit(t.Context(), a.ID, "another key", other); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("another key: %v", err)
	}
	if _, err := bob.Submit(t.Context(), a.ID, "k", s); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("somebody else's assignment: %v", err)
	}
	if j, err := ann.Submit(t.Context(), a.ID, "k", s); err != nil || j.ID != first.ID {
		t.Errorf("a replay: %+v, error %v", j, err)
	}
	missing := verdict(claim(t, ann, project.ID))
	missing.Degree = ""
	if _, err := ann.Submit(t.Context(), claim(t, ann, project.ID).ID, "m", missing); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("no degree: %v", err)
	}
}

func TestRevising(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 3)
	for range 3 {
		a := claim(t, ann, project.ID)
		if _, err := ann.Submit(t.Context(), a.ID, "k"+a.ID, verdict(a)); err != nil {
			t.Fatal(err)
		}
	}
	history, err := ann.Judgments(t.Context(), "")
	if err != nil || len(history.Items) != 3 {
		t.Fatalf("%+v, error %v", history, err)
	}
	last := history.Items[0]
	path := "/api/v1/assignments/" + last.Assignment + "/judgment"
	body := fmt.Sprintf(`{"chosen":%q,"rejected":%q,"degree":"negligibly_better","comment":"on second thoughts"}`, last.Verdict.Rejected, last.Verdict.Chosen)
	if status, text, header := w.raw(ann, "PUT", path, body, "Idempotency-Key", "r", "If-Match", `"1"`); status != http.StatusOK || header.Get("ETag") != `"2"` {
		t.Errorf("a revision: %d %s", status, text)
	}
	if status, text, header := w.raw(ann, "PUT", path, body, "Idempotency-Key", "r", "If-Match", `"1"`); status != http.StatusOK || header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("its replay: %d %s", status, text)
	}
	if status, text, _ := w.raw(ann, "PUT", path, body, "Idempotency-Key", "s", "If-Match", `"1"`); status != http.StatusPreconditionFailed || !strings.Contains(text, `"stale"`) {
		t.Errorf("a revision of an old version: %d %s", status, text)
	}
	history, err = ann.Judgments(t.Context(), "")
	if err != nil || len(history.Items) != 3 || history.Items[0].Version != 2 || history.Items[0].Replaces != last.ID || history.Items[0].Verdict.Comment != "on second thoughts" {
		t.Errorf("history %+v, error %v", history, err)
	}
	// Page by page, nothing is missed.
	var ids []string
	for after := ""; ; {
		status, text, _ := w.raw(ann, "GET", "/api/v1/judgments?limit=2&after="+after, "")
		var page web.List[annotation.Judgment]
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		for _, j := range page.Items {
			ids = append(ids, j.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(ids) != 3 || ids[0] != history.Items[0].ID || ids[2] != history.Items[2].ID {
		t.Errorf("pages hold %v", ids)
	}
}
