package annotation

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type activityStore interface {
	AddActivity(ctx context.Context, a store.Activity) error
	Hours(ctx context.Context, from, to time.Time) ([]store.WorkedDay, error)
}

// Activity is a stretch of active work, as a page reports it every minute or so.
type Activity struct {
	Key     string  `json:"key" minLength:"1" maxLength:"200" doc:"Drawn by the page: a report that is sent again counts once."`
	Project string  `json:"project_id,omitempty"`
	Seconds float64 `json:"seconds" exclusiveMinimum:"0" maximum:"300"`
	Ago     float64 `json:"seconds_ago,omitempty" minimum:"0" maximum:"86400" doc:"Since it ended, for a report that could not be sent at once."`
}

type hoursInput struct {
	From string `query:"from" required:"true" format:"date" doc:"The first day, such as 2026-03-01."`
	To   string `query:"to" required:"true" format:"date" doc:"The last day."`
}

type csvOutput struct {
	Type string `header:"Content-Type"`
	Name string `header:"Content-Disposition"`
	Body []byte
}

func registerActivity(api web.API, s activityStore) {
	web.Register(api, web.Scopes{store.ScopeAnnotate}, huma.Operation{
		OperationID: "report-activity", Method: http.MethodPost, Path: "/api/v1/activity",
		Summary: "Report a stretch of active work", Tags: []string{"annotation"},
		Description: "Stretches that overlap count once, so that two tabs do not make two people.",
	}, func(ctx context.Context, in *struct{ Body Activity }) (*struct{}, error) {
		return nil, s.AddActivity(ctx, store.Activity{Annotator: web.Caller(ctx).Annotator, Key: in.Body.Key, ProjectID: in.Body.Project,
			Active: seconds(in.Body.Seconds), Ago: seconds(in.Body.Ago)})
	})
	web.Register(api, web.Scopes{store.ScopeAdmin}, huma.Operation{
		OperationID: "export-hours", Method: http.MethodGet, Path: "/api/v1/hours.csv",
		Summary: "The active hours of everyone by day, as CSV", Tags: []string{"people"},
		Description: "A line for each person and day with work, by the person's own time zone: annotator_id, name, day, time_zone, seconds, hours, judgments. " +
			"The form is RFC 4180's. A name that a spreadsheet would take for a formula has an apostrophe before it.",
		Responses: map[string]*huma.Response{"200": {Description: "The table", Content: map[string]*huma.MediaType{"text/csv": {}}}},
	}, func(ctx context.Context, in *hoursInput) (*csvOutput, error) {
		const op = "annotation.Hours"
		from, err := time.Parse(time.DateOnly, in.From)
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "from is no day: %q", in.From)
		}
		to, err := time.Parse(time.DateOnly, in.To)
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "to is no day: %q", in.To)
		}
		days, err := s.Hours(ctx, from, to)
		if err != nil {
			return nil, err
		}
		table, err := hoursTable(days)
		return &csvOutput{Type: "text/csv; charset=utf-8; header=present", Name: `attachment; filename="hours-` + in.From + "-" + in.To + `.csv"`, Body: table}, err
	})
}

// hoursTable is the days as CSV.
func hoursTable(days []store.WorkedDay) ([]byte, error) {
	var out bytes.Buffer
	table := csv.NewWriter(&out)
	table.UseCRLF = true // as RFC 4180 has it
	rows := [][]string{{"annotator_id", "name", "day", "time_zone", "seconds", "hours", "judgments"}}
	for _, d := range days {
		rows = append(rows, []string{d.Annotator, noFormula(d.Name), d.Day.Format(time.DateOnly), d.TimeZone,
			strconv.FormatFloat(d.Active.Seconds(), 'f', 0, 64), strconv.FormatFloat(d.Active.Hours(), 'f', 4, 64), strconv.Itoa(d.Judgments)})
	}
	if err := table.WriteAll(rows); err != nil {
		return nil, tandem.Errorf(tandem.Internal, "annotation.Hours", "%w", err)
	}
	return out.Bytes(), nil
}

// noFormula keeps a spreadsheet from running what somebody calls themselves
// (https://owasp.org/www-community/attacks/CSV_Injection).
func noFormula(text string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, " "))
	if strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}
