package annotation_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
	"tandem/store"
)

// TestLiveInTheBrowser is a person's way from a prompt to a judgment and on with the dialogue, by keys alone, in a
// real browser: the answers appear while they are written, and nothing that they say runs.
func TestLiveInTheBrowser(t *testing.T) {
	// Each answer says as much as the test lets it.
	pieces := make(chan string)
	speaker := fake(func(ctx context.Context, r tandem.GenerateRequest, say func(string)) error {
		if r.Key.Sample == 2 {
			return answers(ctx, r, say)
		}
		for {
			select {
			case piece, more := <-pieces:
				if !more {
					return answers(ctx, r, say)
				}
				say(piece)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	l := newLive(t, tandem.Safety, annotation.LiveConfig{}, speaker, speaker)
	p := l.seat("Ada Lane")
	p.Open(l.url + "/projects/" + l.project.ID + "/live")
	p.Wait("document.activeElement.id === 'text'")
	p.Write("What do the *stars* say?")
	p.Accessible()
	p.Picture("live-write")
	p.Look(browsertest.Phone)
	p.Fits()
	p.Look(browsertest.Desktop)
	p.Reload() // what was typed is still there
	p.Wait("document.querySelector('#text').value === 'What do the *stars* say?'")
	p.Press(browsertest.TabKey)
	p.Write("hat")
	p.Press(browsertest.TabKey)
	p.Write("per")
	p.Press(browsertest.TabKey)
	p.Press(browsertest.Enter)

	p.See("What do the *stars* say?", "One answer is there, the other is being written.", "You said: What do the")
	pieces <- "They say: <img src=x onerror=alert(1)>"
	p.Wait(`document.querySelector("[data-answer='0']").textContent === "They say: <img src=x onerror=alert(1)>"`)
	p.Accessible()
	p.Picture("live-watch")
	l.veil(annotation.Project{ID: l.project.ID})
	p.Reload() // the stream begins again, and is blurred now
	p.See("may upset you")
	blurred := func(n int) {
		t.Helper()
		p.Wait(fmt.Sprintf("[...document.querySelectorAll('#turn .veiled')].filter((e) => getComputedStyle(e).filter !== 'none' && e.ariaHidden === 'true').length === %d", n))
	}
	blurred(2)
	p.Click("#turn [data-reveal]")
	blurred(1)
	p.Wait(`document.querySelector("[data-answer='0']").textContent === "They say: <img src=x onerror=alert(1)>"`)
	pieces <- " shine on"
	p.Wait(`document.querySelector("[data-answer='0']").textContent.endsWith("> shine on")`)
	p.Look(browsertest.Phone)
	p.Fits()
	p.Picture("live-watch-phone")
	p.Look(browsertest.Desktop)
	close(pieces)

	p.ready("")
	p.See("Which answer is better", "shine on")
	for _, key := range []string{"z", "m", "2", browsertest.Enter} {
		p.Press(key)
	}
	p.See("Carry the dialogue on", "Kept.", "shine on")
	p.Wait("document.activeElement.id === 'text' && document.querySelector('#prompt select').value === 'hateful_and_harmful'")
	p.Accessible()
	p.Picture("live-carry-on")
	if judged := p.judged(); len(judged) != 1 || judged[0].Verdict.Degree != tandem.Better {
		t.Fatalf("judged is %+v", judged)
	}
	p.Write("And the moon?")

	// Signed out in another tab: the prompt goes once one is signed in again and reloads the page.
	other := person{p.Another(), l.world, p.id, p.name}
	other.Open(l.url + "/")
	other.Click(".who button")
	other.See("E-mail address")
	p.Allow("status of 401")
	p.Press(browsertest.Enter, browsertest.Ctrl)
	p.See("Signed out", "Sign in in another tab")
	p.Accessible()
	other.Type("[name=email]", "ada@example.org")
	other.Type("[name=password]", password)
	other.Press(browsertest.Enter)
	other.See("Sign out")
	p.Reload()
	p.Wait("location.pathname.startsWith('/turns/') || document.querySelector('#judgment')")
	p.ready("")
	p.See("And the moon?")
}

// TestPromptsKeptInASharedBrowser: what one person typed and did not send is there when they come again, and not for who
// signs in meanwhile.
func TestPromptsKeptInASharedBrowser(t *testing.T) {
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{}, fake(answers), fake(answers))
	p := l.seat("Ada Lane")
	l.join("bob", store.RoleAnnotator)
	live := l.url + "/projects/" + l.project.ID + "/live"
	change := func(name string) {
		p.Open(l.url + "/")
		p.Click(".who button")
		p.See("E-mail address")
		p.Type("[name=email]", name+"@example.org")
		p.Type("[name=password]", password)
		p.Press(browsertest.Enter)
		p.See("Sign out")
		p.Open(live)
		p.Wait("document.activeElement.id === 'text'")
	}
	p.Open(live)
	p.Wait("document.activeElement.id === 'text'")
	p.Write("Ada's own words")
	change("bob")
	p.Wait("document.querySelector('#text').value === ''")
	p.Write("Bob's own words")
	change("ada")
	p.Wait(`document.querySelector('#text').value === "Ada's own words"`)
}

// TestVariantsInTheBrowser looks at the pages by which an admin chooses who answers.
func TestVariantsInTheBrowser(t *testing.T) {
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{}, fake(answers), fake(answers))
	root := l.join("root", store.RoleAdmin)
	root.get("/variants")
	root.wants(http.StatusOK, secretly+"-1")
	p := person{chromium.Person(t), l.world, "", "root"}
	p.Open(l.url + "/signin")
	p.Type("[name=email]", "root@example.org")
	p.Type("[name=password]", password)
	p.Press(browsertest.Enter)
	p.See("Sign out")
	p.Open(l.url + "/variants")
	p.Accessible()
	p.Click("form[action='/variants/1/test'] button")
	p.See("answers, after", "You said: Say hello")
	p.Accessible()
	p.Picture("variants")
	p.Open(l.url + "/projects/" + l.project.ID + "/variants")
	p.Accessible()
	p.Picture("drawing")
	p.Look(browsertest.Phone)
	p.Fits()
}
