package annotation

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"tandem/internal/web"
	"tandem/store"
)

// streamLook is how often a stream looks at the database, for what other servers do.
const streamLook = time.Second

// turnNews is the event that says how far a turn is.
type turnNews struct {
	State    TurnState            `json:"state"`
	Says     string               `json:"says"`
	Answers  [2]store.AnswerState `json:"answers"`            // the second is empty where there is one
	Location string               `json:"location,omitempty"` // where the turn goes on
}

// textNews is the event that brings text of an answer, 0 or 1: more of it, or all of it anew.
type textNews struct {
	Answer int    `json:"answer"`
	Whole  bool   `json:"whole"`
	Text   string `json:"text"`
}

// events streams a turn to the page that shows it: "turn" events when its state changes, "text" events while answers are
// written. A stream that begins again brings everything anew.
func (p livePages) events(w http.ResponseWriter, r *http.Request) error {
	ctx, id, live := r.Context(), chi.URLParam(r, "id"), p.live
	news, stop := live.watched.watch(id)
	defer stop()
	_, seen := live.watched.read(id)
	turn, err := live.store.LiveTurn(ctx, me(r), id)
	if err != nil {
		return err
	}
	out := web.NewEventStream(w)
	end, look := time.NewTimer(web.StreamTime), time.NewTicker(streamLook)
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
				err = out.Send("text", textNews{i, true, texts[i]})
			} else if more != "" {
				err = out.Send("text", textNews{i, false, more})
			}
			if err != nil {
				return nil // the page is gone
			}
			sent[i] = texts[i]
		}
		now := newsOf(live.turnOf(turn))
		if now != said {
			if out.Send("turn", now) != nil {
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
	n := turnNews{State: t.State, Says: t.Says}
	for i, a := range t.Answers {
		n.Answers[i] = a.State
	}
	if t.State == TurnAnswered || t.State == TurnFailed || t.State == TurnAbandoned {
		n.Location = "/turns/" + t.ID // which shows the failure, or leads on
	}
	return n
}
