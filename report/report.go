package report

import (
	"fmt"
	"time"

	"tandem"
)

// Report is a page: a title, a few highlights, and sections.
type Report struct {
	Title      string      `json:"title"`
	Summary    []string    `json:"summary,omitempty"` // paragraphs
	Created    time.Time   `json:"created"`
	Highlights []Highlight `json:"highlights,omitempty"` // the numbers to read first
	Sections   []Section   `json:"sections"`
	// Facts are what the run rests on (commit, machine, seed, kernel, configuration), shown at the end.
	Facts []Fact `json:"facts,omitempty"`
}

// Highlight is one number that a hurried reader should see.
type Highlight struct {
	Label string `json:"label"`          // "Gold helpfulness"
	Value string `json:"value"`          // "0.52 → 0.81"
	Note  string `json:"note,omitempty"` // "95 % interval of the difference: 0.25 to 0.33"
}

// Fact is a name with a value.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Section is a part of the report. What is empty is left out; the rest comes in the fields' order.
type Section struct {
	Heading    string   `json:"heading"`
	Paragraphs []string `json:"paragraphs,omitempty"`
	Figures    []Figure `json:"figures,omitempty"`
	Tables     []Table  `json:"tables,omitempty"`
	Samples    []Sample `json:"samples,omitempty"`
}

// Figure is one chart: exactly one of Lines, Bars, Histogram, Path and Heat.
type Figure struct {
	Title   string `json:"title"`
	Caption string `json:"caption"`        // what is shown, over what, with which intervals; needed
	Wide    bool   `json:"wide,omitempty"` // takes the page's whole width

	Lines     *Lines     `json:"lines,omitempty"`
	Bars      *Bars      `json:"bars,omitempty"`
	Histogram *Histogram `json:"histogram,omitempty"`
	Path      *Path      `json:"path,omitempty"`
	Heat      *Heat      `json:"heat,omitempty"`
}

// Sample is a prompt with the answers that several models gave to it.
type Sample struct {
	Title   string          `json:"title,omitempty"`
	Prompt  tandem.Dialogue `json:"prompt"`
	Answers []Answer        `json:"answers"`
}

// Answer is what one model said, with what was measured of it.
type Answer struct {
	Name  string `json:"name"` // "SFT", "RLHF-V1"
	Text  string `json:"text"`
	Notes []Fact `json:"notes,omitempty"` // gold and reward scores
}

// Validate reports the first thing that cannot be shown, naming where it is.
func (r Report) Validate() error {
	if r.Title == "" {
		return invalid("the report has no title")
	}
	for i, s := range r.Sections {
		if s.Heading == "" {
			return invalid("section %d has no heading", i+1)
		}
		for j, f := range s.Figures {
			where := fmt.Sprintf("section %q, figure %d (%q)", s.Heading, j+1, f.Title)
			if f.Title == "" || f.Caption == "" {
				return invalid("%s lacks its title or its caption", where)
			}
			chart, err := f.chart()
			if err != nil {
				return invalid("%s: %w", where, err)
			}
			if err := chart.validate(); err != nil {
				return invalid("%s: %w", where, err)
			}
		}
		for j, t := range s.Tables {
			if err := t.validate(); err != nil {
				return invalid("section %q, table %d (%q): %w", s.Heading, j+1, t.Caption, err)
			}
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return tandem.Errorf(tandem.Invalid, "report", format, args...)
}
