package annotation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

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
	BeginStretch(ctx context.Context, n store.NewStretch) (store.Stretch, error)
	EndStretch(ctx context.Context, annotator, id string) (store.Stretch, error)
	LastStretch(ctx context.Context, annotator, projectID string) (store.Stretch, error)
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
	ID          string    `json:"id"`
	Project     string    `json:"project_id"`
	Stretch     string    `json:"stretch_id,omitempty" doc:"The stretch of red teaming that it is an attack of."`
	Prompt      []Message `json:"prompt" doc:"The dialogue up to what was written."`
	Follows     string    `json:"follows,omitempty" doc:"The judgment whose preferred answer it goes on from."`
	State       TurnState `json:"state" enum:"waiting,sampling,failed,answered,abandoned"`
	Ahead       int       `json:"ahead" doc:"How many answers come before the first of these."`
	WaitSeconds float64   `json:"wait_seconds" doc:"How long that is expected to take."`
	Says        string    `json:"says" doc:"The state in words, for who waits."`
	Answers     []Written `json:"answers" doc:"Left and right, as far as they are written; the one answer to an attack."`
	Assignment  string    `json:"assignment_id,omitempty" doc:"The comparison of the two answers, or the rating of the one, once they are there: it is judged like any other."`
	CreatedAt   time.Time `json:"created_at"`
}

// Written is one of a turn's answers as far as it is there.
type Written struct {
	State   store.AnswerState `json:"state" enum:"waiting,sampling,failed,done"`
	Content string            `json:"content"`
}

// turnOf shows a turn with what is written of it at this moment.
func (l *Live) turnOf(t store.LiveTurn) Turn {
	out := Turn{ID: t.ID, Project: t.ProjectID, Stretch: t.Stretch, Answers: make([]Written, len(t.Answers)), Follows: t.Follows, State: stateOf(t), Assignment: t.Assignment, CreatedAt: t.CreatedAt}
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
		if len(t.Answers) == 1 {
			return "The answer is there."
		}
		return "Both answers are there."
	case TurnFailed:
		return whyFailed(t)
	case TurnWaiting:
		what, answered := "prompt", "its answers come"
		if len(t.Answers) == 1 {
			what, answered = "attack", "its answer comes"
		}
		if out.Ahead == 0 {
			return "Your " + what + " is kept; " + answered + " next."
		}
		noun := "answers are"
		if out.Ahead == 1 {
			noun = "answer is"
		}
		return fmt.Sprintf("Your %s is kept. %d %s written before yours: %s.", what, out.Ahead, noun, about(out.WaitSeconds))
	}
	switch {
	case len(t.Answers) == 1:
		return "The answer is being written."
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
			if why = "The answers came out empty or both the same, so that there is nothing to compare."; len(t.Answers) == 1 {
				why = "The answer came out empty, so that there is nothing to rate."
			}
		case tandem.Invalid, tandem.Unsupported:
			why = "What was drawn to answer cannot take this dialogue; perhaps it is too long for it."
		default:
			why = "What was drawn to answer does not answer, although it was tried again."
		}
	}
	if len(t.Answers) == 1 {
		return why + " Your attack is kept."
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
	Risk    tandem.RiskCategory `json:"risk_category,omitempty" enum:"illicit_and_criminal,hateful_and_harmful,unqualified_advice" doc:"Required in a safety project, also one of red teaming."`
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
	registerStretches(api, l)
	api.Page(http.MethodPost, "/projects/{id}/stretches", annotators, p.beginStretch)
	api.Page(http.MethodGet, "/projects/{id}/stretches", annotators, p.backToAttack)
	api.Page(http.MethodPost, "/stretches/{id}/end", annotators, p.endStretch)
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
		Summary: "Write a prompt in a live project, or an attack in one of red teaming", Tags: []string{"live"},
		Description: "It is kept, and then answered twice: by two different model variants at two temperatures, which nothing tells. " +
			"An attack is answered once, by what the stretch attacks. " +
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
