package annotation_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/web"
	"tandem/store"
)

// ask sends a request that must be answered with the status, and decodes the answer where out is not nil.
func (w world) ask(client *annotation.Client, method, path, body string, status int, out any) string {
	w.t.Helper()
	got, text, _ := w.raw(client, method, path, body)
	if got != status {
		w.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, got, status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return text
}

func (w world) reviewer() *annotation.Client {
	return w.client(store.Key{Name: "reviewer", Scopes: []store.Scope{store.ScopeReview}})
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	exam := w.project(annotation.Project{Name: "exam", Aspect: tandem.Helpfulness}, 1)
	made, err := w.admin.CreateProject(t.Context(), annotation.Project{Name: "p", Aspect: tandem.Safety, Source: store.Live, Guideline: "Be kind.", Overlap: 3, LeaseSeconds: 60,
		Settings: annotation.Settings{Qualification: exam.ID, PassShare: 0.9, GoldEvery: 10, GoldWindow: 5, GoldFloor: 0.7, Warning: "Harsh.", DailyLimit: 100, Blurred: true,
			Temperatures: []float64{0.5, 1.2}, AnswerTokens: 99}})
	if err != nil || made.Source != store.Live || made.Version != 1 || made.Overlap != 3 || made.LeaseSeconds != 60 || made.Qualification != exam.ID ||
		made.PassShare != 0.9 || made.GoldEvery != 10 || made.GoldWindow != 5 || made.GoldFloor != 0.7 || made.Warning != "Harsh." || made.DailyLimit != 100 ||
		!made.Blurred || len(made.Temperatures) != 2 || made.AnswerTokens != 99 {
		t.Fatalf("made %+v, %v", made, err)
	}
	path := "/api/v1/projects/" + made.ID
	var changed annotation.Project
	w.ask(w.admin, "PATCH", path+"/settings", `{"daily_limit":7,"qualification_id":"","blurred":false,"temperatures":[1]}`, http.StatusOK, &changed)
	if changed.DailyLimit != 7 || changed.Qualification != "" || changed.Blurred || len(changed.Temperatures) != 1 || changed.GoldEvery != 10 || changed.LeaseSeconds != 60 {
		t.Errorf("changed %+v", changed)
	}
	for _, bad := range []string{`{"pass_share":2}`, `{"temperatures":[3]}`, `{"gold_every":-1}`, `{"name":"q"}`} {
		w.ask(w.admin, "PATCH", path+"/settings", bad, http.StatusUnprocessableEntity, nil)
	}
	w.ask(w.admin, "PATCH", path+"/settings", `{"qualification_id":"999"}`, http.StatusNotFound, nil)
	w.ask(w.admin, "PATCH", "/api/v1/projects/999/settings", `{}`, http.StatusNotFound, nil)
	ann := w.annotator("ann")
	w.ask(ann, "PATCH", path+"/settings", `{"daily_limit":0}`, http.StatusForbidden, nil)
	// Annotators see what concerns them, and nothing of gold and of what answers.
	if text := w.ask(ann, "GET", path, "", http.StatusOK, nil); !strings.Contains(text, `"daily_limit":7`) || strings.Contains(text, "gold") || strings.Contains(text, "temperatures") {
		t.Errorf("an annotator sees %s", text)
	}

	w.ask(w.admin, "POST", path+"/guidelines", `{"markdown":"Be kinder."}`, http.StatusNoContent, nil)
	w.ask(w.admin, "POST", path+"/guidelines", `{"markdown":" "}`, http.StatusUnprocessableEntity, nil)
	w.ask(ann, "POST", path+"/guidelines", `{"markdown":"Mine."}`, http.StatusForbidden, nil)
	var versions web.List[annotation.Guideline]
	w.ask(ann, "GET", path+"/guidelines", "", http.StatusOK, &versions)
	if len(versions.Items) != 2 || versions.Items[0].Version != 2 || versions.Items[0].Markdown != "Be kinder." {
		t.Errorf("versions %+v", versions)
	}
}

// A judgment names the guideline that was shown, in the answer and in the list of the project's.
func TestGuidelineVersionIsKept(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness, Guideline: "One."}, 1)
	w.ask(w.admin, "POST", "/api/v1/projects/"+project.ID+"/guidelines", `{"markdown":"Two."}`, http.StatusNoContent, nil)
	a := claim(t, ann, project.ID)
	s := verdict(a)
	s.Guideline = 7
	if _, err := ann.Submit(t.Context(), a.ID, "k", s); err == nil {
		t.Error("a version that there is not was taken")
	}
	s.Guideline = 1 // an old page
	if j, err := ann.Submit(t.Context(), a.ID, "k", s); err != nil || j.Guideline != 1 {
		t.Errorf("%+v, %v", j, err)
	}
	var list web.List[annotation.Judgment]
	w.ask(w.admin, "GET", "/api/v1/projects/"+project.ID+"/judgments", "", http.StatusOK, &list)
	if len(list.Items) != 1 || list.Items[0].Guideline != 1 {
		t.Errorf("list %+v", list)
	}
}

// gold marks a project's first tasks as gold by the API: the better answer is the first by its text.
func (w world) gold(project annotation.Project, n int) {
	w.t.Helper()
	var tasks web.List[annotation.Task]
	w.ask(w.admin, "GET", "/api/v1/projects/"+project.ID+"/tasks", "", http.StatusOK, &tasks)
	var items []annotation.Gold
	for _, task := range tasks.Items[:n] {
		items = append(items, annotation.Gold{Task: task.ID, Chosen: task.Responses[0], Reason: "Because <b>so</b>."})
	}
	body, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		w.t.Fatal(err)
	}
	// What the server decides is not sent.
	text := strings.NewReplacer(`,"answered":0,"right":0,"created_at":"0001-01-01T00:00:00Z"`, "").Replace(string(body))
	w.ask(w.admin, "POST", "/api/v1/projects/"+project.ID+"/gold", text, http.StatusNoContent, nil)
}

// swapped is the other verdict.
func swapped(s annotation.Submission) annotation.Submission {
	s.Chosen, s.Rejected = s.Rejected, s.Chosen
	return s
}

func TestGoldAndQualification(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	ann, bob, reviewer := w.annotator("ann"), w.annotator("bob"), w.reviewer()
	exam := w.project(annotation.Project{Name: "exam", Aspect: tandem.Helpfulness}, 2)
	w.gold(exam, 2)
	work, err := w.admin.CreateProject(ctx, annotation.Project{Name: "work", Aspect: tandem.Helpfulness, Settings: annotation.Settings{Qualification: exam.ID, PassShare: 1, GoldEvery: 1, GoldWindow: 2}})
	if err != nil {
		t.Fatal(err)
	}
	state := func(client *annotation.Client, want store.QualificationState) {
		t.Helper()
		var places web.List[annotation.Workplace]
		text := w.ask(client, "GET", "/api/v1/workplaces", "", http.StatusOK, &places)
		if got := places.Items[1]; got.State != want || got.Qualification != exam.ID {
			t.Errorf("workplace %+v, want %s", got, want)
		}
		if strings.Contains(text, "gold") || strings.Contains(text, hiddenModel) {
			t.Errorf("workplaces tell too much: %s", text)
		}
		refused := want != store.QualificationPassed
		if _, err := client.Claim(ctx, work.ID); refused != (tandem.CodeOf(err) == tandem.Forbidden) || refused && !strings.Contains(err.Error(), "project "+exam.ID) {
			t.Errorf("the claim gives %v", err)
		}
	}
	state(ann, store.QualificationNeeded)
	for i := range 2 {
		a := claim(t, ann, exam.ID)
		b := claim(t, bob, exam.ID)
		for client, s := range map[*annotation.Client]annotation.Submission{ann: verdict(a), bob: swapped(verdict(b))} {
			id := map[*annotation.Client]string{ann: a.ID, bob: b.ID}[client]
			if _, err := client.Submit(ctx, id, fmt.Sprint("k", i), s); err != nil {
				t.Fatal(err)
			}
			var told struct {
				Right  bool
				Reason string
			}
			w.ask(client, "GET", "/api/v1/assignments/"+id+"/gold-answer", "", http.StatusOK, &told)
			if told.Right != (client == ann) || (told.Reason == "") != (client == ann) {
				t.Errorf("told %+v", told)
			}
		}
	}
	state(ann, store.QualificationPassed)
	state(bob, store.QualificationFailed)

	var results web.List[annotation.GoldResult]
	w.ask(reviewer, "GET", "/api/v1/projects/"+exam.ID+"/gold/results", "", http.StatusOK, &results)
	right := map[int]annotation.GoldResult{}
	for _, r := range results.Items {
		right[r.Right] = r
	}
	// Wilson's interval of 2 in 2 and of 0 in 2.
	if r := right[2]; len(results.Items) != 2 || r.Answered != 2 || r.Share != 1 || fmt.Sprintf("%.3f %.3f", r.Low, r.High) != "0.342 1.000" || right[0].Share != 0 {
		t.Errorf("results %+v", results.Items)
	}
	var golds web.List[annotation.Gold]
	w.ask(reviewer, "GET", "/api/v1/projects/"+exam.ID+"/gold", "", http.StatusOK, &golds)
	if len(golds.Items) != 2 || golds.Items[0].Answered != 2 || golds.Items[0].Right != 1 || golds.Items[0].Reason == "" {
		t.Errorf("golds %+v", golds.Items)
	}
	w.ask(w.admin, "POST", "/api/v1/projects/"+exam.ID+"/gold/"+golds.Items[0].Task+"/retire", "", http.StatusNoContent, nil)
	w.ask(w.admin, "POST", "/api/v1/projects/"+exam.ID+"/gold", `{"items":[{"task_id":"999999","chosen":"1"}]}`, http.StatusNotFound, nil)
	for _, path := range []string{"/gold", "/gold/results", "/review", "/batches"} {
		w.ask(ann, "GET", "/api/v1/projects/"+exam.ID+path, "", http.StatusForbidden, nil)
	}
	w.ask(ann, "POST", "/api/v1/projects/"+exam.ID+"/gold", `{"items":[{"task_id":"1","chosen":"1"}]}`, http.StatusForbidden, nil)
	// What annotators read of gold is what they read of anything.
	c, err := bob.Claim(ctx, exam.ID)
	if err != nil || c.State != annotation.ClaimDone {
		t.Errorf("after the exam: %+v, %v", c, err)
	}
	for _, path := range []string{"/api/v1/judgments", "/api/v1/projects"} {
		if text := w.ask(bob, "GET", path, "", http.StatusOK, nil); strings.Contains(text, "gold") {
			t.Errorf("%s tells of gold: %s", path, text)
		}
	}
}

func TestBatchesByAPI(t *testing.T) {
	w := newWorld(t)
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	path := "/api/v1/projects/" + project.ID + "/batches"
	var batch annotation.Batch
	w.ask(w.admin, "POST", path, `{"name":"week 1","held_out_share":0}`, http.StatusCreated, &batch)
	if batch.Number != 1 || batch.HeldOut == nil || *batch.HeldOut != 0 {
		t.Errorf("batch %+v", batch)
	}
	w.ask(w.admin, "POST", path, `{}`, http.StatusCreated, &batch)
	if batch.Number != 2 || *batch.HeldOut != tandem.HeldOutShare {
		t.Errorf("batch %+v", batch)
	}
	w.ask(w.admin, "POST", path, `{"held_out_share":1.5}`, http.StatusUnprocessableEntity, nil)
	var kept web.List[tandem.Prompt]
	prompts := `{"items":[{"messages":[{"role":"user","content":"A new one?"}]}]}`
	w.ask(w.admin, "POST", path+"/1/prompts", prompts, http.StatusOK, &kept)
	if len(kept.Items) != 1 || kept.Items[0].HeldOut {
		t.Errorf("kept %+v", kept)
	}
	w.ask(w.admin, "POST", path+"/9/prompts", prompts, http.StatusNotFound, nil)
	var list web.List[annotation.Batch]
	w.ask(w.reviewer(), "GET", path, "", http.StatusOK, &list)
	if len(list.Items) != 2 || list.Items[1].Name != "week 1" {
		t.Errorf("list %+v", list)
	}
}

func TestReviewByAPI(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	ann, reviewer := w.annotator("ann"), w.reviewer()
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 3)
	path := "/api/v1/projects/" + project.ID
	var judged []annotation.Judgment
	for range 3 {
		a := claim(t, ann, project.ID)
		j, err := ann.Submit(ctx, a.ID, "k"+a.ID, verdict(a))
		if err != nil {
			t.Fatal(err)
		}
		judged = append(judged, j)
	}
	list := func(query string) []annotation.Reviewed {
		t.Helper()
		var page web.List[annotation.Reviewed]
		if text := w.ask(reviewer, "GET", path+"/review?"+query, "", http.StatusOK, &page); strings.Contains(text, hiddenModel) {
			t.Errorf("the review names the model: %s", text)
		}
		return page.Items
	}
	if all := list("limit=2"); len(all) != 2 || all[0].ID != judged[2].ID || all[0].Verdict.Chosen == "" || all[0].Asked == "" {
		t.Fatalf("review %+v", all)
	}
	var done struct{ Changed int }
	w.ask(reviewer, "POST", path+"/returns", `{"judgment_ids":["`+judged[0].ID+`"],"reason":"Look again."}`, http.StatusOK, &done)
	if done.Changed != 1 {
		t.Errorf("changed %+v", done)
	}
	w.ask(reviewer, "POST", path+"/returns", `{"annotator_id":"`+judged[0].Annotator+`","reason":"All of it."}`, http.StatusOK, &done)
	if back := list("returned=true&annotator_id=" + judged[0].Annotator); done.Changed != 2 || len(back) != 3 || back[2].Returned.Reason != "Look again." {
		t.Errorf("%d changed, sent back %+v", done.Changed, back)
	}
	for _, bad := range []string{`{"reason":"x"}`, `{"judgment_ids":["1"]}`, `{"judgment_ids":["1"],"reason":""}`} {
		w.ask(reviewer, "POST", path+"/returns", bad, http.StatusUnprocessableEntity, nil)
	}
	id := list("returned=true")[0].Returned.ID
	w.ask(reviewer, "POST", "/api/v1/returns/"+id+"/take-back", `{"reason":"Mine."}`, http.StatusNoContent, nil)
	w.ask(reviewer, "POST", "/api/v1/returns/"+id+"/take-back", `{"reason":"Mine."}`, http.StatusConflict, nil)
	w.ask(reviewer, "POST", path+"/exclusions", `{"judgment_ids":["`+judged[1].ID+`"],"excluded":true,"reason":"Careless."}`, http.StatusOK, &done)
	if out := list("excluded=true"); len(out) != 1 || out[0].ExcludedWhy != "Careless." {
		t.Errorf("excluded %+v", out)
	}
	w.ask(reviewer, "POST", path+"/exclusions", `{"judgment_ids":["`+judged[1].ID+`"],"excluded":false,"reason":"Not so."}`, http.StatusOK, &done)
	if len(list("excluded=true")) != 0 {
		t.Error("not included again")
	}
	for _, request := range [][2]string{{"POST", path + "/returns"}, {"POST", path + "/exclusions"}, {"POST", "/api/v1/returns/" + id + "/take-back"}} {
		w.ask(ann, request[0], request[1], `{"judgment_ids":["1"],"excluded":true,"reason":"x"}`, http.StatusForbidden, nil)
	}
}

func TestHoursByAPI(t *testing.T) {
	w := newWorld(t)
	name := `=HYPERLINK("http://evil", "Ada"), said "so"`
	ann := w.annotator(name)
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	for range 2 {
		w.ask(ann, "POST", "/api/v1/activity", `{"key":"k","seconds":90,"project_id":"`+project.ID+`"}`, http.StatusNoContent, nil)
	}
	w.ask(ann, "POST", "/api/v1/activity", `{"key":"l","seconds":90,"seconds_ago":600}`, http.StatusNoContent, nil)
	for _, bad := range []string{`{"key":"m","seconds":301}`, `{"key":"m","seconds":0}`, `{"key":"","seconds":1}`, `{"key":"m","seconds":1,"seconds_ago":90000}`} {
		w.ask(ann, "POST", "/api/v1/activity", bad, http.StatusUnprocessableEntity, nil)
	}
	w.ask(ann, "POST", "/api/v1/activity", `{"key":"m","seconds":1,"project_id":"999"}`, http.StatusNotFound, nil)
	w.ask(w.admin, "POST", "/api/v1/activity", `{"key":"m","seconds":1}`, http.StatusForbidden, nil) // a key that is nobody

	now := time.Now().UTC()
	query := "/api/v1/hours.csv?from=" + now.AddDate(0, 0, -1).Format(time.DateOnly) + "&to=" + now.AddDate(0, 0, 1).Format(time.DateOnly)
	status, text, header := w.raw(w.admin, "GET", query, "")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%d %v %s", status, header, text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 || strings.Join(rows[0], " ") != "annotator_id name day time_zone seconds hours judgments" {
		t.Fatalf("%v in %s", err, text)
	}
	seconds := 0
	for _, row := range rows[1:] {
		if row[1] != "'"+name {
			t.Errorf("name %q", row[1])
		}
		var n int
		if _, err := fmt.Sscan(row[4], &n); err != nil {
			t.Error(err)
		}
		seconds += n
	}
	if seconds != 180 || !strings.Contains(text, `"'=HYPERLINK(""http://evil"", ""Ada""), said ""so"""`) || !strings.Contains(text, "\r\n") {
		t.Errorf("%d seconds in %s", seconds, text)
	}
	w.ask(ann, "GET", query, "", http.StatusForbidden, nil)
	w.ask(w.reviewer(), "GET", query, "", http.StatusForbidden, nil)
	for _, bad := range []string{"from=2026-01-02&to=2026-01-01", "from=yesterday&to=2026-01-01", "to=2026-01-01"} {
		w.ask(w.admin, "GET", "/api/v1/hours.csv?"+bad, "", http.StatusUnprocessableEntity, nil)
	}
}

func TestDeclineByAPI(t *testing.T) {
	w := newWorld(t)
	ann := w.annotator("ann")
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Safety, Settings: annotation.Settings{DailyLimit: 1}}, 3)
	a := claim(t, ann, project.ID)
	path := "/api/v1/projects/" + url.PathEscape(project.ID) + "/declined"
	w.ask(ann, "PUT", path, `{"declined":true}`, http.StatusNoContent, nil)
	if _, err := ann.Claim(t.Context(), project.ID); tandem.CodeOf(err) != tandem.Forbidden || !strings.Contains(err.Error(), "take it up again") {
		t.Errorf("a declined project gives %v", err)
	}
	w.ask(ann, "PUT", path, `{"declined":false}`, http.StatusNoContent, nil)
	if back := claim(t, ann, project.ID); back.ID != a.ID {
		t.Errorf("back in with %s, not %s", back.ID, a.ID)
	}
	if _, err := ann.Submit(t.Context(), a.ID, "k", verdict(a)); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Claim(t.Context(), project.ID); tandem.CodeOf(err) != tandem.Forbidden || !strings.Contains(err.Error(), "tomorrow") {
		t.Errorf("past the limit: %v", err)
	}
	var places web.List[annotation.Workplace]
	w.ask(ann, "GET", "/api/v1/workplaces", "", http.StatusOK, &places)
	if p := places.Items[0]; !p.LimitReached || p.Today != 1 || p.Declined {
		t.Errorf("workplace %+v", p)
	}
}
