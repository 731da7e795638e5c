package chatapi

import (
	"encoding/json"
	"net/http"
	"time"
)

// events writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as OpenAI's streams
// use them: each is one line of data.
type events struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // for the client to take an event
	begun    bool          // the answer's status is sent
}

// send writes a value as an event.
func (e *events) send(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.write("data: " + string(text) + "\n\n")
}

// done writes the event that ends a stream.
func (e *events) done() error { return e.write("data: [DONE]\n\n") }

// alive writes a comment, which keeps proxies and clients from giving up.
func (e *events) alive() error { return e.write(": waiting\n") }

func (e *events) write(text string) error {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "text/event-stream")
		e.w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the pieces back
	}
	_ = e.control.SetWriteDeadline(time.Now().Add(e.patience)) // what has no deadlines is a test's
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}
