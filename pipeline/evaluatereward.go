package pipeline

import (
	"context"
	"fmt"
	"math"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/llama/checkpoint"
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
	// Precision is what a threshold for unsafe answers is recommended for. Defaults to the one of the paper's gate.
	Precision float64 `json:"precision"`
	// ParaphrasePairs is how many comparisons, the first ones, are written other ways; 0 tries no paraphrases.
	ParaphrasePairs int `json:"paraphrase_pairs"`
	// Earlier are folders of reward models that have learnt from other numbers of pairs, to measure beside the pair.
	Earlier []string `json:"earlier,omitempty"`
}

// GatePrecision is the precision of the paper's gate on Meta's safety test set (section 3.2.3).
const GatePrecision = 0.89

// Validate reports a measurement that cannot be made.
func (p RewardPair) Validate() error {
	const op = "pipeline.RewardPair"
	switch {
	case !(p.Precision > 0 && p.Precision <= 1):
		return tandem.Errorf(tandem.Invalid, op, "the wanted precision is %g, not above 0 and up to 1", p.Precision)
	case p.ParaphrasePairs < 0:
		return tandem.Errorf(tandem.Invalid, op, "paraphrases of %d comparisons are wanted", p.ParaphrasePairs)
	}
	return nil
}

// RewardAccuracy is how often a model scores the chosen answer higher, ties counted half.
type RewardAccuracy struct {
	Model    tandem.Aspect       `json:"model"`
	Folder   string              `json:"folder"`
	Data     tandem.Aspect       `json:"data"`
	Accuracy statistics.Interval `json:"accuracy"`  // intervals resample openings
	ByDegree []DegreeAccuracy    `json:"by_degree"` // the clearest first
	Groups   []RewardGroups      `json:"groups,omitempty"`
	// LengthCorrelation is the rank correlation of scores with answers' lengths; nil where it is undefined.
	LengthCorrelation *float64 `json:"length_correlation,omitempty"`
	// Temperature is what fits σ((r_c − r_r) / T) to the verdicts, and CalibrationError the expected one of
	// σ(|r_c − r_r|) as the probability of being right, before it; CalibrationErrorFitted is that after it.
	Temperature            float64 `json:"temperature,omitempty"`
	CalibrationError       float64 `json:"calibration_error"`
	CalibrationErrorFitted float64 `json:"calibration_error_fitted,omitempty"`
	// Robustness is how far paraphrases matter that must not; of a model on its own comparisons.
	Robustness []evaluation.Robustness `json:"robustness,omitempty"`
	// Unsafe is how well unsafe answers are told from safe ones, where there are labels of both.
	Unsafe      *evaluation.Detection `json:"unsafe,omitempty"`
	Recommended *RecommendedThreshold `json:"recommended,omitempty"` // where there is one

	// Wanted is the precision that Recommended is for.
	Wanted float64 `json:"-"`

	Chosen, Rejected []float64        `json:"-"` // raw scalars
	Correct          []float64        `json:"-"`
	Reliability      []statistics.Bin `json:"-"`
}

// RecommendedThreshold is the threshold on σ(r) that finds most unsafe answers with the precision that was wanted.
type RecommendedThreshold struct {
	Precision float64 `json:"precision"` // at least
	At        float64 `json:"at"`        // σ(r) at or below it counts as unsafe
	Scalar    float64 `json:"scalar"`    // the same of r
	Recall    float64 `json:"recall"`
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
	ByDegree []DegreeAccuracy    `json:"by_degree"`
	// Ahead is by how much the model of this aspect is more accurate, with the paired interval.
	Ahead statistics.Interval `json:"ahead"`
}

// RewardMeasures is what was found of a pair of reward models.
type RewardMeasures struct {
	Accuracies []RewardAccuracy `json:"accuracies"`
	Rules      []RewardRule     `json:"rules"`
	Scales     []RewardScale    `json:"scales,omitempty"`
}

// DegreeAccuracy is the same over the comparisons of one degree.
type DegreeAccuracy struct {
	Degree   string              `json:"degree"`
	Accuracy statistics.Interval `json:"accuracy"`
}

// MeasureRewards measures both models on both kinds of data that there are.
func (s *Studio) MeasureRewards(ctx context.Context, p RewardPair) (m RewardMeasures, err error) {
	if err := p.Validate(); err != nil {
		return m, err
	}
	earlier := make(map[tandem.Aspect][]learner)
	for _, folder := range p.Earlier {
		l, err := readLearner(ctx, folder)
		if err != nil {
			return m, err
		}
		earlier[l.aspect] = append(earlier[l.aspect], l)
	}
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
		comparisons = ofAspect(comparisons, data.aspect, data.aspect)
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
			a, err := s.accuracy(ctx, p, model.aspect, model.folder, data.aspect, heldOut)
			if err != nil {
				return m, fmt.Errorf("%s model: %w", model.aspect, err)
			}
			m.Accuracies = append(m.Accuracies, a)
			if model.aspect == data.aspect {
				rules, err := rulesBeside(a, heldOut)
				if err != nil {
					return m, err
				}
				m.Rules = append(m.Rules, rules...)
				if of := earlier[model.aspect]; len(of) > 0 {
					scale, err := s.scale(ctx, a, of, heldOut)
					if err != nil {
						return m, err
					}
					m.Scales = append(m.Scales, scale)
				}
			}
			s.observe(Observation{Stage: tandem.StageEvaluate, Step: len(m.Accuracies), Steps: 4})
		}
	}
	return m, nil
}

// accuracy measures one model on comparisons of one aspect.
func (s *Studio) accuracy(ctx context.Context, p RewardPair, aspect tandem.Aspect, folder string, data tandem.Aspect, comparisons []tandem.Comparison) (RewardAccuracy, error) {
	a := RewardAccuracy{Model: aspect, Folder: folder, Data: data, Wanted: p.Precision}
	model, err := rewardmodel.Open(ctx, folder, s.chatConfig())
	if err != nil {
		return a, err
	}
	if a.Chosen, a.Rejected, err = scoreSides(ctx, model, comparisons); err != nil {
		return a, err
	}
	if aspect == data && p.ParaphrasePairs > 0 {
		a.Robustness, err = evaluation.Robust(ctx, model, comparisons[:min(p.ParaphrasePairs, len(comparisons))], 0)
		if err != nil && !statistics.IsUndefined(err) {
			return a, fmt.Errorf("paraphrases: %w", err)
		}
	}
	return a, a.look(comparisons)
}

// degrees are the accuracies by degree of what a judge said.
func degrees(comparisons []tandem.Comparison, correct []float64) ([]DegreeAccuracy, error) {
	groups, err := evaluation.ByDegree(comparisons, correct, 0)
	by := make([]DegreeAccuracy, len(groups))
	for i, g := range groups {
		by[i] = DegreeAccuracy{g.Name, g.Accuracy}
	}
	return by, err
}

// look adds what scores say.
func (a *RewardAccuracy) look(comparisons []tandem.Comparison) (err error) {
	if a.Correct, err = evaluation.Correct(a.Chosen, a.Rejected); err != nil {
		return err
	}
	if a.Accuracy, err = evaluation.NewCrossValidation(comparisons, 0).Accuracy(a.Correct); err != nil {
		return err
	}
	if a.ByDegree, err = degrees(comparisons, a.Correct); err != nil {
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
	if err := a.calibration(); err != nil {
		return err
	}
	return a.detection(comparisons)
}

// calibration says whether differences of scores are probabilities.
func (a *RewardAccuracy) calibration() (err error) {
	gaps, right, always := make([]float64, len(a.Chosen)), make([]bool, len(a.Chosen)), make([]bool, len(a.Chosen))
	for i := range gaps {
		gaps[i] = a.Chosen[i] - a.Rejected[i]
		right[i], always[i] = gaps[i] > 0, true
	}
	sure := func(temperature float64) []float64 {
		p := make([]float64, len(gaps))
		for i, gap := range gaps {
			p[i] = 1 / (1 + math.Exp(-math.Abs(gap)/temperature))
		}
		return p
	}
	if a.Reliability, err = statistics.Reliability(sure(1), right, reliabilityBins); err != nil {
		return err
	}
	if a.CalibrationError, err = statistics.ExpectedCalibrationError(sure(1), right, reliabilityBins); err != nil {
		return err
	}
	if a.Temperature, err = statistics.FitTemperature(gaps, always); err != nil {
		if statistics.IsUndefined(err) {
			return nil
		}
		return err
	}
	a.CalibrationErrorFitted, err = statistics.ExpectedCalibrationError(sure(a.Temperature), right, reliabilityBins)
	return err
}

// fitted is the temperature that a model's calibration is to have: the labels' where it has learnt them, else the verdicts';
// 0 where none fits.
func (a RewardAccuracy) fitted(learntLabels bool) float64 {
	if learntLabels && a.Unsafe != nil {
		return a.Unsafe.Temperature
	}
	return a.Temperature
}

// StoreTemperatures writes the temperatures that fit the measured comparisons into the calibrations of both models, each its
// own comparisons', and moves the gate of a calibrated safety model to where σ(r / T) is .15. It returns what was stored, by
// model. Models that are not calibrated yet are refused.
func (s *Studio) StoreTemperatures(ctx context.Context, m RewardMeasures) (map[tandem.Aspect]float64, error) {
	const op = "pipeline.StoreTemperatures"
	stored := make(map[tandem.Aspect]float64)
	for _, a := range m.Accuracies {
		if a.Model != a.Data {
			continue
		}
		lineage, err := checkpoint.ReadLineage(ctx, a.Folder)
		if err != nil {
			return stored, err
		}
		if lineage == nil || lineage.Calibration == nil {
			return stored, tandem.Errorf(tandem.Invalid, op, "%s has no calibration in tandem.json that a temperature could stand in: run its `tandem reward` again with --reference-policy and --reference-prompts", a.Folder)
		}
		t := a.fitted(lineage.Calibration.Calibrated)
		if t == 0 {
			return stored, tandem.Errorf(tandem.Invalid, op, "no temperature fits the %s model's scores of these %d comparisons: they are all right, or no better than chance", a.Model, a.Accuracy.N)
		}
		c := rewardmodel.AtTemperature(*lineage.Calibration, t)
		lineage.Calibration = &c
		if err := checkpoint.WriteLineage(ctx, a.Folder, *lineage); err != nil {
			return stored, err
		}
		if s.Store != nil {
			if err := s.Store.MeasureModel(ctx, lineage.ID, nil, &c); err != nil {
				s.Log.Warn("the temperature cannot be recorded in the database", "error", err)
			}
		}
		stored[a.Model] = t
	}
	return stored, nil
}

// reliabilityBins are between 0 and 1; σ(|gap|) fills the upper half of them.
const reliabilityBins = 20

// detection says how unsafe answers are told from safe ones.
func (a *RewardAccuracy) detection(comparisons []tandem.Comparison) error {
	found, err := evaluation.Detect(comparisons, a.Chosen, a.Rejected)
	if err != nil {
		if statistics.IsUndefined(err) {
			return nil
		}
		return err
	}
	a.Unsafe = &found
	if at, recall, err := found.Recommended(a.Wanted); err == nil {
		a.Recommended = &RecommendedThreshold{Precision: a.Wanted, At: at, Scalar: math.Log(at / (1 - at)), Recall: recall}
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
		said = append(said, verdicts{"bag of words", words})
	case tandem.CodeOf(err) != tandem.Invalid: // which says that all begin alike, so that nothing can be held out
		return nil, err
	}
	v := evaluation.NewCrossValidation(comparisons, 0)
	for _, r := range said {
		rule := RewardRule{Data: a.Data, Name: r.name}
		if rule.Accuracy, err = v.Accuracy(r.correct); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		if rule.ByDegree, err = degrees(comparisons, r.correct); err != nil {
			return nil, err
		}
		if rule.Ahead, err = v.Ahead(a.Correct, r.correct); err != nil && !statistics.IsUndefined(err) {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// scoreSides are a reward model's raw scalars of both sides of each comparison. An answer that stands in several of them is
// scored once.
func scoreSides(ctx context.Context, model evaluation.Judge, comparisons []tandem.Comparison) (chosen, rejected []float64, err error) {
	var dialogues []tandem.Dialogue
	at := make(map[uint64]int)
	place := func(d tandem.Dialogue) int {
		key := d.Key()
		i, ok := at[key]
		if !ok {
			i = len(dialogues)
			at[key], dialogues = i, append(dialogues, d)
		}
		return i
	}
	sides := make([][2]int, len(comparisons))
	for i, c := range comparisons {
		chosen, rejected := c.Dialogues()
		sides[i] = [2]int{place(chosen), place(rejected)}
	}
	scores, _, err := model.Scores(ctx, dialogues)
	if err != nil {
		return nil, nil, err
	}
	for _, side := range sides {
		chosen, rejected = append(chosen, float64(scores[side[0]])), append(rejected, float64(scores[side[1]]))
	}
	return chosen, rejected, nil
}
