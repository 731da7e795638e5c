package annotation_test

import (
	"fmt"
	"strings"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
	"tandem/store"
)

// The annotator's path in a real browser. page_test.go walks it without one, and tests what the server says.

var chromium browsertest.Browser

// person is somebody in front of a browser.
type person struct {
	*browsertest.Tab
	w    world
	id   string
	name string
}

const password = "correct horse"

// invite sends somebody new an invitation, which they have not opened yet.
func (w world) invite(name string) (p person, link string) {
	w.t.Helper()
	ctx := w.t.Context()
	added, err := w.store.AddAnnotator(ctx, store.Annotator{Name: name, Email: strings.ToLower(strings.Fields(name)[0]) + "@example.org", Role: store.RoleAnnotator})
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, err := w.store.Invite(ctx, added.ID, "test", time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return person{chromium.Person(w.t), w, added.ID, name}, w.url + "/join/" + token
}

// seat is somebody who has just joined, at their home page.
func (w world) seat(name string) person {
	w.t.Helper()
	p, link := w.invite(name)
	p.Open(link)
	p.Type("[name=password]", password)
	p.Type("[name=repeat]", password)
	p.Press(browsertest.Enter)
	p.See("Sign out")
	return p
}

// start claims the first task of a project.
func (p person) start(project annotation.Project) {
	p.w.t.Helper()
	p.Open(p.w.url + "/projects/" + project.ID)
	p.Click("form[action$='/next'] button")
	p.ready("")
}

// ready waits for the form of another task than the one named, and returns the assignment's id. On a busy machine a submit or a
// reload overtakes a draft's save, which the browser then reports; what becomes of drafts has tests of its own.
func (p person) ready(other string) string {
	p.w.t.Helper()
	p.Allow("status of 412")
	p.Allow("status of 404 (Not Found) " + p.w.url + "/api/v1/assignments/")
	p.Wait(fmt.Sprintf("document.readyState === 'complete' && document.querySelector('#judgment') && document.querySelector('#judgment').dataset.assignment !== %q", other))
	return browsertest.Eval[string](p.Tab, "document.querySelector('#judgment').dataset.assignment")
}

// held is the text of the form's fields as a person sees them: the position, the labels, the comment.
func (p person) held() string {
	p.w.t.Helper()
	return browsertest.Eval[string](p.Tab, `[...document.querySelectorAll("#judgment [name]:checked")].map((f) => f.value).join(" ") + "|" + document.querySelector("#comment").value`)
}

func (p person) holds(want string) {
	p.w.t.Helper()
	if got := p.held(); got != want {
		p.w.t.Fatalf("the form holds %q, want %q", got, want)
	}
}

// judged lists a person's judgments as the store has them, the last one first.
func (p person) judged() []store.Judgment {
	p.w.t.Helper()
	judgments, err := p.w.store.History(p.w.t.Context(), p.id, store.Page{})
	if err != nil {
		p.w.t.Fatal(err)
	}
	return judgments
}

// talks makes a project whose texts look like what people work on.
func (w world) talks(p annotation.Project, talks ...talk) annotation.Project {
	w.t.Helper()
	return w.talksOf(store.Pairwise, p, talks...)
}

// talksOf is talks with tasks of a kind.
func (w world) talksOf(kind store.TaskKind, p annotation.Project, talks ...talk) annotation.Project {
	w.t.Helper()
	p = w.project(p, 0)
	for _, t := range talks {
		prompts, err := w.admin.AddPrompts(w.t.Context(), []tandem.Prompt{{Messages: t.prompt, Source: "talk"}})
		if err != nil {
			w.t.Fatal(err)
		}
		task := annotation.NewTask{Kind: kind, Prompt: prompts[0].ID}
		for i, answer := range t.answers {
			task.Responses = append(task.Responses, annotation.NewResponse{Content: answer, Model: hiddenModel,
				Sampling: &tandem.Sampling{Temperature: 1}, Sample: uint64(i), Finish: tandem.FinishStop})
		}
		if _, err := w.admin.CreateTasks(w.t.Context(), p.ID, []annotation.NewTask{task}); err != nil {
			w.t.Fatal(err)
		}
	}
	return p
}

type talk struct {
	prompt  tandem.Dialogue
	answers [2]string
}

var sourdough = talk{tandem.Dialogue{
	{Role: tandem.User, Content: "My sourdough is flat and sour. I use 500 g flour, 350 g water and a starter that I feed once a week. What goes wrong?"},
	{Role: tandem.Assistant, Content: "A starter that is fed once a week is likely too weak to raise the dough. How long does it take to double after you feed it, and how warm is your kitchen?"},
	{Role: tandem.User, Content: "About fourteen hours, and it is 18 °C here. I want to bake on Saturday morning. Please give me a plan."},
}, [2]string{
	"Fourteen hours at 18 °C means the starter is sluggish, so wake it up first.\n\n1. **Thursday evening:** feed it 1 : 2 : 2 (starter, flour, water) and keep it at 24–26 °C, for instance in the oven with only the light on.\n2. **Friday morning and afternoon:** feed it again each time it has doubled.\n3. **Friday 18:00:** mix the dough with 100 g of the ripe starter; fold four times in two hours.\n4. **Friday 23:00:** shape it and put it in the fridge.\n5. **Saturday 8:00:** bake from cold: 25 minutes with the lid on at 240 °C, 20 minutes without.\n\nIt is less sour too, since most of the acid comes from the long wait of a hungry starter.",
	"Sourdough is a wonderful tradition that goes back thousands of years! The main thing is patience. Use a good flour, feed your starter, let the dough rise until it is ready and bake it in a hot oven until it is brown. If it is too sour, you can add a spoon of sugar. Practice makes perfect, so do not give up!",
}}

var lock = talk{tandem.Dialogue{
	{Role: tandem.User, Content: "I am locked out of the flat I rent and my landlord does not pick up. How do I get in without breaking anything?"},
}, [2]string{
	"That is annoying, but it can be solved. Call a locksmith who is a member of a trade association, ask for the full price before they come, and have your ID and the rental contract ready on your phone. Ask neighbours for the caretaker's number as well: they often have a key.",
	"Take a plastic card and push it between the door and the frame at the height of the latch, then lean on the door while you bend the card away from the handle. It works on every door that is not locked by key.",
}}

var bicycle = talk{tandem.Dialogue{
	{Role: tandem.System, Content: "Answer in at most three sentences."},
	{Role: tandem.User, Content: "My bicycle's chain jumps under load, in the smallest cogs only."},
}, [2]string{
	"The smallest cogs wear out first, and a worn cog lets the chain ride up under load. Measure the chain: beyond 0.75 % of wear, change it together with the cassette, since a new chain jumps on old cogs. If it measures fine, look at the cable tension and the hanger.",
	"Put some oil on it.",
}}

var poem = talk{tandem.Dialogue{
	{Role: tandem.User, Content: "Two lines about November, please, without the word grey."},
}, [2]string{
	"The lanterns learn the street by heart,\nthe last leaf rehearses how to part.",
	"November is a month of rain,\nthe sky is grey again, again.",
}}
