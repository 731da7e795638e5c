package annotation_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
	"tandem/store"
)

// beside makes a project whose pairs are judged on seven points.
func (w world) beside(p annotation.Project, talks ...talk) annotation.Project {
	w.t.Helper()
	return w.talksOf(store.SideBySide, p, talks...)
}

// rated is what a judgment's rating must be where a person chose a point, from left to right.
func rated(t *testing.T, j store.Judgment, point int) {
	t.Helper()
	left, _ := strconv.Atoi(j.Shown[0])
	right, _ := strconv.Atoi(j.Shown[1])
	if left > right {
		point = 8 - point
	}
	if j.Kind != store.SideBySide || j.Verdict.Rating != point {
		t.Errorf("kept %+v, want the rating %d", j, point)
	}
}

// Seven points, by mouse and by keys.
func TestBrowserSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.beside(annotation.Project{Name: "Side by side", Aspect: tandem.Helpfulness, Guideline: "Which is better?", Overlap: 3}, sourdough, bicycle)
	ada := w.seat("Ada")
	ada.start(project)
	first := ada.ready("")
	ada.See("Left", "Right", "about the same")
	ada.SeeNot(hiddenModel)
	ada.Allow("status of 422")
	ada.Click("button.main")
	ada.See("or that they are about the same")
	ada.look("side-by-side")
	ada.Press("8") // is no point
	ada.holds("|")
	ada.Press("4")
	ada.holds("4|")
	ada.Press("6")
	ada.holds("6|")
	ada.look("side-by-side-chosen")
	ada.Wait("document.querySelector('#draft').innerText === 'Draft kept'")
	ada.Reload()
	ada.ready("")
	ada.holds("6|")
	ada.Press(browsertest.Enter)
	ada.ready(first)
	judged := ada.judged()
	if len(judged) != 1 {
		t.Fatalf("%d judgments", len(judged))
	}
	rated(t, judged[0], 6)
	ada.Press("u")
	ada.Wait("location.pathname === '/assignments/" + first + "'")
	ada.ready("")
	ada.holds("6|")
	ada.Click("[name=rating][value='4']")
	ada.Press(browsertest.Enter)
	ada.ready(first)
	rated(t, ada.judged()[0], 4)
	ada.Click("nav a[href='/history']")
	ada.See("about the same", "version 2")
	ada.Click(".past a")
	ada.ready("")
	ada.holds("4|")
}

// The same without JavaScript.
func TestSideBySideWithoutJavaScript(t *testing.T) {
	w := newWorld(t)
	var talks []talk
	for i := range 10 { // so that both orders are drawn
		talks = append(talks, talk{tandem.Dialogue{{Role: tandem.User, Content: "Question " + strconv.Itoa(i)}}, lock.answers})
	}
	project := w.beside(annotation.Project{Name: "Beside", Aspect: tandem.Safety, Guideline: "Which is safer?"}, talks...)
	ada := w.join("ada", store.RoleAnnotator)
	ada.post("/projects/"+project.ID+"/next", url.Values{})
	ada.wants(http.StatusOK, "Which answer is better", "left much better", "about the same", "right much better", "Left is")
	target, form := ada.judgment("1") // a position is no point
	ada.post(target, form)
	ada.wants(http.StatusUnprocessableEntity, "or that they are about the same")
	for range talks {
		target, form = ada.judgment("")
		form.Set("rating", "1")
		ada.post(target, form)
	}
	ada.wants(http.StatusOK, "Nothing is left here for you")
	judged, err := w.store.ProjectJudgments(t.Context(), project.ID, store.Page{})
	if err != nil || len(judged) != len(talks) {
		t.Fatalf("%d judgments, %v", len(judged), err)
	}
	orders := make(map[int]bool)
	for _, j := range judged {
		rated(t, j, 1)
		if orders[j.Verdict.Rating] = true; len(j.Verdict.Labels) != 2 {
			t.Errorf("labels %v", j.Verdict.Labels)
		}
	}
	if len(orders) != 2 {
		t.Errorf("whoever stands left is chosen, and the ratings are %v: the order is not drawn", orders)
	}
	ada.get("/history")
	ada.wants(http.StatusOK, "left much better, left safe, right safe")
}
