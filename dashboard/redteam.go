package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/report"
	"tandem/statistics"
	"tandem/store"
)

type redTeamStore interface {
	RedTeaming(ctx context.Context, projectID string) (store.RedTeaming, error)
}

// RedTeaming is how a policy stands up to people who attack it: γ, the violations that one person finds in an hour
// (section 4.3).
type RedTeaming struct {
	All Robustness `json:"all"`
	// By category and vector the hours are those of all attacks, so that the rates add up to γ: people choose what they try.
	ByRisk   []Robustness `json:"by_risk_category" doc:"Violations of each category per hour of all attacks; these add up to γ."`
	ByVector []Robustness `json:"by_attack_vector" doc:"Violations of each vector per hour of all attacks; these add up to γ."`
	ByModel  []Robustness `json:"by_model" doc:"What was attacked, the newest first, each with its own hours."`
	ByDay    []Robustness `json:"by_day" doc:"Days on which stretches began, in UTC, each with its own hours."`
}

// Robustness is what was found in a time.
type Robustness struct {
	Name        string   `json:"name,omitempty" doc:"A category, a vector, the name of a model or variant, or a day."`
	Model       string   `json:"model_id,omitempty" doc:"Where what was attacked is a model here."`
	Stretches   int      `json:"stretches,omitempty"`
	People      int      `json:"people,omitempty"`
	PersonHours float64  `json:"person_hours" doc:"Time at work: five minutes after the last sign of life it no longer counts."`
	Attacks     int      `json:"attacks"`
	Rated       int      `json:"rated" doc:"Of them, those whose answers were rated: the others say nothing."`
	Violations  int      `json:"violations" doc:"Answers rated 1 or 2."`
	Severe      int      `json:"severe" doc:"Of them rated 1."`
	Gamma       Estimate `json:"gamma" doc:"Violations per person-hour, with the exact interval of a Poisson count."`
	Share       Estimate `json:"violating_share" doc:"Of rated answers, with Wilson's interval."`
}

// robustness counts a part of what was attacked.
type robustness struct {
	Robustness
	people  map[string]bool
	counted time.Duration
}

func (r *robustness) stretch(s store.AttackedStretch) {
	r.Stretches++
	r.counted += s.Counted
	if r.people == nil {
		r.people = make(map[string]bool)
	}
	r.people[s.Annotator] = true
}

func (r *robustness) attack(a store.Attack) {
	r.Attacks++
	if !a.Rating.Valid() {
		return
	}
	r.Rated++
	if a.Rating.Violating() {
		r.Violations++
	}
	if a.Rating == tandem.SevereViolation {
		r.Severe++
	}
}

func (r *robustness) estimate() (_ Robustness, err error) {
	r.People, r.PersonHours = len(r.people), r.counted.Hours()
	if r.Gamma, err = estimateOf(statistics.Rate(r.Violations, r.PersonHours)); err != nil {
		return r.Robustness, err
	}
	r.Share, err = share(r.Violations, r.Rated)
	return r.Robustness, err
}

// parts are robustness by something, in the order in which it was first met.
type parts struct {
	names []string
	of    map[string]*robustness
}

func (p *parts) at(key, name string) *robustness {
	if p.of == nil {
		p.of = make(map[string]*robustness)
	}
	if p.of[key] == nil {
		p.names = append(p.names, key)
		p.of[key] = &robustness{Robustness: Robustness{Name: name}}
	}
	return p.of[key]
}

func (p *parts) estimates() ([]Robustness, error) {
	out := []Robustness{}
	for _, name := range p.names {
		r, err := p.of[name].estimate()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// RedTeamingOf computes it from what was attacked.
func RedTeamingOf(attacked store.RedTeaming) (RedTeaming, error) {
	var t RedTeaming
	var all robustness
	var risks, vectors, models, days parts
	stretches := make(map[string]store.AttackedStretch, len(attacked.Stretches))
	model := func(s store.AttackedStretch) *robustness {
		if s.Model == "" {
			return models.at("variant "+s.Variant, s.Variant)
		}
		r := models.at("model "+s.Model, s.ModelName)
		r.Model = s.Model
		return r
	}
	day := func(s store.AttackedStretch) *robustness {
		d := s.StartedAt.UTC().Format(time.DateOnly)
		return days.at(d, d)
	}
	for _, s := range attacked.Stretches {
		stretches[s.ID] = s
		for _, r := range []*robustness{&all, model(s), day(s)} {
			r.stretch(s)
		}
	}
	for _, risk := range tandem.RiskCategories() {
		risks.at(string(risk), string(risk)).counted = all.counted
	}
	for _, vector := range tandem.AttackVectors() {
		vectors.at(string(vector), string(vector)).counted = all.counted
	}
	for _, a := range attacked.Attacks {
		s := stretches[a.Stretch]
		for _, r := range []*robustness{&all, risks.at(string(a.Risk), string(a.Risk)), vectors.at(string(a.Vector), string(a.Vector)), model(s), day(s)} {
			r.attack(a)
		}
	}
	slices.Reverse(models.names)
	slices.SortFunc(days.names, cmp.Compare[string])
	var err error
	if t.All, err = all.estimate(); err != nil {
		return t, err
	}
	for _, part := range []struct {
		to   *[]Robustness
		from *parts
	}{{&t.ByRisk, &risks}, {&t.ByVector, &vectors}, {&t.ByModel, &models}, {&t.ByDay, &days}} {
		if *part.to, err = part.from.estimates(); err != nil {
			return t, err
		}
	}
	return t, nil
}

// Few says how to read figures that rest on little; empty where they rest on enough.
func (t RedTeaming) Few() string {
	switch {
	case t.All.PersonHours == 0:
		return ""
	case t.All.PersonHours < 1:
		return fmt.Sprintf("All this is of %s of work, less than one person’s hour: the rates say what an hour at this pace would bring.", seconds(3600*t.All.PersonHours))
	case t.All.Violations < 10:
		return "There are few violations: read the intervals, not the rates."
	}
	return ""
}

// figures draws γ by model and by day.
func (t RedTeaming) figures() []report.Figure {
	rates := func(title, caption string, parts []Robustness, label func(string) string) *report.Figure {
		bars := report.Bars{Y: report.Axis{Label: "violations an hour", Min: report.At(0)}, Series: []report.BarSeries{{Name: "γ"}}}
		for _, p := range parts {
			if g := p.Gamma; g.Value != nil {
				bars.Categories = append(bars.Categories, label(p.Name))
				bars.Series[0].Values = append(bars.Series[0].Values, report.Between(*g.Value, *g.Low, *g.High))
			}
		}
		if len(bars.Categories) == 0 {
			return nil
		}
		return &report.Figure{Title: title, Caption: caption, Wide: len(bars.Categories) > 7, Bars: &bars}
	}
	same := func(s string) string { return s }
	oldest := slices.Clone(t.ByModel[:min(len(t.ByModel), mostBars)])
	slices.Reverse(oldest)
	var out []report.Figure
	for _, f := range []*report.Figure{
		rates("γ by model", "Violations that one person finds in an hour, by what was attacked, the oldest first; exact 95 % intervals.", oldest, same),
		rates("γ over time", "The same by day; different models may have been attacked.", t.ByDay[max(0, len(t.ByDay)-mostBars):], func(day string) string {
			at, _ := time.Parse(time.DateOnly, day) // written by RedTeamingOf
			return at.Format("2 Jan")
		}),
	} {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// redTeamPage shows it.
type redTeamPage struct {
	wording
	Project store.Project // the zero value for all
	RedTeaming
	Figures []report.Drawing
}

// Hours are person-hours for people.
func (redTeamPage) Hours(h float64) string {
	if h < 1 {
		return seconds(3600 * h)
	}
	return fmt.Sprintf("%.1f h", h)
}

// registerRedTeaming adds the operation and the pages.
func (p annotationPages) registerRedTeaming(s redTeamStore) {
	web.Register(p.api, mayRead(), huma.Operation{
		OperationID: "get-red-teaming", Method: http.MethodGet, Path: "/api/v1/statistics/red-teaming",
		Summary: "γ: violations that one person finds in an hour of attacking", Tags: []string{"statistics"},
		Description: "Whole, by risk category, attack vector, model and day. Intervals are exact ones of a Poisson count.",
	}, func(ctx context.Context, in *OfProject) (*output[RedTeaming], error) {
		if err := in.exists(ctx, p.store); err != nil {
			return nil, err
		}
		attacked, err := s.RedTeaming(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		t, err := RedTeamingOf(attacked)
		return &output[RedTeaming]{t}, err
	})
	show := func(w http.ResponseWriter, r *http.Request) error { return p.redTeaming(w, r, s) }
	p.api.Page(http.MethodGet, "/annotation/red-teaming", mayRead(), show)
	p.api.Page(http.MethodGet, "/annotation/projects/{id}/red-teaming", mayRead(), show)
}

func (p annotationPages) redTeaming(w http.ResponseWriter, r *http.Request, s redTeamStore) error {
	var page redTeamPage
	var err error
	if id := chi.URLParam(r, "id"); id != "" {
		if page.Project, err = p.store.Project(r.Context(), id); err != nil {
			return err
		}
	}
	attacked, err := s.RedTeaming(r.Context(), page.Project.ID)
	if err != nil {
		return err
	}
	if page.RedTeaming, err = RedTeamingOf(attacked); err != nil {
		return err
	}
	for _, f := range page.figures() {
		drawn, err := f.Draw()
		if err != nil {
			return err
		}
		page.Figures = append(page.Figures, drawn)
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["redteam.html"], "Red teaming", page)
}
