package annotation_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/store"
)

// browser is a person with cookies and without JavaScript.
type browser struct {
	t    testing.TB
	http http.Client
	url  string

	at     string // the path of the page that is shown
	status int
	page   string
}

// join invites a person and lets them set their password, in a browser of their own.
func (w world) join(name string, role store.AnnotatorRole) *browser {
	w.t.Helper()
	ctx := w.t.Context()
	person, err := w.store.AddAnnotator(ctx, store.Annotator{Name: name, Email: name + "@example.org", Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, err := w.store.Invite(ctx, person.ID, "test", time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &browser{t: w.t, http: http.Client{Jar: jar}, url: w.url}
	b.get("/join/" + token)
	b.post(b.at, url.Values{"password": {"correct horse"}, "repeat": {"correct horse"}})
	b.wants(http.StatusOK, "<h1>Work</h1>")
	return b
}

func (b *browser) get(path string) {
	b.t.Helper()
	b.send(http.MethodGet, path, nil)
}

func (b *browser) post(path string, form url.Values) {
	b.t.Helper()
	b.send(http.MethodPost, path, form)
}

func (b *browser) send(method, path string, form url.Values) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.page = response.Request.URL.RequestURI(), response.StatusCode, string(body)
}

// wants checks the status and what the page says.
func (b *browser) wants(status int, texts ...string) {
	b.t.Helper()
	if b.status != status {
		b.t.Fatalf("%s answers %d, want %d:\n%s", b.at, b.status, status, b.page)
	}
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(b.page), text) {
			b.t.Fatalf("%s does not say %q:\n%s", b.at, text, b.page)
		}
	}
}

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	formTarget  = regexp.MustCompile(`action="(/assignments/\d+/judgment)"`)
	labelField  = regexp.MustCompile(`name="(label-\d+)" value="safe"`)
)

// judgment is the compare form as it stands, with a position chosen.
func (b *browser) judgment(position string) (target string, form url.Values) {
	b.t.Helper()
	found := formTarget.FindStringSubmatch(b.page)
	if found == nil {
		b.t.Fatalf("%s has no form to judge:\n%s", b.at, b.page)
	}
	form = url.Values{"position": {position}}
	for _, field := range hiddenField.FindAllStringSubmatch(b.page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	for _, field := range labelField.FindAllStringSubmatch(b.page, -1) {
		form.Set(field[1], "safe")
	}
	return found[1], form
}

func TestAnnotatorsPathWithoutJavaScript(t *testing.T) {
	w := newWorld(t)
	project := w.project(annotation.Project{Name: "Kindness", Aspect: tandem.Safety, Guideline: "Be **kind**."}, 3)
	ada := w.join("ada", store.RoleAnnotator)
	ada.wants(http.StatusOK, "Kindness", "3 open for you")
	ada.get("/projects/" + project.ID)
	ada.wants(http.StatusOK, "Be <strong>kind</strong>.")
	ada.post("/projects/"+project.ID+"/next", url.Values{})
	ada.wants(http.StatusOK, "Which answer is better", "left significantly better", "Left is")
	if strings.Contains(ada.page, hiddenModel) {
		t.Error("the page names the model")
	}

	target, form := ada.judgment("")
	form.Set("comment", "I <b>wonder</b>")
	ada.post(target, form)
	ada.wants(http.StatusUnprocessableEntity, "Choose which answer is better", "I <b>wonder</b>")
	target, form = ada.judgment("2")
	first := ada.at
	ada.post(target, form)
	ada.wants(http.StatusOK, "Kept.", "Undo")
	second := ada.at
	ada.post(target, form) // the same form again: kept once
	if ada.wants(http.StatusOK); ada.at != second {
		t.Errorf("sending the form twice leads to %s, not %s", ada.at, second)
	}
	judged, err := w.store.ProjectJudgments(t.Context(), project.ID, store.Page{})
	if err != nil || len(judged) != 1 {
		t.Fatalf("%d judgments, %v", len(judged), err)
	}
	if j := judged[0]; j.Verdict.Degree != tandem.Better || j.Verdict.Chosen != j.Shown[0] || j.Guideline != 1 || len(j.Verdict.Labels) != 2 {
		t.Errorf("kept %+v", j)
	}

	ada.post(strings.TrimSuffix(target, "judgment")+"undo", url.Values{})
	ada.wants(http.StatusOK, "Which answer is better")
	if !strings.HasPrefix(first, ada.at) || !regexp.MustCompile(`value="2" required checked`).MatchString(ada.page) {
		t.Errorf("undo leads to %s, not back to %s as it was:\n%s", ada.at, first, ada.page)
	}
	target, form = ada.judgment("8")
	ada.post(target, form)
	ada.wants(http.StatusOK, "Kept.")

	ada.get("/history")
	ada.wants(http.StatusOK, "version 2", "Question")
	ada.get(strings.TrimSuffix(target, "/judgment"))
	ada.wants(http.StatusOK, "Revise", "Keep as version 3")
	target, form = ada.judgment("5")
	ada.post(target, form)
	ada.wants(http.StatusOK, "version 3")
	form.Set("key", "another")
	ada.post(target, form)
	ada.wants(http.StatusUnprocessableEntity, "You revised this judgment elsewhere")

	ada.post("/projects/"+project.ID+"/next", url.Values{})
	skipped := strings.TrimSuffix(ada.at, "?after=")
	ada.post(skipped+"/flag", url.Values{"reason": {"broken text"}})
	ada.wants(http.StatusOK, "Flagged")
	ada.post(skipped+"/skip", url.Values{"reason": {"other"}})
	ada.wants(http.StatusUnprocessableEntity, "Say why")
	ada.post(skipped+"/skip", url.Values{"reason": {"other"}, "words": {"not today"}})
	ada.wants(http.StatusOK, "Which answer is better")

	bob := w.join("bob", store.RoleAnnotator)
	bob.get(ada.at)
	bob.wants(http.StatusNotFound)
	bob.post("/projects/"+project.ID+"/next", url.Values{}) // ada gave one back
	bob.wants(http.StatusOK, "Which answer is better")
	eve := w.join("eve", store.RoleAnnotator)
	eve.post("/projects/"+project.ID+"/next", url.Values{})
	eve.wants(http.StatusOK, "held by others", "Try again at")
	target, form = ada.judgment("1")
	ada.post(target, form)
	ada.wants(http.StatusOK, "Nothing is left here for you")
	ada.get("/")
	ada.wants(http.StatusOK, "<dt>judgments today</dt><dd>2</dd>")
}

func TestWhoIsNotSignedIn(t *testing.T) {
	w := newWorld(t)
	project := w.project(annotation.Project{Name: "p", Aspect: tandem.Helpfulness}, 1)
	ada := w.join("ada", store.RoleAnnotator)
	ada.post("/projects/"+project.ID+"/next", url.Values{})
	page := ada.at
	target, form := ada.judgment("3")
	ada.post("/signout", url.Values{})
	ada.wants(http.StatusOK, "Sign in")
	ada.post(target, form)
	ada.wants(http.StatusUnauthorized, "not signed in any more")
	ada.get(page)
	ada.wants(http.StatusOK, "Sign in", page)
	ada.post("/signin", url.Values{"email": {"ADA@example.org"}, "password": {"wrong horse"}, "next": {page}})
	ada.wants(http.StatusUnauthorized, "is not right")
	ada.post("/signin", url.Values{"email": {"ADA@example.org"}, "password": {"correct horse"}, "next": {page}})
	if ada.wants(http.StatusOK, "Which answer is better"); ada.at != page {
		t.Errorf("signing in leads to %s, not back to %s", ada.at, page)
	}
	ada.post(target, form)
	ada.wants(http.StatusOK, "Nothing is left")
}
