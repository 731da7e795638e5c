package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/report"
	"tandem/store"
)

type throughputStore interface {
	Outputs(ctx context.Context, projectID string, days int) ([]store.Output, error)
	Paces(ctx context.Context, projectID string) ([]store.Pace, error)
}

// Throughput is how much was judged, and how long it took.
type Throughput struct {
	Days    []Output `json:"days" doc:"Each of the last days on which somebody did something, everybody together."`
	People  []Person `json:"people" doc:"Who judged anything, the most productive of these days first."`
	Outputs []Output `json:"outputs" doc:"By day and person; a day is one where the person is."`
	Pace    *Pace    `json:"pace,omitempty" doc:"Everybody's; absent where no time is known."`
}

// Output is what was done on a day.
type Output struct {
	Day           string  `json:"day" format:"date"`
	Annotator     string  `json:"annotator,omitempty" doc:"Pseudonym; absent for everybody together."`
	Judgments     int     `json:"judgments" doc:"Later versions not counted."`
	Skips         int     `json:"skips"`
	ActiveSeconds float64 `json:"active_seconds" doc:"As pages reported it; 0 for programs."`
	People        int     `json:"people,omitempty" doc:"Of the day."`
}

// Person is one annotator's part of the last days, and their pace at any time.
type Person struct {
	Annotator     string   `json:"annotator" doc:"Pseudonym."`
	Days          int      `json:"days" doc:"On which they did something."`
	Judgments     int      `json:"judgments"`
	Skips         int      `json:"skips"`
	ActiveSeconds float64  `json:"active_seconds"`
	PerHour       *float64 `json:"per_hour,omitempty" doc:"Judgments in an active hour; absent below a minute."`
	Pace          *Pace    `json:"pace,omitempty" doc:"Absent where no time is known."`
}

// Pace is how long a judgment takes, in seconds of active time.
type Pace struct {
	Judgments int     `json:"judgments" doc:"Whose time is known."`
	P10       float64 `json:"p10"`
	Median    float64 `json:"median"`
	P90       float64 `json:"p90"`
}

func throughputOf(ctx context.Context, s throughputStore, project string, days int) (Throughput, error) {
	outputs, err := s.Outputs(ctx, project, days)
	if err != nil {
		return Throughput{}, err
	}
	paces, err := s.Paces(ctx, project)
	if err != nil {
		return Throughput{}, err
	}
	t := Throughput{Days: []Output{}, People: []Person{}, Outputs: []Output{}}
	people := make(map[string]*Person)
	person := func(id string) *Person {
		if people[id] == nil {
			people[id] = &Person{Annotator: id}
		}
		return people[id]
	}
	for _, o := range outputs {
		day := o.Day.Format(time.DateOnly)
		active := o.Active.Seconds()
		t.Outputs = append(t.Outputs, Output{Day: day, Annotator: o.Annotator, Judgments: o.Judgments, Skips: o.Skips, ActiveSeconds: active})
		if len(t.Days) == 0 || t.Days[len(t.Days)-1].Day != day {
			t.Days = append(t.Days, Output{Day: day})
		}
		all, p := &t.Days[len(t.Days)-1], person(o.Annotator)
		all.Judgments += o.Judgments
		all.Skips += o.Skips
		all.ActiveSeconds += active
		all.People++
		p.Judgments += o.Judgments
		p.Skips += o.Skips
		p.ActiveSeconds += active
		p.Days++
	}
	for _, p := range paces {
		pace := &Pace{p.Judgments, p.P10.Seconds(), p.Median.Seconds(), p.P90.Seconds()}
		if p.Annotator == "" {
			t.Pace = pace
		} else {
			person(p.Annotator).Pace = pace
		}
	}
	for _, p := range people {
		if p.ActiveSeconds >= 60 {
			rate := float64(p.Judgments) / (p.ActiveSeconds / 3600)
			p.PerHour = &rate
		}
		t.People = append(t.People, *p)
	}
	slices.SortFunc(t.People, func(a, b Person) int {
		return cmp.Or(cmp.Compare(b.Judgments, a.Judgments), cmp.Compare(a.Annotator, b.Annotator))
	})
	return t, nil
}

// figure draws the judgments of each of the last days, quiet ones included.
func (t Throughput) figure() *report.Figure {
	if len(t.Days) == 0 {
		return nil
	}
	first, _ := time.Parse(time.DateOnly, t.Days[0].Day) // written by throughputOf
	last, _ := time.Parse(time.DateOnly, t.Days[len(t.Days)-1].Day)
	if first.After(last.AddDate(0, 0, -13)) {
		first = last.AddDate(0, 0, -13) // one day alone would fill the figure
	}
	of := make(map[string]int)
	for _, d := range t.Days {
		of[d.Day] = d.Judgments
	}
	bars := report.Bars{Y: report.Axis{Label: "judgments"}, Series: []report.BarSeries{{Name: "Judgments"}}}
	count := int(last.Sub(first).Hours()/24) + 1
	every := (count + 15) / 16 // labels for which there is room
	for i := range count {
		day, label := first.AddDate(0, 0, i), ""
		if i%every == 0 {
			label = day.Format("2 Jan")
		}
		bars.Categories = append(bars.Categories, label)
		bars.Series[0].Values = append(bars.Series[0].Values, report.Exactly(float64(of[day.Format(time.DateOnly)])))
	}
	return &report.Figure{Title: "Judgments by day", Wide: true, Bars: &bars,
		Caption: "First versions of judgments, by the day that it was where the annotator is."}
}

// mostBars is how many people a figure has room for.
const mostBars = 16

// paceFigure draws how long judgments take.
func (t Throughput) paceFigure() *report.Figure {
	bars := report.Bars{Y: report.Axis{Label: "seconds"}, Series: []report.BarSeries{{Name: "Median"}}}
	for _, p := range t.People {
		if p.Pace != nil && len(bars.Categories) < mostBars {
			bars.Categories = append(bars.Categories, pseudonym(p.Annotator))
			bars.Series[0].Values = append(bars.Series[0].Values, report.Between(p.Pace.Median, p.Pace.P10, p.Pace.P90))
		}
	}
	if len(bars.Categories) == 0 {
		return nil
	}
	return &report.Figure{Title: "Time on task", Wide: len(bars.Categories) > 7, Bars: &bars,
		Caption: "Median active time of a judgment by annotator; the lines go from the 10th to the 90th percentile."}
}

// pseudonym is how an annotator is called on pages: the beginning of their id.
func pseudonym(id string) string { return id[:min(8, len(id))] }

// seconds is a time in seconds, for people.
func seconds(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	}
	return strings.TrimSuffix(time.Duration(s*float64(time.Second)).Round(time.Minute).String(), "0s")
}
