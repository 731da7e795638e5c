package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/evaluation/refusal"
	"tandem/llama/train"
	"tandem/statistics"
)

// SafetyData specifies the study of section 4.2.3: a base model is tuned on the same helpfulness dialogues and a growing
// share of the safety dialogues, and all the models that come of it are measured alike.
type SafetyData struct {
	Base        string                 `json:"base"`
	Helpful     []string               `json:"helpful"` // files of dialogues, all of which every model is tuned on
	SafetyFiles []string               `json:"safety"`  // files of dialogues, of which a model gets its share
	Format      dataset.DialogueFormat `json:"format,omitempty"`
	// HeldOutShare of openings is not tuned on, by the one rule (see tandem.HeldOut).
	HeldOutShare float64      `json:"held_out_share,omitempty"`
	Shares       []float64    `json:"shares"` // of the safety dialogues, in percent
	Seeds        []uint64     `json:"seeds"`  // of the tuning; each share is tuned once with each
	FineTune     train.Config `json:"fine_tune"`

	Helpfulness string          `json:"helpfulness_model"`
	Safety      string          `json:"safety_model"`
	Prompts     string          `json:"prompts"`              // to measure on: safety prompts are marked, all others are ordinary ones
	Borderline  string          `json:"borderline,omitempty"` // prompts that sound dangerous and are not
	Sampling    tandem.Sampling `json:"sampling"`
	Seed        uint64          `json:"seed"`
	Out         string          `json:"-"`
}

// Validate reports the first thing that makes no sense.
func (d SafetyData) Validate() error {
	const op = "pipeline.SafetyData"
	if len(d.Shares) == 0 || len(d.Seeds) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "there are %d shares and %d seeds, not one or more of each", len(d.Shares), len(d.Seeds))
	}
	for _, share := range d.Shares {
		if !(share >= 0 && share <= 100) {
			return tandem.Errorf(tandem.Invalid, op, "a share of %g %%", share)
		}
	}
	return nil
}

// SafetyDataMeasures is what came of it, by share.
type SafetyDataMeasures struct {
	Config   SafetyData       `json:"config"`
	Helpful  int              `json:"helpful_dialogues"`
	Safety   int              `json:"safety_dialogues"`
	Snapshot string           `json:"snapshot"`
	Shares   []ShareMeasures  `json:"shares"`
	Answers  [][]SharedAnswer `json:"-"` // by share: of all seeds
}

// SharedAnswer is an answer of one of a share's models.
type SharedAnswer struct {
	evaluation.Answer
	Borderline bool
}

// ShareMeasures are the models of one share. Intervals are over prompts, whose answers by several seeds are averaged first;
// they know nothing of other seeds.
type ShareMeasures struct {
	Share     float64             `json:"share"`     // in percent
	Dialogues int                 `json:"dialogues"` // of safety, that were tuned on
	Models    []string            `json:"models"`    // folders, by seed
	Safety    statistics.Interval `json:"safety"`    // mean r_s on safety prompts
	Tail      statistics.Interval `json:"tail"`      // r_s that a twentieth of the answers to safety prompts fall below
	Gated     statistics.Interval `json:"gated"`     // share of answers to safety prompts below the gate
	Help      statistics.Interval `json:"help"`      // mean r_h on ordinary prompts
	// Shares of answers that are refusals, in part or in whole.
	RefusedUnsafe     statistics.Interval  `json:"refused_unsafe"`
	RefusedOrdinary   statistics.Interval  `json:"refused_ordinary"`
	RefusedBorderline *statistics.Interval `json:"refused_borderline,omitempty"`
}

// MeasureSafetyData tunes and measures the models; do does the units.
func (s *Studio) MeasureSafetyData(ctx context.Context, d SafetyData, do Units) (SafetyDataMeasures, error) {
	m := SafetyDataMeasures{Config: d}
	if err := d.Validate(); err != nil {
		return m, err
	}
	tunings, err := m.divide(ctx)
	if err != nil {
		return m, err
	}
	specs := make([]any, len(tunings))
	for i, t := range tunings {
		specs[i] = t
	}
	if _, err := do(ctx, tandem.StageSFT, specs...); err != nil {
		return m, err
	}
	files := []string{d.Prompts}
	if d.Borderline != "" {
		files = append(files, d.Borderline)
	}
	specs = specs[:0]
	for _, t := range tunings {
		for _, prompts := range files {
			specs = append(specs, Evaluation{Answer: Answer{
				Policy: t.Out, Helpfulness: d.Helpfulness, Safety: d.Safety, Prompts: prompts, Sampling: d.Sampling, Seed: d.Seed,
			}})
		}
	}
	results, err := do(ctx, tandem.StageEvaluate, specs...)
	if err != nil {
		return m, err
	}
	m.Answers = make([][]SharedAnswer, len(d.Shares))
	for i, result := range results {
		var answers []evaluation.Answer
		if err := json.Unmarshal(result, &answers); err != nil {
			return m, fmt.Errorf("the answers of %s: %w", tunings[i/len(files)].Name, err)
		}
		share := i / len(files) / len(d.Seeds)
		for _, a := range answers {
			m.Answers[share] = append(m.Answers[share], SharedAnswer{a, i%len(files) == 1})
		}
	}
	for i := range m.Shares {
		if err := m.Shares[i].measure(m.Answers[i]); err != nil {
			return m, fmt.Errorf("%g %%: %w", m.Shares[i].Share, err)
		}
	}
	return m, nil
}

// divide writes each share's part of the safety dialogues and says how its models are tuned. A smaller share is part of a
// larger one.
func (m *SafetyDataMeasures) divide(ctx context.Context) (tunings []FineTune, err error) {
	d := m.Config
	if m.Snapshot, err = HashFiles(append(slices.Clone(d.Helpful), d.SafetyFiles...)...); err != nil {
		return nil, err
	}
	helpful, err := readDialogues(ctx, d.Format, d.Helpful...)
	if err != nil {
		return nil, err
	}
	safety, err := readDialogues(ctx, d.Format, d.SafetyFiles...)
	if err != nil {
		return nil, err
	}
	unmarked := func(tandem.Dialogue) bool { return false }
	helpful, _ = splitItems(helpful, tandem.Dialogue.Opening, unmarked, d.HeldOutShare)
	safety, _ = splitItems(safety, tandem.Dialogue.Opening, unmarked, d.HeldOutShare)
	if len(helpful) == 0 || len(safety) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.SafetyData", "there are %d helpfulness and %d safety dialogues to tune on: both are needed", len(helpful), len(safety))
	}
	m.Helpful, m.Safety = len(helpful), len(safety)
	lots := slices.SortedFunc(slices.Values(safety), func(a, b tandem.Dialogue) int { return cmp.Compare(a.Key(), b.Key()) }) // a hash draws them
	write := func(name string, dialogues []tandem.Dialogue) (string, error) {
		path := filepath.Join(d.Out, "data", name+".jsonl")
		return path, WriteLines(path, func(yield func(targetLine) bool) {
			for _, dialogue := range dialogues {
				if !yield(targetLine{dialogue}) {
					return
				}
			}
		})
	}
	common, err := write("helpful", helpful)
	if err != nil {
		return nil, err
	}
	for _, percent := range d.Shares {
		share := ShareMeasures{Share: percent, Dialogues: int(float64(len(lots))*percent/100 + 0.5)}
		data := []string{common}
		if share.Dialogues > 0 {
			part, err := write(fmt.Sprintf("safety-%g", percent), lots[:share.Dialogues])
			if err != nil {
				return nil, err
			}
			data = append(data, part)
		}
		for _, seed := range d.Seeds {
			fit := d.FineTune
			fit.Seed = seed
			name := fmt.Sprintf("safety-%g-seed-%d", percent, seed)
			tuning := FineTune{Model: d.Base, Data: data, Stage: tandem.StageSFT, Config: fit, Out: filepath.Join(d.Out, "models", name), Name: name}
			share.Models, tunings = append(share.Models, tuning.Out), append(tunings, tuning)
		}
		m.Shares = append(m.Shares, share)
	}
	return tunings, nil
}

// kind is a kind of prompt in the study.
type kind string

const (
	unsafePrompts     kind = "unsafe"
	ordinaryPrompts   kind = "ordinary"
	borderlinePrompts kind = "borderline"
)

func (a SharedAnswer) kind() kind {
	switch {
	case a.Borderline:
		return borderlinePrompts
	case a.Prompt.Safety:
		return unsafePrompts
	}
	return ordinaryPrompts
}

// measure fills in the figures of a share's answers.
func (s *ShareMeasures) measure(answers []SharedAnswer) (err error) {
	each := func(of kind, figure func(SharedAnswer) float64) (values []float64) { // by prompt
		byPrompt := make(map[uint64][]float64)
		for _, a := range answers {
			if a.kind() == of {
				key := a.Prompt.Messages.Key()
				byPrompt[key] = append(byPrompt[key], figure(a))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(byPrompt)) {
			mean, _ := statistics.Moments(byPrompt[key])
			values = append(values, mean)
		}
		return values
	}
	means := func(of kind, figure func(SharedAnswer) float64) statistics.Interval {
		interval, meanErr := statistics.Mean(each(of, figure))
		if meanErr != nil && err == nil {
			err = fmt.Errorf("%s prompts: %w", of, meanErr)
		}
		return interval
	}
	share := func(of kind, holds func(SharedAnswer) bool) statistics.Interval {
		values, sum := each(of, func(a SharedAnswer) float64 { return indicator(holds(a)) }), 0.0
		for _, v := range values {
			sum += v
		}
		interval, shareErr := statistics.Wilson(sum, len(values))
		if shareErr != nil && err == nil {
			err = fmt.Errorf("%s prompts: %w", of, shareErr)
		}
		return interval
	}
	safety := func(a SharedAnswer) float64 { return a.Score.Safety }
	refused := func(a SharedAnswer) bool { return refusal.Classify(a.Text) != refusal.None }
	s.Safety = means(unsafePrompts, safety)
	s.Gated = share(unsafePrompts, func(a SharedAnswer) bool { return a.Score.Gated })
	s.Help = means(ordinaryPrompts, func(a SharedAnswer) float64 { return a.Score.Helpfulness })
	s.RefusedUnsafe, s.RefusedOrdinary = share(unsafePrompts, refused), share(ordinaryPrompts, refused)
	if slices.ContainsFunc(answers, func(a SharedAnswer) bool { return a.Borderline }) {
		borderline := share(borderlinePrompts, refused)
		s.RefusedBorderline = &borderline
	}
	if err != nil {
		return err
	}
	var scores []float64
	for _, a := range answers {
		if a.kind() == unsafePrompts {
			scores = append(scores, a.Score.Safety)
		}
	}
	s.Tail, err = statistics.Bootstrap{}.Interval(len(scores), func(items []int) (float64, error) {
		drawn := make([]float64, len(items))
		for i, item := range items {
			drawn[i] = scores[item]
		}
		slices.Sort(drawn)
		return statistics.Quantile(drawn, tailShare), nil
	})
	return err
}

// tailShare of the answers are the left tail.
const tailShare = 0.05

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
