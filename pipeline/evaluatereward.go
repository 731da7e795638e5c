package pipeline

import (
	"context"
	"fmt"
	"math"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/llama/chat"
	"tandem/rewardmodel"
	"tandem/statistics"
)

// RewardPair specifies the measurement of a pair of reward models: each on comparisons of its own aspect
// and of the other's (section 3.2.2, tables 7 and 8).
type RewardPair struct {
	Helpfulness     string         `json:"helpfulness"` // folders
	Safety          string         `json:"safety"`
	HelpfulnessData string         `json:"helpfulness_data"` // see Studio.Comparisons; empty for none
	SafetyData      string         `json:"safety_data"`
	Format          dataset.Format `json:"format,omitempty"`
	// HeldOutShare of openings is measured on, by the one rule (see tandem.HeldOut), and with them the
	// comparisons that are marked as held out; 1 measures on all.
	HeldOutShare float64 `json:"held_out_share"`
}

// RewardAccuracy is how often a model scores the chosen answer higher, ties counted half.
type RewardAccuracy struct {
	Model    tandem.Aspect       `json:"model"`
	Folder   string              `json:"folder"`
	Data     tandem.Aspect       `json:"data"`
	Accuracy statistics.Interval `json:"accuracy"`
	ByDegree []DegreeAccuracy    `json:"by_degree"` // the clearest first
	Groups   []RewardGroups      `json:"groups,omitempty"`
	// LengthCorrelation is the rank correlation of scores with answers' lengths; nil where it is undefined.
	LengthCorrelation *float64 `json:"length_correlation,omitempty"`
	// Temperature is what fits σ((r_c − r_r) / T) to the verdicts, and CalibrationError the expected one of
	// σ(|r_c − r_r|) as the probability of being right, before it.
	Temperature      float64 `json:"temperature,omitempty"`
	CalibrationError float64 `json:"calibration_error"`
	// Unsafe is how well unsafe answers are told from safe ones, where there are labels of both.
	Unsafe *evaluation.Detection `json:"unsafe,omitempty"`

	Chosen, Rejected []float64        `json:"-"` // raw scalars
	Correct          []float64        `json:"-"`
	Reliability      []statistics.Bin `json:"-"`
}

// RewardGroups is a model's accuracy on comparisons that are told apart by something.
type RewardGroups struct {
	By     string             `json:"by"`
	Groups []evaluation.Group `json:"groups"`
}

// RewardRule is a rule that understands nothing, beside reward models on the same comparisons.
type RewardRule struct {
	Data     tandem.Aspect       `json:"data"`
	Name     string              `json:"name"`
	Accuracy statistics.Interval `json:"accuracy"`
	// Ahead is by how much the model of this aspect is more accurate, with the paired interval.
	Ahead statistics.Interval `json:"ahead"`
}

// RewardMeasures is what was found of a pair of reward models.
type RewardMeasures struct {
	Accuracies []RewardAccuracy `json:"accuracies"`
	Rules      []RewardRule     `json:"rules"`
}

// DegreeAccuracy is the same over the comparisons of one degree.
type DegreeAccuracy struct {
	Degree   string              `json:"degree"`
	Accuracy statistics.Interval `json:"accuracy"`
}

// MeasureRewards measures both models on both kinds of data that there are.
func (s *Studio) MeasureRewards(ctx context.Context, p RewardPair) (m RewardMeasures, err error) {
	for _, data := range []struct {
		aspect tandem.Aspect
		name   string
	}{{tandem.Helpfulness, p.HelpfulnessData}, {tandem.Safety, p.SafetyData}} {
		if data.name == "" {
			continue
		}
		comparisons, err := s.Comparisons(ctx, data.name, p.Format, data.aspect)
		if err != nil {
			return m, err
		}
		comparisons, _ = splitItems(comparisons, func(tandem.Comparison) string { return "" },
			func(c tandem.Comparison) bool { return c.Aspect != "" && c.Aspect != data.aspect }, 0)
		_, heldOut := SplitComparisons(comparisons, p.HeldOutShare)
		if len(heldOut) == 0 {
			return m, tandem.Errorf(tandem.Invalid, "pipeline.MeasureRewards", "none of the %d %s comparisons of %s is held out", len(comparisons), data.aspect, data.name)
		}
		for _, model := range []struct {
			aspect tandem.Aspect
			folder string
		}{{tandem.Helpfulness, p.Helpfulness}, {tandem.Safety, p.Safety}} {
			if model.folder == "" {
				continue
			}
			a, err := s.accuracy(ctx, model.aspect, model.folder, heldOut)
			if err != nil {
				return m, fmt.Errorf("%s model: %w", model.aspect, err)
			}
			a.Data = data.aspect
			m.Accuracies = append(m.Accuracies, a)
			if model.aspect == data.aspect {
				rules, err := rulesBeside(a, heldOut)
				if err != nil {
					return m, err
				}
				m.Rules = append(m.Rules, rules...)
			}
			s.observe(Observation{Stage: tandem.StageEvaluate, Step: len(m.Accuracies), Steps: 4})
		}
	}
	return m, nil
}

// accuracy measures one model.
func (s *Studio) accuracy(ctx context.Context, aspect tandem.Aspect, folder string, comparisons []tandem.Comparison) (RewardAccuracy, error) {
	a := RewardAccuracy{Model: aspect, Folder: folder, ByDegree: []DegreeAccuracy{}}
	model, err := chat.OpenClassifier(ctx, folder, s.chatConfig())
	if err != nil {
		return a, err
	}
	if a.Chosen, a.Rejected, err = scoreSides(ctx, model, comparisons); err != nil {
		return a, err
	}
	total, byDegree, err := rewardmodel.AccuracyByDegree(comparisons, a.Chosen, a.Rejected)
	if err != nil {
		return a, err
	}
	a.Accuracy = total.Accuracy
	for _, d := range byDegree {
		a.ByDegree = append(a.ByDegree, DegreeAccuracy{d.Degree.String(), d.Accuracy})
	}
	return a, a.look(comparisons)
}

// look adds what scores say beyond the accuracy.
func (a *RewardAccuracy) look(comparisons []tandem.Comparison) (err error) {
	if a.Correct, err = evaluation.Correct(a.Chosen, a.Rejected); err != nil {
		return err
	}
	for _, by := range evaluation.Groupings() {
		groups, err := evaluation.ByGroup(comparisons, a.Correct, by, 0)
		if err != nil {
			return err
		}
		if len(groups) > 0 {
			a.Groups = append(a.Groups, RewardGroups{by.Name, groups})
		}
	}
	switch rho, err := evaluation.LengthCorrelation(comparisons, a.Chosen, a.Rejected); {
	case err == nil:
		a.LengthCorrelation = &rho
	case !statistics.IsUndefined(err):
		return err
	}
	var gaps, sure []float64
	right, always := make([]bool, len(comparisons)), make([]bool, len(comparisons))
	for i := range comparisons {
		gap := a.Chosen[i] - a.Rejected[i]
		gaps, sure = append(gaps, gap), append(sure, 1/(1+math.Exp(-math.Abs(gap))))
		right[i], always[i] = gap > 0, true
	}
	if a.Temperature, err = statistics.FitTemperature(gaps, always); err != nil && !statistics.IsUndefined(err) {
		return err
	}
	if a.Reliability, err = statistics.Reliability(sure, right, 20); err != nil {
		return err
	}
	if a.CalibrationError, err = statistics.ExpectedCalibrationError(sure, right, 20); err != nil {
		return err
	}
	switch found, err := evaluation.Detect(comparisons, a.Chosen, a.Rejected); {
	case err == nil:
		a.Unsafe = &found
	case !statistics.IsUndefined(err):
		return err
	}
	return nil
}

// rulesBeside measures rules on the comparisons of a model's own kind.
func rulesBeside(a RewardAccuracy, comparisons []tandem.Comparison) (rules []RewardRule, err error) {
	type verdicts struct {
		name    string
		correct []float64
	}
	said := []verdicts{{"the longer answer", evaluation.LongerWins(comparisons)}}
	words, err := evaluation.BagOfWords(comparisons, evaluation.DefaultBagOfWordsConfig())
	switch {
	case err == nil:
		said = append(said, verdicts{"bag of words, cross-validated", words})
	case tandem.CodeOf(err) != tandem.Invalid: // which says that all begin alike, so that nothing can be held out
		return nil, err
	}
	v := evaluation.NewCrossValidation(comparisons, 0)
	for _, r := range said {
		rule := RewardRule{Data: a.Data, Name: r.name}
		if rule.Accuracy, err = v.Accuracy(r.correct); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		if rule.Ahead, err = v.Ahead(a.Correct, r.correct); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// scoreSides are a reward model's raw scalars of both sides of each comparison.
func scoreSides(ctx context.Context, model *chat.Classifier, comparisons []tandem.Comparison) (chosen, rejected []float64, err error) {
	dialogues := make([]tandem.Dialogue, 0, 2*len(comparisons))
	for _, c := range comparisons {
		chosen, rejected := c.Dialogues()
		dialogues = append(dialogues, chosen, rejected)
	}
	scores, _, err := model.Scores(ctx, dialogues)
	for i := 0; i < len(scores); i += 2 {
		chosen, rejected = append(chosen, float64(scores[i])), append(rejected, float64(scores[i+1]))
	}
	return chosen, rejected, err
}
