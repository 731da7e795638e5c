package pipeline

import (
	"context"
	"fmt"

	"tandem"
	"tandem/dataset"
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
}

// DegreeAccuracy is the same over the comparisons of one degree.
type DegreeAccuracy struct {
	Degree   string              `json:"degree"`
	Accuracy statistics.Interval `json:"accuracy"`
}

// MeasureRewards measures both models on both kinds of data that there are.
func (s *Studio) MeasureRewards(ctx context.Context, p RewardPair) ([]RewardAccuracy, error) {
	var all []RewardAccuracy
	for _, data := range []struct {
		aspect tandem.Aspect
		name   string
	}{{tandem.Helpfulness, p.HelpfulnessData}, {tandem.Safety, p.SafetyData}} {
		if data.name == "" {
			continue
		}
		comparisons, err := s.Comparisons(ctx, data.name, p.Format, data.aspect)
		if err != nil {
			return nil, err
		}
		comparisons, _ = splitItems(comparisons, func(tandem.Comparison) string { return "" },
			func(c tandem.Comparison) bool { return c.Aspect != "" && c.Aspect != data.aspect }, 0)
		_, heldOut := SplitComparisons(comparisons, p.HeldOutShare)
		if len(heldOut) == 0 {
			return nil, tandem.Errorf(tandem.Invalid, "pipeline.MeasureRewards", "none of the %d %s comparisons of %s is held out", len(comparisons), data.aspect, data.name)
		}
		for _, model := range []struct {
			aspect tandem.Aspect
			folder string
		}{{tandem.Helpfulness, p.Helpfulness}, {tandem.Safety, p.Safety}} {
			if model.folder == "" {
				continue
			}
			a, err := s.accuracy(ctx, model.folder, heldOut)
			if err != nil {
				return nil, fmt.Errorf("%s model: %w", model.aspect, err)
			}
			a.Model, a.Data = model.aspect, data.aspect
			all = append(all, a)
			s.observe(Observation{Stage: tandem.StageEvaluate, Step: len(all), Steps: 4})
		}
	}
	return all, nil
}

// accuracy measures one model.
func (s *Studio) accuracy(ctx context.Context, folder string, comparisons []tandem.Comparison) (RewardAccuracy, error) {
	a := RewardAccuracy{Folder: folder, ByDegree: []DegreeAccuracy{}}
	model, err := chat.OpenClassifier(ctx, folder, s.chatConfig())
	if err != nil {
		return a, err
	}
	chosen, rejected, err := scoreSides(ctx, model, comparisons)
	if err != nil {
		return a, err
	}
	total, byDegree, err := rewardmodel.AccuracyByDegree(comparisons, chosen, rejected)
	if err != nil {
		return a, err
	}
	a.Accuracy = total.Accuracy
	for _, d := range byDegree {
		a.ByDegree = append(a.ByDegree, DegreeAccuracy{d.Degree.String(), d.Accuracy})
	}
	return a, nil
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
