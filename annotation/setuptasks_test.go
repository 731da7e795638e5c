package annotation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/store"
)

// goldLines are comparisons of which three come with their right answers.
const goldLines = `{"prompt":"q1","responses":["kind","rude"],"gold":{"chosen":1,"labels":["safe","unsafe"],"reason":"be kind"}}
{"prompt":"q2","responses":["rude","kind"],"gold":{"chosen":2,"labels":["","safe"]}}
{"prompt":"q3","responses":["kind","rude"],"gold":{"chosen":1}}
{"prompt":"q4","responses":["kind","rude"]}
`

// TestGoldComesWithAFile brings a whole qualification in with its right answers, and passes it.
func TestGoldComesWithAFile(t *testing.T) {
	w := newSetupWorld(t, nil)
	ctx := t.Context()
	exam, err := w.admin.CreateProject(ctx, annotation.Project{Name: "Exam", Aspect: tandem.Safety})
	if err != nil {
		t.Fatal(err)
	}
	work, err := w.admin.CreateProject(ctx, annotation.Project{Name: "Work", Aspect: tandem.Safety, Settings: annotation.Settings{Qualification: exam.ID}})
	if err != nil {
		t.Fatal(err)
	}
	ada := w.join("ada", store.RoleAdmin)
	page := "/setup/" + exam.ID
	ada.get(page)
	ada.wants(http.StatusOK, `"gold": {"chosen": 1`, `"labels": ["safe", "unsafe"]`)
	bad := strings.Replace(goldLines, `["","safe"]`, `["safe"]`, 1)
	ada.upload(page+"/import", "exam.jsonl", bad)
	ada.wants(http.StatusUnprocessableEntity, `exam.jsonl:2: the gold answer's "labels"`)
	for _, made := range []int{4, 0} { // what is there already is not made again
		ada.upload(page+"/import", "exam.jsonl", goldLines)
		ada.wants(http.StatusOK, fmt.Sprintf("%d are new here. It says the right answer of 3.", made))
	}
	ada.upload(page+"/import", "exam.jsonl", strings.Replace(goldLines, `{"chosen":1}`, `{"chosen":2}`, 1))
	ada.wants(http.StatusUnprocessableEntity, "is gold already, with another right answer")
	golds, err := w.store.Golds(ctx, exam.ID, store.Page{})
	if err != nil || len(golds) != 3 || golds[0].Reason != "be kind" || len(golds[0].Labels) != 2 || golds[0].Labels[golds[0].Chosen] != tandem.Safe || len(golds[1].Labels) != 1 || len(golds[2].Labels) != 0 {
		t.Fatalf("gold %+v, %v", golds, err)
	}

	bob := w.annotator("bob")
	if _, err := bob.Claim(ctx, work.ID); tandem.CodeOf(err) != tandem.Forbidden {
		t.Errorf("before the qualification: %v", err)
	}
	for range 3 {
		a := claim(t, bob, exam.ID)
		if _, err := bob.Submit(ctx, a.ID, "key "+a.ID, verdict(a)); err != nil { // kind comes before rude
			t.Fatal(err)
		}
	}
	if _, err := bob.Claim(ctx, work.ID); err != nil {
		t.Errorf("all right, and still kept out: %v", err)
	}
}

// TestTasksAreMadeGoldInTheBrowser says what the right answers of tasks are, with forms alone.
func TestTasksAreMadeGoldInTheBrowser(t *testing.T) {
	w := newSetupWorld(t, nil)
	p, err := w.admin.CreateProject(t.Context(), annotation.Project{Name: "Exam", Aspect: tandem.Safety})
	if err != nil {
		t.Fatal(err)
	}
	ada := w.join("ada", store.RoleAdmin)
	page := "/setup/" + p.ID + "/tasks"
	ada.get(page)
	ada.wants(http.StatusOK, "There are no tasks: bring comparisons in")
	var lines strings.Builder
	for i := range 30 {
		fmt.Fprintf(&lines, `{"prompt":"question %d?","responses":["kind %d","rude %d"]}`+"\n", i, i, i)
	}
	ada.upload("/setup/"+p.ID+"/import", "exam.jsonl", lines.String())
	ada.wants(http.StatusOK, `href="`+page+`"`)
	tasks, err := w.store.Tasks(t.Context(), p.ID, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	ada.get(page)
	ada.wants(http.StatusOK, "question 0?", "kind 0", "question 24?", "Later ones", "0 of 1 judgments made")
	if strings.Contains(ada.page, "question 25?") {
		t.Error("a page holds more than its part")
	}
	ada.get(page + "?after=" + tasks[24].ID)
	ada.wants(http.StatusOK, "question 25?", "question 29?", `name="after" value="`+tasks[24].ID+`"`)

	last := tasks[29]
	form := url.Values{"after": {tasks[24].ID}, "reason": {"be kind"}, "label-" + last.Responses[0]: {"safe"}, "label-" + last.Responses[1]: {""}}
	mark := page + "/" + last.ID + "/gold"
	ada.post(mark, form)
	ada.wants(http.StatusUnprocessableEntity, "Say which answer is the better one.", "be kind", `<option value="safe" selected>`, "question 29?")
	form.Set("chosen", tasks[0].Responses[0])
	ada.post(mark, form)
	ada.wants(http.StatusUnprocessableEntity, "is not of the task")
	form.Set("chosen", last.Responses[0])
	ada.post(mark, form)
	ada.wants(http.StatusOK, "The task is gold from now on.", "0 of 0 answers were right", "“be kind”", "question 25?")
	if want := page + "?after=" + tasks[24].ID + "&done=gold"; ada.at != want {
		t.Errorf("the form led to %s, not %s", ada.at, want)
	}
	golds, err := w.store.Golds(t.Context(), p.ID, store.Page{})
	if err != nil || len(golds) != 1 || golds[0].TaskID != last.ID || golds[0].Chosen != last.Responses[0] || len(golds[0].Labels) != 1 || golds[0].Labels[last.Responses[0]] != tandem.Safe || golds[0].Reason != "be kind" {
		t.Errorf("gold %+v, %v", golds, err)
	}
	ada.post(page+"/"+tasks[0].ID+"/gold", url.Values{"chosen": {tasks[0].Responses[1]}})
	ada.wants(http.StatusOK, "The task is gold from now on.")
	ada.get(page + "?gold=yes")
	ada.wants(http.StatusOK, "question 0?", "question 29?", "All tasks")
	if strings.Contains(ada.page, "question 1?") {
		t.Error("a task that is not gold stands among the gold ones")
	}
	ada.post(page+"/"+last.ID+"/retire", url.Values{"gold": {"yes"}})
	ada.wants(http.StatusOK, "The task is handed out no more", "retired", "All tasks")
	if golds, err := w.store.Golds(t.Context(), p.ID, store.Page{}); err != nil || len(golds) != 2 || golds[0].Retired || !golds[1].Retired {
		t.Errorf("gold %+v, %v", golds, err)
	}

	other, err := w.admin.CreateProject(t.Context(), annotation.Project{Name: "Other", Aspect: tandem.Helpfulness})
	if err != nil {
		t.Fatal(err)
	}
	ada.post("/setup/"+other.ID+"/tasks/"+tasks[1].ID+"/gold", url.Values{"chosen": {tasks[1].Responses[0]}})
	if ada.status != http.StatusNotFound {
		t.Errorf("another project's task: %d", ada.status)
	}
}
