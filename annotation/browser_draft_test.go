package annotation_test

import (
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
	"tandem/store"
)

// TestDraftsOutlastEverything enters a judgment through a reload, a sign-out in another tab and a lost network,
// and submits it while signed out and while cut off: it is kept once, as it was meant.
func TestDraftsOutlastEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Drafts", Aspect: tandem.Safety}, sourdough, lock, bicycle)
	ada := w.seat("Ada")
	ada.start(project)
	first := ada.ready("")
	hint := func(text string) {
		t.Helper()
		ada.Wait("document.querySelector('#draft').textContent === '" + text + "'")
	}

	ada.Press("z")
	ada.Press("3")
	hint("Draft kept")
	ada.Reload()
	ada.ready("")
	ada.holds("safe 3|")

	// A reload at once leaves the server no time; the browser has it.
	ada.Press("m")
	ada.Press("6")
	ada.Reload()
	ada.ready("")
	ada.holds("safe unsafe 6|")

	// Cut off: the draft waits in the browser, and goes to the server when the network is back.
	ada.Allow("ERR_INTERNET_DISCONNECTED")
	ada.Offline(true)
	ada.Press("c")
	ada.Write("half a thou")
	hint("No connection; the draft is kept in this browser")
	ada.Offline(false)
	hint("Draft kept")
	draft, err := w.store.Draft(t.Context(), ada.id, first)
	if err != nil || !strings.Contains(string(draft.Body), "half a thou") {
		t.Errorf("the server's draft is %s, %v", draft.Body, err)
	}

	// Signed out in another tab: the draft stays, in the browser too after a reload.
	ada.Allow("status of 401")
	ada.Allow("status of 412") // a save whose answer a reload cut off, or that a submit overtook
	ada.Allow("htmx:")         // says on the console that a request failed
	ada.Allow("Response Status Error Code 401")
	other := person{ada.Another(), w, ada.id, ada.name}
	other.Open(w.url + "/")
	other.Click(".who button")
	other.See("E-mail address")
	ada.Click("#comment")
	ada.Press(browsertest.End)
	ada.Write("ght")
	hint("Signed out; the draft is kept in this browser")
	ada.Press(browsertest.Enter, browsertest.Ctrl)
	ada.See("You are signed out.", "Sign in in another tab")
	ada.look("signed-out")
	if n := len(ada.judged()); n != 0 {
		t.Fatalf("%d judgments while signed out", n)
	}
	signIn := func() {
		t.Helper()
		other.Open(w.url + "/signin")
		other.Type("[name=email]", "ada@example.org")
		other.Type("[name=password]", password)
		other.Press(browsertest.Enter)
		other.See("Sign out")
	}
	signIn()
	second := ada.ready(first) // it went by itself
	ada.See("Kept.")
	judged := ada.judged()
	if len(judged) != 1 || judged[0].Verdict.Comment != "half a thought" || judged[0].Verdict.Degree != tandem.SlightlyBetter ||
		judged[0].Verdict.Chosen != judged[0].Shown[1] || judged[0].Verdict.Labels[judged[0].Shown[1]] != tandem.Unsafe {
		t.Fatalf("kept %+v", judged)
	}

	// The tab itself is closed while signed out: the next one has it all.
	other.Click(".who button")
	other.See("E-mail address")
	for _, key := range []string{"x", "n", "8"} {
		ada.Press(key)
	}
	hint("Signed out; the draft is kept in this browser")
	ada.Open(w.url + "/assignments/" + second)
	ada.See("E-mail address")
	ada.Type("[name=email]", "ada@example.org")
	ada.Type("[name=password]", password)
	ada.Press(browsertest.Enter)
	ada.ready(first)
	ada.holds("unsafe safe 8|")

	// A submit without a network goes once there is one, and nothing else goes with it.
	ada.Offline(true)
	ada.Press(browsertest.Enter)
	ada.See("There is no connection.")
	ada.Offline(false)
	third := ada.ready(second)
	if n := len(ada.judged()); n != 2 {
		t.Errorf("%d judgments, want 2", n)
	}

	// What is changed while it waits does not go by itself.
	ada.Offline(true)
	for _, key := range []string{"z", "n", "1", browsertest.Enter} {
		ada.Press(key)
	}
	ada.See("There is no connection.")
	ada.Press("2")
	ada.SeeNot("There is no connection.")
	ada.Offline(false)
	hint("Draft kept")
	if n := len(ada.judged()); n != 2 {
		t.Errorf("%d judgments, want 2: the third was being changed", n)
	}
	ada.Press(browsertest.Enter)
	ada.See("Nothing is left here for you")
	if keys := browsertest.Eval[[]string](ada.Tab, "Object.keys(localStorage).filter((k) => k.includes('draft'))"); len(keys) != 0 {
		t.Errorf("the browser still keeps %v", keys)
	}

	// A revision's draft is kept too, in the browser.
	ada.Open(w.url + "/assignments/" + third)
	ada.ready("")
	ada.holds("safe safe 2|")
	ada.Press("7")
	ada.Reload()
	ada.ready("")
	ada.holds("safe safe 7|")
}

// TestSubmitAgainAfterALostAnswer sends a judgment whose answer is lost, changes it and sends it again: the
// server has kept the first, so the second becomes its next version, and the person is told.
func TestSubmitAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Twice", Aspect: tandem.Helpfulness}, lock)
	ada := w.seat("Ada")
	ada.start(project)
	id := ada.ready("")
	ada.Press("2")
	assignment, err := w.store.Assignment(t.Context(), ada.id, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Submit(t.Context(), store.Submission{Annotator: ada.id, Assignment: id,
		Key:     browsertest.Eval[string](ada.Tab, "document.querySelector('#judgment').elements.key.value"),
		Verdict: store.Verdict{Degree: tandem.Better, Chosen: assignment.Responses[0].ID, Rejected: assignment.Responses[1].ID}}); err != nil {
		t.Fatal(err)
	}
	ada.Allow("status of 422")
	ada.Allow("status of 412") // the draft is closed
	ada.Press("7")
	ada.Press(browsertest.Enter)
	ada.See("You judged this already", "Keep as version 2")
	ada.holds("7|")
	ada.Press(browsertest.Enter)
	ada.See("Kept as a new version")
	if judged := ada.judged(); len(judged) != 1 || judged[0].Version != 2 || judged[0].Verdict.Chosen != judged[0].Shown[1] {
		t.Errorf("kept %+v", judged)
	}
}

// TestLeaseIsRenewedByWork holds a task as long as somebody does something on its page, and says when others
// may have it.
func TestLeaseIsRenewedByWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Short lease", Aspect: tandem.Helpfulness, LeaseSeconds: 4}, lock)
	ada := w.seat("Ada")
	ada.start(project)
	id := ada.ready("")
	until := func() time.Time {
		t.Helper()
		a, err := w.store.Assignment(t.Context(), ada.id, id)
		if err != nil {
			t.Fatal(err)
		}
		return a.Until
	}
	claimed := until()
	deadline := time.Now().Add(10 * time.Second)
	for until().Before(claimed.Add(4 * time.Second)) { // a whole lease later than without
		if time.Now().After(deadline) {
			t.Fatalf("the lease still ends at %v", until())
		}
		ada.Press("3")
	}
	ada.SeeNot("others may take it")

	// Another takes the place while the network is away: the page says so, and the judgment is kept all the same.
	ada.Allow("ERR_INTERNET_DISCONNECTED")
	ada.Allow("status of 412")
	ada.Offline(true)
	bob := w.annotator("bob")
	for {
		c, err := bob.Claim(t.Context(), project.ID)
		if err != nil {
			t.Fatal(err)
		}
		if c.State == annotation.ClaimAssigned {
			break
		}
		if time.Now().After(deadline.Add(10 * time.Second)) {
			t.Fatal("the lease does not run out")
		}
		time.Sleep(100 * time.Millisecond)
	}
	ada.Offline(false)
	ada.Press("4")
	ada.See("others may take it")
	ada.look("lost")
	ada.Press(browsertest.Enter)
	ada.See("Nothing is left here for you")
	if n := len(ada.judged()); n != 1 {
		t.Errorf("%d judgments, want 1", n)
	}
}
