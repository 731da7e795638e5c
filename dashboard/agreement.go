package dashboard

import (
	"context"

	"tandem"
	"tandem/statistics"
	"tandem/store"
)

type agreementStore interface {
	Choices(ctx context.Context, projectID string) ([]store.Choice, error)
}

// Agreement is how far people who judged the same pairs agree. Gold tasks are left out.
type Agreement struct {
	Pairs     int       `json:"pairs" doc:"Judged by anybody."`
	Several   int       `json:"several" doc:"Judged by two people or more."`
	Divided   int       `json:"divided" doc:"Of these, the ones in which people differ: another answer, two degrees or more apart, or another safety label."`
	SameSide  Estimate  `json:"same_side" doc:"Share of the pairs judged by several in which all chose the same answer."`
	Measures  []Measure `json:"measures"`
	Reference string    `json:"reference" doc:"What Llama 2's annotators reached."`
}

// Measure is one coefficient of agreement.
type Measure struct {
	Of          string `json:"of" enum:"preference,side,label" doc:"preference: eight ordered positions from one answer to the other, told apart by id. side: the chosen answer. label: safe or unsafe, of each answer."`
	Coefficient string `json:"coefficient" enum:"AC1,AC2,alpha,kappa" doc:"kappa is Cohen's where two people rated; of more it is pooled over the pairs of people with ten items or more in common."`
	Scale       string `json:"scale" enum:"nominal,ordinal"`
	Estimate
	statistics.Coverage
}

// Name is the coefficient's for people.
func (m Measure) Name() string {
	switch m.Coefficient {
	case "AC1":
		return "Gwet’s AC1"
	case "AC2":
		return "Gwet’s AC2, ordinal weights"
	case "alpha":
		return "Krippendorff’s α, " + m.Scale
	}
	if m.Raters > 2 {
		return "Cohen’s κ, pooled over pairs of people"
	}
	return "Cohen’s κ"
}

// Subject is what the measure is of, for people.
func (m Measure) Subject() string {
	switch m.Of {
	case "preference":
		return "Preference, eight positions"
	case "side":
		return "Side: which answer is better"
	}
	return "Safety label of each answer"
}

// inCommon is how many items a pair of people must have rated both to count for Cohen's κ.
const inCommon = 10

// llama2Agreement is what the paper reports of its annotators (appendix A.3.1).
const llama2Agreement = "Llama 2 reports Gwet’s AC1 and AC2 of .37 to .55 on helpfulness and .70 to .95 on safety."

// replicates are enough for two digits of an interval.
const replicates = 1000

var measures = []struct {
	of, coefficient, scale string
	measure                statistics.Coefficient
}{
	{"preference", "AC2", "ordinal", statistics.GwetAC(statistics.OrdinalWeights)},
	{"preference", "AC1", "nominal", statistics.GwetAC(statistics.IdentityWeights)},
	{"preference", "alpha", "ordinal", statistics.KrippendorffAlpha(statistics.OrdinalScale)},
	{"side", "AC1", "nominal", statistics.GwetAC(statistics.IdentityWeights)},
	{"side", "alpha", "nominal", statistics.KrippendorffAlpha(statistics.NominalScale)},
	{"side", "kappa", "nominal", statistics.CohenKappa(statistics.IdentityWeights, inCommon)},
	{"label", "AC1", "nominal", statistics.GwetAC(statistics.IdentityWeights)},
	{"label", "alpha", "nominal", statistics.KrippendorffAlpha(statistics.NominalScale)},
	{"label", "kappa", "nominal", statistics.CohenKappa(statistics.IdentityWeights, inCommon)},
}

// pairs counts the pairs of a list of choices, and how far people differ on them.
type pairs struct{ all, several, divided, sameSide int }

// unsafeBit and safeBit mark the labels that an answer was given.
const (
	safeBit = 1 << iota
	unsafeBit
	bothBits = safeBit | unsafeBit
)

// bit is a label as one of these marks, 0 for none.
func bit(l tandem.SafetyLabel) uint8 {
	switch l {
	case tandem.Safe:
		return safeBit
	case tandem.Unsafe:
		return unsafeBit
	}
	return 0
}

func pairsOf(choices []store.Choice) pairs {
	type span struct {
		n, low, high  int
		first, second uint8
	}
	tasks := make(map[int]span)
	for _, c := range choices {
		t, known := tasks[c.Task]
		if !known {
			t.low = c.Position
		}
		tasks[c.Task] = span{t.n + 1, min(t.low, c.Position), max(t.high, c.Position), t.first | bit(c.First), t.second | bit(c.Second)}
	}
	var p pairs
	for _, t := range tasks {
		p.all++
		if t.n < 2 {
			continue
		}
		p.several++
		same := t.low/4 == t.high/4
		if same {
			p.sameSide++
		}
		if !same || t.high-t.low >= 2 || t.first == bothBits || t.second == bothBits {
			p.divided++
		}
	}
	return p
}

// panelsOf are the three things that people may agree on. An answer that was labelled is an item of its own.
func panelsOf(choices []store.Choice) (map[string]statistics.Panel, error) {
	preference, side := make([]statistics.Rating, len(choices)), make([]statistics.Rating, len(choices))
	var labels []statistics.Rating
	for i, c := range choices {
		preference[i] = statistics.Rating{Item: c.Task, Rater: c.Annotator, Category: c.Position}
		side[i] = statistics.Rating{Item: c.Task, Rater: c.Annotator, Category: c.Position / 4}
		for answer, label := range []tandem.SafetyLabel{c.First, c.Second} {
			if b := bit(label); b != 0 {
				labels = append(labels, statistics.Rating{Item: 2*c.Task + answer, Rater: c.Annotator, Category: int(b >> 1)})
			}
		}
	}
	panels := make(map[string]statistics.Panel)
	for of, ratings := range map[string][]statistics.Rating{"preference": preference, "side": side, "label": labels} {
		if of == "label" && labels == nil {
			continue
		}
		categories := 2
		if of == "preference" {
			categories = 8
		}
		var err error
		if panels[of], err = statistics.NewPanel(categories, ratings); err != nil {
			return nil, err
		}
	}
	return panels, nil
}

func agreementOf(choices []store.Choice) (Agreement, error) {
	p := pairsOf(choices)
	a := Agreement{Pairs: p.all, Several: p.several, Divided: p.divided, Reference: llama2Agreement, Measures: []Measure{}}
	var err error
	if a.SameSide, err = share(p.sameSide, p.several); err != nil {
		return a, err
	}
	if p.several == 0 {
		a.SameSide.Undefined = "undefined, because no pair was judged by two annotators"
	}
	panels, err := panelsOf(choices)
	if err != nil {
		return a, err
	}
	for _, m := range measures {
		panel, ok := panels[m.of]
		if !ok {
			continue
		}
		row := Measure{Of: m.of, Coefficient: m.coefficient, Scale: m.scale}
		if row.Estimate, row.Coverage, err = measured(panel, m.measure); err != nil {
			return a, err
		}
		a.Measures = append(a.Measures, row)
	}
	return a, nil
}

// measured is a coefficient of a panel with its interval, or why there is none.
func measured(p statistics.Panel, c statistics.Coefficient) (Estimate, statistics.Coverage, error) {
	a, err := statistics.Bootstrap{Replicates: replicates, Seed: 1}.Agreement(p, c)
	switch {
	case err != nil:
		e, err := estimateOf(statistics.Interval{}, err)
		return e, a.Coverage, err
	case a.Interval == nil:
		return Estimate{Value: &a.Value, NoInterval: a.NoInterval.Error()}, a.Coverage, nil
	}
	e, err := estimateOf(*a.Interval, nil)
	return e, a.Coverage, err
}

// ac2 is the measure that a project's line shows: of the preference.
func ac2(choices []store.Choice) (Estimate, error) {
	panels, err := panelsOf(choices)
	if err != nil {
		return Estimate{}, err
	}
	e, _, err := measured(panels["preference"], measures[0].measure)
	return e, err
}
