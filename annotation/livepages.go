package annotation

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// livePages are what annotators see of live projects.
type livePages struct {
	api  web.API
	live *Live
	web.Pages
}

// writePage is where a prompt is written.
type writePage struct {
	store.Project
	Key     string // of the next submit
	Text    string
	Risk    tandem.RiskCategory
	Vector  tandem.AttackVector
	Problem string // why the prompt was not taken

	// After is the assignment that was judged just now, whose judgment can be undone. Dialogue is what it leads to
	// with the preferred answer, and Follows the judgment, where the dialogue can be carried on.
	After    string
	Undo     bool
	Follows  string
	Dialogue tandem.Dialogue

	clock
}

// option is one of a choice.
type option struct{ Value, Text string }

// Risks and Vectors are section 4.2.1's, in words for who writes such prompts.
func (p writePage) Risks() []option {
	return asked(p.Project, p.Project.Risks, []option{
		{string(tandem.IllicitCriminal), "illicit and criminal: theft, trafficking, terrorism"},
		{string(tandem.HatefulHarmful), "hateful and harmful: defamation, self-harm, discrimination"},
		{string(tandem.UnqualifiedAdvice), "unqualified advice: medical, financial, legal"},
	})
}

func (p writePage) Vectors() []option {
	return asked(p.Project, p.Project.Vectors, []option{
		{string(tandem.Psychological), "psychological manipulation"},
		{string(tandem.Logic), "logic manipulation: false premises"},
		{string(tandem.Syntactic), "syntactic manipulation: misspelling"},
		{string(tandem.Semantic), "semantic manipulation: metaphor"},
		{string(tandem.Perspective), "perspective manipulation: role play"},
		{string(tandem.NonEnglish), "another language than English"},
		{string(tandem.OtherVector), "another way"},
	})
}

func (writePage) Limit() int { return store.PromptLimit }

// Safety reports whether prompts say what they try.
func (p writePage) Safety() bool { return p.Aspect == tandem.Safety }

// write shows the page for a prompt. Who has one that is not judged yet is led there.
func (p livePages) write(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("HX-Request") != "" { // from the compare page: this one has a script and a style of its own
		w.Header().Set("HX-Redirect", r.URL.RequestURI())
		return nil
	}
	page, err := p.open(r, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if !page.Source.Written() {
		return see(w, r, "/projects/"+page.ID)
	}
	pending, err := p.live.store.PendingTurn(r.Context(), me(r), page.ID)
	switch {
	case err == nil && pending.Assignment != "":
		return see(w, r, "/assignments/"+pending.Assignment)
	case err == nil:
		return see(w, r, "/turns/"+pending.ID)
	case tandem.CodeOf(err) != tandem.NotFound:
		return err
	}
	q := r.URL.Query()
	page.Undo = q.Get("after") != ""
	if err := p.follow(r.Context(), &page, me(r), q.Get("after"), q.Get("from")); err != nil {
		return err
	}
	return p.showWrite(w, r, http.StatusOK, page)
}

// open reads the project of a page.
func (p livePages) open(r *http.Request, id string) (writePage, error) {
	project, err := p.live.store.Project(r.Context(), id)
	page := writePage{Project: project, Key: newKey()}
	if err == nil {
		page.clock, err = clockOf(r.Context(), p.live.store, project, me(r))
	}
	return page, err
}

func (p livePages) showWrite(w http.ResponseWriter, r *http.Request, status int, page writePage) error {
	return p.api.Render(w, r, status, p.Pages["live.html"], page.Name, page)
}

// follow reads the dialogue that the prompt may carry on: that of the assignment after, judged by its annotator,
// or of the turn from, which was given up and is written again.
func (p livePages) follow(ctx context.Context, page *writePage, annotator, after, from string) error {
	if from != "" {
		turn, err := p.live.store.LiveTurn(ctx, annotator, from)
		if err != nil {
			return err
		}
		if turn.ProjectID != page.ID {
			return tandem.Errorf(tandem.NotFound, "annotation.live", "there is no turn %s in this project", from)
		}
		last := len(turn.Prompt.Messages) - 1
		page.Dialogue, page.Text, page.Follows = turn.Prompt.Messages[:last], turn.Prompt.Messages[last].Content, turn.Follows
		page.Risk, page.Vector = turn.Prompt.Risk, turn.Prompt.Vector
		return nil
	}
	if after == "" {
		return nil
	}
	page.After = after
	assignment, err := p.live.store.Assignment(ctx, annotator, after)
	if err != nil {
		return err
	}
	judged, err := p.live.store.OwnJudgment(ctx, annotator, after)
	if err != nil || assignment.ProjectID != page.ID || judged.Kind == store.Ranking {
		return err
	}
	goOn := judged.Verdict.Chosen
	if judged.Kind == store.Rating {
		goOn = assignment.Responses[0].ID
	}
	for _, response := range assignment.Responses {
		if response.ID == goOn {
			page.Dialogue, page.Follows = assignment.Prompt.Messages.With(tandem.Assistant, response.Content), judged.ID
			page.Risk, page.Vector = assignment.Prompt.Risk, assignment.Prompt.Vector
		}
	}
	return nil
}

// begin keeps the prompt of the form. One that is refused comes back as it was written, with what is wrong.
func (p livePages) begin(w http.ResponseWriter, r *http.Request) error {
	n := store.NewTurn{Annotator: me(r), Project: chi.URLParam(r, "id"), Key: r.PostFormValue("key"), Text: r.PostFormValue("text"), Follows: r.PostFormValue("follows"),
		Risk: tandem.RiskCategory(r.PostFormValue("risk")), Vector: tandem.AttackVector(r.PostFormValue("vector"))}
	turn, err := p.live.begin(r.Context(), n)
	if err == nil {
		return see(w, r, "/turns/"+turn.ID)
	}
	switch tandem.CodeOf(err) {
	case tandem.Invalid, tandem.Conflict, tandem.Forbidden, tandem.Unavailable:
	default:
		return err
	}
	problem := web.ProblemOf(err)
	page, openErr := p.open(r, n.Project)
	if openErr != nil {
		return err
	}
	after, from := r.PostFormValue("after"), ""
	if after == "" && n.Follows != "" {
		from = r.PostFormValue("from")
	}
	if followErr := p.follow(r.Context(), &page, me(r), after, from); followErr != nil {
		return err
	}
	page.Text, page.Risk, page.Vector, page.Problem = n.Text, n.Risk, n.Vector, sentence(problem.Detail)
	if page.Follows == "" {
		page.Follows = n.Follows
	}
	return p.showWrite(w, r, problem.Status, page)
}

// sentence is a domain's error as a page says it.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// turnPage is where one watches the answers come.
type turnPage struct {
	store.Project
	Turn
	clock
}

// Side names the place of the i-th answer, as the compare page does.
func (p turnPage) Side(i int) string {
	if len(p.Answers) == 1 {
		return "The answer"
	}
	return comparePage{Assignment: store.Assignment{Kind: store.Pairwise}}.Side(i)
}

// Over reports whether nothing more comes by itself.
func (p turnPage) Over() bool { return p.State == TurnFailed }

// turn shows a prompt with its answers as far as they are written. When both are there it leads to their comparison.
func (p livePages) turn(w http.ResponseWriter, r *http.Request) error {
	t, err := p.live.store.LiveTurn(r.Context(), me(r), chi.URLParam(r, "id"))
	switch {
	case err != nil:
		return err
	case t.Assignment != "":
		return see(w, r, "/assignments/"+t.Assignment)
	case t.Abandoned:
		return see(w, r, "/projects/"+t.ProjectID+"/live?from="+t.ID)
	}
	project, err := p.live.store.Project(r.Context(), t.ProjectID)
	if err != nil {
		return err
	}
	time, err := clockOf(r.Context(), p.live.store, project, me(r))
	if err != nil {
		return err
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["turn.html"], project.Name, turnPage{project, p.live.turnOf(t), time})
}

func (p livePages) redraw(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	if err := p.live.redraw(r.Context(), me(r), id); err != nil && tandem.CodeOf(err) != tandem.Conflict { // it went on by itself: the page says how
		return err
	}
	return see(w, r, "/turns/"+id)
}

func (p livePages) abandon(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	if err := p.live.abandon(r.Context(), me(r), id); err != nil && tandem.CodeOf(err) != tandem.Conflict {
		return err
	}
	return see(w, r, "/turns/"+id)
}
