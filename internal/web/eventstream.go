package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// StreamTime is how long a stream of events goes on before it ends, so that the browser comes again and is asked again
// who it is.
const StreamTime = time.Minute

// EventStream writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type EventStream struct {
	control *http.ResponseController
	w       http.ResponseWriter
}

// NewEventStream begins an answer that is a stream of events.
func NewEventStream(w http.ResponseWriter) EventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the pieces back
	return EventStream{http.NewResponseController(w), w}
}

// Send sends one event, with data as JSON. An error says that nobody listens any more.
func (s EventStream) Send(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(StreamTime)) // what has no deadlines is a test's
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, text); err != nil {
		return err
	}
	return s.control.Flush()
}
