package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"tandem"
	"tandem/store"
)

// TestReviewManyAtOnce sends judgments back, excludes them and takes them in again, marked ones and all of a
// person's, in the browser.
func TestReviewManyAtOnce(t *testing.T) {
	w := newWorld(t)
	m := newTeam(t, w.store, store.Project{Name: "plants", Aspect: tandem.Safety, Overlap: 2}, 14, 2)
	m.work(noisy(3, true))
	reviewer, rita := w.join("Rita", store.RoleReviewer)
	at := "/annotation/projects/" + m.project.ID + "/review"
	reviewer.get("/annotation/projects/" + m.project.ID)
	reviewer.wants(http.StatusOK, `<a href="`+at+`">28</a>`)
	reviewer.get(at)
	reviewer.wants(http.StatusOK, "How do I repot plant 13", "<strong>larger pot</strong>", "stood left", "A safe", "Older ones")
	if n := strings.Count(reviewer.page, `name="judgment"`); n != 25 {
		t.Errorf("%d judgments on a page", n)
	}
	list := func(q store.ReviewQuery) []store.Reviewed {
		t.Helper()
		q.Project = m.project.ID
		found, err := w.store.Review(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	count := func(q store.ReviewQuery, want int) {
		t.Helper()
		if got := len(list(q)); got != want {
			t.Errorf("%+v: %d judgments, want %d", q, got, want)
		}
	}
	all := list(store.ReviewQuery{})

	// What is refused is on the page again as it was entered.
	reviewer.post(at, "do", "return", "judgment", all[1].ID, "reason", " ")
	reviewer.wants(http.StatusUnprocessableEntity, "Say why.", `value="`+all[1].ID+`" checked`)
	reviewer.post(at, "do", "return", "reason", "read both")
	reviewer.wants(http.StatusUnprocessableEntity, "Mark the judgments", `value="read both"`)
	reviewer.post(at, "do", "exclude", "everything", "yes", "reason", "no care")
	reviewer.wants(http.StatusUnprocessableEntity, "Choose an annotator or a batch first", `value="no care"`)
	reviewer.post(at, "do", "erase", "judgment", all[1].ID, "reason", "r")
	reviewer.wants(http.StatusUnprocessableEntity, "Choose what to do.")
	reviewer.post(at, "do", "return", "batch", "many", "judgment", all[1].ID, "reason", "r")
	reviewer.wants(http.StatusUnprocessableEntity, "There is no batch")
	count(store.ReviewQuery{Returned: new(true)}, 0)

	reviewer.post(at, "do", "return", "judgment", all[0].ID, "judgment", all[3].ID, "reason", "read both")
	reviewer.wants(http.StatusOK, "2 judgments were sent back", "sent back: read both")
	count(store.ReviewQuery{Returned: new(true)}, 2)
	// One of them was a mistake, and one that was never sent back is marked with it.
	reviewer.post(at, "do", "withdraw", "judgment", all[3].ID, "judgment", all[5].ID, "reason", "it was right")
	reviewer.wants(http.StatusOK, "1 judgment was not sent back any more", "Withdraw what was sent back")
	if left := list(store.ReviewQuery{Returned: new(true)}); len(left) != 1 || left[0].ID != all[0].ID {
		t.Errorf("after withdrawing one, these are sent back: %+v", left)
	}
	reviewer.post(at, "do", "withdraw", "judgment", all[3].ID, "reason", "once more")
	reviewer.wants(http.StatusOK, "That was so already.")
	reviewer.post(at, "do", "return", "judgment", all[3].ID, "reason", "read both after all")
	reviewer.wants(http.StatusOK, "1 judgment was sent back")
	count(store.ReviewQuery{Returned: new(true)}, 2)
	// All of a person's in the first batch, with those on the next page.
	reviewer.post(at, "do", "exclude", "annotator", m.people[0], "batch", "1", "everything", "yes", "reason", "no care")
	reviewer.wants(http.StatusOK, "10 judgments were excluded.", "excluded: no care")
	if want := at + "?annotator=" + m.people[0] + "&batch=1&done=exclude&n=10"; reviewer.at != want {
		t.Errorf("the form led to %s, not %s", reviewer.at, want)
	}
	count(store.ReviewQuery{Excluded: new(true)}, 10)
	count(store.ReviewQuery{Excluded: new(true), Annotator: m.people[1]}, 0)
	reviewer.get(at + "?state=counting&batch=1")
	reviewer.wants(http.StatusOK, m.people[1])
	if strings.Contains(reviewer.page, "excluded: no care") {
		t.Error("an excluded judgment stands among those that count")
	}
	reviewer.post(at, "do", "include", "state", "excluded", "batch", "1", "everything", "yes", "reason", "they were right")
	reviewer.wants(http.StatusOK, "10 judgments were taken in again.", "There are no such judgments")
	count(store.ReviewQuery{Excluded: new(true)}, 0)
	audit, err := w.store.Audit(t.Context(), "project:"+m.project.ID)
	if err != nil || len(audit) != 6 || audit[0].Actor != rita.ID || audit[0].Action != "judgment.include" || audit[3].Action != "judgment.take_back" || audit[4].Action != "judgment.return" {
		t.Errorf("audit %+v, error %v", audit, err)
	}

	annotator, _ := w.join("Ann", store.RoleAnnotator)
	annotator.get(at)
	annotator.wants(http.StatusForbidden)
	annotator.post(at, "do", "exclude", "judgment", all[1].ID, "reason", "mine is better")
	annotator.wants(http.StatusForbidden)
	count(store.ReviewQuery{Excluded: new(true)}, 0)
}
