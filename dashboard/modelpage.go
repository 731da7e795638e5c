package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// mostModels is how many models a picture of them shows.
const mostModels = 200

// kinds are what models are for.
func kinds() []tandem.ModelKind {
	return []tandem.ModelKind{tandem.PolicyModel, tandem.HelpfulnessModel, tandem.SafetyModel}
}

// serving finds the models that serve, by id.
func (p watchPages) serving(ctx context.Context) (map[string]bool, error) {
	serving := make(map[string]bool)
	for _, kind := range kinds() {
		m, err := p.store.Promoted(ctx, kind)
		switch {
		case err == nil:
			serving[m.ID] = true
		case tandem.CodeOf(err) != tandem.NotFound:
			return nil, err
		}
	}
	return serving, nil
}

// modelLine is a model in the list.
type modelLine struct {
	tandem.Model
	Serving bool
}

type modelsPage struct {
	phrases
	web.List[modelLine]
	Kind   tandem.ModelKind
	Kinds  []tandem.ModelKind
	Family family // of the models that the page lists
}

func (p watchPages) models(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	page := modelsPage{Kinds: kinds()}
	if kind := tandem.ModelKind(q.Get("kind")); slices.Contains(page.Kinds, kind) {
		page.Kind = kind
	}
	models, err := p.store.Models(ctx, page.Kind, store.Page{After: q.Get("after"), Limit: onPage})
	if err != nil {
		return err
	}
	serving, err := p.serving(ctx)
	if err != nil {
		return err
	}
	lines := make([]modelLine, len(models))
	for i, m := range models {
		lines[i] = modelLine{m, serving[m.ID]}
	}
	page.List = web.ListOf(lines, onPage, func(l modelLine) string { return l.ID })
	page.Family = familyOf(models, "", serving)
	return p.api.Render(w, r, http.StatusOK, p.Pages["models.html"], "Models", page)
}

// namedValue is a setting or a metric.
type namedValue struct{ Name, Value string }

// modelPage is a model with all that is known of it.
type modelPage struct {
	phrases
	Model      tandem.Model
	Parent     tandem.Model // the zero value for none
	Round      tandem.Round
	Family     family
	Serving    bool
	Promotions []store.Promotion // its own, the last one first
	Decisions  []decision        // on it, the last one first
	Back       tandem.Model      // that a rollback would let serve, where this one serves
	Runs       []runLine         // that made it
	Metrics    []namedValue
	Config     string
	Snapshot   *store.Snapshot // that it was fitted to, where it is the database's
	Answered   []store.Answered
	// Evaluations of a policy, the last one first.
	Evaluations []evaluationLine
	Replays     []Replay // of earlier attacks, the last one first
}

// decision is one with the model that it was tried against.
type decision struct {
	tandem.Decision
	Old tandem.Model
}

// Percent is a share for people.
func (modelPage) Percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// Probability says what a raw scalar of a reward model means.
func (p modelPage) Probability() string {
	c := p.Model.Calibration
	switch {
	case c == nil:
		return ""
	case c.Calibrated && c.Temperature > 0:
		return "σ(r / " + figure(c.Temperature) + ") is the probability that an answer is safe; the gate is where it is 0.15."
	case c.Calibrated:
		return "σ(r) is the probability that an answer is safe; the gate is where it is 0.15."
	case p.Model.Kind == tandem.SafetyModel:
		return "The scale is free: the gate is the quantile that gates 15 % of the reference policy’s answers to safety prompts."
	case c.Temperature > 0:
		return "σ of a difference of scalars, divided by " + figure(c.Temperature) + ", is the probability that the higher one is preferred."
	}
	return ""
}

// Number is a figure for people.
func (modelPage) Number(x float64) string { return figure(x) }

func (p watchPages) model(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	m, err := p.store.Model(ctx, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	page := modelPage{Model: m, Metrics: valuesOf(m.Metrics), Config: indented(m.Config)}
	if m.Parent != "" {
		if page.Parent, err = p.store.Model(ctx, m.Parent); err != nil {
			return err
		}
	}
	if m.Round != 0 {
		if page.Round, err = p.store.Round(ctx, m.Round); err != nil {
			return err
		}
	}
	serving, err := p.serving(ctx)
	if err != nil {
		return err
	}
	relatives, err := p.store.Family(ctx, m.ID, mostModels)
	if err != nil {
		return err
	}
	page.Family, page.Serving = familyOf(relatives, m.ID, serving), serving[m.ID]
	history, err := p.store.Promotions(ctx, m.Kind)
	if err != nil {
		return err
	}
	for _, promotion := range history {
		if promotion.Model == m.ID {
			page.Promotions = append(page.Promotions, promotion)
		}
	}
	decisions, err := p.store.Decisions(ctx, m.ID)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		old, err := p.store.Model(ctx, d.Against)
		if err != nil {
			return err
		}
		page.Decisions = append(page.Decisions, decision{d, old})
	}
	if back := store.ServedBefore(history); page.Serving && back != "" {
		if page.Back, err = p.store.Model(ctx, back); err != nil {
			return err
		}
	}
	runs, err := p.store.Runs(ctx, store.RunQuery{Model: m.ID, Page: store.Page{Limit: onPage}})
	if err != nil {
		return err
	}
	if page.Runs, _, err = p.lines(ctx, runs); err != nil {
		return err
	}
	snapshots, err := p.store.Snapshots(ctx)
	if err != nil {
		return err
	}
	page.Snapshot = snapshotOf(m, snapshots)
	if m.Kind == tandem.PolicyModel {
		if page.Answered, err = p.store.AnsweredWith(ctx, m.ID); err != nil {
			return err
		}
		if page.Replays, err = replaysOf(ctx, p.store, m.ID, store.Page{Limit: mostEvaluations}); err != nil {
			return err
		}
		if page.Evaluations, err = p.evaluations(ctx, m.ID); err != nil {
			return err
		}
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["model.html"], m.Name, page)
}

// snapshotOf is the snapshot that a model was fitted to: the one whose contents have its data's hash, or the one that its
// configuration names where other sources of data share the hash. Nil is a model of files.
func snapshotOf(m tandem.Model, snapshots []store.Snapshot) *store.Snapshot {
	var config struct {
		Data string `json:"data"` // of a reward model
	}
	_ = json.Unmarshal(m.Config, &config) // other stages have other configurations
	named, _ := strings.CutPrefix(config.Data, "snapshot:")
	for _, s := range snapshots {
		if s.Hash == m.Snapshot || s.ID == named {
			return &s
		}
	}
	return nil
}

// valuesOf lists metrics by name.
func valuesOf(metrics map[string]float64) []namedValue {
	out := make([]namedValue, 0, len(metrics))
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		out = append(out, namedValue{name, figure(metrics[name])})
	}
	return out
}
