package annotation

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// comparePage is a task with its form: empty, as a draft left it, or as it was judged.
type comparePage struct {
	store.Assignment
	Project  store.Project
	Form     form
	Key      string // of the next submit
	Version  int    // that a submit revises, 0 for a first judgment
	Revision int    // of the draft
	After    string // the assignment that was judged before, which can be undone
	Flagged  bool
	Lost     bool   // the lease ran out: a submit is kept all the same
	Problem  string // why the form was not taken

	Told *store.GoldAnswer // of the judgment before, in a qualification

	clock
}

// form is what a person has entered. A draft holds it as JSON.
type form struct {
	Position int                           `json:"position,omitempty"` // pairwise: 1 to 8 from left to right
	Rating   int                           `json:"rating,omitempty"`   // side by side: from left to right
	Places   map[string]int                `json:"places,omitempty"`   // ranking: the place of an answer, from 1
	Labels   map[string]tandem.SafetyLabel `json:"labels,omitempty"`   // by answer
	Comment  string                        `json:"comment,omitempty"`
}

// position is one of the eight places of the scale between two answers.
type position struct {
	Number int
	Left   bool
	Degree tandem.Degree
}

// Words is what a position says, such as "left significantly better".
func (p position) Words() string {
	side := "right"
	if p.Left {
		side = "left"
	}
	return side + " " + p.How()
}

// How is the degree alone, as the scale shows it: who says what they read there means the position.
func (p position) How() string {
	if p.Degree == tandem.NegligiblyBetter {
		return "negligibly better or unsure"
	}
	return strings.ReplaceAll(p.Degree.String(), "_", " ")
}

// Scale lists the eight positions of a comparison from left to right (section 3.2.1's four degrees for
// either side).
func (comparePage) Scale() []position {
	var scale []position
	degrees := tandem.Degrees()
	for i := range degrees {
		scale = append(scale, position{i + 1, true, degrees[len(degrees)-1-i]})
	}
	for i, degree := range degrees {
		scale = append(scale, position{len(degrees) + i + 1, false, degree})
	}
	return scale
}

// Side names the place of the i-th answer, as the scale and the keys do.
func (p comparePage) Side(i int) string {
	if p.Kind == store.Pairwise || p.Kind == store.SideBySide {
		return [...]string{"Left", "Right"}[i]
	}
	if p.Attacking {
		return "The answer"
	}
	return fmt.Sprintf("Answer %d", i+1)
}

// Lease and HeldFor are for how long the task is held at a time, and from now on, in seconds.
func (p comparePage) Lease() float64 { return p.Project.Lease.Seconds() }

func (p comparePage) HeldFor() float64 { return max(0, time.Until(p.Until).Seconds()) }

// Safety reports whether every answer wants a label. One to an attack is rated instead.
func (p comparePage) Safety() bool { return p.Aspect == tandem.Safety && !p.Attacking }

// Levels are what an answer to an attack can be rated.
func (comparePage) Levels() []tandem.SafetyRating { return tandem.SafetyRatings() }

// Ratings lists what a rating can be.
func (comparePage) Ratings() []int { return []int{1, 2, 3, 4, 5, 6, 7} }

// SkipReasons and FlagReasons are the usual ones.
func (comparePage) SkipReasons() []string {
	return []string{"cannot judge the topic", "language I do not know", "both answers are broken", "too distressing"}
}

func (comparePage) FlagReasons() []string {
	return []string{"personal data", "not covered by the guideline", "broken text", "should not be in this project"}
}

// point is one of the seven of the scale between two models' answers.
type point struct {
	Number int
	Words  string
}

// pointWords are what the points say, from left to right (appendix A.3.7).
var pointWords = [...]string{"left much better", "left better", "left slightly better", "about the same", "right slightly better", "right better", "right much better"}

// Points lists them.
func (comparePage) Points() []point {
	points := make([]point, len(pointWords))
	for i, words := range pointWords {
		points[i] = point{i + 1, words}
	}
	return points
}

// How is what a point says without its side, which stands above the scale.
func (p point) How() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.Words, "left "), "right ")
}

// facing turns a rating of two answers from the order in which they are shown, by their ids, to that of their ids, and back.
func facing(rating int, left, right string) int {
	if rating == 0 || len(left) < len(right) || len(left) == len(right) && left < right { // numbers, as text
		return rating
	}
	return len(pointWords) + 1 - rating
}

// verdict is what the form says of the answers in the order in which they were shown.
func (f form) verdict(a store.Assignment, attack bool) (store.Verdict, error) {
	v := store.Verdict{Rating: f.Rating, Labels: f.Labels, Comment: f.Comment}
	wrong := func(words string) (store.Verdict, error) {
		return v, tandem.Errorf(tandem.Invalid, "annotation.form", "%s", words)
	}
	if a.Aspect == tandem.Safety && !attack && len(f.Labels) < len(a.Responses) {
		return wrong("Say of each answer whether it is safe or unsafe.")
	}
	switch a.Kind {
	case store.Pairwise:
		if f.Position < 1 || f.Position > 8 {
			return wrong("Choose which answer is better, and by how much.")
		}
		p := comparePage{}.Scale()[f.Position-1]
		v.Degree, v.Chosen, v.Rejected = p.Degree, a.Responses[0].ID, a.Responses[1].ID
		if !p.Left {
			v.Chosen, v.Rejected = v.Rejected, v.Chosen
		}
	case store.Rating:
		if f.Rating == 0 {
			return wrong("Choose a rating.")
		}
	case store.SideBySide:
		if f.Rating < 1 || f.Rating > len(pointWords) {
			return wrong("Choose which answer is better, and by how much, or that they are about the same.")
		}
		v.Rating = facing(f.Rating, a.Responses[0].ID, a.Responses[1].ID)
	case store.Ranking:
		places := make([][]string, len(a.Responses))
		for _, r := range a.Responses {
			place := f.Places[r.ID]
			if place < 1 || place > len(places) {
				return wrong("Give every answer a place.")
			}
			places[place-1] = append(places[place-1], r.ID)
		}
		for _, place := range places {
			if len(place) > 0 {
				v.Ranking = append(v.Ranking, place)
			}
		}
	}
	return v, nil
}

// formOf is the form that would say v.
func formOf(v store.Verdict, a store.Assignment) form {
	f := form{Rating: v.Rating, Labels: v.Labels, Comment: v.Comment}
	if a.Kind == store.SideBySide {
		f.Rating = facing(v.Rating, a.Responses[0].ID, a.Responses[1].ID)
	}
	for i, place := range v.Ranking {
		for _, id := range place {
			if f.Places == nil {
				f.Places = make(map[string]int)
			}
			f.Places[id] = i + 1
		}
	}
	for _, p := range (comparePage{}).Scale() {
		if a.Kind == store.Pairwise && p.Degree == v.Degree && p.Left == (v.Chosen == a.Responses[0].ID) {
			f.Position = p.Number
		}
	}
	return f
}

// said is what a judgment says, in words. Which answer stood left it knows from the order that was shown.
func said(j store.Judgment) string {
	switch {
	case j.RedTeam:
		return fmt.Sprintf("%d of 5: %s", j.Verdict.Rating, tandem.SafetyRating(j.Verdict.Rating))
	case j.Kind == store.Rating:
		return fmt.Sprintf("%d of 7", j.Verdict.Rating)
	case j.Kind == store.Ranking || len(j.Shown) == 0:
		return "a ranking"
	}
	words := ""
	if j.Kind == store.SideBySide {
		words = pointWords[facing(j.Verdict.Rating, j.Shown[0], j.Shown[1])-1]
	} else {
		words = position{Left: j.Verdict.Chosen == j.Shown[0], Degree: j.Verdict.Degree}.Words()
	}
	for i, side := range [...]string{"left", "right"} {
		if label := j.Verdict.Labels[j.Shown[i]]; label != "" {
			words += fmt.Sprintf(", %s %s", side, label)
		}
	}
	return words
}

// read takes the form from a request.
func (f *form) read(r *http.Request, a store.Assignment) {
	f.Position, _ = strconv.Atoi(r.PostFormValue("position")) // what is no number was not chosen
	f.Rating, _ = strconv.Atoi(r.PostFormValue("rating"))
	f.Comment = strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("comment"), "\r\n", "\n"))
	for _, response := range a.Responses {
		if label := tandem.SafetyLabel(r.PostFormValue("label-" + response.ID)); label != "" {
			if f.Labels == nil {
				f.Labels = make(map[string]tandem.SafetyLabel)
			}
			f.Labels[response.ID] = label
		}
		if place, err := strconv.Atoi(r.PostFormValue("place-" + response.ID)); err == nil {
			if f.Places == nil {
				f.Places = make(map[string]int)
			}
			f.Places[response.ID] = place
		}
	}
}

// compare shows a task: to be judged, or as one judged it, to be revised.
func (p pages) compare(w http.ResponseWriter, r *http.Request) error {
	page, err := p.open(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	page.Flagged = q.Get("flagged") != ""
	if _, err := strconv.ParseUint(q.Get("after"), 10, 63); err == nil { // a path would lead the button elsewhere
		page.After = q.Get("after")
	}
	if page.Told, err = p.told(r, page.Project, page.After); err != nil {
		return err
	}
	w.Header().Set("HX-Push-Url", r.URL.RequestURI())
	return p.show(w, r, http.StatusOK, page)
}

// open reads the task of a request and what was entered so far.
func (p pages) open(r *http.Request) (comparePage, error) {
	ctx := r.Context()
	page := comparePage{Key: newKey()}
	var err error
	if page.Assignment, err = p.store.Assignment(ctx, me(r), chi.URLParam(r, "id")); err != nil {
		return page, err
	}
	if page.Project, err = p.store.Project(ctx, page.ProjectID); err != nil {
		return page, err
	}
	if page.clock, err = clockOf(ctx, p.store, page.Project, me(r)); err != nil {
		return page, err
	}
	draft, err := p.store.Draft(ctx, me(r), page.Assignment.ID)
	switch {
	case err == nil && !draft.Closed:
		page.Revision = draft.Revision
		if err := json.Unmarshal(draft.Body, &page.Form); err != nil { // another client's draft: keep it, show none
			page.Form = form{}
		}
		page.Lost = page.Until.IsZero()
		return page, nil
	case err != nil && tandem.CodeOf(err) != tandem.NotFound:
		return page, err
	}
	judged, err := p.store.OwnJudgment(ctx, me(r), page.Assignment.ID)
	switch {
	case err == nil:
		page.Version, page.Form = judged.Version, formOf(judged.Verdict, page.Assignment)
	case tandem.CodeOf(err) == tandem.NotFound:
		page.Lost = page.Until.IsZero()
	default:
		return page, err
	}
	return page, nil
}

func (p pages) show(w http.ResponseWriter, r *http.Request, status int, page comparePage) error {
	title := page.Project.Name
	if page.Version > 0 {
		title = "Revise a judgment"
	}
	return p.api.Render(w, r, status, p.Pages["compare.html"], title, page)
}

// judge keeps what the form says and goes on to the next task, or back to the history after a revision. A form
// that says too little comes back as it was, with what is missing.
func (p pages) judge(w http.ResponseWriter, r *http.Request) error {
	page, err := p.open(r)
	if err != nil {
		return err
	}
	page.Form = form{}
	page.Form.read(r, page.Assignment)
	verdict, err := page.Form.verdict(page.Assignment, page.Attacking)
	if err == nil {
		err = p.keep(r, page, verdict)
	}
	switch code := tandem.CodeOf(err); {
	case err == nil:
	case code == tandem.Invalid || code == tandem.Stale || code == tandem.Conflict && page.Version > 0:
		page.Problem = web.ProblemOf(err).Detail
		switch code {
		case tandem.Stale:
			page.Problem = "You revised this judgment elsewhere in the meantime, and that version was kept. Look at both, and send this again if it is the one that you mean."
		case tandem.Conflict: // the first try came through although its answer did not, or another tab was quicker
			page.Problem = "You judged this already, and that was kept. Send this again if it is what you mean: it becomes a new version."
		}
		w.Header().Set("HX-Push-Url", "/assignments/"+page.Assignment.ID)
		return p.show(w, r, http.StatusUnprocessableEntity, page)
	default:
		return err
	}
	if r.PostFormValue("version") != "" {
		return see(w, r, "/history?revised="+page.Assignment.ID)
	}
	return p.goOn(w, r, page.ProjectID, page.Assignment.ID)
}

// keep submits a verdict, or revises the version that the form names.
func (p pages) keep(r *http.Request, page comparePage, verdict store.Verdict) error {
	seconds, err := strconv.ParseFloat(r.PostFormValue("seconds"), 64)
	if err != nil || !(seconds >= 0 && seconds <= 7*24*3600) {
		seconds = 0 // without JavaScript nobody measured it
	}
	guideline, _ := strconv.ParseInt(r.PostFormValue("guideline"), 10, 32) // none for a project without one
	submission := store.Submission{
		Annotator: me(r), Assignment: page.Assignment.ID, Key: r.PostFormValue("key"), Verdict: verdict, Guideline: int(guideline),
		Duration: time.Duration(seconds * float64(time.Second)),
	}
	if text := r.PostFormValue("version"); text != "" {
		version, convErr := strconv.Atoi(text)
		if convErr != nil {
			return tandem.Errorf(tandem.Invalid, "annotation.judge", "There is no version %q.", text)
		}
		_, err = p.store.Revise(r.Context(), submission, version)
	} else {
		_, err = p.store.Submit(r.Context(), submission)
	}
	return err
}

// undo takes one's last judgment back and shows it again, as it was.
func (p pages) undo(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	assignment, err := p.store.Assignment(r.Context(), me(r), id)
	if err != nil {
		return err
	}
	judged, err := p.store.OwnJudgment(r.Context(), me(r), id)
	if err != nil {
		return err
	}
	draft, err := json.Marshal(formOf(judged.Verdict, assignment))
	if err != nil {
		return tandem.Errorf(tandem.Internal, "annotation.undo", "%w", err)
	}
	if err := p.store.Undo(r.Context(), me(r), id, draft); err != nil {
		return err
	}
	return see(w, r, "/assignments/"+id)
}
