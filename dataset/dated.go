package dataset

import (
	"encoding/json"
	"fmt"
	"time"

	"tandem"
)

// Dated is {"messages", "query_date", "event_date"}, dates as 2006-01-02: a dialogue that was asked on a day, about something
// that happened on another (Llama 2, section 5.2). Of a day before the event the answer is what was right then. The query
// date becomes a system message, see OnDate; the event date is checked and left out, since the model has to know it.
const Dated DialogueFormat = "dated"

// dateForm is how dates stand in files, and dateSentence in dialogues.
const (
	dateForm     = "2006-01-02"
	dateSentence = "Today is 2 January 2006."
)

// OnDate returns a copy of d with the day on which it is asked, as a system message or at the end of the one that it has.
func OnDate(d tandem.Dialogue, day time.Time) tandem.Dialogue {
	said := day.Format(dateSentence)
	if len(d) > 0 && d[0].Role == tandem.System {
		said, d = d[0].Content+" "+said, d[1:]
	}
	return append(tandem.Dialogue{{Role: tandem.System, Content: said}}, d...)
}

// Day is a date in JSON.
type Day struct{ time.Time }

// UnmarshalJSON reads 2006-01-02.
func (d *Day) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	t, err := time.Parse(dateForm, s)
	if err != nil {
		return tandem.Errorf(tandem.Invalid, "dataset.Day", "%q is no date as 2006-01-02", s)
	}
	d.Time = t
	return nil
}

// MarshalJSON writes 2006-01-02.
func (d Day) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(dateForm)) }

func decodeDated(raw json.RawMessage) ([]tandem.Dialogue, error) {
	var r struct {
		Messages  turns
		QueryDate *Day `json:"query_date"`
		EventDate *Day `json:"event_date"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Messages.list == nil || r.QueryDate == nil || r.EventDate == nil {
		return nil, fmt.Errorf("a dated record has \"messages\", \"query_date\" and \"event_date\"")
	}
	return []tandem.Dialogue{OnDate(r.Messages.list, r.QueryDate.Time)}, nil
}
