package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type reviewStore interface {
	Review(ctx context.Context, q store.ReviewQuery) ([]store.Reviewed, error)
	Materials(ctx context.Context, tasks []string) (map[string]store.Material, error)
	SendBack(ctx context.Context, q store.ReviewQuery, reason, by string) (int, error)
	TakeBackAll(ctx context.Context, q store.ReviewQuery, reason, by string) (int, error)
	ExcludeAll(ctx context.Context, q store.ReviewQuery, excluded bool, reason, by string) (int, error)
}

// mostReviewed is how many judgments stand on a page.
const mostReviewed = 25

// reviewPage is a project's judgments, one by one, for who decides on them.
type reviewPage struct {
	wording
	Project   store.Project
	People    []string // pseudonyms of who judged here
	Batches   []int    // with judgments
	Annotator string
	Batch     int
	State     string // counting, returned, excluded; empty for all
	web.List[reviewed]
	After string

	Marked     map[string]bool // judgments, by id
	Everything bool            // that the filter lets through, on other parts of the list too
	Reason     string
	Problem    string
	Done       string
}

// reviewed is a judgment with what it is of.
type reviewed struct {
	store.Reviewed
	Prompt  tandem.Dialogue
	Answers []Answer // by id
}

// Letter names the answers, A the first.
func (j reviewed) Letter(id string) string { return letterOf(j.Answers, id) }

// Said is the judgment in words.
func (j reviewed) Said() string {
	v := j.Verdict
	switch j.Kind {
	case store.Rating:
		if j.RedTeam {
			return fmt.Sprintf("%d of 5: %s", v.Rating, tandem.SafetyRating(v.Rating))
		}
		return fmt.Sprintf("%d of 7", v.Rating)
	case store.SideBySide: // by the answers' ids, as the letters are
		return [...]string{"A much better", "A better", "A slightly better", "about the same", "B slightly better", "B better", "B much better"}[v.Rating-1]
	case store.Ranking:
		places := make([]string, len(v.Ranking))
		for i, tied := range v.Ranking {
			letters := make([]string, len(tied))
			for k, id := range tied {
				letters[k] = j.Letter(id)
			}
			places[i] = strings.Join(letters, " = ")
		}
		return strings.Join(places, " > ")
	}
	side := "right"
	if len(j.Shown) > 0 && j.Shown[0] == v.Chosen {
		side = "left"
	}
	return fmt.Sprintf("%s %s, stood %s", j.Letter(v.Chosen), words(v.Degree.String()), side)
}

// Labels are the safety labels that they gave, in words; empty without any.
func (j reviewed) Labels() string {
	var said []string
	for _, a := range j.Answers {
		if label := j.Verdict.Labels[a.ID]; label != "" {
			said = append(said, j.Letter(a.ID)+" "+string(label))
		}
	}
	return strings.Join(said, ", ")
}

// Narrowed reports whether everything that the filter lets through is less than all, which nobody means.
func (p reviewPage) Narrowed() bool { return p.Annotator != "" || p.Batch > 0 }

// AnyReturned reports whether something on the page was sent back and waits for an answer, which can be withdrawn.
func (p reviewPage) AnyReturned() bool {
	return slices.ContainsFunc(p.Items, func(j reviewed) bool { return j.Returned != nil })
}

// filter is the part of an address that says what is shown.
func (p reviewPage) filter() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"annotator": p.Annotator, "state": p.State} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if p.Batch > 0 {
		v.Set("batch", strconv.Itoa(p.Batch))
	}
	return v
}

// Older is where the next part of the list is.
func (p reviewPage) Older() string {
	v := p.filter()
	v.Set("after", p.Next)
	return "?" + v.Encode()
}

// query selects what the page shows.
func (p reviewPage) query() store.ReviewQuery {
	q := store.ReviewQuery{Project: p.Project.ID, Annotator: p.Annotator, Batch: p.Batch}
	switch p.State {
	case "counting":
		q.Excluded = new(false)
	case "excluded":
		q.Excluded = new(true)
	case "returned":
		q.Returned = new(true)
	}
	return q
}

// readReview reads which judgments an address or a form asks for.
func (p annotationPages) readReview(r *http.Request) (page reviewPage, err error) {
	page = reviewPage{Annotator: r.FormValue("annotator"), State: r.FormValue("state"), After: r.FormValue("after"), Marked: make(map[string]bool)}
	if batch := r.FormValue("batch"); batch != "" {
		if page.Batch, err = strconv.Atoi(batch); err != nil || page.Batch < 0 || page.Batch > 1<<30 {
			return page, tandem.Errorf(tandem.Invalid, "dashboard.review", "There is no batch %q.", batch)
		}
	}
	page.Project, err = p.store.Project(r.Context(), chi.URLParam(r, "id"))
	return page, err
}

func (p annotationPages) review(w http.ResponseWriter, r *http.Request) error {
	page, err := p.readReview(r)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil {
		page.Done = decided(r.URL.Query().Get("done"), n)
	}
	return p.showReview(w, r, http.StatusOK, page)
}

// decided says what was done to n judgments.
func decided(done string, n int) string {
	judgments := fmt.Sprintf("%d judgments were", n)
	if n == 1 {
		judgments = "1 judgment was"
	}
	switch {
	case n == 0:
		return "That was so already."
	case done == "return":
		return judgments + " sent back: their annotators see it when they come next. Until they are revised, they count as they are."
	case done == "withdraw":
		return judgments + " not sent back any more: nobody is asked to revise them."
	case done == "exclude":
		return judgments + " excluded."
	case done == "include":
		return judgments + " taken in again."
	}
	return ""
}

func (p annotationPages) showReview(w http.ResponseWriter, r *http.Request, status int, page reviewPage) error {
	ctx := r.Context()
	q := page.query()
	q.Page = store.Page{After: page.After, Limit: mostReviewed}
	found, err := p.store.Review(ctx, q)
	if err != nil {
		return err
	}
	tasks := make([]string, len(found))
	for i, j := range found {
		tasks[i] = j.TaskID
	}
	materials, err := p.store.Materials(ctx, tasks)
	if err != nil {
		return err
	}
	rows := make([]reviewed, len(found))
	for i, j := range found {
		m := materials[j.TaskID]
		rows[i] = reviewed{Reviewed: j, Prompt: m.Prompt}
		for _, answer := range m.Responses {
			rows[i].Answers = append(rows[i].Answers, Answer{answer.ID, answer.Content})
		}
	}
	page.List = web.ListOf(rows, mostReviewed, func(j reviewed) string { return j.ID })
	choices, err := p.choices(ctx, page.Project.ID)
	if err != nil {
		return err
	}
	for _, person := range choices.bias.People {
		page.People = append(page.People, person.Annotator)
	}
	if page.Annotator != "" && !slices.Contains(page.People, page.Annotator) {
		page.People = append(page.People, page.Annotator)
	}
	slices.Sort(page.People)
	for _, batch := range choices.shares.Batches {
		if batch.Batch > 0 {
			page.Batches = append(page.Batches, batch.Batch)
		}
	}
	return p.api.Render(w, r, status, p.Pages["review.html"], "Review · "+page.Project.Name, page)
}

// decideMany does to the judgments that are marked, or to all that the filter lets through, what the button says.
func (p annotationPages) decideMany(w http.ResponseWriter, r *http.Request) error {
	page, err := p.readReview(r)
	if err != nil {
		return err
	}
	page.Reason, page.Everything = strings.TrimSpace(r.PostFormValue("reason")), r.PostFormValue("everything") != ""
	marked := r.PostForm["judgment"]
	for _, id := range marked {
		page.Marked[id] = true
	}
	what := r.PostFormValue("do")
	n, err := p.decide(r.Context(), page, marked, what)
	switch tandem.CodeOf(err) {
	case "":
		to := page.filter()
		to.Set("done", what)
		to.Set("n", strconv.Itoa(n))
		http.Redirect(w, r, r.URL.Path+"?"+to.Encode(), http.StatusSeeOther)
		return nil
	case tandem.Invalid, tandem.Stale, tandem.NotFound, tandem.Conflict:
		problem := web.ProblemOf(err)
		page.Problem = problem.Detail
		return p.showReview(w, r, problem.Status, page)
	}
	return err
}

// decide does what a form asks for, to how many judgments it says.
func (p annotationPages) decide(ctx context.Context, page reviewPage, marked []string, what string) (int, error) {
	const op = "dashboard.decide"
	q := page.query()
	switch {
	case page.Everything && !page.Narrowed():
		return 0, tandem.Errorf(tandem.Invalid, op, "Choose an annotator or a batch first: all judgments of a project are too many for one decision.")
	case !page.Everything && len(marked) == 0:
		return 0, tandem.Errorf(tandem.Invalid, op, "Mark the judgments that you mean.")
	case page.Reason == "":
		return 0, tandem.Errorf(tandem.Invalid, op, "Say why.")
	case !page.Everything:
		q = store.ReviewQuery{Project: page.Project.ID, Judgments: marked}
	}
	by := web.Caller(ctx).Actor()
	switch what {
	case "return":
		return p.store.SendBack(ctx, q, page.Reason, by)
	case "withdraw":
		return p.store.TakeBackAll(ctx, q, page.Reason, by)
	case "exclude":
		return p.store.ExcludeAll(ctx, q, true, page.Reason, by)
	case "include":
		return p.store.ExcludeAll(ctx, q, false, page.Reason, by)
	}
	return 0, tandem.Errorf(tandem.Invalid, op, "Choose what to do.")
}
