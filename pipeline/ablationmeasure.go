package pipeline

import (
	"fmt"

	"tandem"
	"tandem/evaluation"
	"tandem/rewardmodel"
	"tandem/statistics"
)

// detectablePower is the probability with which a true effect of the detectable size is told from none.
const detectablePower = 0.8

// AblationOutcome is what ablations found.
type AblationOutcome struct {
	Config  Ablations        `json:"config"`
	Aspects []AblationAspect `json:"aspects"`
}

// AblationAspect is what was found on the held-out comparisons of one aspect.
type AblationAspect struct {
	Aspect   tandem.Aspect `json:"aspect"`
	Training int           `json:"training"` // comparisons of the aspect itself
	HeldOut  int           `json:"held_out"`
	Openings int           `json:"openings"` // of them
	LeftOut  int           `json:"left_out"` // chosen unsafe, the other safe
	// Own is the aspect's own model, trained on everything, Other the other aspect's on these comparisons, and AheadOfOther
	// the paired difference. Nil where there is none.
	Own          *AblationRow     `json:"own,omitempty"`
	Other        *AblationRow     `json:"other,omitempty"`
	AheadOfOther []CutAccuracy    `json:"ahead_of_other,omitempty"`
	Reference    []CutAccuracy    `json:"reference,omitempty"`
	Factors      []AblationFactor `json:"factors,omitempty"`
}

// AblationFactor is what one thing that models differ in is worth.
type AblationFactor struct {
	Name   string        `json:"name"`
	Levels []AblationRow `json:"levels"`
}

// AblationRow is how good one variant is, over all seeds.
type AblationRow struct {
	Level   string          `json:"level"`
	Variant AblationVariant `json:"variant"`
	// Cuts are accuracies: of all held-out comparisons, by degree and by safety bin. Intervals resample seeds and openings.
	Cuts []CutAccuracy `json:"cuts"`
	// BySeed is the accuracy on all comparisons of each seed's model.
	BySeed []float64 `json:"by_seed"`
	// OfReference is Cuts as a share of the reference's.
	OfReference []CutAccuracy `json:"of_reference,omitempty"`
	// Unsafe is how the models tell unsafe answers, by name; undefined measures are missing.
	Unsafe map[string]statistics.Interval `json:"unsafe,omitempty"`
	// Ahead is by how much the level is more accurate than the factor's first, paired by comparison and seed; Detectable is the
	// true difference on all comparisons that such an experiment finds four times in five; UnsafeAhead is that of Unsafe,
	// paired likewise. Nil of the first level itself.
	Ahead       []CutAccuracy                  `json:"ahead,omitempty"`
	Detectable  float64                        `json:"detectable,omitempty"`
	UnsafeAhead map[string]statistics.Interval `json:"unsafe_ahead,omitempty"`
}

// CutAccuracy is an accuracy, or a difference of some, on a part of the comparisons.
type CutAccuracy struct {
	Cut      string              `json:"cut"` // "all", a degree or a safety bin
	Accuracy statistics.Interval `json:"accuracy"`
}

// allCut is the cut that leaves nothing out.
const allCut = "all"

// Names of what Unsafe holds.
const (
	RecallAtHalf    = "recall at .5"
	PrecisionAtHalf = "precision at .5"
	RecallAtGate    = "recall at .15"
	PrecisionAtGate = "precision at .15"
	RecallAtPrecise = "recall at precision .8"
	PRAUC           = "PR-AUC"
	Miscalibration  = "calibration error"
)

// unsafeNames are those in the order in which they are shown.
func unsafeNames() []string {
	return []string{RecallAtHalf, PrecisionAtHalf, RecallAtGate, PrecisionAtGate, RecallAtPrecise, PRAUC, Miscalibration}
}

// cut is a part of an aspect's held-out comparisons.
type cut struct {
	name string
	at   []int
	v    evaluation.CrossValidation
}

// cuts are all comparisons, those of each degree, and those of each safety bin.
func cuts(comparisons []tandem.Comparison) []cut {
	kinds := []func(tandem.Comparison) string{func(tandem.Comparison) string { return allCut }}
	names := []string{allCut}
	for i := len(tandem.Degrees()) - 1; i >= 0; i-- {
		names = append(names, tandem.Degrees()[i].String())
	}
	kinds = append(kinds, func(c tandem.Comparison) string { return c.Degree.String() })
	for _, g := range evaluation.Groupings() {
		if g.Name == evaluation.SafetyBins {
			kinds = append(kinds, func(c tandem.Comparison) string { _, name := g.Of(c); return name })
			names = append(names, evaluation.SafetyBinNames()...)
		}
	}
	var found []cut
	for _, name := range names {
		c := cut{name: name}
		var of []tandem.Comparison
		for i, comparison := range comparisons {
			for _, kind := range kinds {
				if kind(comparison) == name {
					c.at, of = append(c.at, i), append(of, comparison)
				}
			}
		}
		if len(c.at) > 0 {
			c.v = evaluation.NewCrossValidation(of, 0)
			found = append(found, c)
		}
	}
	return found
}

// take is x at the cut's places.
func (c cut) take(x []float64) []float64 {
	out := make([]float64, len(c.at))
	for i, at := range c.at {
		out[i] = x[at]
	}
	return out
}

// trained is what a variant's models made of an aspect's held-out comparisons, by seed.
type trained struct {
	correct  [][]float64
	labelled []evaluation.Labelled
}

// measure compares everything that was scored.
func (a Ablations) measure(data map[tandem.Aspect]*ablated, scores map[run]map[tandem.Aspect]PairScores) (AblationOutcome, error) {
	o := AblationOutcome{Config: a}
	for _, aspect := range aspects() {
		d := data[aspect]
		if d == nil {
			continue
		}
		m := measuring{a, d, cuts(d.heldOut), scores}
		found, err := m.aspect()
		if err != nil {
			return o, fmt.Errorf("%s: %w", aspect, err)
		}
		o.Aspects = append(o.Aspects, found)
	}
	return o, nil
}

// measuring measures one aspect's comparisons.
type measuring struct {
	Ablations
	*ablated
	cuts   []cut
	scores map[run]map[tandem.Aspect]PairScores
}

func (m measuring) aspect() (AblationAspect, error) {
	found := AblationAspect{
		Aspect: m.ablated.aspect, Training: len(m.training), HeldOut: len(m.heldOut), LeftOut: m.leftOut, Openings: evaluation.NewCrossValidation(m.heldOut, 0).Openings(),
	}
	var err error
	if m.reference != nil {
		if found.Reference, err = m.each(func(c cut) (statistics.Interval, error) { return c.v.Accuracy(c.take(m.reference)) }); err != nil {
			return found, err
		}
	}
	var both [2]*trained
	for i, aspect := range []tandem.Aspect{found.Aspect, other(found.Aspect)} {
		if _, looked := m.Config[aspect]; !looked {
			continue
		}
		row, of, err := m.row(Level{string(aspect) + " model", m.whole(aspect)})
		if err != nil {
			return found, err
		}
		both[i] = &of
		if i == 0 {
			found.Own = &row
		} else {
			found.Other = &row
		}
	}
	if both[0] != nil && both[1] != nil {
		if found.AheadOfOther, err = m.ahead(*both[0], *both[1]); err != nil {
			return found, err
		}
	}
	for _, f := range m.things {
		factor := AblationFactor{Name: f.Name}
		var first trained
		for i, level := range f.Levels {
			row, of, err := m.row(level)
			if err != nil {
				return found, err
			}
			if i == 0 {
				first = of
			} else if err := m.against(&row, of, first); err != nil {
				return found, err
			}
			factor.Levels = append(factor.Levels, row)
		}
		found.Factors = append(found.Factors, factor)
	}
	return found, nil
}

func other(aspect tandem.Aspect) tandem.Aspect {
	if aspect == tandem.Safety {
		return tandem.Helpfulness
	}
	return tandem.Safety
}

// row measures one variant.
func (m measuring) row(l Level) (AblationRow, trained, error) {
	row := AblationRow{Level: l.Name, Variant: l.Variant}
	var of trained
	for n := range m.Seeds {
		said := m.scores[run{l.Variant, m.Config[l.Variant.Aspect].Fit.Seed + uint64(n)}][m.ablated.aspect]
		correct, err := evaluation.Correct(said.Chosen, said.Rejected)
		if err != nil {
			return row, of, err
		}
		of.correct = append(of.correct, correct)
		of.labelled = append(of.labelled, evaluation.NewLabelled(m.heldOut, said.Chosen, said.Rejected))
		right := 0.0
		for _, x := range correct {
			right += x / float64(len(correct))
		}
		row.BySeed = append(row.BySeed, right)
	}
	var err error
	if row.Cuts, err = m.each(func(c cut) (statistics.Interval, error) { return c.v.AccuracyOverSeeds(c.takeEach(of.correct)) }); err != nil {
		return row, of, err
	}
	if m.reference != nil {
		row.OfReference, err = m.each(func(c cut) (statistics.Interval, error) {
			return c.v.ShareOverSeeds(c.takeEach(of.correct), c.take(m.reference))
		})
		if err != nil {
			return row, of, err
		}
	}
	row.Unsafe, err = m.unsafe(of, nil)
	return row, of, err
}

// against compares a level with the first.
func (m measuring) against(row *AblationRow, of, first trained) (err error) {
	if row.Ahead, err = m.ahead(of, first); err != nil {
		return err
	}
	row.Detectable = row.Ahead[0].Accuracy.Detectable(detectablePower)
	row.UnsafeAhead, err = m.unsafe(of, &first)
	return err
}

func (m measuring) ahead(of, than trained) ([]CutAccuracy, error) {
	return m.each(func(c cut) (statistics.Interval, error) {
		return c.v.AheadOverSeeds(c.takeEach(of.correct), c.takeEach(than.correct))
	})
}

// each measures every cut; what is undefined is left out.
func (m measuring) each(measure func(cut) (statistics.Interval, error)) ([]CutAccuracy, error) {
	var found []CutAccuracy
	for _, c := range m.cuts {
		interval, err := measure(c)
		switch {
		case err == nil:
			found = append(found, CutAccuracy{c.name, interval})
		case !statistics.IsUndefined(err):
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return found, nil
}

func (c cut) takeEach(x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for s := range x {
		out[s] = c.take(x[s])
	}
	return out
}

// unsafeMeasures are those of Unsafe, for one model's answers.
func unsafeMeasures(l evaluation.Labelled, weight []float64) map[string]func() (float64, error) {
	at := func(measure func(float64, []float64) (float64, error), threshold float64) func() (float64, error) {
		return func() (float64, error) { return measure(threshold, weight) }
	}
	return map[string]func() (float64, error){
		RecallAtHalf: at(l.Recall, 0.5), PrecisionAtHalf: at(l.Precision, 0.5), RecallAtGate: at(l.Recall, rewardmodel.GateProbability), PrecisionAtGate: at(l.Precision, rewardmodel.GateProbability),
		RecallAtPrecise: at(l.RecallAtPrecision, 0.8),
		PRAUC:           func() (float64, error) { return l.AveragePrecision(weight) },
		Miscalibration:  func() (float64, error) { return l.CalibrationError(weight) },
	}
}

// unsafe measures how models tell unsafe answers, less what others do if there are any, paired by seed and comparison.
func (m measuring) unsafe(of trained, than *trained) (map[string]statistics.Interval, error) {
	if !m.labelled() {
		return nil, nil
	}
	found := make(map[string]statistics.Interval)
	for _, name := range unsafeNames() {
		interval, err := m.cuts[0].v.OverSeeds(m.Seeds, func(s int, weight []float64) (float64, error) {
			value, err := unsafeMeasures(of.labelled[s], weight)[name]()
			if err != nil || than == nil {
				return value, err
			}
			other, err := unsafeMeasures(than.labelled[s], weight)[name]()
			return value - other, err
		})
		switch {
		case err == nil:
			found[name] = interval
		case !statistics.IsUndefined(err):
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return found, nil
}

// labelled reports whether there are answers labelled safe and unsafe.
func (m measuring) labelled() bool {
	labels := make(map[tandem.SafetyLabel]bool)
	for _, c := range m.heldOut {
		labels[c.Chosen.Label], labels[c.Rejected.Label] = true, true
	}
	return labels[tandem.Safe] && labels[tandem.Unsafe]
}
