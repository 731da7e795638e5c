package annotation_test

import (
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
)

// TestPathByMouse goes from the invitation to the last task, and looks at every page on the way.
func TestPathByMouse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.talks(annotation.Project{Name: "Everyday help", Aspect: tandem.Helpfulness,
		Guideline: "Choose the answer that **helps more**.\n\n- Read both to the end.\n- Length alone is worth nothing.\n\n| degree | when |\n|---|---|\n| significantly | you would never take the other |\n| negligibly | you are unsure |"}, sourdough, lock)
	ada, link := w.invite("Ada Lovelace")
	ada.Open(link)
	ada.See("Ada Lovelace")
	ada.look("join")
	ada.Type("[name=password]", password)
	ada.Type("[name=repeat]", "another horse")
	ada.Allow("status of 422")
	ada.Click("button.main")
	ada.See("The two passwords differ")
	ada.show("join-problem")
	ada.Type("[name=password]", password)
	ada.Type("[name=repeat]", password)
	ada.Click("button.main")
	ada.See("Everyday help", "2 open for you")
	if a, err := w.store.Annotator(t.Context(), ada.id); err != nil || a.TimeZone != "Europe/Berlin" {
		t.Errorf("the time zone is %q, not the browser's (%v)", a.TimeZone, err)
	}
	ada.look("home")

	ada.Click(".cards a")
	ada.See("What to do", "Length alone is worth nothing.")
	ada.look("project")
	ada.Click("form[action$='/next'] button")
	first := ada.ready("")
	ada.SeeNot(hiddenModel)
	ada.show("compare")
	ada.Click("button.main")
	ada.See("Choose which answer is better, and by how much.")
	ada.Wait("document.activeElement.id === 'problem'")
	if ada.At() != "/assignments/"+first {
		t.Errorf("what is wrong is said at %s", ada.At())
	}
	ada.look("compare-problem")
	ada.Click("[name=position][value='2']")
	ada.Click(".comment summary")
	ada.Type("#comment", "The plan can be followed.")
	ada.Wait("document.querySelector('#draft').innerText === 'Draft kept'")
	ada.look("compare-chosen")
	ada.Wait("document.querySelector('[name=seconds]').value > 0.5")
	ada.Click("button.main")
	second := ada.ready(first)
	ada.See("Kept.")
	if !strings.HasPrefix(ada.At(), "/assignments/"+second) {
		t.Errorf("the second task is at %s", ada.At())
	}
	ada.Wait("document.activeElement.id === 'main'")
	ada.show("compare-second")
	judged := ada.judged()
	if len(judged) != 1 {
		t.Fatalf("%d judgments", len(judged))
	}
	if j := judged[0]; j.Verdict.Degree != tandem.Better || j.Verdict.Chosen != j.Shown[0] || j.Verdict.Comment != "The plan can be followed." ||
		j.Guideline != 1 || j.Duration < 500*time.Millisecond || j.Duration > time.Minute {
		t.Errorf("kept %+v", j)
	}

	ada.Click("#undo-form button")
	ada.Wait("location.pathname === '/assignments/" + first + "'")
	ada.ready(second)
	ada.holds("2|The plan can be followed.")
	ada.Click("[name=position][value='8']")
	ada.Click("button.main")
	ada.ready(first)
	ada.Click("summary[data-key=f]")
	ada.look("flag")
	ada.Click("[name=reason][value='broken text']")
	ada.Click("details[open] form button")
	ada.See("Flagged.")
	ada.Click("summary[data-key=s]")
	ada.Type("#skip-words", "not today")
	ada.look("skip")
	ada.Click("details[open] form button")
	ada.See("Nothing is left here for you")
	ada.look("done")

	ada.Click("nav a[href='/history']")
	ada.See("version 2", "right significantly better")
	ada.look("history")
	ada.Click(".past a")
	ada.ready("")
	ada.See("Revise: Everyday help", "Keep as version 3")
	ada.holds("8|The plan can be followed.")
	ada.look("revise")
	ada.Click("[name=position][value='5']")
	ada.Click("button.main")
	ada.See("Kept as a new version", "version 3", "right negligibly better or unsure")
	if ada.At() != "/history?revised="+first {
		t.Errorf("a revision leads to %s", ada.At())
	}
	ada.Open(w.url + "/")
	ada.See("judgment today", "1 of 2 judgments by everyone, 1 of them yours")
	ada.show("home-after")

	ada.Allow("status of 404")
	ada.Open(w.url + "/assignments/999999")
	ada.See("Not Found")
	ada.look("not-found")
	ada.Click(".who button")
	ada.See("E-mail address")
	ada.Allow("status of 401")
	ada.Type("[name=email]", "ada@example.org")
	ada.Type("[name=password]", "wrong")
	ada.Press(browsertest.Enter)
	ada.See("is not right")
	ada.look("sign-in")
}

// TestPathByKeys does a safety task without a mouse.
func TestPathByKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Delicate", Aspect: tandem.Safety, Guideline: "Safe first."}, lock, sourdough, bicycle)
	w.veil(project)
	ada := w.seat("Ada")
	ada.Press(browsertest.TabKey) // the way to the content comes first
	ada.Wait("document.activeElement.classList.contains('skip')")
	ada.start(project)
	first := ada.ready("")
	ada.See("may upset you")
	veils := func(want int) {
		t.Helper()
		ada.Wait("[...document.querySelectorAll('.veiled')].filter((e) => getComputedStyle(e).filter !== 'none' && e.ariaHidden === 'true').length === " + string(rune('0'+want)))
	}
	veils(3)
	ada.show("safety-blurred")
	ada.Click(".answer [data-reveal]")
	veils(2)
	ada.Press("b")
	veils(0)
	ada.Press("b")
	veils(3)
	ada.Press("b")

	for _, key := range []string{"7", "z", "n", "m"} {
		ada.Press(key)
	}
	ada.holds("safe unsafe 7|")
	for _, held := range []browsertest.Modifier{browsertest.Alt, browsertest.Ctrl, browsertest.Meta} {
		ada.Press("3", held)
		ada.Press("x", held)
	}
	ada.Press("0")
	ada.Press("9")
	ada.holds("safe unsafe 7|")
	ada.look("safety-chosen")

	ada.Press("c")
	ada.Wait("document.activeElement.id === 'comment'")
	ada.Write("12 zx? su")
	ada.holds("safe unsafe 7|12 zx? su")
	ada.Press(browsertest.Escape)
	ada.Wait("document.activeElement.id !== 'comment'")
	ada.Press("s")
	ada.Wait("document.activeElement.name === 'reason'")
	ada.Press("4") // a choice within the drop-down is its own
	ada.Press(browsertest.Escape)
	ada.Wait("!document.querySelector('details.drop[open]')")
	ada.Press("f")
	ada.Wait("document.activeElement.closest('form').action.endsWith('/flag')")
	ada.Press(browsertest.Escape)
	ada.holds("safe unsafe 7|12 zx? su")

	ada.Press("?")
	ada.Wait("document.querySelector('#keys').open")
	ada.Press("1") // nothing fires below the sheet
	ada.look("keys")
	ada.Click("#keys-off")
	ada.Press(browsertest.Escape)
	ada.Press("1")
	ada.holds("safe unsafe 7|12 zx? su")
	ada.Press("?")
	ada.Click("#keys-off")
	ada.Press(browsertest.Escape)
	ada.Wait("!document.querySelector('#keys').open")
	ada.Press("1")
	ada.holds("safe unsafe 1|12 zx? su")

	ada.Press(browsertest.Enter)
	second := ada.ready(first)
	veils(3) // again
	if j := ada.judged()[0]; j.Verdict.Degree != tandem.SignificantlyBetter || j.Verdict.Chosen != j.Shown[0] ||
		j.Verdict.Labels[j.Shown[0]] != tandem.Safe || j.Verdict.Labels[j.Shown[1]] != tandem.Unsafe {
		t.Errorf("kept %+v", j)
	}
	ada.Press("u")
	ada.Wait("location.pathname === '/assignments/" + first + "'")
	ada.ready(second)
	ada.holds("safe unsafe 1|12 zx? su")
	ada.Press("8")
	ada.Press("c")
	ada.Press(browsertest.Enter, browsertest.Ctrl)
	ada.ready(first)
	ada.Press("n")
	ada.Press("z")
	ada.Press("4")
	ada.Press(browsertest.Enter)
	ada.ready(second)

	// The guideline opens in a tab of its own, and the last task is done by the keys that every browser has.
	ada.Press(browsertest.TabKey)
	for _, press := range []func(){
		func() { ada.focus("[name^=label-]"); ada.Press(browsertest.Space); ada.Press(browsertest.Right) },
		func() { ada.focus(".answer:last-child [name^=label-]"); ada.Press(browsertest.Space) },
		func() { ada.focus("[name=position]"); ada.Press(browsertest.Space); ada.Press(browsertest.Right) },
	} {
		press()
	}
	ada.holds("unsafe safe 2|")
	ada.focus("button.main")
	ada.Press(browsertest.Space)
	ada.See("Nothing is left here for you")
	if n := len(ada.judged()); n != 3 {
		t.Errorf("%d judgments, want 3", n)
	}
}

// look judges the page, and shows it.
func (p person) look(name string) {
	p.w.t.Helper()
	p.Accessible()
	p.show(name)
}

// show keeps pictures of the page in light, in dark and on a phone, where it must fit too.
func (p person) show(name string) {
	p.w.t.Helper()
	p.Picture(name)
	for suffix, view := range map[string]browsertest.View{"-dark": {Width: 1280, Height: 800, Dark: true}, "-phone": browsertest.Phone} {
		p.Look(view)
		p.Fits()
		p.Picture(name + suffix)
	}
	p.Look(browsertest.Desktop)
}

// focus goes on by the Tab key until an element has the focus.
func (p person) focus(selector string) {
	p.w.t.Helper()
	for range 60 {
		if browsertest.Eval[bool](p.Tab, "document.activeElement === document.querySelector('"+selector+"')") {
			return
		}
		p.Press(browsertest.TabKey)
	}
	p.w.t.Fatalf("Tab does not lead to %s", selector)
}

// TestHeldByOthers is what a second person sees while the first has the last task.
func TestHeldByOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "One task", Aspect: tandem.Helpfulness}, lock)
	w.annotator("first").Claim(t.Context(), project.ID)
	ada := w.seat("Ada")
	ada.Click("form[action$='/next'] button")
	ada.See("held by others", "Try again at")
	if text := browsertest.Eval[string](ada.Tab, "document.querySelector('time').textContent"); strings.Contains(text, "UTC") {
		t.Errorf("the time %q is not in the person's own zone", text)
	}
	ada.look("held")
	ada.Reload()
	ada.See("One task")
}

// TestSmallLargeAndWithoutScript works at a phone's size, at a zoom of 400 %, at twice the text size and without
// JavaScript.
func TestSmallLargeAndWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Anywhere", Aspect: tandem.Safety, Guideline: "Be kind."}, sourdough, lock, bicycle, poem)
	ada := w.seat("Ada")
	last := ""
	for _, way := range []struct {
		name string
		view browsertest.View
	}{
		{"phone", browsertest.Phone},
		{"zoomed", browsertest.Zoomed},
		{"large-text", browsertest.View{Width: 1280, Height: 800, Text: 200}},
	} {
		ada.Look(way.view)
		ada.Open(w.url + "/projects/" + project.ID)
		ada.Fits()
		ada.Picture(way.name + "-project")
		ada.Open(w.url + "/")
		ada.Look(way.view)
		ada.Fits()
		ada.Picture(way.name + "-home")
		ada.Click("form[action$='/next'] button")
		last = ada.ready("")
		ada.Look(way.view) // text grows page by page
		ada.Click(".answer:first-child .safe input")
		ada.Click(".answer:last-child .unsafe input")
		ada.Click("[name=position][value='3']")
		ada.holds("safe unsafe 3|")
		ada.Accessible()
		ada.Picture(way.name + "-compare")
		ada.Click("button.main")
		ada.ready(last)
		last = ""
	}
	ada.Look(browsertest.Desktop)
	ada.Scripts(false)
	ada.Open(w.url + "/projects/" + project.ID)
	ada.Click("form[action$='/next'] button")
	ada.See("Which answer is better")
	ada.Click(".answer:first-child .safe input")
	ada.Click("[name=position][value='6']")
	ada.Allow("status of 422")
	ada.Click("button.main")
	ada.See("Say of each answer whether it is safe or unsafe.")
	ada.holds("safe 6|")
	ada.Click(".answer:last-child .safe input")
	ada.Click("button.main")
	ada.See("Nothing is left")
	judged := ada.judged()
	if len(judged) != 4 || judged[0].Verdict.Degree != tandem.SlightlyBetter || judged[0].Verdict.Chosen != judged[0].Shown[1] {
		t.Errorf("kept %+v", judged)
	}
	ada.Open(w.url + "/history")
	ada.See("right slightly better, left safe, right safe")
	ada.Scripts(true)
	for _, page := range []string{"/", "/history"} {
		ada.Open(w.url + page)
		ada.Look(browsertest.Phone)
		ada.Fits()
		ada.Picture("phone-after" + strings.ReplaceAll(page, "/", "-"))
		ada.Look(browsertest.View{Width: 1280, Height: 800, Text: 200})
		ada.Fits()
	}
}

// veil makes a project's texts blurred, behind a warning.
func (w world) veil(p annotation.Project) {
	w.t.Helper()
	stored, err := w.store.Project(w.t.Context(), p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	stored.Warning, stored.Blurred = "Some texts may upset you. Stop whenever you like.", true
	if _, err := w.store.Configure(w.t.Context(), p.ID, stored.Settings, "test"); err != nil {
		w.t.Fatal(err)
	}
}
