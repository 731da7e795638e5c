package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tandem"
	"tandem/evaluation"
	"tandem/llama/checkpoint"
	"tandem/report"
	"tandem/rewardmodel"
	"tandem/statistics"
)

// RewardScale is how accurate models of one aspect are that have learnt from more and more pairs (figure 6), all on the
// same held-out comparisons of the aspect.
type RewardScale struct {
	Model  tandem.Aspect `json:"model"`
	Points []ScalePoint  `json:"points"` // the fewest pairs first
}

// ScalePoint is one model among them.
type ScalePoint struct {
	Folder   string              `json:"folder"`
	Pairs    int                 `json:"pairs"` // that it was trained on, of its whole mixture
	Accuracy statistics.Interval `json:"accuracy"`
	ByDegree []DegreeAccuracy    `json:"by_degree"`
}

// learner is a reward model's folder with what its lineage says of its training.
type learner struct {
	folder string
	aspect tandem.Aspect
	pairs  int
}

// readLearner wants a model that tandem has trained: of others nobody knows from how many pairs they have learnt.
func readLearner(ctx context.Context, folder string) (learner, error) {
	const op = "pipeline.MeasureRewards"
	lineage, err := checkpoint.ReadLineage(ctx, folder)
	if err != nil {
		return learner{}, err
	}
	if lineage == nil || lineage.Metrics["pairs"] == 0 {
		return learner{}, tandem.Errorf(tandem.Invalid, op, "%s does not say in tandem.json from how many pairs it has learnt, so it cannot stand in a curve of accuracy by pairs", folder)
	}
	l := learner{folder: folder, pairs: int(lineage.Metrics["pairs"])}
	switch lineage.Kind {
	case tandem.HelpfulnessModel:
		l.aspect = tandem.Helpfulness
	case tandem.SafetyModel:
		l.aspect = tandem.Safety
	default:
		return learner{}, tandem.Errorf(tandem.Invalid, op, "%s is a %s model, not one of rewards", folder, lineage.Kind)
	}
	return l, nil
}

// scale measures earlier models of the aspect of a, which stands at the end where it has learnt from most.
func (s *Studio) scale(ctx context.Context, a RewardAccuracy, earlier []learner, comparisons []tandem.Comparison) (RewardScale, error) {
	newest, err := readLearner(ctx, a.Folder)
	if err != nil {
		return RewardScale{}, err
	}
	scale := RewardScale{Model: a.Model, Points: []ScalePoint{{a.Folder, newest.pairs, a.Accuracy, a.ByDegree}}}
	v := evaluation.NewCrossValidation(comparisons, 0)
	for _, l := range earlier {
		model, err := rewardmodel.Open(ctx, l.folder, s.chatConfig())
		if err != nil {
			return scale, err
		}
		chosen, rejected, err := scoreSides(ctx, model, comparisons)
		if err != nil {
			return scale, err
		}
		correct, err := evaluation.Correct(chosen, rejected)
		if err != nil {
			return scale, err
		}
		p := ScalePoint{Folder: l.folder, Pairs: l.pairs}
		if p.Accuracy, err = v.Accuracy(correct); err != nil {
			return scale, err
		}
		if p.ByDegree, err = degrees(comparisons, correct); err != nil {
			return scale, err
		}
		scale.Points = append(scale.Points, p)
	}
	slices.SortStableFunc(scale.Points, func(a, b ScalePoint) int { return cmp.Compare(a.Pairs, b.Pairs) })
	return scale, nil
}

// figure shows the curve.
func (s RewardScale) figure() report.Figure {
	var ticks []string
	var cuts [][]CutAccuracy
	for _, p := range s.Points {
		at := []CutAccuracy{{allCut, p.Accuracy}}
		for _, d := range p.ByDegree {
			at = append(at, CutAccuracy{d.Degree, d.Accuracy})
		}
		ticks, cuts = append(ticks, strconv.Itoa(p.Pairs)), append(cuts, at)
	}
	return byPairs(s.Model, ticks, cuts, "Models that have learnt from so many pairs, each on the same held-out comparisons, with 95 % intervals (figure 6's form).")
}

// byPairs is figure 6's form: accuracy by the number of pairs, for each degree.
func byPairs(aspect tandem.Aspect, ticks []string, cuts [][]CutAccuracy, caption string) report.Figure {
	l := &report.Lines{X: report.Axis{Label: "pairs trained on", Ticks: ticks}, Y: report.Axis{Label: "accuracy, %", Max: report.At(100)}}
	for _, name := range present(degreeCuts(), cuts...) {
		series := report.Series{Name: strings.ReplaceAll(name, "_", " ")}
		for i, at := range cuts {
			if interval, ok := find(at, name); ok {
				series.Points = append(series.Points, report.Point{X: float64(i), Y: hundred(interval)})
			}
		}
		l.Series = append(l.Series, series)
	}
	return report.Figure{Title: fmt.Sprintf("%s models by the number of pairs", title(string(aspect))), Caption: caption, Lines: l, Wide: true}
}
