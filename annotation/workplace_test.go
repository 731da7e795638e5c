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

// A person passes a qualification in the browser: they are told what was wrong, the other project opens to them,
// and its day ends.
func TestQualificationPages(t *testing.T) {
	w := newWorld(t)
	exam := w.project(annotation.Project{Name: "Exam", Aspect: tandem.Helpfulness}, 2)
	w.gold(exam, 2)
	work := w.project(annotation.Project{Name: "Work", Aspect: tandem.Safety,
		Settings: annotation.Settings{Qualification: exam.ID, PassShare: 0.5, DailyLimit: 1}}, 3)
	ada := w.join("ada", store.RoleAnnotator)
	ada.wants(http.StatusOK, "2 open for you", "judge every task there first", "may be hateful")
	if strings.Contains(ada.page, "/projects/"+work.ID+"/next") {
		t.Error("home offers what would be refused")
	}
	ada.get("/projects/" + work.ID)
	ada.wants(http.StatusOK, `<a href="/projects/`+exam.ID+`">judge every task there first`, "may be hateful", "Decline this project")
	if strings.Contains(ada.page, "/next") {
		t.Error("the project offers what would be refused")
	}
	ada.post("/projects/"+work.ID+"/next", url.Values{}) // an old page's button
	ada.wants(http.StatusOK, "judge every task there first")

	// answer judges the task that is shown, right or wrong: the better answer is the first by its text.
	answer := func(right bool) {
		t.Helper()
		position := "8"
		if first := strings.Index(ada.page, "answer 0 to") < strings.Index(ada.page, "answer 1 to"); first == right {
			position = "1"
		}
		ada.post(ada.judgment(position))
	}
	ada.post("/projects/"+exam.ID+"/next", url.Values{})
	answer(false)
	ada.wants(http.StatusOK, "Your last answer was not the right one. Because <b>so</b>.", "Which answer is better")
	if strings.Contains(ada.page, "<b>so") {
		t.Error("a reason is not escaped")
	}
	answer(true)
	ada.wants(http.StatusOK, "Your last answer was right.", "Nothing is left here")

	ada.post("/projects/"+work.ID+"/next", url.Values{})
	ada.post(ada.judgment("2"))
	ada.wants(http.StatusOK, "You did all that this project allows in a day")
	ada.get("/")
	ada.wants(http.StatusOK, "You did all that this project allows in a day", "1 of 3 judgments")

	ada.post("/projects/"+work.ID+"/decline", url.Values{})
	ada.wants(http.StatusOK, "You declined this project", "Take it up again")
	ada.get("/")
	ada.wants(http.StatusOK, "<h2>Declined</h2>")
	ada.post("/projects/"+work.ID+"/take-up", url.Values{})
	ada.wants(http.StatusOK, "Decline this project")

	bob := w.join("bob", store.RoleAnnotator)
	for range 2 {
		bob.post("/projects/"+exam.ID+"/next", url.Values{})
		bob.post(strings.TrimSuffix(bob.at, "?after=")+"/skip", url.Values{"reason": {"other"}, "words": {"hard"}})
	}
	bob.get("/projects/" + work.ID)
	bob.wants(http.StatusOK, "Too few of your answers")
}

// In other projects nothing tells gold from the rest, and who is wrong too often is told so kindly.
func TestGoldIsNotTold(t *testing.T) {
	w := newWorld(t)
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness, Settings: annotation.Settings{GoldEvery: 1, GoldWindow: 2}}, 4)
	w.gold(project, 3)
	ada := w.join("ada", store.RoleAnnotator)
	ada.post("/projects/"+project.ID+"/next", url.Values{})
	for n := range 3 {
		position := "1"
		if strings.Index(ada.page, "answer 0 to") < strings.Index(ada.page, "answer 1 to") {
			position = "8"
		}
		ada.post(ada.judgment(position))
		ada.wants(http.StatusOK, "Which answer is better")
		for _, word := range []string{"gold", "not the right one"} {
			if strings.Contains(strings.ToLower(ada.page), word) {
				t.Errorf("after %d the page says %q:\n%s", n+1, word, ada.page)
			}
		}
	}
	ada.get("/")
	ada.wants(http.StatusOK, "differ from what the guideline asks for")
	results, err := w.store.GoldResults(t.Context(), project.ID)
	if err != nil || len(results) != 1 || !results[0].Warned || results[0].Right != 0 || results[0].Answered != 3 {
		t.Errorf("results %s, %v", fmt.Sprint(results), err)
	}
}
