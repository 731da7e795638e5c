package annotation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// turnStore keeps what people write in live projects, and what it leads to.
type turnStore interface {
	Project(ctx context.Context, id string) (store.Project, error)
	Assignment(ctx context.Context, annotator, id string) (store.Assignment, error)
	OwnJudgment(ctx context.Context, annotator, assignment string) (store.Judgment, error)
	BeginTurn(ctx context.Context, n store.NewTurn) (store.LiveTurn, error)
	LiveTurn(ctx context.Context, annotator, id string) (store.LiveTurn, error)
	PendingTurn(ctx context.Context, annotator, projectID string) (store.LiveTurn, error)
	AbandonTurn(ctx context.Context, annotator, id string) error
	RedrawTurn(ctx context.Context, annotator, id string, seed uint64) error
}

// TurnState says how far a turn is.
type TurnState string

const (
	TurnWaiting   TurnState = "waiting"   // for its place in the queue
	TurnSampling  TurnState = "sampling"  // an answer is written
	TurnFailed    TurnState = "failed"    // it goes on with another draw, or is given up
	TurnAnswered  TurnState = "answered"  // there is a comparison to judge
	TurnAbandoned TurnState = "abandoned" // its author gave it up
)

// Turn is a prompt that an annotator wrote, and what has become of it. It is blind: neither who answers nor how is
// in it.
type Turn struct {
	ID          string     `json:"id"`
	Project     string     `json:"project_id"`
	Prompt      []Message  `json:"prompt" doc:"The dialogue up to what was written."`
	Follows     string     `json:"follows,omitempty" doc:"The judgment whose preferred answer it goes on from."`
	State       TurnState  `json:"state" enum:"waiting,sampling,failed,answered,abandoned"`
	Ahead       int        `json:"ahead" doc:"How many answers come before the first of these."`
	WaitSeconds float64    `json:"wait_seconds" doc:"How long that is expected to take."`
	Says        string     `json:"says" doc:"The state in words, for who waits."`
	Answers     [2]Written `json:"answers" doc:"Left and right, as far as they are written."`
	Assignment  string     `json:"assignment_id,omitempty" doc:"The comparison of the two answers, once both are there: it is judged like any other."`
	CreatedAt   time.Time  `json:"created_at"`
}

// Written is one of a turn's answers as far as it is there.
type Written struct {
	State   store.AnswerState `json:"state" enum:"waiting,sampling,failed,done"`
	Content string            `json:"content"`
}

// turnOf shows a turn with what is written of it at this moment.
func (l *Live) turnOf(t store.LiveTurn) Turn {
	out := Turn{ID: t.ID, Project: t.ProjectID, Follows: t.Follows, State: stateOf(t), Assignment: t.Assignment, CreatedAt: t.CreatedAt}
	for _, m := range t.Prompt.Messages {
		out.Prompt = append(out.Prompt, Message{m.Role, m.Content})
	}
	texts, _ := l.watched.read(t.ID)
	for i, a := range t.Answers {
		out.Answers[i] = Written{a.State, a.Content}
		if a.State == store.AnswerSampling {
			out.Answers[i].Content = texts[i]
		}
	}
	if out.State == TurnWaiting {
		out.Ahead = t.Ahead
		out.WaitSeconds = l.pace.wait(t.Ahead, l.config.AtOnce).Seconds()
	}
	out.Says = says(t, out)
	return out
}

func stateOf(t store.LiveTurn) TurnState {
	switch {
	case t.Abandoned:
		return TurnAbandoned
	case t.Assignment != "":
		return TurnAnswered
	case t.Failed():
		return TurnFailed
	}
	for _, a := range t.Answers {
		if a.State == store.AnswerSampling || a.State == store.AnswerDone {
			return TurnSampling
		}
	}
	return TurnWaiting
}

// says is a turn's state in words that give nothing away.
func says(t store.LiveTurn, out Turn) string {
	count := make(map[store.AnswerState]int)
	for _, a := range t.Answers {
		count[a.State]++
	}
	switch out.State {
	case TurnAbandoned:
		return "You gave this prompt up."
	case TurnAnswered:
		return "Both answers are there."
	case TurnFailed:
		return whyFailed(t)
	case TurnWaiting:
		if out.Ahead == 0 {
			return "Your prompt is kept; its answers come next."
		}
		noun := "answers are"
		if out.Ahead == 1 {
			noun = "answer is"
		}
		return fmt.Sprintf("Your prompt is kept. %d %s written before yours: %s.", out.Ahead, noun, about(out.WaitSeconds))
	}
	switch {
	case count[store.AnswerSampling] == 2:
		return "Both answers are being written."
	case count[store.AnswerDone] == 1 && count[store.AnswerSampling] == 1:
		return "One answer is there, the other is being written."
	case count[store.AnswerDone] == 1:
		return "One answer is there, the other waits for its turn."
	}
	return "One answer is being written, the other waits for its turn."
}

// whyFailed says plainly why a turn does not go on, as far as its author may know.
func whyFailed(t store.LiveTurn) string {
	why := ""
	for _, a := range t.Answers {
		if a.State != store.AnswerFailed {
			continue
		}
		code, _, _ := strings.Cut(a.Error, ":")
		switch tandem.Code(code) {
		case tandem.Conflict:
			why = "The answers came out empty or both the same, so that there is nothing to compare."
		case tandem.Invalid, tandem.Unsupported:
			why = "What was drawn to answer cannot take this dialogue; perhaps it is too long for it."
		default:
			why = "What was drawn to answer does not answer, although it was tried again."
		}
	}
	return why + " Your prompt is kept."
}

// about is a wait in words.
func about(seconds float64) string {
	switch {
	case seconds < 10:
		return "a few seconds"
	case seconds < 90:
		return fmt.Sprintf("about %d seconds", int(seconds/10+0.5)*10)
	}
	return fmt.Sprintf("about %d minutes", int(seconds/60+0.5))
}

// NewTurn is a prompt to be answered.
type NewTurn struct {
	Text    string              `json:"text" minLength:"1" maxLength:"8000" doc:"What the annotator says."`
	Follows string              `json:"follows,omitempty" doc:"The judgment, one's own, whose preferred answer it goes on from; none for a new dialogue."`
	Risk    tandem.RiskCategory `json:"risk_category,omitempty" enum:"illicit_and_criminal,hateful_and_harmful,unqualified_advice" doc:"Required in a safety project."`
	Vector  tandem.AttackVector `json:"attack_vector,omitempty" enum:"psychological,logic,syntactic,semantic,perspective,non_english,other" doc:"Required in a safety project."`
}

// BeginInput is the request that brings a prompt.
type BeginInput struct {
	web.PathID
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"200" doc:"Drawn by the client, once a prompt: repeating the request with it returns the turn that was begun."`
	Body NewTurn
}

type turnOutput struct{ Body Turn }

// begin keeps a prompt and has it answered.
func (l *Live) begin(ctx context.Context, n store.NewTurn) (store.LiveTurn, error) {
	n.Seed = l.config.Seed()
	turn, err := l.store.BeginTurn(ctx, n)
	if err == nil {
		l.look()
	}
	return turn, err
}

// redraw has a turn's failed answers given by others.
func (l *Live) redraw(ctx context.Context, annotator, id string) error {
	err := l.store.RedrawTurn(ctx, annotator, id, l.config.Seed())
	if err == nil {
		l.watched.changed(id)
		l.look()
	}
	return err
}

func (l *Live) abandon(ctx context.Context, annotator, id string) error {
	err := l.store.AbandonTurn(ctx, annotator, id)
	if err == nil {
		l.watched.changed(id)
	}
	return err
}

// RegisterLive adds the operations and pages of live projects and of the variants that answer in them.
func RegisterLive(api web.API, l *Live) error {
	parsed, err := web.ParsePages(files)
	if err != nil {
		return err
	}
	p := livePages{api, l, parsed}
	registerTurns(api, l)
	registerVariants(api, l)
	p.registerVariantPages()
	api.Page(http.MethodGet, "/projects/{id}/live", annotators, p.write)
	api.Page(http.MethodPost, "/projects/{id}/live", annotators, p.begin)
	api.Page(http.MethodGet, "/turns/{id}", annotators, p.turn)
	api.Page(http.MethodGet, "/turns/{id}/events", annotators, p.events)
	api.Page(http.MethodPost, "/turns/{id}/redraw", annotators, p.redraw)
	api.Page(http.MethodPost, "/turns/{id}/abandon", annotators, p.abandon)
	return nil
}

func registerTurns(api web.API, l *Live) {
	annotate := web.Scopes{store.ScopeAnnotate}
	read := func(ctx context.Context, id string) (*turnOutput, error) {
		t, err := l.store.LiveTurn(ctx, web.Caller(ctx).Annotator, id)
		if err != nil {
			return nil, err
		}
		return &turnOutput{l.turnOf(t)}, nil
	}
	web.Register(api, annotate, huma.Operation{
		OperationID: "begin-turn", Method: http.MethodPost, Path: "/api/v1/projects/{id}/turns", DefaultStatus: http.StatusCreated,
		Summary: "Write a prompt in a live project", Tags: []string{"live"},
		Description: "It is kept, and then answered twice: by two different model variants at two temperatures, which nothing tells. " +
			"The problem conflict says that the answers to one's last prompt come first, or that the key came with another prompt before.",
	}, func(ctx context.Context, in *BeginInput) (*turnOutput, error) {
		t, err := l.begin(ctx, store.NewTurn{Annotator: web.Caller(ctx).Annotator, Project: in.ID, Key: in.Key, Text: in.Body.Text,
			Follows: in.Body.Follows, Risk: in.Body.Risk, Vector: in.Body.Vector})
		if err != nil {
			return nil, err
		}
		return &turnOutput{l.turnOf(t)}, nil
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "get-turn", Method: http.MethodGet, Path: "/api/v1/turns/{id}",
		Summary: "One's own prompt, and how far its answers are", Tags: []string{"live"},
	}, func(ctx context.Context, in *web.PathID) (*turnOutput, error) {
		return read(ctx, in.ID)
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "redraw-turn", Method: http.MethodPost, Path: "/api/v1/turns/{id}/redraw",
		Summary: "Have answers that failed given by others", Tags: []string{"live"},
		Description: "An answer that is there, or on its way, stays.",
	}, func(ctx context.Context, in *web.PathID) (*turnOutput, error) {
		if err := l.redraw(ctx, web.Caller(ctx).Annotator, in.ID); err != nil {
			return nil, err
		}
		return read(ctx, in.ID)
	})
	web.Register(api, annotate, huma.Operation{
		OperationID: "abandon-turn", Method: http.MethodPost, Path: "/api/v1/turns/{id}/abandon",
		Summary: "Give a prompt up that is not answered yet", Tags: []string{"live"},
	}, func(ctx context.Context, in *web.PathID) (*turnOutput, error) {
		if err := l.abandon(ctx, web.Caller(ctx).Annotator, in.ID); err != nil {
			return nil, err
		}
		return read(ctx, in.ID)
	})
}

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
}

// option is one of a choice.
type option struct{ Value, Text string }

// Risks and Vectors are section 4.2.1's, in words for who writes such prompts.
func (writePage) Risks() []option {
	return []option{
		{string(tandem.IllicitCriminal), "illicit and criminal: theft, trafficking, terrorism"},
		{string(tandem.HatefulHarmful), "hateful and harmful: defamation, self-harm, discrimination"},
		{string(tandem.UnqualifiedAdvice), "unqualified advice: medical, financial, legal"},
	}
}

func (writePage) Vectors() []option {
	return []option{
		{string(tandem.Psychological), "psychological manipulation"},
		{string(tandem.Logic), "logic manipulation: false premises"},
		{string(tandem.Syntactic), "syntactic manipulation: misspelling"},
		{string(tandem.Semantic), "semantic manipulation: metaphor"},
		{string(tandem.Perspective), "perspective manipulation: role play"},
		{string(tandem.NonEnglish), "another language than English"},
		{string(tandem.OtherVector), "another way"},
	}
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
	if page.Source != store.Live {
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
	return writePage{Project: project, Key: newKey()}, err
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
	if err != nil || assignment.ProjectID != page.ID || judged.Kind != store.Pairwise {
		return err
	}
	for _, response := range assignment.Responses {
		if response.ID == judged.Verdict.Chosen {
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
}

// Side names the place of the i-th answer, as the compare page does.
func (turnPage) Side(i int) string {
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
	return p.api.Render(w, r, http.StatusOK, p.Pages["turn.html"], project.Name, turnPage{project, p.live.turnOf(t)})
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

// A stream of events ends after streamTime, so that the browser comes again and is asked again who it is; meanwhile
// the database is looked at every streamLook, for what other servers do.
const (
	streamTime = time.Minute
	streamLook = time.Second
)

// turnNews is the event that says how far a turn is.
type turnNews struct {
	State    TurnState            `json:"state"`
	Says     string               `json:"says"`
	Answers  [2]store.AnswerState `json:"answers"`
	Location string               `json:"location,omitempty"` // where the turn goes on
}

// textNews is the event that brings text of an answer, 0 or 1: more of it, or all of it anew.
type textNews struct {
	Answer int    `json:"answer"`
	Whole  bool   `json:"whole"`
	Text   string `json:"text"`
}

// events streams a turn to the page that shows it (https://html.spec.whatwg.org/multipage/server-sent-events.html):
// "turn" events when its state changes, "text" events while answers are written. A stream that begins again brings
// everything anew.
func (p livePages) events(w http.ResponseWriter, r *http.Request) error {
	ctx, id, live := r.Context(), chi.URLParam(r, "id"), p.live
	news, stop := live.watched.watch(id)
	defer stop()
	_, seen := live.watched.read(id)
	turn, err := live.store.LiveTurn(ctx, me(r), id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the pieces back
	out := stream{http.NewResponseController(w), w}
	end, look := time.NewTimer(streamTime), time.NewTicker(streamLook)
	defer end.Stop()
	defer look.Stop()
	var said turnNews
	var sent [2]string
	for {
		texts, _ := live.watched.read(id)
		for i, a := range turn.Answers {
			if a.State == store.AnswerDone {
				texts[i] = a.Content
			}
			if more, ok := strings.CutPrefix(texts[i], sent[i]); !ok || sent[i] == "" && said.State == "" {
				err = out.send("text", textNews{i, true, texts[i]})
			} else if more != "" {
				err = out.send("text", textNews{i, false, more})
			}
			if err != nil {
				return nil // the page is gone
			}
			sent[i] = texts[i]
		}
		now := newsOf(live.turnOf(turn))
		if now != said {
			if out.send("turn", now) != nil {
				return nil
			}
			said = now
		}
		if now.Location != "" {
			return nil
		}
		again := false
		select {
		case <-ctx.Done():
			return nil
		case <-live.stopping:
			return nil
		case <-end.C:
			return nil
		case <-look.C:
			again = true
		case <-news:
		}
		if _, changes := live.watched.read(id); again || changes != seen {
			seen = changes
			if _, err := p.api.Authorize(r, annotators); err != nil { // signed out, disabled or erased since
				return nil
			}
			if turn, err = live.store.LiveTurn(ctx, me(r), id); err != nil {
				return nil // the browser comes again, and is told
			}
		}
	}
}

// newsOf is what the page is told of a turn.
func newsOf(t Turn) turnNews {
	n := turnNews{State: t.State, Says: t.Says, Answers: [2]store.AnswerState{t.Answers[0].State, t.Answers[1].State}}
	if t.State == TurnAnswered || t.State == TurnFailed || t.State == TurnAbandoned {
		n.Location = "/turns/" + t.ID // which shows the failure, or leads on
	}
	return n
}

// stream writes server-sent events.
type stream struct {
	control *http.ResponseController
	http.ResponseWriter
}

func (s stream) send(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(streamTime)) // what has no deadlines is a test's
	if _, err := fmt.Fprintf(s, "event: %s\ndata: %s\n\n", event, text); err != nil {
		return err
	}
	return s.control.Flush()
}
