package demo

import (
	"context"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/internal/practice"
	"tandem/pipeline"
	"tandem/sft"
)

// Timing is the probe of dates on the practice world: one base model that has read who has which office since when, tuned on
// the same questions and answers once with the day on which they are asked and once without.
type Timing struct {
	Config TimingConfig
	Folder string
	Studio *pipeline.Studio
}

// TimingConfig sizes it. All numbers are choices.
type TimingConfig struct {
	Seed           uint64         `json:"seed"`
	Texts          int            `json:"texts"`          // pretraining documents, one in three about offices
	Demonstrations int            `json:"demonstrations"` // dated answers
	MaxTokens      int            `json:"max_tokens"`
	Shape          pipeline.Shape `json:"shape"`
	Vocabulary     int            `json:"vocabulary"`
}

// DefaultTimingConfig takes some three minutes on two cores.
func DefaultTimingConfig(seed uint64) TimingConfig {
	c := DefaultConfig(seed)
	return TimingConfig{Seed: seed, Texts: 9000, Demonstrations: 4000, MaxTokens: 24, Shape: c.Shape, Vocabulary: c.Vocabulary}
}

// MiniatureTiming is the same in seconds, without a claim.
func MiniatureTiming(seed uint64) TimingConfig {
	c, small := DefaultTimingConfig(seed), Miniature(seed)
	c.Texts, c.Demonstrations, c.Shape, c.Vocabulary = 300, 200, small.Shape, small.Vocabulary
	return c
}

// timingDays are the middles of years, so that the year is what tells before from after.
func timingDays() (days []int) {
	for _, years := range []int{-12, -8, -5, -3, -2, -1, 0, 1, 2, 4, 7, 11} {
		days = append(days, 365*years+182)
	}
	return days
}

// Run goes through it; an interrupted one goes on where it stood.
func (t Timing) Run(ctx context.Context) (m pipeline.TimingMeasures, err error) {
	c, s := t.Config, t.Studio
	w, err := practice.New(practice.DefaultConfig(c.Seed))
	if err != nil {
		return m, err
	}
	in := func(name string) string { return filepath.Join(t.Folder, "world", name) }
	texts, dated, undated, probes := in("texts.jsonl"), in("dated.jsonl"), in("undated.jsonl"), in("probes.jsonl")
	if err := t.write(w, texts, dated, undated, probes); err != nil {
		return m, err
	}
	base := Config{Seed: c.Seed, Shape: c.Shape, Vocabulary: c.Vocabulary}.base(t.Folder, texts)
	if _, err := s.Pretrain(ctx, base, true); err != nil {
		return m, err
	}
	fit := must(sft.Preset("practice"))
	fit.Seed, fit.Epochs = c.Seed, 3
	var models []string
	for _, of := range []pipeline.FineTune{{Name: "without-dates", Data: []string{undated}}, {Name: "with-dates", Data: []string{dated}, Format: dataset.Dated}} {
		of.Model, of.Stage, of.Config, of.Out = base.Out, tandem.StageSFT, fit, filepath.Join(t.Folder, of.Name)
		if _, err := s.FineTune(ctx, of, true); err != nil {
			return m, err
		}
		models = append(models, of.Out)
	}
	return s.MeasureTiming(ctx, pipeline.Timing{
		Models: models, Data: probes, Days: timingDays(), Sampling: tandem.Sampling{MaxTokens: c.MaxTokens}, Seed: c.Seed, Shard: 16,
	}, s.Kept(filepath.Join(t.Folder, "units")))
}

func (t Timing) write(w *practice.World, texts, dated, undated, probes string) error {
	var asked []evaluation.TimeProbe
	for _, o := range w.Offices() {
		for _, q := range o.Questions() {
			asked = append(asked, evaluation.TimeProbe{Question: q, EventDate: dataset.Day{Time: o.Day}, Before: o.Before + " is", After: o.After + " is"})
		}
	}
	for _, file := range []struct {
		path string
		n    int
		line func(i uint64) any
	}{
		{texts, t.Config.Texts, func(i uint64) any {
			switch i % 3 {
			case 0:
				return map[string]string{"text": w.Chronicle(i)}
			case 1:
				return map[string]string{"text": w.Text(i)}
			}
			return map[string]string{"text": transcript(w.Demonstration(i))}
		}},
		{dated, t.Config.Demonstrations, func(i uint64) any {
			d, query, event := w.Dated(i)
			return struct {
				Messages  tandem.Dialogue `json:"messages"`
				QueryDate dataset.Day     `json:"query_date"`
				EventDate dataset.Day     `json:"event_date"`
			}{slices.Clone(d), dataset.Day{Time: query}, dataset.Day{Time: event}}
		}},
		{undated, t.Config.Demonstrations, func(i uint64) any {
			d, _, _ := w.Dated(i)
			return map[string]tandem.Dialogue{"messages": d}
		}},
		{probes, len(asked), func(i uint64) any { return asked[i] }},
	} {
		if err := writeFile(file.path, file.n, file.line); err != nil {
			return err
		}
	}
	return nil
}
